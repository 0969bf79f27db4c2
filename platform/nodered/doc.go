// Package nodered manages automations on Node-RED, 4.0 and later, through its
// Admin API.
//
//	p, err := nodered.New("http://127.0.0.1:1880", nodered.Options{Username: "segue", Password: password})
//
// Closing it logs out.
//
// An automation is one flow tab. It starts at its own endpoint,
//
//	POST <httpNodeRoot>/segue/<project>/<key>
//
// which accepts a JSON object with a value for each placeholder and sends the
// automation's request. It answers 200 if the request was answered 2xx, 502 if
// it was not after several attempts, 415 to anything except JSON, and 422 if the
// values do not make a request, or Segment would drop it. Calling the endpoint
// for a pattern or journey is up to others: the trigger is stored with the
// automation, but Node-RED does not use it.
//
// The path of the endpoint is a variable of the tab, in JSONata, which compares
// the tab's ID with the one that it was written for. So a copy of the tab has
// its own endpoint. That matters because Node-RED finds the routes of an
// endpoint that it stops by their path, and also forgets those of all others
// with the same path. A deploy therefore restarts all endpoints with the path of
// one that it stops.
//
// The tab holds two template nodes with the automation in canonical form: the
// request with its method, URL and headers, and the payload. Edits there, in
// Node-RED's own editor, are read back as changes of the automation. The tab's
// info names the source, and ends with the marker. Positions of nodes, comments
// and groups do not matter.
//
// The marker has the ID of the tab that it was written for: a tab with another ID
// is a copy, and belongs to the person who has made it. Older versions of segue did
// not write that ID; their tabs are recognized by the IDs of the nodes, which are
// derived from the tab's.
//
// One subflow per project has the code shared by all its automations. It also
// holds the project's secrets, as environment variables of the kind that
// Node-RED stores encrypted and never returns. A salted scrypt hash in the
// subflow's info shows whether a stored secret is the current one. So segue does
// not notice if somebody changes a value in the editor.
//
// The configuration of Node-RED is one document with one revision, and every
// write replaces all of it, if the revision is still the one that was read. The
// platform is a [sync.Batcher], so an apply is one such write. Unchanged flows
// are not restarted, and those of others are written back byte for byte. Every
// write is conditional, so two applies at once need no [sync.Locker]: the later
// one is refused.
package nodered

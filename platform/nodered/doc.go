// Package nodered keeps automations on Node-RED, 4.0 and later, through its
// Admin API.
//
//	p, err := nodered.New("http://127.0.0.1:1880", nodered.Options{Username: "segue", Password: password})
//
// Closing it logs out.
//
// An automation is one flow tab. It starts at an endpoint of its own,
//
//	POST <httpNodeRoot>/segue/<project>/<key>
//
// which takes a JSON object with a value for each placeholder, sends the
// automation's request, and answers 200 if the request was answered 2xx, 502 if
// it was not, after a few tries, 415 to anything but JSON, and 422 if no request
// could be made of the values, or one that Segment would drop. Which pattern or
// journey calls the endpoint is for others to see to: the trigger is kept with
// the automation, and Node-RED does nothing with it.
//
// The path of the endpoint is a variable of the tab, in JSONata, which compares
// the tab's ID with the one that it was written for. A copy of the tab so has an
// endpoint of its own. That matters because Node-RED finds the routes of an
// endpoint that it stops by their path, and forgets those of all others with it.
// A deploy therefore restarts what has the path of anything that it stops.
//
// The tab holds two template nodes, which are the automation in canonical
// terms: the request with its method, URL and headers, and the payload. What
// people change there, in Node-RED's own editor, is read back as a change of the
// automation. The tab's info tells people where the source is, and ends with the
// marker. Moving nodes about, and comments and groups, are nobody's business.
//
// The marker says which tab it was written for: one with another ID is a copy, and
// the person's who has made it. Older versions of segue have not written that; what
// they have written is known by the IDs of its nodes, which follow from the tab's.
//
// What all automations of a project do in the same way is done by one subflow
// for each project. It also keeps the project's secrets, as environment
// variables of the kind that Node-RED stores encrypted and gives to nobody. To
// tell whether a stored secret is the one at hand, a salted scrypt of it lies in
// the subflow's info. A value that somebody changes in the editor is therefore
// not noticed.
//
// The configuration of Node-RED is one document with one revision, and every
// write replaces all of it, if the revision is still the one that was read. The
// platform is a [sync.Batcher], so that an apply is one such write. Flows that
// it does not change are not restarted, and what belongs to others is written
// back byte for byte. As every write is conditional, two applies at once need no
// [sync.Locker]: the later one is refused.
package nodered

package n8n

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	gosync "sync"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// A workflow that another version of segue has made differs from what this one
// makes, and nobody has edited it. So the note says which version made it, and
// what it made: a plan tells the one from the other.

// frame identifies all that the workflow does but for the fields of the node
// "Request", which are read one by one, and its credential.
func (w *workflow) frame() string {
	nodes := contents(w.Nodes)
	if n := w.node(requestID); n != nil {
		nodes[requestID] = withoutFields(n)
	}
	b, err := canonical(map[string]any{"nodes": nodes, "connections": w.Connections})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}

// layout identifies how this version of segue makes workflows: by the frame of
// one.
var layout = gosync.OnceValue(func() string {
	w, err := assemble(automation.Automation{Key: "layout", Action: automation.Request{
		Method: "POST", Headers: map[string]automation.Header{"X": {Value: automation.Credential{Secret: "S"}}}, Payload: json.RawMessage("{}"),
	}}, record{Marker: sync.Marker{Project: "layout"}})
	if err != nil {
		panic(err) // it is all constant
	}
	return w.frame()
})

// firstCode is the SHA-256 of the code in the first layout, whose notes do not say
// which layout it is. Its webhook answered with n8n's own words, and it tried once.
const firstCode = "f94bbebcaf20413bf9a96c8e434d73f0fb9d26251375c67672efb5d30e1f7065"

// isFirst reports whether the workflow of an automation has the first layout, and
// nobody has changed it.
func (w *workflow) isFirst(a automation.Automation, r record) bool {
	code, _ := w.node(fillID).parameters()["jsCode"].(string)
	sum := sha256.Sum256([]byte(code))
	if r.Layout != "" || hex.EncodeToString(sum[:]) != firstCode {
		return false
	}
	first, err := assemble(a, r)
	if err != nil {
		return false
	}
	first.Nodes = first.Nodes[:5] // up to "Send"
	first.Connections = map[string]any{
		triggerName: outputs(requestName), requestName: outputs(fillName), fillName: outputs(sendName),
	}
	trigger := first.node(triggerID).parameters()
	trigger["responseMode"], trigger["responseData"] = "lastNode", "noData"
	fill, send := first.node(fillID), first.node(sendID)
	delete(fill, "onError")
	delete(send, "onError")
	fill.parameters()["jsCode"] = code
	send.parameters()["options"] = map[string]any{"redirect": map[string]any{"redirect": map[string]any{"followRedirects": false}}}
	return w.frame() == first.frame()
}

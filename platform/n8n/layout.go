package n8n

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	gosync "sync"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// A workflow of another version of segue differs from one of this version
// although nobody has edited it. So the note records the layout and the
// original content, and a plan can distinguish an old layout from an edit.

// frame identifies everything that the workflow does, except its credential and
// the fields of the node "Request", which are read one by one.
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

// layout identifies the layout of this version of segue, by the frame of a
// workflow.
var layout = gosync.OnceValue(func() string {
	w, err := assemble(automation.Automation{Key: "layout", Action: automation.Request{
		Method: "POST", Headers: map[string]automation.Header{"X": {Value: automation.Credential{Secret: "S"}}}, Payload: json.RawMessage("{}"),
	}}, record{Marker: sync.Marker{Project: "layout"}})
	if err != nil {
		panic(err) // the input is constant
	}
	return w.frame()
})

// firstCode is the SHA-256 of the code in the first layout, whose notes do not
// record the layout. Its webhook gave n8n's own answers, and it sent each message
// once.
const firstCode = "f94bbebcaf20413bf9a96c8e434d73f0fb9d26251375c67672efb5d30e1f7065"

// isFirst reports whether an automation's workflow has the first layout
// unchanged.
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

package nodered

import (
	"encoding/json"
	"strings"
	"testing"
)

// clickedFlow is a flow as the editor of Node-RED stores it.
const clickedFlow = `[
	{"id": "t", "type": "tab", "label": "Welcome", "disabled": false, "info": "", "env": []},
	{"id": "a", "type": "http in", "z": "t", "url": "/welcome", "method": "post", "wires": [["b"]]},
	{"id": "b", "type": "template", "z": "t", "field": "payload", "fieldType": "msg", "format": "json", "syntax": "mustache", "output": "json",
		"template": "{\"userId\": \"{{payload.userId}}\", \"traits\": {\"name\": \"{{{payload.userName}}}\"}}", "wires": [["c"]]},
	{"id": "c", "type": "http request", "z": "t", "method": "POST", "ret": "txt", "url": "https://example.com/hook?u={{payload.userId}}", "authType": "",
		"headers": [{"keyType": "other", "keyValue": "x-team", "valueType": "other", "valueValue": "growth"}], "wires": [["d"]]},
	{"id": "d", "type": "http response", "z": "t", "wires": []},
	{"id": "e", "type": "comment", "z": "t", "name": "hi", "wires": []}
]`

func TestAFlowThatWasClickedTogether(t *testing.T) {
	for name, tt := range map[string]struct {
		old, new string // a replacement in the flow
		against  string
	}{
		"as it is":             {"", "", ""},
		"another node":         {`"comment"`, `"function"`, `a node of the type "function" has no counterpart`},
		"a method per message": {`"method": "POST"`, `"method": "use"`, "its method or its URL comes with each message"},
		"credentials":          {`"authType": ""`, `"authType": "basic"`, "its HTTP request has credentials, which Node-RED does not return"},
		"a header per message": {`"valueType": "other"`, `"valueType": "msg"`, "a header comes with each message"},
		"other data":           {`{{payload.userId}}\"`, `{{flow.userId}}\"`, "the template has "},
		"not JSON":             {`\"{{payload.userId}}\"`, `{{payload.userId}}`, "its template is not JSON once its fields are placeholders"},
		"not connected":        {`"wires": [["c"]]`, `"wires": [["d"]]`, "its endpoint does not lead straight to its HTTP request"},
		"no request":           {`"http request"`, `"debug"`, "it has no HTTP request"},
		"plain text":           {`"syntax": "mustache"`, `"syntax": "plain"`, "its template does not make the body"},
		"no template":          {`"type": "template"`, `"type": "comment"`, "its endpoint does not lead straight to its HTTP request"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(clickedFlow, tt.old) {
				t.Fatalf("there is no %s in it", tt.old)
			}
			var nodes []json.RawMessage
			if err := json.Unmarshal([]byte(strings.Replace(clickedFlow, tt.old, tt.new, 1)), &nodes); err != nil {
				t.Fatal(err)
			}
			var on []entry
			for _, raw := range nodes[1:] {
				on = append(on, readEntry(raw))
			}
			a, remarks, against := byHand(readEntry(nodes[0]), on)
			if tt.against != "" {
				if !strings.Contains(against, tt.against) {
					t.Errorf("against it: %q, want %q", against, tt.against)
				}
				return
			}
			if against != "" || len(remarks) != 2 || !strings.Contains(remarks[0], "/welcome") {
				t.Errorf("against it: %q, remarks %q", against, remarks)
			}
			if got := string(a.Action.Payload); got != `{"traits":{"name":"{{userName}}"},"userId":"{{userId}}"}` {
				t.Errorf("payload %s", got)
			}
			if a.Action.URL != "https://example.com/hook?u={{userId}}" || a.Action.Method != "POST" || a.Action.Headers["X-Team"].Value.Text != "growth" {
				t.Errorf("%s %s %v", a.Action.Method, a.Action.URL, a.Action.Headers)
			}
		})
	}
}

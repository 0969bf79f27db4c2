package n8n

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/seguehq/segue/automation"
)

// clickedWorkflow is a workflow as the editor of n8n stores it: a webhook, one HTTP
// request, and an answer.
const clickedWorkflow = `{
	"id": "8Jq2", "name": "Welcome", "active": true,
	"nodes": [
		{"id": "a", "name": "Webhook", "type": "n8n-nodes-base.webhook", "typeVersion": 2, "position": [0, 0],
			"parameters": {"httpMethod": "POST", "path": "hook-1", "responseMode": "lastNode", "options": {}}},
		{"id": "b", "name": "HTTP Request", "type": "n8n-nodes-base.httpRequest", "typeVersion": 4.2, "position": [200, 0],
			"parameters": {"method": "POST", "url": "=https://api.segment.io/v1/identify", "sendHeaders": true,
				"headerParameters": {"parameters": [{"name": "x-team", "value": "growth"}]},
				"sendBody": true, "specifyBody": "json",
				"jsonBody": "={\n \"userId\": \"{{ $json.body.userId }}\",\n \"traits\": {\"name\": \"{{ $json.body[\"userName\"] }}\", \"plan\": \"pro\"}\n}", "options": {}}},
		{"id": "c", "name": "Note", "type": "n8n-nodes-base.stickyNote", "typeVersion": 1, "position": [0, 0], "parameters": {"content": "hi"}}
	],
	"connections": {"Webhook": {"main": [[{"node": "HTTP Request", "type": "main", "index": 0}]]}}
}`

func TestAWorkflowThatWasClickedTogether(t *testing.T) {
	for name, tt := range map[string]struct {
		old, new string // a replacement in the workflow
		payload  string // canonical
		against  string
	}{
		"as it is":         {"", "", `{"traits":{"name":"{{userName}}","plan":"pro"},"userId":"{{userId}}"}`, ""},
		"fields":           {`"specifyBody": "json",`, `"bodyParameters": {"parameters": [{"name": "userId", "value": "={{ $json.body.userId }}"}]},`, `{"userId":"{{userId}}"}`, ""},
		"another node":     {`"n8n-nodes-base.stickyNote"`, `"n8n-nodes-base.code"`, "", `the node "Note" (n8n-nodes-base.code) has no counterpart`},
		"no request":       {`"n8n-nodes-base.httpRequest"`, `"n8n-nodes-base.stickyNote"`, "", "it is not a webhook with one HTTP request"},
		"not connected":    {`"node": "HTTP Request"`, `"node": "Other"`, "", "its webhook does not lead to its HTTP request"},
		"a credential":     {`"sendBody": true`, `"authentication": "genericCredentialType", "sendBody": true`, "", "uses a credential, whose value n8n does not return"},
		"other data":       {`$json.body.userId`, `$json.query.userId`, "", "the body has an expression that is not a field of the webhook's body"},
		"code":             {`$json.body.userId`, `$json.body.userId.trim()`, "", "the body has an expression that is not a field of the webhook's body"},
		"a form":           {`"specifyBody": "json",`, `"contentType": "form-urlencoded", `, "", "its body is not JSON but form-urlencoded"},
		"an open number":   {`\"{{ $json.body.userId }}\"`, `{{ $json.body.userId }}`, "", "its body is not JSON once its expressions are placeholders"},
		"a query":          {`"sendBody": true`, `"sendQuery": true, "sendBody": true`, "", "its query parameters are separate from the URL"},
		"braces as text":   {`"value": "growth"`, `"value": "{{growth}}"`, "", "the header x-team contains a literal {{, which segue would treat as a placeholder"},
		"a moving header":  {`"name": "x-team"`, `"name": "={{ $json.body.h }}"`, "", "a header has a name or a value that is not plain"},
		"headers in JSON":  {`"sendBody": true`, `"specifyHeaders": "json", "jsonHeaders": "[1]", "sendBody": true`, "", "its headers are not an object in JSON"},
		"a second request": {`"n8n-nodes-base.stickyNote"`, `"n8n-nodes-base.httpRequest"`, "", "has no counterpart: only a webhook and one HTTP request have"},
	} {
		t.Run(name, func(t *testing.T) {
			var w workflow
			if !strings.Contains(clickedWorkflow, tt.old) {
				t.Fatalf("there is no %s in it", tt.old)
			}
			if err := json.Unmarshal([]byte(strings.Replace(clickedWorkflow, tt.old, tt.new, 1)), &w); err != nil {
				t.Fatal(err)
			}
			a, remarks, against := w.byHand()
			if tt.against != "" {
				if !strings.Contains(against, tt.against) {
					t.Errorf("against it: %q, want %q", against, tt.against)
				}
				return
			}
			if against != "" || len(remarks) != 2 || !strings.Contains(remarks[0], "/webhook/hook-1") {
				t.Errorf("against it: %q, remarks %q", against, remarks)
			}
			if string(a.Action.Payload) != tt.payload || a.Action.URL != "https://api.segment.io/v1/identify" || a.Action.Method != "POST" || a.Name != "Welcome" {
				t.Errorf("%s %s %s: payload %s", a.Name, a.Action.Method, a.Action.URL, a.Action.Payload)
			}
			if got := a.Action.Headers["X-Team"]; got != (automation.Header{Value: automation.Credential{Text: "growth"}}) {
				t.Errorf("X-Team: %v", got)
			}
		})
	}
}

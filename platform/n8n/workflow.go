package n8n

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// The nodes of an automation's workflow. Their IDs distinguish them from nodes
// that people add, and from copies: the editor gives a copied node a new ID.
const (
	noteID, noteName       = "segue-note", "Managed by segue"
	triggerID, triggerName = "segue-trigger", "Trigger"
	requestID, requestName = "segue-request", "Request"
	fillID, fillName       = "segue-fill", "Fill in"
	sendID, sendName       = "segue-send", "Send"
	outcomeID, outcomeName = "segue-outcome", "Outcome"
	pauseID, pauseName     = "segue-pause", "Pause"
	sentID, sentName       = "segue-sent", "Sent"
	notSentID, notSentName = "segue-not-sent", "Not sent"
	failedID, failedName   = "segue-failed", "Failed"
)

// noteType is the type of a sticky note.
const noteType = "n8n-nodes-base.stickyNote"

// webhookType is the type of the node "Trigger".
const webhookType = "n8n-nodes-base.webhook"

// credentialType is the only type that adds any number of headers to a request
// and whose values n8n shows to nobody, not even to the credential's owner.
const credentialType = "httpMultipleHeadersAuth"

// requestCode is the part of the code of the node "Fill in" that is specific to
// n8n.
//
//go:embed request.js
var requestCode string

// fillCode is the complete code of that node, the same in every workflow.
var fillCode = requestCode + "\n" + automation.MessageCheck

// A workflow is a workflow of n8n, with the fields that segue uses.
type workflow struct {
	ID          string         `json:"id,omitempty"`
	Name        string         `json:"name"`
	Nodes       []node         `json:"nodes"`
	Connections map[string]any `json:"connections"`
	Settings    map[string]any `json:"settings"`

	// Fields that n8n returns but does not accept.
	Active bool `json:"active,omitempty"`
	// Archived is set after somebody has archived it in the editor, as people
	// do to delete. It does not fire, and the API can't restore it.
	Archived        bool          `json:"isArchived,omitempty"`
	VersionID       string        `json:"versionId,omitempty"`
	ActiveVersionID *string       `json:"activeVersionId,omitempty"`
	ActiveVersion   activeVersion `json:"activeVersion,omitzero"`
	CreatedAt       string        `json:"createdAt,omitempty"`
	UpdatedAt       string        `json:"updatedAt,omitempty"`
	// TriggerCount is the number of triggers at the last activation.
	TriggerCount int `json:"triggerCount,omitempty"`
	// Shared lists its owners, in a list of workflows. Parallel writes over
	// SQLite can leave a workflow without an owner behind: it is listed and can't
	// be activated, and all other requests for it get 404.
	Shared *[]sharing `json:"shared,omitempty"`

	// unfinished is true if it is segue's own but its note has no ID yet.
	unfinished bool
	// withdrawn is set if a delete has unpublished it.
	withdrawn withdrawal
}

// A sharing has the time from which a workflow belongs to a project of n8n's,
// or to a person.
type sharing struct {
	CreatedAt string `json:"createdAt"`
}

// enabled reports whether the trigger fires the workflow.
func (w *workflow) enabled() bool {
	return (w.Active || w.ActiveVersionID != nil) && !w.lost() && !w.Archived
}

// lost reports whether the workflow is active in a version that is not in n8n's
// history: it is shown as active, and its webhook answers 404. n8n does not
// cause that by itself, but clearing the table by hand does.
func (w *workflow) lost() bool { return w.ActiveVersionID != nil && w.ActiveVersion.lost }

// An activeVersion is the published version of a workflow, if n8n returns it.
type activeVersion struct {
	// lost is set if n8n has no version with the returned ID.
	lost bool
	// Nodes are the nodes of the version.
	Nodes []node `json:"nodes"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (v *activeVersion) UnmarshalJSON(b []byte) error {
	*v = activeVersion{lost: string(b) == "null"}
	if v.lost {
		return nil
	}
	var of struct{ Nodes []node }
	err := json.Unmarshal(b, &of)
	v.Nodes = of.Nodes
	return err
}

// uses reports whether a node of the workflow has the credential, in the
// published version or in the latest one.
func (w *workflow) uses(credential string) bool {
	has := func(n node) bool { return n.credential().id == credential }
	return slices.ContainsFunc(w.Nodes, has) || slices.ContainsFunc(w.ActiveVersion.Nodes, has)
}

// unpublished reports whether the workflow has changed and another version of
// it is published.
func (w *workflow) unpublished() bool {
	return w.ActiveVersionID != nil && w.VersionID != "" && *w.ActiveVersionID != w.VersionID
}

// node returns the node with the ID, nil if there is none.
func (w *workflow) node(id string) node {
	for _, n := range w.Nodes {
		if n.text("id") == id {
			return n
		}
	}
	return nil
}

// A node is a node of n8n with all its fields: people can set fields that segue
// does not know, and an update of the credential must not lose them.
type node map[string]any

func (n node) text(field string) string {
	s, _ := n[field].(string)
	return s
}

func (n node) parameters() map[string]any {
	p, _ := n["parameters"].(map[string]any)
	return p
}

// A credentialRef refers to a credential. Without an ID it refers to it by
// name.
type credentialRef struct{ id, name string }

// credential returns the node's reference to a credential of segue's type.
func (n node) credential() credentialRef {
	all, _ := n["credentials"].(map[string]any)
	one, _ := all[credentialType].(map[string]any)
	id, _ := one["id"].(string)
	name, _ := one["name"].(string)
	return credentialRef{id, name}
}

// missing is the prefix of the name that is sent with a credential's ID. When
// n8n stores the workflow, it replaces the name with the credential's own if
// the ID exists: this is the only way to see that the credential still exists.
const missing = "(missing) "

func (n node) setCredential(c credentialRef) {
	one := map[string]any{"id": c.id, "name": missing + strings.TrimPrefix(c.name, missing)}
	switch {
	case c == credentialRef{}:
		delete(n, "credentials")
		return
	case c.id == "":
		one = map[string]any{"id": nil, "name": c.name} // n8n looks for the name
	}
	n["credentials"] = map[string]any{credentialType: one}
}

// resolved reports, for a workflow that was just stored, whether the credential
// of the node "Send" exists.
func (w *workflow) resolved() bool {
	return !strings.HasPrefix(w.node(sendID).credential().name, missing)
}

// A record is segue's data about a workflow, as JSON in the last line of its note.
type record struct {
	sync.Marker
	// ID is the ID of the workflow that the record was written for; in a copy it
	// differs from the copy's own. It is "" until it is known, and in workflows
	// of an older segue.
	ID string `json:"id,omitempty"`
	// Seal is the marker's [sync.Marker.Seal] with that ID, "" without one.
	Seal string `json:"seal,omitempty"`
	// Nonce distinguishes the workflow from all others until the ID is known.
	Nonce string `json:"nonce,omitempty"`
	// Protect is the field of the automation.
	Protect bool `json:"protect,omitempty"`
	// Auth is the credential that the workflow uses, nil for none.
	Auth *authRecord `json:"auth,omitempty"`
	// Layout and Frame are the values of [layout] and [workflow.frame] when segue
	// wrote the workflow.
	Layout string `json:"layout,omitempty"`
	Frame  string `json:"frame,omitempty"`
}

// An authRecord describes a credential.
type authRecord struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Shape identifies the headers that the credential adds.
	Shape string `json:"shape"`
	// Secrets has a fingerprint of each secret that is in it.
	Secrets map[string]string `json:"secrets"`
}

func (a *authRecord) ref() credentialRef {
	if a == nil {
		return credentialRef{}
	}
	return credentialRef{a.ID, a.Name}
}

// recordLine finds the record in a note.
var recordLine = regexp.MustCompile("(?m)^`segue (\\{.*\\})`$")

// record returns segue's record, false if there is none. A copy has it too: see
// [workflow.owned].
func (w *workflow) record() (record, bool) {
	var r record
	if w.Shared != nil && len(*w.Shared) == 0 || !recorded(w.note(), &r) || r.Project == "" || r.Key == "" {
		return record{}, false
	}
	return r, true
}

// note returns the sticky note that has a record. In a copy it may have another
// ID. It is nil if there is none.
func (w *workflow) note() node {
	if n := w.node(noteID); recorded(n, &record{}) {
		return n
	}
	for _, n := range w.Nodes {
		if n.text("type") == noteType && recorded(n, &record{}) {
			return n
		}
	}
	return nil
}

// recorded reads segue's record from a node's text. The last such line counts.
func recorded(n node, v any) bool {
	content, _ := n.parameters()["content"].(string)
	all := recordLine.FindAllStringSubmatch(content, -1)
	return len(all) > 0 && json.Unmarshal([]byte(all[len(all)-1][1]), v) == nil
}

// note returns the text of the sticky note. It derives the location of the
// source from the key, so the text is the same for every user and machine.
func note(r record, source string) string {
	folder, name := "", r.Key
	if i := strings.LastIndexByte(r.Key, '/'); i >= 0 {
		folder, name = r.Key[:i+1], r.Key[i+1:]
	}
	where := "the folder **" + folder + "** of the project **" + r.Project + "**"
	if folder == "" {
		where = "the root folder of the project **" + r.Project + "**"
	}
	if source != "" {
		where += ", in " + source
	}
	if r.ID != "" {
		r.Seal = r.Marker.Seal(r.ID)
	}
	line, err := json.Marshal(r)
	if err != nil {
		panic(err) // the record only has strings
	}
	return "## Managed by segue\n\nThe source of this workflow is kept in Git: the automation **" + name + "** in " + where +
		". Change it there: the next `segue apply` undoes what is changed here. `segue render " + r.Key + "` shows the request that it sends.\n\n" +
		"The line below is segue's own. Without it, segue does not know the workflow any more.\n\n`segue " + string(line) + "`\n"
}

// setRecord replaces the record.
func (w *workflow) setRecord(r record, source string) {
	n := w.note()
	if n == nil {
		n = w.node(noteID)
	}
	p := maps.Clone(n.parameters())
	p["content"] = note(r, source)
	n["parameters"] = p
}

// webhookPath returns the path of an automation's trigger, below n8n's
// /webhook/.
func webhookPath(project, key string) string { return "segue/" + project + "/" + key }

// plainSegments matches paths that n8n's router takes literally.
var plainSegments = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$`)

// build makes the workflow of an automation. r is the record for its note.
func build(a automation.Automation, r record, source string) (*workflow, error) {
	if !plainSegments.MatchString(r.Project + "/" + a.Key) {
		return nil, fmt.Errorf("the project %q and the key %q do not make a path for a webhook", r.Project, a.Key)
	}
	w, err := assemble(a, r)
	if err != nil {
		return nil, err
	}
	r.Layout, r.Frame = layout(), w.frame()
	w.setRecord(r, source)
	return w, nil
}

// assemble makes a workflow except the text of its note.
func assemble(a automation.Automation, r record) (*workflow, error) {
	fields, err := requestFields(a)
	if err != nil {
		return nil, err
	}
	w := &workflow{
		Name: a.Name,
		Nodes: []node{
			newNode(noteID, noteName, noteType, 1, 0, 0, map[string]any{
				"height": 340, "width": 520, "color": 4}),
			newNode(triggerID, triggerName, webhookType, 2, 0, 400, map[string]any{
				"httpMethod": "POST", "path": webhookPath(r.Project, a.Key), "responseMode": "responseNode",
				"options": map[string]any{"rawBody": true}}),
			newNode(requestID, requestName, "n8n-nodes-base.set", 3.4, 220, 400, map[string]any{
				"assignments": map[string]any{"assignments": fields}, "options": map[string]any{}}),
			newNode(fillID, fillName, "n8n-nodes-base.code", 2, 440, 400, map[string]any{"jsCode": fillCode}),
			newNode(sendID, sendName, "n8n-nodes-base.httpRequest", 4.2, 660, 400, sendParameters(a.Action)),
			newNode(outcomeID, outcomeName, "n8n-nodes-base.switch", 3.2, 880, 400, map[string]any{
				"mode": "expression", "numberOutputs": 3, "output": outcomeExpression}),
			newNode(pauseID, pauseName, "n8n-nodes-base.wait", 1.1, 880, 200, map[string]any{"amount": pauseExpression}),
			newNode(sentID, sentName, "n8n-nodes-base.respondToWebhook", 1.1, 1100, 300, map[string]any{
				"respondWith": "noData", "options": map[string]any{"responseCode": 200}}),
			newNode(notSentID, notSentName, "n8n-nodes-base.respondToWebhook", 1.1, 1100, 500, map[string]any{
				"respondWith": "json", "responseBody": reasonExpression, "options": map[string]any{"responseCode": statusExpression}}),
			newNode(failedID, failedName, "n8n-nodes-base.stopAndError", 1, 1320, 500, map[string]any{
				"errorMessage": failureExpression}),
		},
		Connections: map[string]any{
			triggerName: outputs(requestName),
			requestName: outputs(fillName),
			fillName:    outputs(sendName, notSentName),
			sendName:    outputs(outcomeName),
			outcomeName: outputs(sentName, pauseName, notSentName),
			pauseName:   outputs(fillName),
			notSentName: outputs(failedName),
		},
		Settings: map[string]any{"executionOrder": "v1"},
	}
	w.node(triggerID)["webhookId"] = webhookID(r.Project, a.Key)
	w.node(pauseID)["webhookId"] = nodeUUID("pause", r.Project, a.Key) // n8n gives it one if it has none
	w.node(fillID)["onError"] = "continueErrorOutput"
	w.node(sendID)["onError"] = "continueRegularOutput"
	w.node(sendID).setCredential(r.Auth.ref())
	return w, nil
}

// outputs connects each output of a node to the input of the node with the name.
func outputs(names ...string) map[string]any {
	all := make([]any, len(names))
	for i, name := range names {
		all[i] = []any{map[string]any{"node": name, "type": "main", "index": 0}}
	}
	return map[string]any{"main": all}
}

// tries is the maximum number of attempts to send a message. The first pause is
// one second, and each later one is twice as long.
const tries = 4

// The expressions that evaluate an attempt: $json is the answer, or has the
// error of a request without one. Temporary failures are retried: no answer,
// 408, 429 and 5xx.
var (
	outcomeExpression = fmt.Sprintf("={{ $json.statusCode >= 200 && $json.statusCode < 300 ? 0 : "+
		"$runIndex < %d && (!$json.statusCode || $json.statusCode === 408 || $json.statusCode === 429 || $json.statusCode >= 500) ? 1 : 2 }}", tries-1)
	pauseExpression  = "={{ 2 ** $runIndex }}"
	statusExpression = "={{ $json.error?.refused ?? 502 }}"
	// It does not quote an error, which may contain the message.
	reason = "$json.error?.reason ?? ($json.statusCode ? `the endpoint answered ${$json.statusCode}` : " +
		"`the endpoint gave no answer${$json.error?.code ? ` (${$json.error.code})` : ''}`)"
	reasonExpression  = "={{ JSON.stringify({ error: " + reason + " }) }}"
	failureExpression = "={{ $('" + notSentName + "').first().json.error?.reason ?? 'the message was not sent' }}"
)

func newNode(id, name, kind string, version float64, x, y int, parameters map[string]any) node {
	return node{"id": id, "name": name, "type": kind, "typeVersion": version, "position": []any{x, y}, "parameters": parameters}
}

// webhookID returns the UUID that n8n needs for a webhook with a fixed path.
func webhookID(project, key string) string { return nodeUUID("webhook", project, key) }

// nodeUUID returns a UUID for a node of an automation's workflow.
func nodeUUID(sort, project, key string) string {
	sum := sha256.Sum256([]byte("segue " + sort + "\n" + project + "\n" + key))
	sum[6] = sum[6]&0x0f | 0x80 // version 8, a custom one
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// requestFields are the fields of the node "Request". n8n treats a string as an
// expression if it starts with "=", and literally otherwise.
func requestFields(a automation.Automation) ([]any, error) {
	trigger, err := marshal(a.Trigger)
	if err != nil {
		return nil, err
	}
	headers := a.Action.Headers
	if headers == nil {
		headers = map[string]automation.Header{}
	}
	headerText, err := marshal(headers)
	if err != nil {
		return nil, err
	}
	fields := []any{}
	add := func(name, value string) {
		if strings.HasPrefix(value, "=") && err == nil {
			err = fmt.Errorf("n8n would treat the %s as an expression, because it starts with %q", name, "=")
		}
		fields = append(fields, map[string]any{"id": name, "name": name, "value": value, "type": "string"})
	}
	add("trigger", string(trigger))
	add("method", a.Action.Method)
	add("url", a.Action.URL)
	add("headers", string(automation.Indent(headerText)))
	if a.Action.Payload != nil {
		add("payload", string(automation.Indent(a.Action.Payload)))
	}
	if len(a.Placeholders) > 0 {
		limits, marshalErr := marshal(a.Placeholders)
		if marshalErr != nil {
			return nil, marshalErr
		}
		add("placeholders", string(limits))
	}
	return fields, err
}

// marshal writes JSON without escaping for HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// sendParameters are the parameters of the node "Send". The values are not
// evaluated again: n8n evaluates a single expression in a field once.
func sendParameters(r automation.Request) map[string]any {
	p := map[string]any{
		"method": methodExpression, "url": urlExpression,
		"sendHeaders": true, "specifyHeaders": "json", "jsonHeaders": "={{ $json.headers }}",
		"options": map[string]any{
			"redirect": map[string]any{"redirect": map[string]any{"followRedirects": false}},
			// The node "Outcome" evaluates every answer.
			"response": map[string]any{"response": map[string]any{"fullResponse": true, "neverError": true}},
			"timeout":  10000,
		},
	}
	if len(secretHeaders(r)) > 0 {
		p["authentication"], p["nodeCredentialType"] = "predefinedCredentialType", credentialType
	}
	switch {
	case r.Payload == nil:
	case r.Method == "DELETE":
		// n8n omits a raw body with this method.
		p["sendBody"], p["specifyBody"], p["jsonBody"] = true, "json", bodyExpression
	default:
		p["sendBody"], p["contentType"] = true, "raw"
		p["rawContentType"], p["body"] = "={{ $json.contentType }}", bodyExpression
	}
	return p
}

// The expressions with which the node "Send" reads the finished request.
const (
	methodExpression = "={{ $json.method }}"
	urlExpression    = "={{ $json.url }}"
	bodyExpression   = "={{ $json.body }}"
)

// secretHeaders returns the headers with secrets, which the credential adds to
// the request.
func secretHeaders(r automation.Request) map[string]automation.Header {
	secret := map[string]automation.Header{}
	for name, h := range r.Headers {
		if len(h.SecretNames()) > 0 {
			secret[name] = h
		}
	}
	return secret
}

// writable returns the workflow in the form that the API accepts. n8n merges
// its settings into the existing ones.
func (w *workflow) writable(settings map[string]any) *workflow {
	out := &workflow{Name: w.Name, Connections: w.Connections, Settings: settings, Nodes: make([]node, len(w.Nodes))}
	for i, n := range w.Nodes {
		out.Nodes[i] = maps.Clone(n)
		maps.DeleteFunc(out.Nodes[i], func(field string, _ any) bool { return !slices.Contains(nodeFields, field) })
	}
	if out.Connections == nil {
		out.Connections = map[string]any{}
	}
	return out
}

// nodeFields are the fields of a node that the API accepts.
var nodeFields = []string{
	"id", "name", "webhookId", "disabled", "notesInFlow", "notes", "type", "typeVersion", "executeOnce", "alwaysOutputData",
	"retryOnFail", "maxTries", "waitBetweenTries", "continueOnFail", "onError", "position", "parameters", "credentials",
}

// keepLayout gives nodes the positions, sizes, notes and tries that they have in
// old.
func (w *workflow) keepLayout(old *workflow) {
	for _, n := range w.Nodes {
		was := old.node(n.text("id"))
		for _, field := range []string{"position", "notes", "notesInFlow", "retryOnFail", "maxTries", "waitBetweenTries"} {
			if v, ok := was[field]; ok {
				n[field] = v
			}
		}
		if n.text("id") != noteID {
			continue
		}
		for _, size := range []string{"width", "height", "color"} {
			if v, ok := was.parameters()[size]; ok {
				n.parameters()[size] = v
			}
		}
	}
}

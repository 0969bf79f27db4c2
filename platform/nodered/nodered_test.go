package nodered

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// program is Node-RED in the version of the example.
var program = platformtest.Program{Package: "node-red", Dir: filepath.Join("..", "..", "examples", "node-red", "node-red")}

// program5 is the newest release.
var program5 = platformtest.Program{Package: "node-red", Dir: filepath.Join("testdata", "node-red-5"), Node: "24.21.0"}

// A nodeRED is a real Node-RED under test.
type nodeRED struct {
	*platformtest.Process
	url   string
	token string // for the tests' own requests
	data  string // its folder
	// starts is how many times flows were started and not deployed.
	starts int
}

// settle waits until a deploy has started: Node-RED answers before that.
func (r *nodeRED) settle(t testing.TB) {
	t.Helper()
	r.await(t, "does not start its flows", func(log string) bool {
		return strings.Count(log, startedLine) >= strings.Count(log, deployedLine)+r.starts
	})
}

// The log messages of Node-RED about a deploy.
const (
	deployedLine = "] Updated flows"
	startedLine  = "] Started "
)

// await waits until Node-RED has logged something.
func (r *nodeRED) await(t testing.TB, otherwise string, logged func(log string) bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for pause := time.Millisecond; !logged(r.Log()); pause = min(2*pause, 100*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("Node-RED %s", otherwise)
		}
		time.Sleep(pause)
	}
}

// started waits for the first start after the program was started.
func (r *nodeRED) started(t testing.TB) {
	t.Helper()
	log := r.Log()
	log = log[:strings.LastIndex(log, "Welcome to Node-RED")]
	r.starts = strings.Count(log, startedLine) - strings.Count(log, deployedLine) + 1
	r.settle(t)
}

// start runs Node-RED for the test. Settings are added to settings.js.
func start(t *testing.T, settings string) *nodeRED {
	t.Helper()
	return startProgram(t, program, settings)
}

// startProgram runs a Node-RED of another version.
func startProgram(t *testing.T, program platformtest.Program, settings string) *nodeRED {
	t.Helper()
	return startNodeRED(t, program, "http", nil, settings)
}

// startNodeRED runs a Node-RED that speaks the scheme, and waits for it with the
// transport.
func startNodeRED(t *testing.T, program platformtest.Program, scheme string, transport http.RoundTripper, settings string) *nodeRED {
	t.Helper()
	platformtest.Require(t, "nodered")
	dir := program.Install(t)
	_, env := program.NodeJS(t)
	port, data := platformtest.FreePort(t), t.TempDir()
	file := fmt.Sprintf(`module.exports = {
	uiHost: "127.0.0.1", uiPort: %d, credentialSecret: "of the test", flowFile: "flows.json",
	telemetry: { enabled: false, updateNotification: false }, logging: { console: { level: "info" } },
	%s
}
`, port, settings)
	if err := os.WriteFile(filepath.Join(data, "settings.js"), []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("%s://127.0.0.1:%d", scheme, port)
	r := &nodeRED{url: url, data: data, Process: platformtest.StartProcess(t, platformtest.Command{
		Args: []string{filepath.Join(dir, "node_modules", ".bin", "node-red"), "--userDir", data, "--settings", filepath.Join(data, "settings.js")},
		Dir:  data, Ready: url + "/settings", Transport: transport, Env: append(env, "NO_UPDATE_NOTIFIER=1"),
	})}
	r.started(t)
	return r
}

// caller has a timeout: a flow that was stopped may leave the request open forever.
var caller = &http.Client{Timeout: 2 * time.Minute}

// request sends a request as another user of Node-RED.
func (r *nodeRED) request(t testing.TB, method, path string, header map[string]string, body any) (int, []byte) {
	t.Helper()
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequest(method, r.url+path, &b)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	res, err := caller.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer
}

// flows reads the configuration.
func (r *nodeRED) flows(t testing.TB) []json.RawMessage {
	t.Helper()
	status, b := r.request(t, "GET", "/flows", nil, nil)
	var all []json.RawMessage
	if err := json.Unmarshal(b, &all); status != 200 || err != nil {
		t.Fatalf("GET /flows: %d, %v", status, err)
	}
	return all
}

// deploy writes the configuration as the editor does.
func (r *nodeRED) deploy(t testing.TB, flows any, how string) {
	t.Helper()
	status, b := r.request(t, "POST", "/flows", map[string]string{"Node-RED-Deployment-Type": how}, flows)
	if status != 204 {
		t.Fatalf("POST /flows: %d: %s", status, b)
	}
	r.settle(t)
}

// add deploys more nodes.
func (r *nodeRED) add(t testing.TB, nodes ...node) {
	t.Helper()
	all := r.flows(t)
	for _, n := range nodes {
		b, err := encode(n)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	r.deploy(t, all, "nodes")
}

// change edits nodes by hand: f reports whether it has changed one.
func (r *nodeRED) change(t testing.TB, f func(n node) bool) {
	t.Helper()
	all := r.flows(t)
	changed := 0
	for i, raw := range all {
		var n node
		if err := json.Unmarshal(raw, &n); err != nil {
			t.Fatal(err)
		}
		if f(n) {
			b, err := encode(n)
			if err != nil {
				t.Fatal(err)
			}
			all[i], changed = b, changed+1
		}
	}
	if changed == 0 {
		t.Fatal("there is nothing to edit")
	}
	r.deploy(t, all, "full")
}

// platform returns the platform under test.
func (r *nodeRED) platform(t *testing.T) *Platform {
	t.Helper()
	p, err := New(r.url, Options{Token: automation.NewSecret(r.token)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// fire calls the endpoint of an automation.
func (r *nodeRED) fire(t testing.TB, project, key string, values any) error {
	t.Helper()
	r.settle(t)
	status, b := r.request(t, "POST", endpointPath(project, key), nil, values)
	if status != 200 {
		return fmt.Errorf("%d: %s", status, b)
	}
	return nil
}

// foreign returns unrelated nodes of every kind. When the flow starts, it calls
// the recorder.
func foreign(i int, url string) []node {
	id := func(part string) string { return partID("foreign", fmt.Sprint(part, i)) }
	return []node{
		{"id": id("tab"), "type": "tab", "label": fmt.Sprintf("Somebody's flow %d <b>&amp;</b> \u2028 🚀", i), "disabled": false, "info": "segue is not meant", "env": []any{node{"name": "A", "value": "1", "type": "num"}}},
		{"id": id("group"), "type": "group", "z": id("tab"), "name": "g", "style": node{"label": true}, "nodes": []any{id("inject")}, "x": 14, "y": 19, "w": 132.5, "h": 82},
		{"id": id("inject"), "type": "inject", "z": id("tab"), "g": id("group"), "name": "", "props": []any{node{"p": "payload"}}, "repeat": "", "crontab": "",
			"once": true, "onceDelay": 0.01, "topic": "", "payload": "", "payloadType": "date", "x": 100, "y": 60, "wires": []any{[]any{id("request")}}},
		{"id": id("request"), "type": "http request", "z": id("tab"), "name": "", "method": "GET", "ret": "txt", "paytoqs": "ignore",
			"url": fmt.Sprintf("%s/started/%d", url, i), "authType": "basic", "senderr": false, "headers": []any{}, "x": 300, "y": 60, "wires": []any{[]any{}},
			"credentials": node{"user": "me", "password": fmt.Sprint("secret", i)}},
		{"id": id("sub"), "type": "subflow", "name": fmt.Sprintf("Somebody's subflow %d", i), "info": "", "in": []any{}, "out": []any{}, "env": []any{}, "color": "#DDAA99"},
		{"id": id("inner"), "type": "function", "z": id("sub"), "name": "", "func": "return msg;", "outputs": 1, "x": 1, "y": 2, "wires": []any{[]any{}}},
		{"id": id("use"), "type": "subflow:" + id("sub"), "z": id("tab"), "name": "", "x": 10, "y": 200, "wires": []any{}},
		{"id": id("proxy"), "type": "http proxy", "name": "p", "url": "http://127.0.0.1:9", "noproxy": []any{"127.0.0.1"}},
	}
}

// foreignIDs are the IDs of the first n foreign flows.
func foreignIDs(n int) map[string]bool {
	ids := map[string]bool{}
	for i := range n {
		for _, f := range foreign(i, "") {
			ids[f.id()] = true
		}
	}
	return ids
}

// only returns the raw nodes with these IDs, one a line.
func (r *nodeRED) only(t testing.TB, ids map[string]bool) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, raw := range r.flows(t) {
		if e := readEntry(raw); ids[e.id] {
			b.Write(raw)
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

func TestConformance(t *testing.T) {
	r := start(t, "")
	p := r.platform(t)
	recorder := platformtest.StartRecorder(t)
	added := 0
	platformtest.Run(t, platformtest.Harness{
		Platform: "nodered", Product: "Node-RED " + version(t),
		Missing: map[platformtest.Capability]string{
			platformtest.NamedTriggers: "a trigger is an endpoint of one automation, and its callers do not concern Node-RED",
			platformtest.ListsTriggers: "a trigger is an endpoint, with any name",
		},
		New: func(t *testing.T) *platformtest.Bench {
			return &platformtest.Bench{
				Platform: p,
				EditPayload: func(t testing.TB, s sync.Stored, field, text string) {
					t.Helper()
					r.change(t, func(n node) bool {
						if n.text("z") != s.ID || n.text("field") != "segue.payload" {
							return false
						}
						var payload map[string]any
						if err := json.Unmarshal([]byte(n.text("template")), &payload); err != nil {
							t.Fatal(err)
						}
						payload[field] = text
						b, err := json.Marshal(payload)
						if err != nil {
							t.Fatal(err)
						}
						n["template"] = string(b)
						return true
					})
				},
				SwitchOff: func(t testing.TB, s sync.Stored) {
					t.Helper()
					r.change(t, func(n node) bool {
						if n.id() != s.ID {
							return false
						}
						n["disabled"] = true
						return true
					})
				},
				Move: func(t testing.TB, s sync.Stored) {
					t.Helper()
					r.change(t, func(n node) bool {
						if n.text("z") != s.ID {
							return false
						}
						n["x"], n["y"], n["l"] = n["x"].(float64)+17, 333, false
						return true
					})
					r.add(t, node{"id": partID(s.ID, "comment"), "type": "comment", "z": s.ID, "name": "a note", "info": "", "x": 1, "y": 1, "wires": []any{}})
				},
				AddForeign: func(t testing.TB) func(testing.TB) []byte {
					t.Helper()
					r.add(t, foreign(added, recorder.URL)...)
					added++
					ids := foreignIDs(added)
					return func(t testing.TB) []byte { return r.only(t, ids) }
				},
				Dump: func(t testing.TB) []byte {
					t.Helper()
					var b bytes.Buffer
					for _, raw := range r.flows(t) {
						b.Write(raw)
						b.WriteByte('\n')
						e := readEntry(raw)
						kind := strings.SplitN(e.kind, ":", 2)[0]
						_, credentials := r.request(t, "GET", "/credentials/"+strings.ReplaceAll(kind, " ", "-")+"/"+e.id, nil, nil)
						b.Write(credentials)
						b.WriteByte('\n')
					}
					b.WriteString(r.Log())
					return b.Bytes()
				},
				Fire: func(t testing.TB, project string, a automation.Automation, values map[string]any) error {
					t.Helper()
					return r.fire(t, project, a.Key, values)
				},
				FireJSON: func(t testing.TB, project string, a automation.Automation, object string) error {
					t.Helper()
					return r.fire(t, project, a.Key, json.RawMessage(object))
				},
				Copy: func(t testing.TB, s sync.Stored) func(testing.TB) []byte {
					t.Helper()
					copied := r.copyTab(t, s.ID, false)
					return func(t testing.TB) []byte {
						t.Helper()
						return []byte(r.flowOf(t, copied))
					}
				},
			}
		},
	})
}

func TestMoves(t *testing.T) {
	r := start(t, "")
	platformtest.Moves(t, &platformtest.Bench{
		Platform: r.platform(t),
		Fire: func(t testing.TB, project string, a automation.Automation, values map[string]any) error {
			t.Helper()
			return r.fire(t, project, a.Key, values)
		},
	})
}

func TestRoundTrip(t *testing.T) {
	r := start(t, "")
	b := &platformtest.Bench{
		Platform: r.platform(t),
		Fire: func(t testing.TB, project string, a automation.Automation, values map[string]any) error {
			t.Helper()
			return r.fire(t, project, a.Key, values)
		},
	}
	platformtest.RoundTrip(t, b, func(t testing.TB, s sync.Stored) {
		t.Helper()
		r.change(t, func(n node) bool {
			if n.id() != s.ID {
				return false
			}
			n["info"] = "no longer segue's"
			return true
		})
	})
}

// version is the version of Node-RED that is installed.
func version(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(program.Dir, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var spec struct{ Dependencies map[string]string }
	if err := json.Unmarshal(b, &spec); err != nil {
		t.Fatal(err)
	}
	return spec.Dependencies["node-red"]
}

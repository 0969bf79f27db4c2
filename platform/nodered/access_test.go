package nodered

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// adminAuth is Node-RED's setting with a full user, a user with only the
// permissions that segue needs, a user who may only read, and tokens.
func adminAuth(t *testing.T) string {
	t.Helper()
	platformtest.Require(t, "nodered")
	bcrypt := filepath.Join(program.Install(t), "node_modules", "bcryptjs")
	return fmt.Sprintf(`adminAuth: {
		type: "credentials",
		users: [
			{ username: "admin", password: require(%[1]q).hashSync("pass word", 4), permissions: "*" },
			{ username: "segue", password: require(%[1]q).hashSync("päss&=+", 4), permissions: ["flows.read", "flows.write", "settings.read"] },
			{ username: "reader", password: require(%[1]q).hashSync("reader", 4), permissions: "read" },
			{ username: "half", password: require(%[1]q).hashSync("half", 4), permissions: ["flows.read", "flows.write"] },
		],
		tokens: (token) => Promise.resolve({ "the-token": { username: "machine", permissions: "*" },
			"read-token": { username: "machine", permissions: "read" } }[token]),
	},`, bcrypt)
}

func TestAccess(t *testing.T) {
	r := start(t, adminAuth(t))
	r.token = "the-token"
	secret := automation.NewSecret
	in := platformtest.Hundred("growth", "https://example.com")
	in.Automations = in.Automations[:2]
	for _, tt := range []struct {
		name    string
		options Options
		// The errors of reading and writing, "" for success.
		read, write string
	}{
		// If there is nothing yet, a plan requests the version.
		{"user with half the permissions", Options{Username: "half", Password: secret("half")},
			`does not let user "half" read its settings; give it the permission settings.read`, "settings.read"},
		{"token", Options{Token: secret("the-token")}, "", ""},
		{"user", Options{Username: "admin", Password: secret("pass word")}, "", ""},
		{"user with no more than is needed", Options{Username: "segue", Password: secret("päss&=+")}, "", ""},
		{"reader", Options{Username: "reader", Password: secret("reader")}, "", `does not let user "reader" deploy; give it the permission flows.write, or "*", in adminAuth`},
		{"token to read", Options{Token: secret("read-token")}, "", `does not let the token deploy; check the secret that the target's token names, and that adminAuth gives it`},
		{"wrong token", Options{Token: secret("wrong")}, "does not accept the token: it is wrong, or has expired", "does not accept the token"},
		{"no token", Options{}, "requires a user; give the target username and password, or token", "requires a user"},
		{"wrong password", Options{Username: "admin", Password: secret("wrong")}, `does not accept user "admin" with this password`, "secret that its password names"},
		{"unknown user", Options{Username: "ad\nmin", Password: secret("wrong")}, `does not accept user "ad\nmin"`, "check the target's username"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := New(r.url, tt.options)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			check := func(what string, err error, want string) {
				t.Helper()
				if want == "" && err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if want != "" && (err == nil || sync.KindOf(err) != sync.Unauthorized || !strings.Contains(err.Error(), want)) {
					t.Errorf("%s: error %v, want %q", what, err, want)
				}
				for _, value := range []string{"wrong\"", "the-token", "read-token"} {
					if err != nil && strings.Contains(err.Error(), value) {
						t.Errorf("%s: the error holds the secret: %v", what, err)
					}
				}
			}
			_, err = p.List(t.Context(), "growth")
			check("list", err, tt.read)
			check("put secret", p.PutSecret(t.Context(), "growth", "A", secret("a")), tt.write)
			if tt.read == "" && tt.write == "" {
				apply(t, p, in)
				in.Automations[0].Name += "."
			}
		})
	}
	t.Run("a session that has expired is renewed", func(t *testing.T) {
		p, err := New(r.url, Options{Username: "admin", Password: secret("pass word")})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		p.client.session = secret("expired")
		if _, err := p.List(t.Context(), "growth"); err != nil {
			t.Error(err)
		}
	})
	t.Run("no session is left behind", func(t *testing.T) {
		b, err := os.ReadFile(filepath.Join(r.data, ".sessions.json"))
		if err != nil || strings.TrimSpace(string(b)) != "{}" {
			t.Errorf("sessions: %s, %v", b, err)
		}
	})
	t.Run("too many attempts", func(t *testing.T) {
		// Node-RED allows a user five of them in ten minutes.
		for i := range 6 {
			p, err := New(r.url, Options{Username: "reader", Password: secret("wrong")})
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.List(t.Context(), "growth")
			if want := `does not let user "reader" log in for now: Too many login attempts. Wait 10 minutes`; i == 5 &&
				(sync.KindOf(err) != sync.Unauthorized || err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("error = %v, want %q", err, want)
			}
		}
	})
}

// If nobody can log in with a password, the error has the remedy.
func TestALoginThatIsNotWanted(t *testing.T) {
	for name, tt := range map[string]struct{ settings, path, want string }{
		"no adminAuth":        {"", "", "has no users; remove username and password"},
		"another root":        {`httpAdminRoot: "/admin",`, "", "httpAdminRoot"},
		"off":                 {`httpAdminRoot: false,`, "", "httpAdminRoot"},
		"tokens alone":        {`adminAuth: { tokens: () => Promise.resolve(null) },`, "", "write token instead if its adminAuth has tokens"},
		"elsewhere":           {`adminAuth: { type: "strategy", users: [], strategy: { name: "x", label: "x", options: {}, strategy: class { constructor() { this.name = "x"; } } } },`, "", "log in only interactively; write token"},
		"the root is missing": {`httpAdminRoot: "/admin",`, "/other", "httpAdminRoot"},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, tt.settings)
			p, err := New(r.url+tt.path, Options{Username: "admin", Password: automation.NewSecret("pass word")})
			if err != nil {
				t.Fatal(err)
			}
			if _, err = p.List(t.Context(), "growth"); err == nil || !strings.Contains(err.Error(), tt.want) || sync.KindOf(err) == sync.Temporary {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
}

// If everybody may read, only writing needs a user.
func TestEverybodyMayRead(t *testing.T) {
	r := start(t, `adminAuth: { type: "credentials", users: [], default: { permissions: "read" } },`)
	p := r.platform(t)
	if _, err := p.List(t.Context(), "growth"); err != nil {
		t.Error(err)
	}
	err := p.PutSecret(t.Context(), "growth", "A", automation.NewSecret("a"))
	if want := "does not let everybody deploy; give the target username and password, or token"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error = %v, want %q", err, want)
	}
}

// A url with http for https, or the other way round, is named with the remedy,
// and so is a certificate that this machine does not trust.
func TestTheWrongScheme(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	defer server.Close()
	trusting := server.Client().Transport
	secure := startSecure(t, server)
	plain := start(t, "")
	other := func(url string) string {
		if rest, ok := strings.CutPrefix(url, "http://"); ok {
			return "https://" + rest
		}
		return "http://" + strings.TrimPrefix(url, "https://")
	}
	for name, tt := range map[string]struct {
		url       string
		transport http.RoundTripper
		want      string
	}{
		"https":                 {secure, trusting, ""},
		"http for https":        {other(secure), nil, "can't reach " + other(secure) + ": it speaks HTTPS; write https:// in the url"},
		"https for http":        {other(plain.url), nil, "can't reach " + other(plain.url) + ": it speaks plain HTTP; write http:// in the url"},
		"untrusted certificate": {secure, nil, "can't reach " + secure + ": its certificate is not accepted (x509: "},
		// Not Node.js: it answers with an error.
		"http for another https": {other(server.URL), nil, ": it speaks HTTPS; write https:// in the url"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := New(tt.url, Options{Transport: tt.transport})
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.List(t.Context(), "growth")
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || sync.KindOf(err) != sync.Refused) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
}

// startSecure runs Node-RED with the certificate of another server, and returns
// its url.
func startSecure(t *testing.T, server *httptest.Server) string {
	t.Helper()
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, b []byte) string {
		return strconv.Quote(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b})))
	}
	return startNodeRED(t, program, "https", server.Client().Transport,
		"https: { key: "+text("PRIVATE KEY", key)+", cert: "+text("CERTIFICATE", pair.Certificate[0])+" },").url
}

func TestTheAdminAPIIsElsewhereOrOff(t *testing.T) {
	t.Run("elsewhere", func(t *testing.T) {
		r := start(t, `httpAdminRoot: "/admin", httpNodeRoot: "/hooks",`)
		recorder := platformtest.StartRecorder(t)
		p, err := New(r.url+"/admin/", Options{})
		if err != nil {
			t.Fatal(err)
		}
		in := platformtest.Hundred("growth", recorder.URL)
		in.Automations = in.Automations[:1]
		apply(t, p, in)
		r.settle(t)
		status, b := r.request(t, "POST", "/hooks"+endpointPath("growth", in.Automations[0].Key), nil, map[string]any{"userId": "u1"})
		if status != 200 {
			t.Fatalf("fire: %d: %s", status, b)
		}
		recorder.Next(t)

		p, err = New(r.url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.List(t.Context(), "growth")
		if err == nil || sync.KindOf(err) != sync.Refused || !strings.Contains(err.Error(), "httpAdminRoot") {
			t.Errorf("without the root: %v", err)
		}
	})
	t.Run("off", func(t *testing.T) {
		r := start(t, `httpAdminRoot: false,`)
		_, err := r.platform(t).List(t.Context(), "growth")
		if err == nil || sync.KindOf(err) != sync.Refused || !strings.Contains(err.Error(), "httpAdminRoot") {
			t.Errorf("switched off: %v", err)
		}
	})
}

func TestLimits(t *testing.T) {
	r := start(t, `apiMaxLength: "20kb",`)
	p := r.platform(t)
	in := platformtest.Hundred("growth", "https://example.com")
	_, err := sync.Apply(t.Context(), p, plan(t, p, in), in, sync.ApplyOptions{Calls: patient})
	if err == nil || !strings.Contains(err.Error(), "apiMaxLength") {
		t.Errorf("more than Node-RED takes: %v", err)
	}
	for _, value := range []string{" ", "__PWRD__"} {
		err := p.PutSecret(t.Context(), "growth", "A", automation.NewSecret(value))
		if sync.KindOf(err) != sync.Refused || err == nil || !strings.Contains(err.Error(), "can't store this value of the secret A") {
			t.Errorf("secret %q: %v", value, err)
		}
	}
	a := in.Automations[0]
	a.Key = "growth/a b"
	if _, err := p.Create(t.Context(), "growth", a); sync.KindOf(err) != sync.Refused || err == nil || !strings.Contains(err.Error(), "can't be the path") {
		t.Errorf("odd key: %v", err)
	}
}

func survey(t *testing.T, p *Platform, project string, keys ...string) sync.Survey {
	t.Helper()
	if _, err := p.List(t.Context(), project); err != nil {
		t.Fatal(err)
	}
	s, err := p.Survey(t.Context(), project, keys)
	if err != nil {
		t.Fatalf("survey: %v", err)
	}
	return s
}

func TestATakenEndpointIsRefused(t *testing.T) {
	r := start(t, "")
	p := r.platform(t)
	const flow = "00000000000000a1"
	r.add(t, node{"id": flow, "type": "tab", "label": "Orders"},
		node{"id": "00000000000000a2", "type": "http in", "z": flow, "url": "segue/growth/Team-1/a001/", "method": "post", "wires": []any{}})
	in := platformtest.Hundred("growth", "https://example.com")
	before := r.flows(t)
	err := p.Batch(t.Context(), "growth", sync.Batch{PutSecrets: in.Secrets, Creates: in.Automations})
	var blamed *sync.BatchError
	if !errors.As(err, &blamed) || blamed.Key != "team-1/a001" || sync.KindOf(err) != sync.Refused ||
		!strings.Contains(err.Error(), `POST /segue/growth/team-1/a001 is taken by flow "Orders" (`+flow+`)`) {
		t.Errorf("error = %v", err)
	}
	if len(r.flows(t)) != len(before) {
		t.Error("something was written")
	}
	// A refused change does not stop the others.
	_, err = sync.Apply(t.Context(), p, plan(t, p, in), in, sync.ApplyOptions{Calls: patient})
	if err == nil || !strings.Contains(err.Error(), `team-1/a001: create on test`) || !strings.Contains(err.Error(), `is held by flow "Orders" (`+flow+`)`) {
		t.Errorf("error = %v", err)
	}
	if stored, err := p.List(t.Context(), "growth"); err != nil || len(stored) != 99 {
		t.Errorf("%d automations, %v; want 99", len(stored), err)
	}
	// Node-RED does not distinguish these either.
	in.Project = "shop"
	in.Automations = in.Automations[2:4]
	a := in.Automations[0]
	in.Automations[0].Key, in.Automations[1].Key = "growth/same", "growth/Same"
	_, err = sync.Apply(t.Context(), p, plan(t, p, in), in, sync.ApplyOptions{Calls: patient})
	if err == nil || !strings.Contains(err.Error(), "is taken by") {
		t.Errorf("error = %v", err)
	}

	// A survey shows an existing endpoint.
	a.Key = "growth/alone"
	in.Project, in.Automations = "office", []automation.Automation{a}
	apply(t, p, in)
	for url, taken := range map[string]bool{"/segue/:a/:b/:c": true, "/*": true, "/segue/:a": false, "": false} {
		r.change(t, func(n node) bool {
			if n.id() != "00000000000000a2" {
				return false
			}
			n["url"] = url
			return true
		})
		if plan := plan(t, p, in); !plan.Empty() {
			t.Errorf("beside %s, a plan has the changes %+v", url, plan.Changes)
		}
		others := slices.DeleteFunc(survey(t, p, "office", a.Key).Others, func(o sync.Other) bool { return o.Kind == sync.Foreign })
		if !taken {
			if len(others) > 0 {
				t.Errorf("beside %s, a survey has %+v", url, others)
			}
			continue
		}
		if len(others) != 1 || others[0].Kind != sync.Unmarked || others[0].Takes != a.Key ||
			others[0].Title != `flow "Orders" (`+flow+`)` || others[0].Endpoint != "POST "+url {
			t.Errorf("beside %s, a survey has %+v", url, others)
		}
		in.Automations[0].Name += "."
		_, err := sync.Apply(t.Context(), p, plan(t, p, in), in, sync.ApplyOptions{Calls: patient})
		if want := fmt.Sprintf(`POST %s is held by flow "Orders" (%s)`, url, flow); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %s", err, want)
		}
		// A flow is not taken over merely because it has the endpoint.
		b := a
		b.Key = "growth/b"
		_, err = p.Update(t.Context(), others[0].Stored, sync.MarkerOf("office", b), b)
		if want := "can't be taken over: segue has not written it"; sync.KindOf(err) != sync.Refused || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("adopt: %v, want %s", err, want)
		}
		// A disabled endpoint takes nothing.
		r.change(t, func(n node) bool {
			if n.id() != flow {
				return false
			}
			n["disabled"] = true
			return true
		})
		apply(t, p, in)
		r.change(t, func(n node) bool {
			if n.id() != flow {
				return false
			}
			n["disabled"] = false
			return true
		})
	}
}

// Node-RED itself decides which paths match an endpoint with parameters and
// wildcards.
func TestWhatAnEndpointTakes(t *testing.T) {
	r := start(t, "")
	const flow = "00000000000000a1"
	paths := []string{"/segue/growth/team-1/a001", "/segue/growth/a001", "/segue/growth/a.b", "/SEGUE/growth/A001", "/segue/growth/123", "/segue/growth/2/a/b/c"}
	for _, url := range []string{
		"/segue/growth/a001", "segue/growth/A001/", "/segue/:a/:b", "/segue/:a/:b/:c", "/segue/:a/:b/:c?", "/segue/:a/*", "/*", "*", "/segue*", "/:a*",
		"/segue/growth/a.b", "/segue/growth/:a.:b", "/segue/growth/:a.:b?", "/segue/growth/:n(\\d+)", "/segue/growth/:n(\\d+)/:rest(*)", "/segue/(growth|shop)/:a",
		"/segue/gr?owth/a0+1", "/segue/growth/team-:n/:a", "/segue/:project-:x/:a", "/segue/growth/[a-z]*", "/segue/:a", "/other/:a/:b", "/segue/growth/:a-:b/:c",
		"/segue/growth/:a:b", "/segue/:a+", "/segue/growth/(", "/segue/growth/:n(?!x)", "/segue/growth/${PATH}",
	} {
		r.deploy(t, []node{{"id": flow, "type": "tab", "label": "Orders"},
			{"id": "00000000000000a2", "type": "http in", "z": flow, "url": url, "method": "post", "wires": []any{[]any{"00000000000000a3"}}},
			{"id": "00000000000000a3", "type": "http response", "z": flow, "statusCode": "200", "wires": []any{}}}, "full")
		raw, err := encode(node{"type": "http in", "z": flow, "url": url, "method": "post"})
		if err != nil {
			t.Fatal(err)
		}
		c := &config{entries: []entry{readEntry(raw)}}
		for _, path := range paths {
			project, key, _ := strings.Cut(strings.TrimPrefix(path, "/segue/"), "/")
			if strings.HasPrefix(path, "/SEGUE/") {
				project, key = "growth", "A001"
			}
			status, _ := r.request(t, "POST", path, nil, nil)
			if takers, _ := c.endpoints().holders(project, key, "ours"); (len(takers) > 0) != (status == 200) {
				t.Errorf("POST %s with the endpoint %s: %d, and it is taken by %v", path, url, status, takers)
			}
		}
	}
}

// The first plan names a Node-RED that is too old, and nothing is written to
// it.
func TestAVersionThatIsTooOld(t *testing.T) {
	r := startProgram(t, platformtest.Program{Package: "node-red", Dir: filepath.Join("testdata", "node-red-3")}, "")
	p, before := r.platform(t), r.flows(t)
	in := platformtest.Hundred("growth", "https://example.com")
	_, err := sync.MakePlan(t.Context(), p, in, sync.PlanOptions{})
	wantOld := func(what string, err error) {
		t.Helper()
		if err == nil || sync.KindOf(err) != sync.Refused || !strings.Contains(err.Error(), r.url+" is Node-RED 3.1.15, and segue needs 4.0 or later; update it") {
			t.Errorf("%s: error %v", what, err)
		}
	}
	wantOld("plan", err)
	wantOld("batch", p.Batch(t.Context(), "growth", sync.Batch{Creates: in.Automations}))
	if diff := cmp.Diff(rawBytes(before), rawBytes(r.flows(t))); diff != "" {
		t.Errorf("flows (-before +after):\n%s", diff)
	}
}

// The answers show that a server is not Node-RED.
func TestOtherServers(t *testing.T) {
	for name, tt := range map[string]struct {
		answers map[string]string // by path; JSON if it starts with a brace
		want    string
	}{
		"odd version": {map[string]string{"/settings": `{"version":"x"}`}, "segue needs 4.0"},
		"another":     {map[string]string{"/settings": `{"a":1}`}, "probably not the Admin API of Node-RED"},
		"a web page":  {map[string]string{"/settings": `<html>hello</html>`}, "probably not the Admin API of Node-RED"},
		"v1 flows":    {map[string]string{"/settings": `{"version":"4.1.0"}`, "/flows": `[]`}, "probably not the Admin API of Node-RED"},
		"a redirect":  {map[string]string{"/settings": "redirect"}, "put Node-RED's own address into url"},
		"busy":        {map[string]string{"/settings": "busy"}, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				switch answer := tt.answers[req.URL.Path]; answer {
				case "redirect":
					http.Redirect(w, req, "/elsewhere", http.StatusFound)
				case "busy":
					w.Header().Set("Retry-After", "3")
					w.WriteHeader(http.StatusServiceUnavailable)
				default:
					w.Header().Set("Content-Type", "application/json")
					fmt.Fprint(w, answer)
				}
			}))
			defer server.Close()
			p, err := New(server.URL, Options{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Create(t.Context(), "growth", platformtest.Hundred("growth", "https://example.com").Automations[0])
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
			if name == "busy" && sync.KindOf(err) != sync.Temporary {
				t.Errorf("kind = %d", sync.KindOf(err))
			}
		})
	}
	for _, url := range []string{"", "127.0.0.1:1880", "ftp://a", "http://", "::"} {
		if _, err := New(url, Options{}); err == nil {
			t.Errorf("%q is accepted", url)
		}
	}
	if _, err := New("http://a", Options{Token: automation.NewSecret("a\nb")}); err == nil || strings.Contains(err.Error(), "a\nb") {
		t.Errorf("token with a line break: %v", err)
	}
}

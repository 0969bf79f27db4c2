package nodered

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// adminAuth is Node-RED's setting with a user, one who may only read, and a
// token.
func adminAuth(t *testing.T) string {
	t.Helper()
	platformtest.Require(t, "nodered")
	bcrypt := filepath.Join(program.Install(t), "node_modules", "bcryptjs")
	return fmt.Sprintf(`adminAuth: {
		type: "credentials",
		users: [
			{ username: "admin", password: require(%[1]q).hashSync("pass word", 4), permissions: "*" },
			{ username: "reader", password: require(%[1]q).hashSync("reader", 4), permissions: "read" },
		],
		tokens: (token) => Promise.resolve(token === "the-token" ? { username: "machine", permissions: "*" } : null),
	},`, bcrypt)
}

func TestAccess(t *testing.T) {
	r := start(t, adminAuth(t))
	secret := automation.NewSecret
	in := platformtest.Hundred("growth", "https://example.com")
	in.Automations = in.Automations[:2]
	for name, tt := range map[string]struct {
		options Options
		// What reading and writing fail with, "" for nothing.
		read, write string
	}{
		"token":          {Options{Token: secret("the-token")}, "", ""},
		"user":           {Options{Username: "admin", Password: secret("pass word")}, "", ""},
		"wrong token":    {Options{Token: secret("wrong")}, "does not accept the token", "does not accept the token"},
		"no token":       {Options{}, "asks for a token, and the target has none", "asks for a token"},
		"wrong password": {Options{Username: "admin", Password: secret("wrong")}, `does not accept the password of user "admin"`, "password"},
		"reader":         {Options{Username: "reader", Password: secret("reader")}, `user "reader", or the user's permissions`, `permissions in adminAuth are not "*"`},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := New(r.url, tt.options)
			if err != nil {
				t.Fatal(err)
			}
			check := func(what string, err error, want string) {
				t.Helper()
				if want == "" && err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if want != "" && (err == nil || sync.KindOf(err) != sync.Unauthorized || !strings.Contains(err.Error(), want)) {
					t.Errorf("%s: error %v, want %q", what, err, want)
				}
				if err != nil && (strings.Contains(err.Error(), "wrong") || strings.Contains(err.Error(), "the-token")) {
					t.Errorf("%s: the error holds the secret: %v", what, err)
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
		p.client.session = secret("expired")
		if _, err := p.List(t.Context(), "growth"); err != nil {
			t.Error(err)
		}
	})
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

func TestATakenEndpointIsRefused(t *testing.T) {
	r := start(t, "")
	p := r.platform(t)
	r.add(t, node{"id": "00000000000000a1", "type": "tab", "label": "Orders"},
		node{"id": "00000000000000a2", "type": "http in", "z": "00000000000000a1", "url": "segue/growth/Team-1/a001/", "method": "post", "wires": []any{}})
	in := platformtest.Hundred("growth", "https://example.com")
	before := r.flows(t)
	_, err := sync.Apply(t.Context(), p, plan(t, p, in), in, sync.ApplyOptions{Calls: patient})
	if err == nil || !strings.Contains(err.Error(), `team-1/a001: create on test`) ||
		!strings.Contains(err.Error(), `POST /segue/growth/team-1/a001 is taken by flow "Orders"`) {
		t.Errorf("error = %v", err)
	}
	if len(r.flows(t)) != len(before) {
		t.Error("something was written")
	}
	// Node-RED makes no difference between these either.
	in.Automations = in.Automations[2:4]
	in.Automations[0].Key, in.Automations[1].Key = "growth/same", "growth/Same"
	_, err = sync.Apply(t.Context(), p, plan(t, p, in), in, sync.ApplyOptions{Calls: patient})
	if err == nil || !strings.Contains(err.Error(), "is taken by") {
		t.Errorf("error = %v", err)
	}
}

// A Node-RED that is too old is named by the first plan, and nothing is
// written to it.
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

// What is not Node-RED is told by its answers.
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

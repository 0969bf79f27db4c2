package evaluate

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/message"
	"github.com/seguehq/segue/diagnostic"
)

// packages are two with all that a package can have, and an empty one.
func packages(t testing.TB) []Package {
	t.Helper()
	var all []automation.Automation
	var of []Compiled
	for _, name := range []string{"a", "b"} {
		all = append(all, automation.Automation{Key: "growth/" + name, Name: "É " + name, Enabled: name == "a",
			Trigger: automation.Trigger{Kind: automation.Pattern, Name: "P"},
			Action: automation.Request{Kind: automation.KindHTTPRequest, Method: "POST", URL: "https://example.com",
				Payload: []byte(`{"userId":"{{userId}}"}`), Headers: map[string]automation.Header{"X": {Value: automation.Credential{Secret: "S"}}}}})
		of = append(of, Compiled{Name: name, Place: place{File: "growth/a.cue", Offset: 300}, Facts: message.Facts{Targets: []string{"prod"}, Call: "track", Event: "E " + name,
			User: message.ByID, Destinations: []string{"Mixpanel"},
			Fields: []message.FieldFact{{Name: "x" + message.FactStep + "y", Kind: message.KindOf("")}}, Pending: []string{"event-name"}}})
	}
	full := Package{Dir: "growth", Name: "growth", Awaits: []string{"other"}, Unexplained: "no", Sourceless: true, Volatile: true,
		Found:    Findings{{Code: "wrong-type", Severity: diagnostic.Error, Confidential: true}},
		Withheld: Findings{{Code: "unknown-field", File: "a.cue"}},
		Tests:    []AutomationTests{{Key: "growth/a", Name: "a", Results: []TestResult{{Test: "t"}}}}}
	if err := full.add(all, of); err != nil {
		t.Fatal(err)
	}
	bare := Package{Dir: "growth", Name: "other"}
	if err := bare.add(all[:1], of[:1]); err != nil {
		t.Fatal(err)
	}
	return []Package{full, bare, {Dir: "empty"}}
}

func TestPackagesRoundTrip(t *testing.T) {
	one := packages(t)[0]
	for _, all := range []any{one, one.Automations[0].Facts} {
		for v, i := reflect.ValueOf(all), 0; i < v.NumField(); i++ {
			if v.Field(i).IsZero() {
				t.Errorf("the test does without %s.%s", v.Type(), v.Type().Field(i).Name)
			}
		}
	}
	for n := range 4 {
		want := packages(t)[:n]
		b, err := Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		canonical := cmp.Transformer("canonical", func(e automation.Encoded) string {
			b, err := e.Canonical()
			if err != nil {
				t.Fatal(err)
			}
			return e.Key + " " + string(b)
		})
		if d := cmp.Diff(want, got, canonical, cmp.AllowUnexported(place{}), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%d packages (-sent, +received):\n%s", n, d)
		}
		if again, err := Encode(got); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%d packages are written otherwise the second time: %v", n, err)
		}
	}
}

// Automations that do the same have the same work, and others another.
func TestWork(t *testing.T) {
	base := automation.Automation{Key: "a", Name: "a", Enabled: true, Trigger: automation.Trigger{Kind: automation.Pattern, Name: "P"},
		Action: automation.Request{Method: "POST", URL: "u", Payload: []byte("{}"), Headers: map[string]automation.Header{"X": {Value: automation.Credential{Text: "v"}}}}}
	same := base
	same.Key, same.Name, same.Protect = "b", "b", true
	if workOf(&base) != workOf(&same) {
		t.Error("the name makes a difference")
	}
	seen := map[[16]byte]int{workOf(&base): -1}
	for i, change := range []func(a *automation.Automation){
		func(a *automation.Automation) { a.Trigger.Kind = automation.Journey },
		func(a *automation.Automation) { a.Trigger.Name = "Q" },
		func(a *automation.Automation) { a.Action.Method = "PUT" },
		func(a *automation.Automation) { a.Action.URL = "v" },
		func(a *automation.Automation) { a.Action.Payload = []byte("[]") },
		func(a *automation.Automation) { a.Action.Headers = nil },
		func(a *automation.Automation) {
			a.Action.Headers = map[string]automation.Header{"X": {Value: automation.Credential{Secret: "v"}}}
		},
		func(a *automation.Automation) {
			a.Action.Headers = map[string]automation.Header{"X": {Scheme: automation.Bearer, Value: automation.Credential{Text: "v"}}}
		},
		func(a *automation.Automation) { a.Action.URL, a.Action.Payload = "u2 {}", nil },
	} {
		other := base
		change(&other)
		work := workOf(&other)
		if j, taken := seen[work]; taken {
			t.Errorf("change %d does the same as %d", i, j)
		}
		seen[work] = i
	}
	off := base
	if off.Enabled = false; workOf(&off) != ([16]byte{}) {
		t.Error("one that is switched off does something")
	}
}

// FuzzDecode reads anything, and fails or gives packages.
func FuzzDecode(f *testing.F) {
	b, err := Encode(packages(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	for i := range b {
		f.Add(b[:i])
		changed := bytes.Clone(b)
		changed[i] ^= 0x55
		f.Add(changed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := Decode(b)
		if err != nil {
			return
		}
		for _, p := range all {
			for _, c := range p.Automations {
				_, _ = c.Automation.Canonical() // which fails if it is not there
			}
		}
	})
}

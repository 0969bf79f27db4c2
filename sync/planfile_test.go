package sync

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
)

// storedPlan is a plan of all sorts of changes as a file, and what it is of.
func storedPlan(t *testing.T) (*memory, Desired, *Plan, []byte) {
	t.Helper()
	m := newMemory()
	apply(t, m, desired(makeAutomation("growth/changed", 1, "KEPT"), makeAutomation("growth/gone", 1, "GONE"), makeAutomation("growth/same", 1, "ROTATED")))
	in := desired(makeAutomation("growth/changed", 2, "KEPT"), makeAutomation("growth/new", 1), makeAutomation("growth/same", 1, "ROTATED"))
	in.Secrets["ROTATED"] = automation.NewSecret("another value of the secret")
	plan := mustPlan(t, m, in)
	f := PlanFile{Segue: "v1", Reach: json.RawMessage(`{"target":{"url":"https://example.com"}}`), Plan: plan}
	b, err := f.Encode(in.Secrets)
	if err != nil {
		t.Fatal(err)
	}
	return m, in, plan, b
}

func TestAPlanFileIsAppliedLikeThePlan(t *testing.T) {
	m, in, plan, b := storedPlan(t)
	for _, s := range in.Secrets {
		if bytes.Contains(b, []byte(s.Reveal())) {
			t.Error("the file holds a secret's value")
		}
	}
	f, err := ReadPlanFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plan, f.Plan); diff != "" {
		t.Errorf("the plan (-made +read):\n%s", diff)
	}
	var needed []string
	secrets := map[string]automation.Secret{}
	for _, u := range f.Plan.SecretUses() {
		needed = append(needed, u.Secret)
		secrets[u.Secret] = in.Secrets[u.Secret]
	}
	if diff := cmp.Diff([]string{"KEPT", "ROTATED"}, needed); diff != "" {
		t.Errorf("secrets that it takes (-want +got):\n%s", diff)
	}
	if err := Verify(t.Context(), m, f.Plan, secrets, quick); err != nil {
		t.Errorf("Verify: %v", err)
	}
	if _, err := Apply(t.Context(), m, f.Plan, f.Plan.Desired(secrets), ApplyOptions{Calls: quick}); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	if after := mustPlan(t, m, in); !after.Empty() {
		t.Errorf("left to do: %+v %+v", after.Changes, after.Secrets)
	}
}

func TestAPlanFileThatIsCutIsRefused(t *testing.T) {
	_, _, _, b := storedPlan(t)
	whole := bytes.TrimSpace(b)
	for n := range whole {
		_, err := ReadPlanFile(whole[:n])
		switch {
		case err == nil:
			t.Fatalf("a file of %d of %d bytes was read", n, len(whole))
		case n > 0 && !strings.Contains(err.Error(), "is truncated"):
			t.Fatalf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
}

// TestAPlanFileThatIsEditedIsRefused changes each value in the file in turn.
func TestAPlanFileThatIsEditedIsRefused(t *testing.T) {
	_, _, _, b := storedPlan(t)
	var doc any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	edits := 0
	var each func(v any, set func(any))
	each = func(v any, set func(any)) {
		try := func(edited any) {
			set(edited)
			defer set(v)
			out, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ReadPlanFile(out); err == nil {
				t.Errorf("%v was made %v, and the file was read", v, edited)
			}
			edits++
		}
		switch v := v.(type) {
		case map[string]any:
			for name, value := range v {
				each(value, func(edited any) { v[name] = edited })
			}
			v["more"] = true
			if out, _ := json.Marshal(doc); out != nil {
				if _, err := ReadPlanFile(out); err == nil {
					t.Errorf("a field was added to %v, and the file was read", v)
				}
			}
			delete(v, "more")
		case []any:
			for i, value := range v {
				each(value, func(edited any) { v[i] = edited })
			}
		case string:
			try(v + "x")
		case float64:
			try(v + 1)
		case bool:
			try(!v)
		default:
			try("x")
		}
	}
	each(doc, func(any) {})
	if edits < 50 {
		t.Errorf("only %d edits were tried", edits)
	}
	if out, err := json.Marshal(doc); err != nil {
		t.Fatal(err)
	} else if _, err := ReadPlanFile(out); err != nil {
		t.Errorf("the same in one line: %v", err)
	}
}

func TestAPlanFileOfSomethingElseIsRefused(t *testing.T) {
	_, _, _, b := storedPlan(t)
	for name, test := range map[string]struct{ content, want string }{
		"nothing":        {"", "is empty"},
		"a list":         {"[]", "is not a plan file"},
		"another file":   {`{"format":"x"}`, "is not a plan file"},
		"JSON for tools": {`{"format":"segue/plan/v1"}`, "is the plan as JSON for programs"},
		"a newer one":    {strings.Replace(string(b), PlanFileFormat, planFileFamily+"v2", 1), `has the format "segue/plan-file/v2", and this segue knows "segue/plan-file/v1" only`},
		"two in one":     {string(b) + string(b), "is damaged"},
	} {
		if _, err := ReadPlanFile([]byte(test.content)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}

func TestWhatMustNotBeAppliedGetsNoPlanFile(t *testing.T) {
	leak := makeAutomation("growth/a", 1, "S")
	leak.Action.Payload = []byte(fmt.Sprintf(`{"userId":"%s"}`, desired(leak).Secrets["S"].Reveal()))
	for name, test := range map[string]struct {
		plan Plan
		want string
	}{
		"blocked":     {Plan{Blocks: []Block{{Message: "no", Remedy: "stop"}}}, "no; stop"},
		"no secrets":  {Plan{SecretsUnknown: true}, "without the values of secrets"},
		"a leak":      {Plan{Changes: []Change{{Key: "growth/a", Action: Create, Content: &leak}}}, "growth/a holds the value of a secret"},
		"leak beside": {Plan{Product: desired(leak).Secrets["S"].Reveal()}, "would hold the value of a secret"},
	} {
		f := PlanFile{Reach: json.RawMessage("{}"), Plan: &test.plan}
		if b, err := f.Encode(desired(leak).Secrets); err == nil || b != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}

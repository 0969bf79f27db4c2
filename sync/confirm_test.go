package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seguehq/segue/automation"
)

// A doubtful platform is a [Confirmer] whose list lacks some keys.
type doubtful struct {
	*memory
	lacks func(key string) bool
	// down makes Confirm fail.
	down bool
}

func (d *doubtful) CreateConfirmed(ctx context.Context, project string, a automation.Automation) (Stored, error) {
	return do(ctx, d.memory, "createConfirmed", a.Key, func() (Stored, error) {
		if d.lacks(a.Key) {
			return Stored{}, &Error{Kind: Unlisted, Message: "it is not listed"}
		}
		return d.put("", Marker{Project: project, Key: a.Key, Hash: a.Hash()}, a), nil
	})
}

func (d *doubtful) Confirm(_ context.Context, _ string, keys []string) (map[string]error, error) {
	if d.down {
		return nil, &Error{Kind: Refused, Message: "down"}
	}
	errs := map[string]error{}
	for _, key := range keys {
		if d.lacks(key) {
			errs[key] = errors.New("it is not listed")
		}
	}
	return errs, nil
}

// newDoubtful is such a platform with one automation that is to be updated and
// one that is to be deleted, beside three that are to be created.
func newDoubtful(t *testing.T, lacks string) (*doubtful, Desired) {
	t.Helper()
	d := &doubtful{memory: newMemory(), lacks: func(key string) bool { return lacks != "" && strings.HasPrefix(key, lacks) }}
	apply(t, d.memory, desired(makeAutomation("growth/a", 1), makeAutomation("growth/z", 1)))
	d.calls = nil
	in := desired(makeAutomation("growth/a", 2))
	for i := range 3 {
		in.Automations = append(in.Automations, makeAutomation(fmt.Sprintf("growth/new%d", i), 1))
	}
	return d, in
}

func outcomes(r *Result) string {
	var out []string
	for _, c := range r.Changes {
		out = append(out, fmt.Sprintf("%s %s %s", c.Action, c.Key, c.Outcome))
	}
	return strings.Join(out, "\n")
}

// The first create comes before all else, and is looked for.
func TestFirstCreateIsConfirmed(t *testing.T) {
	d, in := newDoubtful(t, "")
	plan := mustPlan(t, d, in)
	d.calls = nil
	if _, err := Apply(t.Context(), d, plan, in, ApplyOptions{Calls: quick}); err != nil {
		t.Fatal(err)
	}
	if d.count("createConfirmed") != 1 || d.count("create") != 2 || d.calls[0] != "createConfirmed growth/new0" {
		t.Errorf("calls: %q", d.calls)
	}
	checkSettled(t, d.memory, in)
}

// Where the list lacks it, nothing else is done.
func TestNothingIsDoneWithAListThatLacksSomething(t *testing.T) {
	d, in := newDoubtful(t, "growth/new")
	plan := mustPlan(t, d, in)
	d.calls = nil
	result, err := Apply(t.Context(), d, plan, in, ApplyOptions{Calls: quick})
	if err == nil || !strings.Contains(err.Error(), "it is not listed") {
		t.Errorf("error %v", err)
	}
	want := "update growth/a not started\ncreate growth/new0 failed\ncreate growth/new1 not started\ncreate growth/new2 not started\ndelete growth/z not started"
	if got := outcomes(result); got != want {
		t.Errorf("outcomes:\n%s\nwant\n%s", got, want)
	}
	if slices.ContainsFunc(d.calls, func(c string) bool {
		return strings.HasPrefix(c, "create ") || strings.HasPrefix(c, "update") || strings.HasPrefix(c, "delete")
	}) || d.count("createConfirmed") != 1 {
		t.Errorf("calls: %q", d.calls)
	}
}

// What the list lacks in the end has failed; so has what nobody can tell of.
func TestWhatIsNotConfirmedHasFailed(t *testing.T) {
	for _, test := range []struct {
		name string
		down bool
		want string
	}{
		{"one is not listed", false, "update growth/a done\ncreate growth/new0 done\ncreate growth/new1 failed\ncreate growth/new2 done\ndelete growth/z done"},
		{"the list can't be had", true, "update growth/a done\ncreate growth/new0 failed\ncreate growth/new1 failed\ncreate growth/new2 failed\ndelete growth/z done"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, in := newDoubtful(t, "growth/new1")
			d.down = test.down
			result, err := Apply(t.Context(), d, mustPlan(t, d, in), in, ApplyOptions{Calls: quick})
			if got := outcomes(result); got != test.want {
				t.Errorf("outcomes:\n%s\nwant\n%s", got, test.want)
			}
			if err == nil {
				t.Error("no error")
			}
		})
	}
}

// A create after one that may have taken effect is looked for, too.
func TestSecondCreateIsConfirmed(t *testing.T) {
	d, in := newDoubtful(t, "")
	plan := mustPlan(t, d, in)
	d.calls = nil
	once := false
	d.fault = func(_ int, op, key string) *fault {
		if op == "create" && !once {
			once = true
			return faults["503 before"]
		}
		return nil
	}
	if _, err := Apply(t.Context(), d, plan, in, ApplyOptions{Calls: quick}); err != nil {
		t.Fatal(err)
	}
	if d.count("createConfirmed") != 2 || d.count("create") != 2 {
		t.Errorf("calls: %q", d.calls)
	}
	checkSettled(t, d.memory, in)
}

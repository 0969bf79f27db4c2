package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
)

// surveying is a memory that tells what is not the project's own.
type surveying struct {
	*memory
	survey Survey
}

func (s *surveying) Survey(context.Context, string, []string) (Survey, error) { return s.survey, nil }

// other puts an automation on the platform that the project does not own.
func (s *surveying) other(kind OtherKind, id string, m Marker, a automation.Automation, takes string) Other {
	o := Other{Kind: kind, Title: fmt.Sprintf("workflow %q (%s)", a.Name, id), Takes: takes, Stored: s.put(id, m, a)}
	if takes != "" {
		o.Endpoint = "POST /" + takes
	}
	s.survey.Others = append(s.survey.Others, o)
	return o
}

func newSurveying() *surveying { return &surveying{memory: newMemory()} }

// brief is a plan's changes in a line each.
func brief(p *Plan) []string {
	lines := []string{}
	for _, c := range p.Changes {
		line := fmt.Sprint(c.Action, " ", c.Key, " ", c.Reason)
		if c.Base != nil {
			line += " " + c.Base.ID
		}
		if c.Taken != nil {
			line += ", taken by " + c.Taken.ID
		}
		if c.After != "" {
			line += ", after " + c.After
		}
		lines = append(lines, line)
	}
	return lines
}

func TestATakenEndpointIsToldAndStopsNothingElse(t *testing.T) {
	a, b := makeAutomation("growth/a", 1), makeAutomation("growth/b", 1)
	in := desired(a, b)
	for _, batch := range []bool{false, true} {
		t.Run(fmt.Sprint("batch ", batch), func(t *testing.T) {
			m := newSurveying()
			m.other(Unmarked, "x1", Marker{}, makeAutomation("", 9), a.Key)
			plan := mustPlan(t, m, in)
			if diff := cmp.Diff([]string{"create growth/a new, taken by x1", "create growth/b new"}, brief(plan)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if len(plan.Others) != 1 || plan.Others[0].ID != "x1" {
				t.Errorf("others = %+v", plan.Others)
			}
			var p Platform = m
			if batch {
				p = batcher{m.memory}
			}
			before := m.stored["x1"]
			result, err := Apply(t.Context(), p, plan, in, ApplyOptions{Calls: quick})
			if err == nil || !strings.Contains(err.Error(), `POST /growth/a is held by workflow "Name of " (x1)`) || !strings.Contains(err.Error(), "--adopt") {
				t.Errorf("error = %v", err)
			}
			if result.CountOutcome(Failed) != 1 || result.Count(Create) != 1 || len(m.find("growth", b.Key)) != 1 {
				t.Errorf("result = %+v", result)
			}
			if diff := cmp.Diff(before, m.stored["x1"]); diff != "" {
				t.Errorf("what is not the project's own has changed:\n%s", diff)
			}
			if n := m.count("create growth/a"); n != 0 {
				t.Errorf("%d creates of what is taken", n)
			}
		})
	}
}

func TestWhatIsSwitchedOffIsInNobodysWay(t *testing.T) {
	a := makeAutomation("growth/a", 1)
	m := newSurveying()
	m.other(Unmarked, "x1", Marker{}, makeAutomation("", 9), a.Key)
	m.survey.Others[0].Idle = true
	plan := mustPlan(t, m, desired(a))
	if diff := cmp.Diff([]string{"create growth/a new"}, brief(plan)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if len(plan.Others) != 1 || !plan.Others[0].Idle {
		t.Errorf("others = %+v, want it told", plan.Others)
	}
}

func TestAdoptTakesOverWhatIsThere(t *testing.T) {
	a := makeAutomation("growth/a", 1)
	in := desired(a)
	for name, test := range map[string]struct {
		arrange func(m *surveying)
		want    string
	}{
		"who holds the endpoint": {func(m *surveying) {
			m.other(Unmarked, "x1", Marker{}, makeAutomation("", 9), a.Key)
		}, "update growth/a adopted x1"},
		"a copy": {func(m *surveying) {
			m.other(Copy, "x1", MarkerOf("growth", a), a, "")
		}, "update growth/a adopted x1"},
		"the endpoint's holder rather than another copy": {func(m *surveying) {
			m.other(Copy, "x1", MarkerOf("growth", a), a, "")
			m.other(Copy, "x2", MarkerOf("growth", a), a, a.Key)
		}, "update growth/a adopted x2"},
		"who would hold the endpoint if it were on": {func(m *surveying) {
			m.other(Unmarked, "x1", Marker{}, makeAutomation("", 9), a.Key)
			m.survey.Others[0].Idle = true
		}, "update growth/a adopted x1"},
		"nothing where two would do": {func(m *surveying) {
			m.other(Copy, "x1", MarkerOf("growth", a), a, "")
			m.other(Copy, "x2", MarkerOf("growth", a), a, "")
		}, "create growth/a new"},
		"nothing of another project": {func(m *surveying) {
			m.other(Foreign, "x1", MarkerOf("other", a), a, a.Key)
		}, "create growth/a new, taken by x1"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newSurveying()
			m.unique = false // it would take a copy for the project's own
			test.arrange(m)
			plan, err := MakePlan(t.Context(), owning{m}, in, PlanOptions{Adopt: true, AllowSecondProject: true, Calls: quick})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{test.want}, brief(plan)); diff != "" {
				t.Fatalf("changes (-want +got):\n%s", diff)
			}
			if plan.Changes[0].Taken != nil {
				return
			}
			others := len(m.stored)
			if _, err := Apply(t.Context(), owning{m}, plan, in, ApplyOptions{Calls: quick}); err != nil {
				t.Fatal(err)
			}
			if plan.Changes[0].Action == Update && len(m.stored) != others {
				t.Errorf("%d automations on the platform, want %d", len(m.stored), others)
			}
			id := plan.Changes[0].Base
			if id != nil && !matches(a.Hash(), m.stored[id.ID]) {
				t.Errorf("%s = %+v", id.ID, m.stored[id.ID])
			}
		})
	}
}

// owning is a surveying that owns by identity: what its survey has is not the
// project's own until it is written.
type owning struct{ *surveying }

func (o owning) List(ctx context.Context, project string) ([]Stored, error) {
	all, err := o.surveying.List(ctx, project)
	return o.own(all), err
}

func (o owning) Find(ctx context.Context, project, key string) ([]Stored, error) {
	all, err := o.surveying.Find(ctx, project, key)
	return o.own(all), err
}

func (o owning) own(all []Stored) []Stored {
	return slices.DeleteFunc(all, func(s Stored) bool {
		return slices.ContainsFunc(o.survey.Others, func(other Other) bool { return other.ID == s.ID && other.Revision == s.Revision })
	})
}

func TestACopyIsLeftAlone(t *testing.T) {
	a := makeAutomation("growth/a", 1)
	m := newSurveying()
	m.put("id0001", MarkerOf("growth", a), a)
	edited := a
	edited.Name = "Mine"
	m.other(Copy, "x1", MarkerOf("growth", a), edited, "")
	plan := mustPlan(t, owning{m}, desired(a))
	if !plan.Empty() || len(plan.Others) != 1 || plan.Others[0].Kind != Copy || plan.Others[0].Title != `workflow "Mine" (x1)` {
		t.Errorf("plan = %+v", plan)
	}
}

func TestARenamedProjectIsRecognised(t *testing.T) {
	a, b := makeAutomation("growth/a", 1), makeAutomation("growth/b", 1)
	in := desired(a, b)
	m := newSurveying()
	m.other(Foreign, "x1", MarkerOf("old", a), a, "")
	m.other(Foreign, "x2", MarkerOf("old", b), b, "")
	m.other(Foreign, "x3", MarkerOf("old", makeAutomation("growth/gone", 1)), makeAutomation("growth/gone", 1), "")
	plan := mustPlan(t, owning{m}, in)
	if len(plan.Blocks) != 1 || plan.Blocks[0].Kind != RenamedProject || !strings.Contains(plan.Blocks[0].Remedy, `moved: project: "old"`) ||
		!strings.Contains(plan.Blocks[0].Message, "growth/a, growth/b") {
		t.Fatalf("blocks = %+v", plan.Blocks)
	}

	second, err := MakePlan(t.Context(), owning{m}, in, PlanOptions{AllowSecondProject: true, Calls: quick})
	if err != nil || len(second.Blocks) > 0 || len(second.Warnings) != 1 {
		t.Errorf("blocks = %+v, warnings %q, error %v", second.Blocks, second.Warnings, err)
	}

	m.secrets["old"] = map[string]string{"LEFT": "x"}
	in.Former = "old"
	plan = mustPlan(t, owning{m}, in)
	if diff := cmp.Diff([]string{"update growth/a moved x1", "update growth/b moved x2", "delete growth/gone removed x3"}, brief(plan)); diff != "" {
		t.Fatalf("changes (-want +got):\n%s", diff)
	}
	if _, err := Apply(t.Context(), owning{m}, plan, in, ApplyOptions{Calls: quick}); err != nil {
		t.Fatal(err)
	}
	if len(m.stored) != 2 || !matches(a.Hash(), m.stored["x1"]) || m.stored["x1"].Marker.Project != "growth" || len(m.secrets["old"]) > 0 {
		t.Errorf("stored = %+v, secrets %v", m.stored, m.secrets)
	}
}

func TestARenamedKeyIsCreatedBeforeTheOldOneGoes(t *testing.T) {
	old, renamed := makeAutomation("growth/old", 1), makeAutomation("growth/new", 1)
	renamed.Name = old.Name
	m := newMemory()
	m.put("", MarkerOf("growth", old), old)
	in := desired(renamed)
	plan, err := MakePlan(t.Context(), m, in, PlanOptions{AllowMassDelete: true, Calls: quick})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"create growth/new new", "delete growth/old removed id0001, after growth/new"}, brief(plan)); diff != "" {
		t.Fatalf("changes (-want +got):\n%s", diff)
	}
	m.fault = func(_ int, op, _ string) *fault {
		if op == "create" {
			return &fault{before, &Error{Kind: Refused, Message: "no"}}
		}
		return nil
	}
	result, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick, Parallelism: 8})
	if err == nil || result.CountOutcome(NotStarted) != 1 || len(m.find("growth", "growth/old")) != 1 {
		t.Errorf("result = %+v, error %v: the old one must stay", result, err)
	}
	m.fault = nil
	if _, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick, Parallelism: 8}); err != nil {
		t.Fatal(err)
	}
	if m.index("create growth/new") > m.index("delete growth/old") || len(m.find("growth", "growth/old")) != 0 {
		t.Errorf("calls = %q", m.calls)
	}
}

// index returns where a call is among those that were made, the last of its kind.
func (m *memory) index(call string) int {
	at := -1
	for i, c := range m.calls {
		if c == call {
			at = i
		}
	}
	return at
}

func TestWhatAPlatformMakesOfItIsToldAndNobodyAccused(t *testing.T) {
	a := makeAutomation("growth/a", 1)
	a.Name = "One "
	in := desired(a)
	m := newMemory()
	m.trims = true
	plan := mustPlan(t, m, in)
	result, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick})
	var altered *AlteredError
	if !errors.As(err, &altered) || len(result.Altered) != 1 || result.Count(Create) != 0 {
		t.Fatalf("error = %v, result %+v", err, result)
	}
	want := []Difference{{Path: "name", Before: []byte(`"One"`), After: []byte(`"One "`)}}
	if diff := cmp.Diff(want, result.Altered[0].Differences); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
	for range 2 {
		plan = mustPlan(t, m, in)
		if !plan.Empty() || len(plan.Altered) != 1 || len(plan.Unchanged) != 0 {
			t.Fatalf("plan = %+v, want nothing to change and one altered", plan)
		}
	}
	// What a person edits is still drift, and what the code changes still a change.
	s := m.find("growth", a.Key)[0]
	edited := s.Automation
	edited.Name = "Edited"
	m.put(s.ID, s.Marker, edited)
	if got := brief(mustPlan(t, m, in)); len(got) != 1 || got[0] != "update growth/a drift id0001" {
		t.Errorf("after an edit: %q", got)
	}
	m.put(s.ID, s.Marker, s.Automation)
	in.Automations[0].Name = "Two"
	if got := brief(mustPlan(t, m, in)); len(got) != 1 || got[0] != "update growth/a code id0001" {
		t.Errorf("after a change of the code: %q", got)
	}
}

// meeting is a memory on which another apply does its work at a call of this one.
type meeting struct {
	*memory
	at   string
	work func(m *memory)
	busy bool // a delete meets the other apply
}

func (p *meeting) Create(ctx context.Context, project string, a automation.Automation) (Stored, error) {
	s, err := p.memory.Create(ctx, project, a)
	if p.at == "create "+a.Key {
		p.at = ""
		p.work(p.memory)
	}
	return s, err
}

// Delete finds that the other apply is still at work on the automation, once.
func (p *meeting) Delete(ctx context.Context, old Stored) error {
	if p.busy {
		p.busy = false
		now := p.stored[old.ID]
		p.put(old.ID, now.Marker, now.Automation)
	}
	return p.memory.Delete(ctx, old)
}

func TestApplyLooksAgainAtItsEnd(t *testing.T) {
	a := makeAutomation("growth/a", 1)
	in := desired(a)
	for name, test := range map[string]struct {
		work func(m *memory)
		busy bool
		want string // of the error
	}{
		"another apply has made a second one": {work: func(m *memory) {
			m.put("id0000", MarkerOf("growth", a), a)
		}},
		"and is still at work on the one that goes": {busy: true, work: func(m *memory) {
			m.put("id0000", MarkerOf("growth", a), a)
		}},
		"and of something else, which stays": {work: func(m *memory) {
			b := makeAutomation("growth/a", 2)
			m.put("id0000", MarkerOf("growth", b), b)
		}, want: "another apply has written something else"},
		"another apply has overwritten it": {work: func(m *memory) {
			b := makeAutomation("growth/a", 2)
			m.put("id0001", MarkerOf("growth", b), b)
		}, want: "another apply has written something else"},
		"somebody has deleted it": {work: func(m *memory) {
			delete(m.stored, "id0001")
		}, want: "it is gone again"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			m.unique = false
			plan := mustPlan(t, m, in)
			result, err := Apply(t.Context(), &meeting{m, "create growth/a", test.work, test.busy}, plan, in, ApplyOptions{Calls: quick})
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error = %v, want %q", err, test.want)
			}
			if n := len(m.find("growth", "growth/a")); n > 1 {
				t.Errorf("%d automations of one key are left", n)
			}
			if name == "another apply has made a second one" && (len(result.Doubles) != 1 || result.Changes[0].Outcome != AlreadyThere) {
				t.Errorf("result = %+v", result)
			}
		})
	}
}

func TestReplaceWritesWhatIsAsWanted(t *testing.T) {
	a, b := makeAutomation("growth/a", 1, "KEY"), makeAutomation("growth/b", 1)
	in := desired(a, b)
	m := newMemory()
	heal(t, m, in)
	plan, err := MakePlan(t.Context(), m, in, PlanOptions{Replace: []string{"growth/b"}, ReplaceSecrets: true, Calls: quick})
	if err != nil {
		t.Fatal(err)
	}
	if got := brief(plan); len(got) != 1 || !strings.HasPrefix(got[0], "update growth/b replaced id") {
		t.Errorf("changes = %q", got)
	}
	if len(plan.Secrets) != 1 || plan.Secrets[0].Action != Rotate || !plan.Secrets[0].Replaced {
		t.Errorf("secrets = %+v", plan.Secrets)
	}
	if _, err := MakePlan(t.Context(), m, in, PlanOptions{Replace: []string{"growth/c"}, Calls: quick}); err == nil || !strings.Contains(err.Error(), "growth/c") {
		t.Errorf("error = %v", err)
	}
}

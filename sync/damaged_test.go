package sync

import (
	"strings"
	"testing"
)

// A plan is data that anybody may have edited: it deletes nothing but what is the
// project's own, or was under its former name.
func TestAPlanDeletesNothingOfOthers(t *testing.T) {
	a := makeAutomation("growth/a", 1)
	for name, edit := range map[string]func(p *Plan){
		"unmarked": func(p *Plan) { p.Changes[0].Base.Kind = Unmarked },
		"a copy":   func(p *Plan) { p.Changes[0].Base.Kind = Copy },
		"another project's": func(p *Plan) {
			p.Changes[0].Base.Kind, p.Changes[0].Base.Project = Foreign, "other"
		},
		"another project's, not said": func(p *Plan) { p.Changes[0].Base.Project = "other" },
		"another project's secret": func(p *Plan) {
			p.Secrets = append(p.Secrets, SecretChange{Name: "KEY", Action: Delete, Project: "other"})
		},
		"a kind that there is not": func(p *Plan) { p.Changes[0].Base.Kind = "mine" },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			heal(t, m, desired(a))
			plan := mustPlan(t, m, desired())
			edit(plan)
			m.calls = nil
			if _, err := Apply(t.Context(), m, plan, desired(), ApplyOptions{Calls: quick}); err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("error = %v, want that the plan is damaged", err)
			}
			if len(m.calls) > 0 {
				t.Errorf("calls = %q", m.calls)
			}
		})
	}
}

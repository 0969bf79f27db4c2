package message

import (
	"slices"

	"github.com/seguehq/segue/compiler/finding"
)

// only returns the targets that the automation is for, nil for all.
func (m *Checked) only() []string {
	only, _ := m.Raw["only"].(map[string]any)
	list, _ := only["targets"].([]any)
	var names []string
	for _, name := range list {
		if name, ok := name.(string); ok {
			names = append(names, name)
		}
	}
	return names
}

// checkOnly finds targets that segue.cue does not have.
func (m *Checked) checkOnly() (found findings) {
	for i, name := range m.only() {
		if name == "" || slices.Contains(m.Targets, name) || m.Gaps != nil {
			continue
		}
		at := m.At.With("only", "targets", i)
		w := finding.Newf("unknown-target", at, finding.AtValue, "segue.cue has no target %q", name)
		w.Help = "add it under targets"
		if near := finding.Nearest(name, m.Targets); near != "" {
			w.Suggestion, w.Help, w.Repair = near, finding.DidYouMean(near), finding.Quoted(near)
		} else if len(m.Targets) > 0 {
			w.Help = "its targets are " + finding.OneOf(m.Targets)
		}
		found = append(found, w)
	}
	return found
}

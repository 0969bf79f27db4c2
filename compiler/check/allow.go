package check

import (
	"slices"
	"strings"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
)

// silence removes the warnings that the automation allows, and reports what it
// allows in vain. What comes from comparing automations is not known yet: those
// codes are kept in pending.
func (m *Message) silence() {
	allow, _ := m.Raw["allow"].(map[string]any)
	allows := func(name string) (any bool) {
		before := len(m.Found)
		m.Found = slices.DeleteFunc(m.Found, func(f finding.Finding) bool {
			return f.Code == name && f.Severity == diagnostic.Warning
		})
		return len(m.Found) < before
	}
	list, _ := m.Raw["allow"].([]any)
	for _, name := range list {
		if name, ok := name.(string); ok {
			allows(name) // there is a finding that says how to allow it
		}
	}
	for _, name := range finding.SortedKeys(allow) {
		at := m.At.With("allow", name)
		code, known := finding.CodeOf(name)
		if !known {
			w := unknownCode(name, allow, at)
			m.Found = append(m.Found, w)
			allows(w.Suggestion)
			continue
		}
		switch isError := func(f finding.Finding) bool { return f.Code == name }; {
		case allows(name):
		case code.Severity == diagnostic.Error, slices.ContainsFunc(m.Found, isError):
			w := m.Report("unused-allow", at, finding.AtLabel, "an error can't be silenced, and %s is one", name)
			w.Help = "remove the line, and correct what is wrong"
		case m.Failed(), m.Gaps != nil, m.Undetermined, len(m.Partial) > 0: // not everything could be checked
		case code.Comparing:
			m.pending = append(m.pending, name)
		default:
			f := UnusedAllow(at)
			m.Found = append(m.Found, f)
		}
	}
}

// UnusedAllow says that an automation allows what it does not do.
func UnusedAllow(at finding.Path) finding.Finding {
	name := at[len(at)-1].(string)
	return finding.New("unused-allow", at, finding.AtLabel,
		"there is no warning "+name+" here that could be silenced", "remove the line")
}

// unknownCode makes the finding about an automation that allows what is not the code
// of a warning.
func unknownCode(name string, allow map[string]any, at finding.Path) finding.Finding {
	w := report("unknown-code", at, finding.AtLabel, "there is no warning called %q", name)
	var names []string
	for _, c := range finding.Codes() {
		if c.Severity == diagnostic.Warning && c.Name != "unused-allow" {
			names = append(names, c.Name)
		}
	}
	if near := finding.Nearest(name, names); near != "" {
		w.Suggestion, w.Help = near, finding.DidYouMean(near)
		if _, taken := allow[near]; !taken {
			w.Repair = &finding.Repair{How: finding.RenameField, Text: near}
		}
		return w
	}
	w.Help = "the warnings are " + strings.Join(names, ", ")
	return w
}

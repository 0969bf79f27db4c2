package message

import (
	"slices"
	"strings"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
)

// silenced returns the findings without the warnings that the automation allows, and
// with findings about what it allows in vain. What comes from comparing automations is
// not known yet: those codes are pending.
func (m *Checked) silenced() (found findings, pending []string) {
	found = m.Found
	allows := func(name string) (any bool) {
		left := slices.DeleteFunc(slices.Clone(found), func(f finding.Finding) bool {
			return f.Code == name && !finding.IsError(f)
		})
		any = len(left) < len(found)
		found = left
		return any
	}
	list, _ := m.Raw["allow"].([]any)
	for _, name := range list {
		if name, ok := name.(string); ok {
			allows(name) // there is a finding that says how to allow it
		}
	}
	allow, _ := m.Raw["allow"].(map[string]any)
	for _, name := range finding.SortedKeys(allow) {
		at := m.At.With("allow", name)
		code, known := finding.CodeOf(name)
		if !known {
			w := unknownCode(name, allow, at)
			found = append(found, w)
			allows(w.Suggestion)
			continue
		}
		switch isThat := func(f finding.Finding) bool { return f.Code == name }; {
		case allows(name):
		case code.Severity == diagnostic.Error && code.Also == "", slices.ContainsFunc(found, isThat):
			w := finding.Newf("unused-allow", at, finding.AtLabel,
				"an error can't be silenced, and %s is one", name)
			w.Help = "remove the line, and correct what is wrong"
			found = append(found, w)
		case finding.AnyError(found), m.Gaps != nil, m.undetermined, len(m.Partial) > 0: // not everything could be checked
		case code.Comparing:
			pending = append(pending, name)
		default:
			found = append(found, UnusedAllow(at))
		}
	}
	return found, pending
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
	w := finding.Newf("unknown-code", at, finding.AtLabel, "there is no warning called %q", name)
	var names []string
	for _, c := range finding.Codes() {
		if (c.Severity == diagnostic.Warning || c.Also == diagnostic.Warning) && c.Name != "unused-allow" {
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

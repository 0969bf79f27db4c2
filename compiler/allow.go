package compiler

import (
	"slices"
	"strings"

	"github.com/seguehq/segue/diagnostic"
)

// silence removes the warnings that the automation allows, and reports what it
// allows in vain. What comes from comparing automations is not known yet: those
// codes are kept in pending.
func (m *message) silence() {
	allow, _ := m.raw["allow"].(map[string]any)
	meant := func(name string) { // it has a finding that says how to allow it
		m.found = slices.DeleteFunc(m.found, func(f finding) bool { return f.Code == name && f.Severity == diagnostic.Warning })
	}
	list, _ := m.raw["allow"].([]any)
	for _, name := range list {
		if name, ok := name.(string); ok {
			meant(name)
		}
	}
	for _, name := range sorted(allow) {
		at := m.at.with("allow", name)
		code, known := codeOf(name)
		if !known {
			m.unknownCode(name, allow, at)
			meant(m.found[len(m.found)-1].Suggestion)
			continue
		}
		before := len(m.found)
		m.found = slices.DeleteFunc(m.found, func(f finding) bool { return f.Code == name && f.Severity == diagnostic.Warning })
		switch isError := func(f finding) bool { return f.Code == name }; {
		case len(m.found) < before:
		case code.Severity == diagnostic.Error, slices.ContainsFunc(m.found, isError):
			w := m.report("unused-allow", at, atLabel, "an error can't be silenced, and %s is one", name)
			w.Severity, w.Help = diagnostic.Warning, "remove the line, and correct what is wrong"
		case m.failed(), m.unsure != nil, m.undetermined, len(m.partial) > 0: // not everything could be checked
		case code.comparing:
			m.pending = append(m.pending, name)
		default:
			f := unusedAllow(at)
			m.found = append(m.found, f)
		}
	}
}

// unusedAllow says that an automation allows what it does not do.
func unusedAllow(at valuePath) finding {
	name := at[len(at)-1].(string)
	return finding{path: at, spot: atLabel, Diagnostic: diagnostic.Diagnostic{Severity: diagnostic.Warning, Code: "unused-allow",
		Message: "there is no warning " + name + " here that could be silenced", Help: "remove the line"}}
}

func (m *message) unknownCode(name string, allow map[string]any, at valuePath) {
	w := m.report("unknown-code", at, atLabel, "there is no warning called %q", name)
	var names []string
	for _, c := range codes {
		if c.Severity == diagnostic.Warning && c.Name != "unused-allow" {
			names = append(names, c.Name)
		}
	}
	if near := Nearest(name, names); near != "" {
		w.Suggestion, w.Help = near, didYouMean(near)
		if _, taken := allow[near]; !taken {
			w.repair = &repair{how: rename, text: near}
		}
		return
	}
	w.Help = "the warnings are " + strings.Join(names, ", ")
}

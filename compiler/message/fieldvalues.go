package message

import (
	"strings"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/meaning"
)

// fields calls f with each field of the parts of a message that are a team's own, in order, unless its value has
// a finding.
func (m *Checked) fields(f func(meaning.Field)) {
	payload, ok := m.payload.(map[string]any)
	if !ok || m.Call == "http" {
		return
	}
	meaning.EachField(payload, m.payloadShape(), m.At.With("payload"), func(field meaning.Field) {
		if !m.told(field.At) {
			f(field)
		}
	})
}

// checkUnusable warns of values that no reader can use.
func (m *Checked) checkUnusable() (found findings) {
	check := func(f meaning.Field) {
		problem, help := meaning.Unusable(f)
		if problem == "" {
			return
		}
		w := finding.Newf("unusable-value", f.At, finding.AtValue, "%s %s", f.At.Name(), problem)
		w.Help = help
		found = append(found, w)
	}
	payload, _ := m.payload.(map[string]any)
	at := m.At.With("payload", "channel")
	if v, ok := payload["channel"]; ok && m.Call != "http" && !m.told(at) {
		check(meaning.Field{Name: "channel", Value: v, At: at, Block: "context"})
	}
	m.fields(check)
	return found
}

// checkSensitive warns of secrets, and of numbers of cards and of social security, among
// traits and properties: all destinations get them, and they can't be called back.
func (m *Checked) checkSensitive() (found findings) {
	m.fields(func(f meaning.Field) {
		kind := meaning.Sensitive(f)
		if kind == "" {
			return
		}
		w := finding.Newf("personal-data", f.At, finding.AtLabel, "%s sends %s, which all destinations would get",
			f.At.Name(), kind)
		w.Help = "leave it out"
		w.Confidential = true
		found = append(found, w)
	})
	return found
}

// checkForeign warns of strings that are templates of another language, whatever the name in
// them: those with the name of a placeholder have an error already.
func (m *Checked) checkForeign() (found findings) {
	m.fields(func(f meaning.Field) {
		text, ok := f.Value.(string)
		if !ok || strings.Contains(text, "{{") {
			return
		}
		loc := foreignTemplate().FindStringIndex(text)
		if loc == nil {
			return
		}
		w := finding.Newf("malformed-placeholder", f.At, finding.AtValue,
			"%s looks like a template of another language: it would be sent unchanged", text[loc[0]:loc[1]])
		w.Otherwise()
		w.In(text, loc[0], loc[1]-loc[0])
		w.Help = "write a placeholder as in {{userId}}; a project adds its own under placeholders in segue.cue"
		found = append(found, w)
	})
	return found
}

// foreignTemplate has the forms that nothing else is likely to have within a text, and
// those that are one by themselves only.
var foreignTemplate = finding.Pattern(`\$\{[A-Za-z_][A-Za-z0-9_.]*\}|\$\([A-Za-z_][A-Za-z0-9_.]*\)|` +
	`<%=? *[A-Za-z_][A-Za-z0-9_.]* *%>|#\{[A-Za-z_][A-Za-z0-9_.]*\}|\{%[^%]*%\}|` +
	`^ *(?:<[A-Za-z_][A-Za-z0-9_.]*>|%[A-Za-z_][A-Za-z0-9_.]*%|\{[A-Za-z_][A-Za-z0-9_.]*\}|` +
	`\[\[[A-Za-z_][A-Za-z0-9_.]*\]\]) *$`)

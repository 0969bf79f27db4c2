package message

import (
	"strings"

	"github.com/seguehq/segue/compiler/finding"
)

// checkForeign warns of strings that are templates of another language, whatever the name in
// them: those with the name of a placeholder have an error already.
func (m *Checked) checkForeign() (found findings) {
	m.fields(func(f fieldOf) {
		text, ok := f.value.(string)
		if !ok || m.told(f.at) || strings.Contains(text, "{{") {
			return
		}
		loc := foreignTemplate().FindStringIndex(text)
		if loc == nil {
			return
		}
		w := finding.Newf("malformed-placeholder", f.at, finding.AtValue,
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

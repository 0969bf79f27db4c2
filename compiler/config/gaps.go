package config

import (
	"slices"
	"strings"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
)

// Gaps says which parts of a project are unknown because segue.cue has errors. The packages are checked anyway:
// everything that depends on an unknown part is considered valid. nil means that the whole project is known.
type Gaps struct {
	// Raw is the value of segue.cue, nil if it is unknown.
	Raw map[string]any
	// Findings has the findings about segue.cue.
	Findings diagnostic.List
	// Text is the content of the file, "" if it can't be read.
	Text string
}

// Knows reports whether a top-level field of segue.cue is reliable: it has no errors, and no other field is
// probably meant as it.
func (u *Gaps) Knows(part string) bool {
	if u == nil {
		return true
	}
	if len(u.Raw) == 0 {
		return false // it does not parse, or does not exist yet
	}
	_, given := u.Raw[part]
	for _, d := range u.Findings {
		top, _, _ := strings.Cut(strings.TrimPrefix(d.Path, `"`), ".")
		top, _, _ = strings.Cut(top, "[")
		misspelt := d.Code == "unknown-field" && d.Path == top
		if d.Severity == diagnostic.Error && (top == part || misspelt && (!given || d.Suggestion == part)) {
			return false
		}
	}
	return true
}

// MayDefine reports whether segue.cue may define a placeholder of that name.
func (u *Gaps) MayDefine(name string) bool {
	return !u.Knows("placeholders") && (u.Text == "" ||
		strings.Contains(finding.PlainName(u.Text), finding.PlainName(name)))
}

// Untold returns the findings about a package that do not repeat those about segue.cue. segue.cue may import
// the same packages.
func (u *Gaps) Untold(found diagnostic.List) diagnostic.List {
	if u == nil {
		return found
	}
	told := map[string]bool{}
	for _, d := range u.Findings {
		told[d.File] = told[d.File] || d.Severity == diagnostic.Error
	}
	return slices.DeleteFunc(found, func(d diagnostic.Diagnostic) bool { return told[d.File] })
}

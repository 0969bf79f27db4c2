package config

import (
	"slices"
	"strings"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
)

// A Gaps says what is not known of a project whose segue.cue has errors. Its
// packages are checked all the same: what depends on a part that is not known is
// taken to be right. nil stands for a project of which all is known.
type Gaps struct {
	// Raw is what segue.cue holds, nil if that can't be told.
	Raw map[string]any
	// Findings are those about segue.cue.
	Findings diagnostic.List
	// Text is what is written there, "" if it can't be read.
	Text string
}

// Knows reports whether a part of segue.cue, a field at its top, can be relied
// on: nothing is wrong in it, nor does something else stand for it.
func (u *Gaps) Knows(part string) bool {
	if u == nil {
		return true
	}
	if len(u.Raw) == 0 {
		return false // it does not parse, or is yet to be written
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

// Untold leaves the findings about a package of which those about segue.cue do
// not tell: they are about packages that it imports, too.
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

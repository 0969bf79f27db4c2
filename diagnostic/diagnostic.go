// Package diagnostic is how segue says that something is wrong: as data first.
// A [Diagnostic] has a place, a code, a message and a remedy; [List.Sort] puts
// findings in the order of their files, [Write] writes them in one of [Formats],
// and [FixFiles] applies the fixes of those that have one.
//
// The package imports nothing else of segue.
package diagnostic

import (
	"cmp"
	"slices"
)

// A Severity says whether a finding stops the work.
type Severity string

// The severities.
const (
	// Error stops what was asked for: exit status 1.
	Error Severity = "error"
	// Warning is shown and stops nothing.
	Warning Severity = "warning"
)

// A Position is a place in a file. Lines and columns count from 1, columns in
// bytes of UTF-8. The zero Position is unknown.
type Position struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// A Range goes from Start up to but not including End. The zero Range stands
// for a file as a whole.
type Range struct {
	Start Position `json:"start"`
	End   Position `json:"end"`
}

// A Related is another place that belongs to a finding, such as the other value
// of a conflict.
type Related struct {
	Message string `json:"message"`
	File    string `json:"file"`
	Range   Range  `json:"range"`
}

// A Diagnostic is one finding.
type Diagnostic struct {
	Severity Severity `json:"severity"`
	// Code names the kind of mistake: a slug such as "unknown-placeholder".
	Code string `json:"code"`
	// Message says what is wrong, in one line.
	Message string `json:"message"`
	// Suggestion is what was probably meant, where one name is near.
	Suggestion string `json:"suggestion,omitempty"`
	// Help says what to do, in one line.
	Help string `json:"help,omitempty"`
	// File is relative to the project root, with slashes. It is empty where the
	// finding is not about a file.
	File string `json:"file,omitempty"`
	// Range is the offending part of the file.
	Range Range `json:"range,omitzero"`
	// Path is the CUE path of the offending value.
	Path string `json:"path,omitempty"`
	// Key is the automation's key, where the finding belongs to one.
	Key string `json:"key,omitempty"`
	// Related are other places that explain the finding.
	Related []Related `json:"related,omitempty"`
	// Fix repairs the finding, where what was meant is certain.
	Fix *Fix `json:"fix,omitempty"`
	// Confidential says that neither the source line nor the fix's text must be
	// shown, since they may hold a secret.
	Confidential bool `json:"-"`
}

// A List is the findings of one run.
type List []Diagnostic

// Sort puts the findings in the order of their files and places, and removes
// those that say the same of the same place.
func (l *List) Sort() {
	slices.SortStableFunc(*l, compare)
	*l = slices.CompactFunc(*l, func(a, b Diagnostic) bool {
		return compare(a, b) == 0 && a.Path == b.Path && a.Key == b.Key
	})
}

func compare(a, b Diagnostic) int {
	return cmp.Or(
		cmp.Compare(a.File, b.File),
		cmp.Compare(a.Range.Start.Line, b.Range.Start.Line),
		cmp.Compare(a.Range.Start.Column, b.Range.Start.Column),
		cmp.Compare(a.Code, b.Code),
		cmp.Compare(a.Message, b.Message),
	)
}

// A Summary counts findings.
type Summary struct {
	Errors   int `json:"errors"`
	Warnings int `json:"warnings"`
}

// Summary counts the findings by severity.
func (l List) Summary() Summary {
	var s Summary
	for _, d := range l {
		if d.Severity == Error {
			s.Errors++
		} else {
			s.Warnings++
		}
	}
	return s
}

// HasErrors reports whether any finding is an error.
func (l List) HasErrors() bool { return l.Summary().Errors > 0 }

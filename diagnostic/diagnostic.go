// Package diagnostic represents findings as data. A [Diagnostic] has a place, a code, a message and a remedy.
// [List.Sort] sorts findings by file, [Write] writes them in one of [Formats], and [FixFiles] applies their
// fixes.
//
// The package imports no other package of segue.
package diagnostic

import (
	"cmp"
	"slices"
)

// A Severity says whether a finding stops the command.
type Severity string

// The severities.
const (
	// Error stops the command with exit status 1.
	Error Severity = "error"
	// Warning is shown, but does not stop the command.
	Warning Severity = "warning"
)

// A Position is a place in a file. Lines and columns count from 1, columns in
// bytes of UTF-8. The zero Position is unknown.
type Position struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// A Range goes from Start up to but not including End. The zero Range means a whole file.
type Range struct {
	Start Position `json:"start"`
	End   Position `json:"end"`
}

// A Related is another place that is part of a finding, such as the other value of a conflict.
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
	// Message describes the mistake, in one line.
	Message string `json:"message"`
	// Suggestion is the value or name that was probably meant, "" if none is similar.
	Suggestion string `json:"suggestion,omitempty"`
	// Help describes the remedy, in one line.
	Help string `json:"help,omitempty"`
	// File is relative to the project root, with slashes. It is empty if the finding is not about a file.
	File string `json:"file,omitempty"`
	// Range is the offending part of the file.
	Range Range `json:"range,omitzero"`
	// Path is the CUE path of the offending value.
	Path string `json:"path,omitempty"`
	// Key is the key of the automation that the finding is about, "" if there is none.
	Key string `json:"key,omitempty"`
	// Related are other places that explain the finding.
	Related []Related `json:"related,omitempty"`
	// Fix repairs the finding, nil if no correction is certain.
	Fix *Fix `json:"fix,omitempty"`
	// Confidential means that neither the source line nor the fix's text must be shown, because they may hold a
	// secret.
	Confidential bool `json:"-"`
}

// A List has the findings of one run.
type List []Diagnostic

// Sort sorts the findings by file and place, and removes duplicates.
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

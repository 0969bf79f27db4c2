// Package finding is what the rooms of the compiler pass on when something is wrong:
// a [Finding] names a value by its [Path] and does not know yet where in a file that
// is. The package source gives it its place.
//
//	f := finding.Finding{At: finding.Path{"automations", "welcome", "payload"},
//		Diagnostic: diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "too-large", Message: "..."}}
//
// The table of all codes is here too, with their severities, and an explanation of
// each in codes/, which segue explain shows and a test compiles. [Nearest] finds the
// name that somebody probably meant.
package finding

// Package finding has the findings that the rooms of the compiler exchange. A [Finding] names a value by its
// [Path] and does not have a place in a file yet. The package source adds that.
//
//	f := finding.New("too-large", finding.Path{"automations", "welcome", "payload"}, finding.AtLabel,
//		"the payload is nested too deep", "take it apart")
//
// The table of all codes is here too. It has the severity of each code, so that checks need not state it. An
// explanation of each code is in codes/: segue explain shows it and a test compiles it. [Nearest] finds the
// name that somebody probably meant.
package finding

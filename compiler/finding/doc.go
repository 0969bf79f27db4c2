// Package finding is what the rooms of the compiler pass on when something is wrong:
// a [Finding] names a value by its [Path] and does not know yet where in a file that
// is. The package source gives it its place.
//
//	f := finding.New("too-large", finding.Path{"automations", "welcome", "payload"}, finding.AtLabel,
//		"the payload is nested too deep", "take it apart")
//
// The table of all codes is here too. It says which severity the findings of a code
// have, so that no check does. An explanation of each code is in codes/, which segue
// explain shows and a test compiles. [Nearest] finds the name that somebody probably
// meant.
package finding

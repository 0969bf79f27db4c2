// Package resolve opens the files of a package and takes out of them what leads
// nowhere. It gives two values, each made of the one before:
//
//	opened, err := resolve.NewReader(disk, catalog, dirs).Open("growth", "growth", nil)
//	resolved := opened.Resolve()
//
// [Opened] has the files with the places of their values, but for text that does not
// parse. [Resolved] is without imports of packages and references to names that are not
// there, so that it can be evaluated. What was taken out has a finding with its place.
package resolve

// Package resolve opens the files of a package and takes out of them what leads
// nowhere: text that does not parse, imports of packages and references to names that
// are not there. Each becomes a finding with its place; what is left can be evaluated.
//
//	files, err := resolve.NewReader(disk, catalog, dirs).Open("growth", "growth", nil)
package resolve

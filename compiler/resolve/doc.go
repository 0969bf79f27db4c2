// Package resolve opens the files of a package and takes out the imports and references that can't be resolved.
// It gives two values, each made from the previous one:
//
//	opened, err := resolve.NewReader(disk, catalog, dirs).Open("growth", "growth", nil)
//	resolved := opened.Resolve()
//
// [Opened] has the files with the positions of their values, without the parts that do not parse. [Resolved]
// has no imports of missing packages and no references to unknown names, so that it can be evaluated. Each part
// that was taken out has a finding with its place.
package resolve

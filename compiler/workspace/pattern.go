package workspace

import (
	"path"
	"slices"
	"strings"
)

// Pattern returns a function that reports whether a pattern names a folder of the project: the folder itself, as
// growth does, or, for ./growth/..., also all folders below it.
func Pattern(pattern string) func(dir string) bool {
	base, below := strings.CutSuffix(slashed(pattern), "...")
	base = path.Clean(base)
	return func(dir string) bool {
		return dir == base || below && (base == "." || strings.HasPrefix(dir, base+"/"))
	}
}

// PatternOrFile is [Pattern] for files: a pattern also names a file, by its own name.
func PatternOrFile(pattern string) func(name string) bool {
	file, inFolder := path.Clean(slashed(pattern)), Pattern(pattern)
	return func(name string) bool { return name == file || inFolder(path.Dir(name)) }
}

func slashed(pattern string) string { return strings.ReplaceAll(pattern, `\`, "/") }

// Files returns the names of the project's CUE files in order: those of its packages, tests and commands, and
// segue.cue. Links, and folders that are projects or modules of their own, are left out.
func (l *Loader) Files() ([]string, error) {
	if _, err := l.PackageDirs(); err != nil {
		return nil, err
	}
	var out []string
	for dir, entries := range l.entries {
		for _, e := range entries {
			if e.Type().IsRegular() && strings.HasSuffix(e.Name(), ".cue") && !ignoredName(e.Name()) {
				out = append(out, path.Join(dir, e.Name()))
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

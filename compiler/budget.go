package compiler

import (
	"path"
	"slices"

	"github.com/seguehq/segue/compiler/limits"
	"github.com/seguehq/segue/compiler/workspace"
)

// sortFolders divides folders into those that can be evaluated together and those that
// are evaluated alone, and reports those that were given up. file names a file
// of a folder.
func sortFolders(l limits.Limits, dirs []string, file func(dir string) string) (together, alone []string, out []pkg) {
	for _, dir := range dirs {
		limit, gone := l.GivenUp[dir]
		switch {
		case gone:
			out = append(out, pkg{Dir: dir, Found: findings{limits.GivenUp(dir, limit, file(dir))}})
		case slices.Contains(l.Alone, dir):
			alone = append(alone, dir)
		default:
			together = append(together, dir)
		}
	}
	return together, alone, out
}

// firstFile names the first file of a folder.
func (e *evaluation) firstFile(dir string) string {
	entries, err := e.loader.Disk.ReadDir(dir)
	if err != nil {
		return dir
	}
	for _, entry := range entries {
		if !entry.IsDir() && workspace.IsSource(entry.Name()) {
			return path.Join(dir, entry.Name())
		}
	}
	return dir
}

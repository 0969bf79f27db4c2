package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/workspace"
)

// writtenList is the file in a folder of compile -o DIR/ that lists the files that
// compile has written there, each with its hash, as sha256sum does.
const writtenList = ".segue-files"

// writeEach writes a file for each automation, and removes those that it wrote before for
// automations that are gone.
func writeEach(ctx context.Context, dir string, d automation.Document, compact bool) error {
	now := map[string]string{}
	for _, a := range d.Automations {
		b, err := a.Canonical()
		if err != nil {
			return err
		}
		if !compact {
			b = automation.Indent(b)
		}
		name := a.Key + ".json"
		if err := writeFile(ctx, dir, filepath.Join(dir, filepath.FromSlash(name)), b); err != nil {
			return err
		}
		now[name] = hashOf(b)
	}
	before, err := writtenBefore(dir)
	if err != nil {
		return err
	}
	if err := removeGone(dir, before, now); err != nil {
		return err
	}
	if len(now) == 0 && len(before) == 0 {
		return nil
	}
	var list bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(now)) {
		fmt.Fprintf(&list, "%s  %s\n", now[name], name)
	}
	return writeFile(ctx, dir, filepath.Join(dir, writtenList), list.Bytes())
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// writtenBefore are the hashes of the files that compile has written into a folder, by
// their names, with slashes.
func writtenBefore(dir string) (map[string]string, error) {
	content, err := workspace.ReadFile(dir, writtenList)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("can't read %s: %w", filepath.Join(dir, writtenList), cause(err))
	}
	before := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		hash, name, ok := strings.Cut(lines.Text(), "  ")
		if ok && filepath.IsLocal(filepath.FromSlash(name)) {
			before[name] = hash
		}
	}
	return before, nil
}

// removeGone removes the files that were written before and are not written now, as long
// as they are as they were written, and the folders that are empty then.
func removeGone(dir string, before, now map[string]string) error {
	if len(before) == 0 {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("can't open %s: %w", dir, cause(err))
	}
	defer root.Close()
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, written := now[name]; written || sameOnDisk(root, name, now) {
			continue
		}
		info, err := root.Lstat(filepath.FromSlash(name))
		if err != nil || !info.Mode().IsRegular() {
			continue // somebody else has removed or replaced it
		}
		content, err := root.ReadFile(filepath.FromSlash(name))
		if err != nil || hashOf(content) != before[name] {
			continue
		}
		if err := root.Remove(filepath.FromSlash(name)); err != nil {
			return fmt.Errorf("can't remove %s: %w", filepath.Join(dir, filepath.FromSlash(name)), cause(err))
		}
		for above := path.Dir(name); above != "." && root.Remove(filepath.FromSlash(above)) == nil; {
			above = path.Dir(above)
		}
	}
	return nil
}

// sameOnDisk reports whether a name is that of a file that was written now, on a disk that
// does not tell small letters from capitals.
func sameOnDisk(root *os.Root, name string, now map[string]string) bool {
	info, err := root.Stat(filepath.FromSlash(name))
	if err != nil {
		return false
	}
	for other := range now {
		if strings.EqualFold(other, name) {
			if there, err := root.Stat(filepath.FromSlash(other)); err == nil && os.SameFile(info, there) {
				return true
			}
		}
	}
	return false
}

package diagnostic

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// A Fix repairs a finding with text edits. A finding only has a fix if it is certain.
type Fix struct {
	// Message describes the fix, in one line: "write userId".
	Message string `json:"message"`
	// Edits belong together: either all of them are applied, or none.
	Edits []Edit `json:"edits"`
}

// An Edit replaces a part of a file.
type Edit struct {
	// File is relative to the project root, with slashes.
	File string `json:"file"`
	// Range is the replaced part. An empty range is an insertion before its Start.
	Range Range `json:"range"`
	// NewText replaces the text in the range.
	NewText string `json:"newText"`
}

// Apply returns a file's content with edits applied, which may be in any order. Their positions refer to the
// given content. These are errors: an edit of another file than the first one's, a position outside of the
// content or within a character, overlapping edits, and two insertions at one place, because their order is
// unknown.
func Apply(content []byte, edits []Edit) ([]byte, error) {
	s := newSource(content)
	var taken splices
	for _, e := range edits {
		if e.File != edits[0].File {
			return nil, fmt.Errorf("edits of two files, %s and %s", edits[0].File, e.File)
		}
		one, err := s.splice(e)
		if err != nil {
			return nil, err
		}
		if !taken.add(one) {
			return nil, fmt.Errorf("%s: the edit overlaps another", placeOf(e.File, e.Range))
		}
	}
	return taken.apply(content), nil
}

// FixFiles applies the fixes of all findings, and returns the number of repaired findings. A fix that overlaps
// an earlier one is left for the next run. Two findings with the same edit are both repaired by it.
//
// Nothing is written unless all files can be read and all edits fit their files. Each file is written once, in
// the order of their names. After an error from write, the number counts the fixes that were written
// completely.
func FixFiles(l List, read func(file string) ([]byte, error), write func(file string, content []byte) error) (fixed int, err error) {
	files := map[string]*fixing{}
	var applied []*Fix
	for _, d := range l {
		if d.Fix == nil || len(d.Fix.Edits) == 0 {
			continue
		}
		ok, err := take(files, d.Fix, read)
		if err != nil {
			return 0, err
		}
		if ok {
			applied = append(applied, d.Fix)
		}
	}
	written := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := files[name]
		if len(f.taken) > 0 {
			if err = write(name, f.taken.apply(f.content)); err != nil {
				err = fmt.Errorf("write %s: %w", Printable(name), err)
				break
			}
		}
		written[name] = true
	}
	for _, fix := range applied {
		if !slices.ContainsFunc(fix.Edits, func(e Edit) bool { return !written[e.File] }) {
			fixed++
		}
	}
	return fixed, err
}

// fixing is a file and its pending changes.
type fixing struct {
	*source
	taken splices
}

// take adds the edits of a fix to its files. It returns false if they overlap others.
func take(files map[string]*fixing, fix *Fix, read func(string) ([]byte, error)) (bool, error) {
	var undo []func()
	for _, e := range fix.Edits {
		f := files[e.File]
		if f == nil {
			content, err := read(e.File)
			if err != nil {
				return false, fmt.Errorf("read %s: %w", Printable(e.File), err)
			}
			f = &fixing{source: newSource(content)}
			files[e.File] = f
		}
		one, err := f.splice(e)
		if err != nil {
			return false, err
		}
		if f.taken.has(one) {
			continue
		}
		if !f.taken.add(one) {
			for _, step := range undo {
				step()
			}
			return false, nil
		}
		undo = append(undo, func() { f.taken.remove(one) })
	}
	return true, nil
}

// A splice is an edit by offsets.
type splice struct {
	start, end int
	text       string
}

// splices are sorted and do not overlap.
type splices []splice

// splice returns the offsets of an edit.
func (s *source) splice(e Edit) (splice, error) {
	start, ok := s.position(e.Range.Start)
	end, ok2 := s.position(e.Range.End)
	if !ok || !ok2 || end < start {
		return splice{}, fmt.Errorf("%s: the edit is outside of the file, or has no range", placeOf(e.File, e.Range))
	}
	for _, i := range []int{start, end} {
		if i < len(s.content) && !utf8.RuneStart(s.content[i]) {
			return splice{}, fmt.Errorf("%s: the edit splits a character", placeOf(e.File, e.Range))
		}
	}
	return splice{start, end, e.NewText}, nil
}

func (s splices) find(one splice) (int, bool) {
	return slices.BinarySearchFunc(s, one, func(a, b splice) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end))
	})
}

// has reports whether an equal splice exists.
func (s splices) has(one splice) bool {
	i, ok := s.find(one)
	return ok && s[i] == one
}

// add inserts a splice. It returns false if the splice overlaps another.
func (s *splices) add(one splice) bool {
	i, same := s.find(one)
	if same || i > 0 && (*s)[i-1].end > one.start || i < len(*s) && (*s)[i].start < one.end {
		return false
	}
	*s = slices.Insert(*s, i, one)
	return true
}

func (s *splices) remove(one splice) {
	if i, ok := s.find(one); ok {
		*s = slices.Delete(*s, i, i+1)
	}
}

func (s splices) apply(content []byte) []byte {
	out := make([]byte, 0, len(content))
	at := 0
	for _, one := range s {
		out = append(out, content[at:one.start]...)
		out = append(out, one.text...)
		at = one.end
	}
	return append(out, content[at:]...)
}

package source

import (
	"path/filepath"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/finding"
)

// A Heritage says which automations of a package are in its own folder. As in CUE, files of the same package in
// the folders above belong to it too. An automation belongs to the folder that declares it.
type Heritage struct {
	Dir        string // as in the files' names
	own, above map[string]bool
	files      map[string]bool // the files above
	// Both has the automations that are declared here and above, in order.
	Both []string
}

// HeritageOf sorts the automations that the files of a package declare by where they are declared.
func HeritageOf(dir string, files []*ast.File) Heritage {
	h := Heritage{Dir: filepath.Clean(dir), own: map[string]bool{}, above: map[string]bool{}, files: map[string]bool{}}
	for _, f := range files {
		in := h.above
		if filepath.Dir(f.Filename) == h.Dir {
			in = h.own
		} else {
			h.files[f.Filename] = true
		}
		for _, name := range NewIndex([]*File{{Syntax: f}}).Names("automations") {
			in[name] = true
		}
	}
	for _, name := range finding.SortedKeys(h.own) {
		if h.above[name] {
			h.Both = append(h.Both, name)
		}
	}
	return h
}

// Inherits reports whether an automation comes from a folder above. pos is CUE's position of its value.
func (h Heritage) Inherits(name string, pos token.Pos) bool {
	switch {
	case h.own[name]:
		return false
	case h.above[name]:
		return true
	default:
		return pos.IsValid() && h.files[pos.Filename()]
	}
}

// Names lists the literal field names of a top-level struct.
func (x *Index) Names(field string) []string {
	var out []string
	for _, s := range x.Sites(finding.Path{field}) {
		out = append(out, FieldNames(s.Value)...)
	}
	return out
}

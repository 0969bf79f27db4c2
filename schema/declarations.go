package schema

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
)

// A Declaration is a top-level field of the schema: a definition, or a placeholder's
// name. It can be parsed by itself, so that a run reads no more of the schema than it
// needs.
type Declaration struct {
	// Package is the name of the package, and Name that of the field, such as
	// "segment" and "#Track".
	Package, Name string
	// Source is a CUE file that holds the package clause, the imports and the
	// declaration.
	Source []byte
	// Event is the event that a definition sets, "" for none.
	Event string
}

// Declarations are those of all packages, by package and name, such as
// "segment.#Track". The caller must not change them.
var Declarations = sync.OnceValue(func() map[string]*Declaration {
	all := map[string]*Declaration{}
	for _, pkg := range Packages() {
		entries, _ := files.ReadDir(pkg)
		for _, e := range entries {
			content, _ := files.ReadFile(pkg + "/" + e.Name()) // which can't fail
			for _, d := range declarations(pkg, content) {
				all[pkg+"."+d.Name] = d
			}
		}
	}
	return all
})

// declarations takes a file apart. It is formatted, so that what stands in the first
// column is a clause or the beginning of a declaration.
func declarations(pkg string, content []byte) []*Declaration {
	var all []*Declaration
	var last *Declaration
	var head []byte
	for line := range bytes.Lines(content) {
		label, value, found := bytes.Cut(line, []byte(":"))
		switch c := line[0]; {
		case found && (c == '#' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'):
			last = &Declaration{Package: pkg, Name: string(label), Source: bytes.Clone(head)}
			all = append(all, last)
		case last == nil:
			head = append(head, line...)
			continue
		case string(label) == "\tevent":
			last.Event, _ = strconv.Unquote(strings.TrimSpace(string(value))) // "" for what is not fixed
		}
		last.Source = append(last.Source, line...)
	}
	return all
}

// Events are the definitions of the semantic events by the name of the event, such as
// "segment.#OrderCompleted" for "Order Completed".
var Events = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	for name, d := range Declarations() {
		if d.Event != "" {
			out[d.Event] = name
		}
	}
	return out
})

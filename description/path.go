package description

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
)

// A Path is the names of nested fields of a decoded JSON value, separated by
// dots. The empty path is the value itself.
type Path string

func (p Path) valid() bool {
	return p == "" || !slices.Contains(strings.Split(string(p), "."), "")
}

// Look returns the value at the path.
func (p Path) Look(v any) (any, bool) {
	if p == "" {
		return v, true
	}
	for _, name := range strings.Split(string(p), ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

// Put returns v with a value at the path. It creates missing objects on the
// path.
func (p Path) Put(v any, value any) any {
	if p == "" {
		return value
	}
	name, rest, _ := strings.Cut(string(p), ".")
	m, ok := v.(map[string]any)
	if m = maps.Clone(m); !ok || m == nil {
		m = map[string]any{}
	}
	m[name] = Path(rest).Put(m[name], value)
	return m
}

// Text returns the string or number at the path as a string, or "" if there is
// none.
func (p Path) Text(v any) string {
	v, _ = p.Look(v)
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

var errBrace = errors.New("a brace is not closed")

// variables lists the names in braces.
func variables(text string) ([]string, error) {
	var names []string
	for {
		_, after, found := strings.Cut(text, "{")
		if !found {
			return names, nil
		}
		name, rest, closed := strings.Cut(after, "}")
		if !closed {
			return names, errBrace
		}
		names, text = append(names, name), rest
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func sortedValues(m map[string]string) []string { return slices.Sorted(maps.Values(m)) }

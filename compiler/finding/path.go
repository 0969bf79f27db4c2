package finding

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
)

// FieldPath returns the path of a regular field of any name.
func FieldPath(label string) cue.Path { return cue.MakePath(cue.Str(label)) }

// KeyOf returns the key of an automation: the package's folder and the name.
func KeyOf(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}

// A Path leads from the top of a package or file to a value: field names and list indices.
type Path []any

// With returns a copy of the path, extended by field names or indices.
func (p Path) With(steps ...any) Path {
	return append(slices.Clip(slices.Clone(p)), steps...)
}

// String writes the path as CUE does: automations."a-b".payload.products[0].
func (p Path) String() string {
	var b strings.Builder
	for _, step := range p {
		switch step := step.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(step) + "]")
		case string:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(cue.MakePath(Selector(step)).String())
		}
	}
	return b.String()
}

// Selector returns the selector of a field: regular, or a definition.
func Selector(label string) cue.Selector {
	if strings.HasPrefix(label, "#") && ast.IsValidIdent(label) {
		return cue.Def(label)
	}
	return cue.Str(label)
}

// Name returns the path as messages show it: without the automation or the definition at its start.
func (p Path) Name() string {
	if len(p) >= 2 && p[0] == "automations" {
		p = p[2:]
	} else if len(p) > 0 {
		if first, _ := p[0].(string); strings.HasPrefix(first, "#") {
			p = p[1:]
		}
	}
	return p.String()
}

// Subject is Name, or the name of an automation or a definition for the whole of it.
func (p Path) Subject() string {
	if name := p.Name(); name != "" {
		return name
	}
	if len(p) == 0 {
		return "the value"
	}
	return fmt.Sprint(p[len(p)-1])
}

// Member returns the second step of the path, if the first two steps are names.
func (p Path) Member() (string, bool) {
	if len(p) < 2 {
		return "", false
	}
	_, ok := p[0].(string)
	name, ok2 := p[1].(string)
	return name, ok && ok2
}

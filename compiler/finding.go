package compiler

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hbollon/go-edlib"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/diagnostic"
)

// A valuePath leads from a package's or file's top to a value: field names and
// list indices.
type valuePath []any

// with returns the path extended by a field name or an index, in memory of its own.
func (p valuePath) with(steps ...any) valuePath {
	return append(slices.Clip(slices.Clone(p)), steps...)
}

// String writes the path as CUE does: automations."a-b".payload.products[0].
func (p valuePath) String() string {
	var b strings.Builder
	for _, step := range p {
		switch step := step.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(step) + "]")
		case string:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(cue.MakePath(labelSelector(step)).String())
		}
	}
	return b.String()
}

// labelSelector returns the selector of a field: regular, or a definition.
func labelSelector(label string) cue.Selector {
	if strings.HasPrefix(label, "#") {
		return cue.Def(label)
	}
	return cue.Str(label)
}

// name returns how a message refers to the value: the path without what leads
// to the automation, or to the definition.
func (p valuePath) name() string {
	if len(p) >= 2 && p[0] == "automations" {
		p = p[2:]
	} else if len(p) > 0 {
		if first, _ := p[0].(string); strings.HasPrefix(first, "#") {
			p = p[1:]
		}
	}
	return p.String()
}

// A spot says which part of a field a finding is about.
type spot int

const (
	atValue spot = iota // the value
	atLabel             // the field's name; for a missing field, of the block that lacks it
	atCall              // the definition of the call that an automation builds on, else its name
)

// A finding is a diagnostic that does not know its place in a file yet.
type finding struct {
	diagnostic.Diagnostic
	path valuePath
	spot spot
	// position is what CUE knows of the value's origin, if anything.
	position token.Pos
	// exact says that position is nearer to the mistake than the value at path.
	exact bool
	// origin is where CUE takes the value from, if it is a reference.
	origin token.Pos
	// part is the offending part of a text, at offset; empty for all of it.
	part   string
	offset int
	// lacks are the paths of values that the finding says are missing, any one of
	// them; meant is the path at which the value was meant to be that it is about.
	lacks []valuePath
	meant valuePath
	// repair is what the mistake could be repaired with, nil if that is unknown.
	repair *repair
}

// withoutEchoes leaves out what is missing only because it has another name or
// stands elsewhere, for which there is a finding.
func withoutEchoes(found []finding) []finding {
	var meant []string
	for _, f := range found {
		if f.meant != nil {
			meant = append(meant, f.meant.String())
		}
	}
	if meant == nil {
		return found
	}
	return slices.DeleteFunc(found, func(f finding) bool {
		return slices.ContainsFunc(f.lacks, func(lacks valuePath) bool {
			return slices.ContainsFunc(meant, func(meant string) bool {
				rest, ok := strings.CutPrefix(meant, lacks.String())
				return ok && (rest == "" || rest[0] == '.')
			})
		})
	})
}

// Nearest returns the candidate that name was probably meant to be, "" if none
// is near or two are equally near.
func Nearest(name string, candidates []string) string {
	best, second := 1<<30, 1<<30
	var found string
	plain := plainName(name)
	for _, c := range slices.Sorted(slices.Values(candidates)) {
		if c == name {
			continue
		}
		d := edlib.OSADamerauLevenshteinDistance(name, c)
		if plainName(c) == plain {
			d = 0
		}
		if d < best {
			best, second, found = d, best, c
		} else {
			second = min(second, d)
		}
	}
	if limit := max(1, min(len(name), len(found))/3); best > limit || best == second {
		return ""
	}
	return found
}

// plainName removes what people get wrong most: case, and how words are joined.
func plainName(s string) string {
	return joints.Replace(strings.ToLower(s))
}

var joints = strings.NewReplacer("_", "", "-", "", " ", "", ".", "")

// didYouMean is a remedy that names what was probably meant.
func didYouMean(suggestion string) string { return "did you mean " + suggestion + "?" }

// oneOf lists names for people: a, b or c. More than most are counted.
func oneOf(names []string) string {
	const most = 12
	rest := ""
	if len(names) > most {
		rest = " and " + strconv.Itoa(len(names)-most) + " more"
		names = names[:most]
	}
	if len(names) < 2 || rest != "" {
		return strings.Join(names, ", ") + rest
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// sorted returns the keys of a map in order.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// byPlace orders findings as they appear along a value.
func byPlace(a, b finding) int {
	return cmp.Or(cmp.Compare(a.path.String(), b.path.String()), cmp.Compare(a.offset, b.offset), cmp.Compare(a.Code, b.Code))
}

package finding

import (
	"cmp"
	"slices"
	"strings"

	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/diagnostic"
)

func IsError(f Finding) bool { return f.Severity == diagnostic.Error }

// A Spot says which part of a field a finding is about.
type Spot int

const (
	AtValue Spot = iota // the value
	AtLabel             // the field's name; for a missing field, of the block that lacks it
	AtCall              // the definition of the call that an automation builds on, else its name
)

// A Finding is a diagnostic that does not know its place in a file yet.
type Finding struct {
	diagnostic.Diagnostic
	At   Path
	Spot Spot
	// Position is what CUE knows of the value's origin, if anything.
	Position token.Pos
	// Exact says that position is nearer to the mistake than the value at path.
	Exact bool
	// Origin is where CUE takes the value from, if it is a reference.
	Origin token.Pos
	// Part is the offending part of a text, at offset; empty for all of it.
	Part   string
	Offset int
	// Lacks are the paths of values that the finding says are missing, any one of
	// them; meant is the path at which the value was meant to be that it is about.
	Lacks []Path
	Meant Path
	// Repair is what the mistake could be repaired with, nil if that is unknown.
	Repair *Repair
}

// WithoutEchoes leaves out what is missing only because it has another name or
// stands elsewhere, for which there is a finding.
func WithoutEchoes(found []Finding) []Finding {
	var meant []string
	for _, f := range found {
		if f.Meant != nil {
			meant = append(meant, f.Meant.String())
		}
	}
	if meant == nil {
		return found
	}
	return slices.DeleteFunc(found, func(f Finding) bool {
		return slices.ContainsFunc(f.Lacks, func(lacks Path) bool {
			return slices.ContainsFunc(meant, func(meant string) bool {
				rest, ok := strings.CutPrefix(meant, lacks.String())
				return ok && (rest == "" || rest[0] == '.')
			})
		})
	})
}

// ByPlace orders findings as they appear along a value.
func ByPlace(a, b Finding) int {
	return cmp.Or(cmp.Compare(a.At.String(), b.At.String()), cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Code, b.Code))
}

// AboutText are the codes of findings about what a text says, wherever it is
// used: they belong to the literal, of which a reference only makes use.
var AboutText = map[string]bool{
	"unknown-placeholder": true, "malformed-placeholder": true, "unknown-cast": true,
	"stray-blanks": true, "empty-value": true,
}

// The words of what findings relate to.
const (
	GivenHere   = "its value is given here"
	ElementHere = "this element gives its value"
	UsedHere    = "used here"
)

package finding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/diagnostic"
)

// Diagnose returns a diagnostic of a code, with the severity that the table of codes
// gives it. A code that the table does not have would be an error; a test holds that
// there is none.
func Diagnose(code string, d diagnostic.Diagnostic) diagnostic.Diagnostic {
	d.Code, d.Severity = code, diagnostic.Error
	if c, ok := CodeOf(code); ok {
		d.Severity = c.Severity
	}
	return d
}

// New returns a finding of a code about the value at a path, with the severity that
// the table of codes gives it.
func New(code string, at Path, spot Spot, message, help string) Finding {
	return Finding{At: at, Spot: spot, Diagnostic: Diagnose(code, diagnostic.Diagnostic{Message: message, Help: help})}
}

// Newf is New with a message that is formatted, and without help.
func Newf(code string, at Path, spot Spot, format string, args ...any) Finding {
	return New(code, at, spot, fmt.Sprintf(format, args...), "")
}

// In makes a finding one about a part of a text, and not about all of it. offset and
// length count bytes.
func (f *Finding) In(text string, offset, length int) {
	f.Part, f.Offset = text[offset:offset+length], offset
}

// Recode gives a finding another code, which knows better, and its severity.
func (f *Finding) Recode(code string) { f.Diagnostic = Diagnose(code, f.Diagnostic) }

// Otherwise gives a finding the other severity that its code has, in the situation
// that the table describes.
func (f *Finding) Otherwise() { f.Diagnostic = Otherwise(f.Diagnostic) }

// Otherwise is [Finding.Otherwise] of a diagnostic.
func Otherwise(d diagnostic.Diagnostic) diagnostic.Diagnostic {
	if c, _ := CodeOf(d.Code); c.Also != "" {
		d.Severity = c.Also
	}
	return d
}

// IsError reports whether a finding is an error.
func IsError(f Finding) bool { return f.Severity == diagnostic.Error }

// AnyError reports whether one of some findings is an error.
func AnyError(found []Finding) bool { return slices.ContainsFunc(found, IsError) }

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
	return cmp.Or(cmp.Compare(a.At.String(), b.At.String()), cmp.Compare(a.Offset, b.Offset),
		cmp.Compare(a.Code, b.Code))
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

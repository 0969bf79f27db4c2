package finding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/diagnostic"
)

// Diagnose returns a diagnostic of a code, with the severity of the code. A code that is not in the table is an
// error; a test makes sure that none is used.
func Diagnose(code string, d diagnostic.Diagnostic) diagnostic.Diagnostic {
	d.Code, d.Severity = code, diagnostic.Error
	if c, ok := CodeOf(code); ok {
		d.Severity = c.Severity
	}
	return d
}

// New returns a finding of a code about the value at a path, with the severity of the code.
func New(code string, at Path, spot Spot, message, help string) Finding {
	return Finding{At: at, Spot: spot, Diagnostic: Diagnose(code, diagnostic.Diagnostic{Message: message, Help: help})}
}

// Newf is New with a formatted message, and without help.
func Newf(code string, at Path, spot Spot, format string, args ...any) Finding {
	return New(code, at, spot, fmt.Sprintf(format, args...), "")
}

// In restricts a finding to a part of a string. offset and length count bytes.
func (f *Finding) In(text string, offset, length int) {
	f.Part, f.Offset = text[offset:offset+length], offset
}

// Recode gives a finding another, more specific code, and its severity.
func (f *Finding) Recode(code string) { f.Diagnostic = Diagnose(code, f.Diagnostic) }

// Otherwise gives a finding the other severity of its code, in the situation that the table describes.
func (f *Finding) Otherwise() { f.Diagnostic = Otherwise(f.Diagnostic) }

// Otherwise is like [Finding.Otherwise], for a diagnostic.
func Otherwise(d diagnostic.Diagnostic) diagnostic.Diagnostic {
	if c, _ := CodeOf(d.Code); c.Also != "" {
		d.Severity = c.Also
	}
	return d
}

// MakeErrors makes errors of all warnings, for projects that are strict.
func MakeErrors(list diagnostic.List) {
	for i := range list {
		list[i].Severity = diagnostic.Error
	}
}

// IsError reports whether a finding is an error.
func IsError(f Finding) bool { return f.Severity == diagnostic.Error }

// AnyError reports whether one of the findings is an error.
func AnyError(found []Finding) bool { return slices.ContainsFunc(found, IsError) }

// A Spot says which part of a field a finding is about.
type Spot int

const (
	AtValue Spot = iota // the value
	AtLabel             // the field's name; for a missing field, that of the block that lacks it
	AtCall              // the definition of the call that an automation builds on, else its name
)

// A Finding is a diagnostic that does not have a place in a file yet.
type Finding struct {
	diagnostic.Diagnostic
	At   Path
	Spot Spot
	// Position is CUE's position of the value, if it has one.
	Position token.Pos
	// Exact means that Position is closer to the mistake than the value at the path.
	Exact bool
	// Origin is the position of the value that the value refers to, if it is a reference.
	Origin token.Pos
	// Part is the wrong part of a string, at Offset; empty for the whole string.
	Part   string
	Offset int
	// Lacks has the paths of missing values, of which any one is enough. Meant is the path where the author
	// meant to put the value.
	Lacks []Path
	Meant Path
	// Repair is a possible repair, nil if there is none.
	Repair *Repair
}

// WithoutEchoes removes findings about a missing value if another finding says that it is misnamed or
// misplaced.
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

// ByPlace sorts findings in the order of a value's parts.
func ByPlace(a, b Finding) int {
	return cmp.Or(cmp.Compare(a.At.String(), b.At.String()), cmp.Compare(a.Offset, b.Offset),
		cmp.Compare(a.Code, b.Code))
}

// AboutText has the codes of findings about the content of a string. They belong to the literal, and not to
// references to it.
var AboutText = map[string]bool{
	"unknown-placeholder": true, "malformed-placeholder": true, "unknown-cast": true,
	"stray-blanks": true, "empty-value": true,
}

// Messages of related places.
const (
	GivenHere   = "its value is given here"
	ElementHere = "this element gives its value"
	UsedHere    = "used here"
)

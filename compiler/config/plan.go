package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
)

// Kinds is a set of JSON types.
type Kinds uint8

// The types. A number is an integer or has a fraction.
const (
	StringKind Kinds = 1 << iota
	IntegerKind
	FractionKind
	BooleanKind
	ObjectKind
	ListKind
	NullKind

	NumberKind = IntegerKind | FractionKind
	AnyKind    = StringKind | NumberKind | BooleanKind | ObjectKind | ListKind | NullKind
)

// kindNames are the names of the types, in the order of output.
var kindNames = []struct {
	kind Kinds
	name string
}{
	{NumberKind, "a number"}, {StringKind, "a string"}, {IntegerKind, "an integer"}, {FractionKind, "a number"},
	{BooleanKind, "true or false"}, {ObjectKind, "an object"}, {ListKind, "a list"}, {NullKind, "null"},
}

// KindName returns the name of a type.
func KindName(k Kinds) string {
	for _, n := range kindNames {
		if n.kind == k {
			return n.name
		}
	}
	return "an object"
}

// Allows reports whether a number, a boolean or null is of a planned type.
func (p *PlanValue) Allows(v any) bool {
	switch v := v.(type) {
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return p.Kinds&FractionKind != 0
		}
		return p.Kinds&IntegerKind != 0
	case bool:
		return p.Kinds&BooleanKind != 0
	default:
		return p.Kinds&NullKind != 0
	}
}

// String describes the planned value: a string, "csv" or "pdf".
func (p *PlanValue) String() string {
	var names []string
	for _, s := range p.Texts {
		names = append(names, fmt.Sprintf("%q", s))
	}
	kinds := p.Kinds
	if p.Texts != nil {
		kinds &^= StringKind
	}
	for _, n := range kindNames {
		if whole := n.kind == NumberKind; kinds&n.kind == n.kind && (whole || p.Kinds != AnyKind) {
			names, kinds = append(names, n.name), kinds&^n.kind
		}
	}
	if len(names) == 0 {
		return "a value"
	}
	out := finding.OneOf(names)
	if p.Constraint != "" {
		out += " that matches " + p.Constraint
	}
	return out
}

// A TrackingPlan says which events a project may send, with which properties. Its values cover common plans and
// are fast to use; the Judge answers the rest.
type TrackingPlan struct {
	// Events has the planned properties by event, nil if anything is allowed.
	Events map[string]*PlanValue
	// AnyEvent means that the plan names no events, so that it allows all.
	AnyEvent bool
	// Traits has the planned traits by call.
	Traits map[string]*PlanValue
	// Judge decides the questions that the values do not answer. It may be called concurrently.
	Judge Judge
	// Files has the files besides segue.cue that the plan was read from, relative to the project.
	Files []string
}

// A Judge knows the whole tracking plan.
type Judge interface {
	// AllowsField reports whether a struct of the plan allows a field that it does not name.
	AllowsField(p *PlanValue, name string) bool
	// Accepts reports whether a value, written as CUE, satisfies the plan. known means that the value is fully
	// known, without types in it.
	Accepts(p *PlanValue, value string, known bool) bool
}

// A PlanValue is the part of a tracking plan about one value.
type PlanValue struct {
	// Kinds are the allowed JSON types.
	Kinds Kinds
	// Texts are the allowed strings, nil if the plan names none.
	Texts []string
	// Exact means that this is the whole constraint: the Judge need not be called.
	Exact bool
	// Constraint is the rest of the constraint, as the team wrote it; "" if there is none worth showing.
	Constraint string
	// InParent means that the Judge can only be called about the struct around the value, because the plan
	// refers to itself here.
	InParent bool

	Required bool // of a field
	Fields   map[string]*PlanValue
	Open     bool
	Elem     *PlanValue // of a list, if all are alike

	Doc   string
	Place diagnostic.Related
}

// Closest returns the planned field or event that was probably meant.
func Closest(name string, among map[string]*PlanValue, taken map[string]any) string {
	names := slices.DeleteFunc(finding.SortedKeys(among), func(n string) bool { _, ok := taken[n]; return ok })
	return finding.Nearest(name, names)
}

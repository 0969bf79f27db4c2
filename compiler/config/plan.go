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

// kindNames are the types in words, in the order in which they are named.
var kindNames = []struct {
	kind Kinds
	name string
}{
	{NumberKind, "a number"}, {StringKind, "a text"}, {IntegerKind, "a whole number"}, {FractionKind, "a number"},
	{BooleanKind, "true or false"}, {ObjectKind, "a struct"}, {ListKind, "a list"}, {NullKind, "null"},
}

// KindName is a type in words.
func KindName(k Kinds) string {
	for _, n := range kindNames {
		if n.kind == k {
			return n.name
		}
	}
	return "a struct"
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

// String says what is planned, in words: a text, "csv" or "pdf".
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
		out += " that fits " + p.Constraint
	}
	return out
}

// A TrackingPlan says which events a project may send, with which properties.
// What is usual in a plan is in the values and is free to use; the rest is asked of
// the Judge.
type TrackingPlan struct {
	// Events holds what is planned of the properties by event, nil for anything.
	Events map[string]*PlanValue
	// AnyEvent says that the plan names no events, so that all are in it.
	AnyEvent bool
	// Traits holds what is planned of the traits by call.
	Traits map[string]*PlanValue
	// Judge decides what the values don't tell. It may be asked concurrently.
	Judge Judge
	// Files are those that the plan was read from beside segue.cue, relative to the
	// project.
	Files []string
}

// A Judge knows all that a tracking plan says.
type Judge interface {
	// AllowsField reports whether a struct of the plan takes a field that it does
	// not name.
	AllowsField(p *PlanValue, name string) bool
	// Accepts reports whether a value, written as CUE, is what is planned. known
	// says that all of it is a value, and not only a type.
	Accepts(p *PlanValue, value string, known bool) bool
}

// A PlanValue is what a tracking plan says of one value.
type PlanValue struct {
	// Kinds are the JSON types that are allowed.
	Kinds Kinds
	// Texts are the only texts allowed, if any are named.
	Texts []string
	// Exact says that this is all there is to say: the Judge need not be asked.
	Exact bool
	// Constraint is what else the plan asks for, in the team's own words; "" for
	// nothing that is worth showing.
	Constraint string
	// InParent says that the Judge can be asked only about the struct around it: the
	// plan refers to itself here.
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

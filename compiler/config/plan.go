package config

import (
	"encoding/json"
	"fmt"
	"math/big"
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

// IsInteger reports whether a number has no fraction, as 3 and 3.0 have none.
func IsInteger(n json.Number) bool {
	if !strings.ContainsAny(n.String(), ".eE") {
		return true
	}
	r, ok := new(big.Rat).SetString(n.String())
	return ok && r.IsInt()
}

// Allows reports whether a number, a boolean or null is of a planned type.
func (p *PlanValue) Allows(v any) bool {
	switch v := v.(type) {
	case json.Number:
		if IsInteger(v) {
			return p.Kinds&IntegerKind != 0
		}
		return p.Kinds&FractionKind != 0
	case bool:
		return p.Kinds&BooleanKind != 0
	default:
		return p.Kinds&NullKind != 0
	}
}

// String describes the planned value: a string, "csv" or "pdf".
func (p *PlanValue) String() string {
	if p == nil {
		return "a value"
	}
	var names []string
	for _, s := range p.Texts {
		names = append(names, fmt.Sprintf("%q", s))
	}
	names = append(names, p.Values...)
	kinds := p.Kinds
	if p.Texts != nil {
		kinds &^= StringKind
	}
	if p.Values != nil {
		kinds &^= NumberKind | BooleanKind | NullKind
	}
	for _, n := range kindNames {
		if kinds&n.kind == n.kind {
			names, kinds = append(names, n.name), kinds&^n.kind
		}
	}
	out := finding.OneOf(names)
	if len(names) == 0 || p.Kinds == AnyKind {
		out = "a value"
	}
	if p.Constraint != "" {
		out += " that matches " + p.Constraint
	}
	return out
}

// A TrackingPlan says which events a project may send, with which properties.
// Its values cover common plans and are fast to use; the Judge answers the rest.
type TrackingPlan struct {
	// Events has the planned properties by event, nil if anything is allowed.
	Events map[string]*PlanValue
	// AnyEvent means that the plan names no events, so that it allows all.
	AnyEvent bool
	// Traits has the planned traits by call.
	Traits map[string]*PlanValue
	// Judge decides the questions that the values do not answer. It may be called concurrently.
	Judge Judge
	// Rules are the rules in the plan's files, nil if there are none. A message must satisfy both these and the values
	// above.
	Rules Rules
	// Files has the files besides segue.cue that the plan was read from, relative to the project.
	Files []string
}

// Has reports whether an event is in the plan.
func (t *TrackingPlan) Has(event string) bool {
	_, ok := t.Events[event]
	return ok || t.Rules != nil && t.Rules.Has(event)
}

// Plans reports whether the plan gives the type of a value in a message. at is the value's path below the payload.
func (t *TrackingPlan) Plans(m PlannedMessage, at finding.Path) bool {
	p := t.Traits[m.Call]
	if m.Call == "track" {
		event, _ := m.Payload["event"].(string)
		p = t.Events[event]
	}
	for _, step := range at[min(1, len(at)):] {
		name, isName := step.(string)
		switch {
		case p == nil:
		case isName:
			p = p.Fields[name]
		default:
			p = p.Elem
		}
	}
	return p != nil && len(at) > 1 && p.Kinds != AnyKind || t.Rules != nil && t.Rules.Plans(m, at)
}

// EventNames returns the events of the plan, in order.
func (t *TrackingPlan) EventNames() []string {
	names := finding.SortedKeys(t.Events)
	if t.Rules != nil {
		names = append(names, t.Rules.Events()...)
		slices.Sort(names)
	}
	return slices.Compact(names)
}

// Rules are the rules of a tracking plan from another program. The methods may be called concurrently.
type Rules interface {
	// Events returns the allowed events, in order. Has reports whether an event is one of them.
	Events() []string
	Has(event string) bool
	// Versions returns the versions of an event in the plan, in order: 1, 2.
	Versions(event string) []string
	// Plans reports whether the rules give the type of a value in a message.
	Plans(m PlannedMessage, at finding.Path) bool
	// Check compares a message with the rules, and returns the differences in the order of the message.
	Check(m PlannedMessage) []Mismatch
}

// A PlannedMessage is a message that is compared with [Rules].
type PlannedMessage struct {
	// Call is identify, group, track, page, screen or alias.
	Call string
	// Payload is the message as decoded JSON. A value that is not known may be anything here, and has an entry in
	// Unknown.
	Payload map[string]any
	// Unknown has the unknown values by path. Partial has the objects that may have more fields than are visible. The
	// paths are those of a [finding.Path] below the payload.
	Unknown map[string]Unknown
	Partial map[string]bool
}

// An Unknown describes a value that is not known.
type Unknown struct {
	// Kinds are its possible types.
	Kinds Kinds
	// CanBe reports whether the value may be a certain string; nil means that it may be any string.
	CanBe func(s string) bool
}

// A Mismatch is a difference between a message and [Rules].
type Mismatch struct {
	Kind MismatchKind
	// At leads to the value below the payload.
	At finding.Path
	// Name is the field that is missing at At, for Missing.
	Name string
	// Beside is the field that requires Name, "" if it is always required.
	Beside string
	// Want is the planned value: for Missing that of the missing field, for Unplanned that of the object around the
	// value.
	Want *PlanValue
	// Reason is the reason that a check was not made, for Unchecked.
	Reason string
}

// A MismatchKind is a kind of difference between a message and a plan.
type MismatchKind int

// The kinds of mismatches.
const (
	Unfit     MismatchKind = iota // the value does not match the plan
	Missing                       // a field is required
	Unplanned                     // a field is not in the plan
	Unchecked                     // the plan has a rule that is not checked
)

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
	// Values are the allowed values other than strings, as JSON, nil if the plan names none.
	Values []string
	// Exact means that this is the whole constraint: the Judge need not be called.
	Exact bool
	// Constraint is the rest of the constraint, as the team wrote it; "" if there is none worth showing.
	Constraint string
	// InParent means that the Judge can only be called about the struct around the value, because the plan refers
	// to itself here.
	InParent bool

	Required bool // of a field
	Fields   map[string]*PlanValue
	Open     bool
	Elem     *PlanValue // of a list, if all are alike

	// Lacks has the required fields of an object that are not in Fields.
	Lacks []string

	Doc   string
	Place diagnostic.Related
}

// Closest returns the planned field that was probably meant.
func Closest(name string, among map[string]*PlanValue, taken map[string]any) string {
	names := slices.DeleteFunc(finding.SortedKeys(among), func(n string) bool { _, ok := taken[n]; return ok })
	return finding.Nearest(name, names)
}

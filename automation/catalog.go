package automation

import "slices"

// A ValueType is the type of a placeholder's value.
type ValueType string

// The types of a placeholder.
const (
	StringValue  ValueType = "string"
	NumberValue  ValueType = "number"
	BooleanValue ValueType = "boolean"
	// TimeValue is an instant in the form of RFC 3339.
	TimeValue ValueType = "time"
)

// A Placeholder is an entry of the catalog: a value that the platform has when
// an automation fires.
type Placeholder struct {
	// Type is the type of the value before a cast.
	Type ValueType `json:"type"`
	// Triggers are the kinds of trigger that provide the value.
	Triggers []TriggerKind `json:"triggers"`
	// MaxLength is the maximum length of the value, in bytes of JSON text.
	MaxLength int `json:"maxLength"`
	// Declared is true if the project's code declares MaxLength: a longer value
	// is then refused when an automation fires. The catalog's own lengths are
	// estimates.
	Declared bool `json:"-"`
	// Sample is an example: a string, a number or a boolean.
	Sample any `json:"sample"`
	// Description is a sentence for people.
	Description string `json:"description"`
}

// ProvidedBy reports whether triggers of the kind provide the value.
func (p Placeholder) ProvidedBy(kind TriggerKind) bool { return slices.Contains(p.Triggers, kind) }

// A Catalog holds every placeholder that a project can use, by name.
type Catalog map[string]Placeholder

// Samples returns the sample of every placeholder that triggers of the kind
// provide, ready for [Request.Render].
func (c Catalog) Samples(kind TriggerKind) map[string]any {
	values := make(map[string]any, len(c))
	for name, p := range c {
		if p.ProvidedBy(kind) {
			values[name] = p.Sample
		}
	}
	return values
}

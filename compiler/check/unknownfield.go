package check

import (
	"strings"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/schema"
)

// unknownField makes the finding about a field that the shape does not have, and
// returns the field that was probably meant, "" if that can't be told.
func (by Rules) unknownField(
	k string, m map[string]any, s *shape.Shape, at finding.Path,
) (w finding.Finding, meant string) {
	w = finding.Newf("unknown-field", at, finding.AtLabel, "%s has no field %q", StructName(at[:len(at)-1]), k)
	around := at[:len(at)-1]
	if near := finding.Nearest(k, s.Free(m)); near != "" {
		w.Suggestion, w.Help, w.Meant = near, finding.DidYouMean(near), around.With(near)
		if by.fits(m[k], s.Fields[near].Shape, at) {
			w.Repair = &finding.Repair{How: finding.RenameField, Text: near}
		}
		return w, near
	}
	if other := s.Lacking(k, m); other != "" {
		w.Suggestion, w.Help, w.Meant = other, finding.DidYouMean(other), around.With(other)
		return w, other
	}
	call := s.Call()
	if call != "" && k == "writeKey" {
		w.Help = "remove it: segue sends the write key of the source in the Authorization header"
		return w, ""
	}
	own := ownBlock(s)
	switch inner := s.Home(k); {
	case inner != "":
		w.Suggestion, w.Meant = inner+"."+k, around.With(inner, k)
		w.Help = k + " belongs in " + inner + ": write " + inner + ": " + k + ": ..."
	case call != "" && len(callsWith(k)) > 0:
		w.Help = k + " belongs to a call of another kind: use " + finding.OneOf(callsWith(k))
		switch {
		case own == "":
		case k == "traits" || k == "properties":
			w.Help = "a call of this kind has " + own + "; " + w.Help
			w.Meant = around.With(own)
		case k == "name" || k == "category":
			w.Help += ", or write it into " + own
		}
	case call != "" && s.Has("context", k):
		w.Suggestion, w.Meant = "context."+k, around.With("context", k)
		w.Help = k + " belongs in context: write context: " + k + ": ..."
	case call != "" && len(around) == 3 && AutomationField(call, k):
		w.Suggestion, w.Meant = k, around[:2].With(k)
		w.Help = k + " belongs beside payload, not in it"
	case call != "" && own == "":
		w.Help = "remove it: this call has no fields of your own"
	case call != "":
		w.Help = "fields of your own go into " + own + ": " + own + ": " + finding.Selector(k).String() + ": ..."
	default:
		w.Help = "its fields are " + finding.OneOf(s.Names())
	}
	return w, ""
}

// StructName says what a struct is called in a message.
func StructName(p finding.Path) string {
	if name := p.Name(); name != "" {
		return name
	}
	if len(p) > 0 {
		return "an automation"
	}
	return "the project file"
}

// AutomationField reports whether an automation of a call has a field that its
// payload does not have.
func AutomationField(call, k string) bool {
	_, ok := shape.Calls()[call].Automation.Fields[k]
	return ok
}

// ownBlock is the field of a message that holds the author's own fields: traits, properties, or
// "" if its call has none.
func ownBlock(s *shape.Shape) string {
	for _, block := range []string{"traits", "properties"} {
		if s.Fields[block] != nil {
			return block
		}
	}
	return ""
}

// callsWith lists the definitions of the calls whose messages have a field.
func callsWith(k string) []string {
	var out []string
	for _, call := range schema.CallNames() {
		if _, ok := shape.Calls()[call].Payload.Fields[k]; ok {
			out = append(out, "automation."+schema.Calls[call])
		}
	}
	return out
}

// fieldName checks the name of a field that the author chose.
func (by Rules) fieldName(k string, at finding.Path) findings {
	if !strings.Contains(k, "{{") {
		return nil
	}
	of := "a field"
	if len(at) > 1 && at[len(at)-2] == "headers" {
		of = "a header"
	}
	w := finding.Newf("misplaced-placeholder", at, finding.AtLabel,
		"the name of %s can't hold a placeholder: it would be sent unchanged", of)
	w.Help = "give the field a fixed name and put the placeholder into the value"
	return findings{w}
}

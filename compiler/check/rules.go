package check

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
)

// findings are those of one check.
type findings = []finding.Finding

// Rules are what a value is held against beside its shape. They do not change: the
// findings about a value are a function of the rules, the value, its shape and its path.
type Rules struct {
	// Catalog has the placeholders that may be in a value.
	Catalog automation.Catalog
	// Trigger is the kind of trigger that fills in the placeholders, "" if it is not
	// known.
	Trigger automation.TriggerKind
	// Gaps is what is not known of the project, nil if all is.
	Gaps *config.Gaps
	// Partial holds the paths of structs that may have more fields than the value
	// shows.
	Partial map[string]bool
	// Templates says that placeholders may be in the strings.
	Templates bool
	// Draft says that the value is a definition's, which automations complete:
	// nothing is missing in it.
	Draft bool
}

// Value checks a value and all that is in it: decoded JSON (numbers as json.Number), or
// one of the values of the package shape for what could not be decoded.
func (by Rules) Value(v any, s *shape.Shape, p finding.Path) findings {
	switch v.(type) {
	case shape.Broken:
		return nil
	case shape.Unset:
		w := finding.Newf("missing-value", p, finding.AtValue, "%s has no value: %s is needed", p.Name(), s)
		w.Help = "give it a value"
		return findings{w}
	}
	if s.Advised {
		return by.advised(v, s, p)
	}
	switch s.Kind {
	case shape.Any:
		return by.Any(v, p)
	case shape.Union:
		return by.union(v, s, p)
	case shape.Struct:
		if m, ok := v.(map[string]any); ok {
			return by.Struct(m, s, p)
		}
	case shape.List:
		if l, ok := v.([]any); ok {
			return by.list(l, s, p)
		}
	default:
		return by.scalar(v, s, p)
	}
	return findings{by.WrongType(v, s, p)}
}

func (by Rules) list(l []any, s *shape.Shape, p finding.Path) findings {
	if s.NonEmptyList && len(l) == 0 {
		w := finding.Newf("empty-value", p, finding.AtValue, "%s must not be empty", p.Name())
		w.Help = "give it at least one element"
		return findings{w}
	}
	var found findings
	for i, e := range l {
		found = append(found, by.Value(e, s.Elem, p.With(i))...)
	}
	return found
}

// Any checks a value that the spec leaves open: only its placeholders.
func (by Rules) Any(v any, p finding.Path) (found findings) {
	switch v := v.(type) {
	case string:
		return by.text(v, &shape.Shape{Kind: shape.Any}, p)
	case json.Number:
		return by.number(v, p)
	case shape.Bytes:
		return findings{by.WrongType(v, &shape.Shape{Kind: shape.Text}, p)}
	case []any:
		for i, e := range v {
			found = append(found, by.Any(e, p.With(i))...)
		}
	case map[string]any:
		for _, k := range finding.SortedKeys(v) {
			found = append(found, by.fieldName(k, p.With(k))...)
			found = append(found, by.Any(v[k], p.With(k))...)
		}
	}
	return found
}

// Struct checks a struct and all that is in it.
func (by Rules) Struct(m map[string]any, s *shape.Shape, p finding.Path) findings {
	meant := map[string]bool{} // fields that a misspelt one stands for
	var found findings
	var unknown, strays []stray
	m = s.Mended(m)
	for _, k := range finding.SortedKeys(m) {
		at := p.With(k)
		f, ok := s.Fields[k]
		switch {
		case ok:
			if f.SetBySegment {
				w := finding.Newf("set-by-segment", at, finding.AtLabel,
					"%s is set by Segment itself: what is sent here is overwritten", at.Name())
				w.Help = "remove the field"
				found = append(found, w)
				found = append(found, by.Any(m[k], at)...)
				continue
			}
			found = append(found, by.Value(m[k], f.Shape, at)...)
		case s.Rest != nil:
			found = append(found, by.fieldName(k, at)...)
			found = append(found, misspelt(k, m, s, at)...)
			found = append(found, by.Value(m[k], s.Rest, at)...)
		case s.Open:
			found = append(found, by.fieldName(k, at)...)
			found = append(found, misspelt(k, m, s, at)...)
			found = append(found, by.Any(m[k], at)...)
		default:
			w, near := by.unknownField(k, m, s, at)
			meant[near] = true
			unknown = append(unknown, stray{k, len(found)})
			if w.Suggestion == "" && len(callsWith(k)) == 0 {
				strays = append(strays, stray{k, len(found)})
			}
			found = append(found, w)
		}
	}
	if len(unknown) > 1 && !s.AnyKnown(m) {
		found = kindAsField(found, unknown, m, s)
	}
	if by.Draft || by.Partial[p.String()] || len(meant) > 0 && !s.AnyKnown(m) {
		return found // what is missing is probably what the unknown fields stand for
	}
	var missing []string
	for _, k := range finding.SortedKeys(s.Fields) {
		if _, ok := m[k]; !ok && s.Fields[k].Required && !meant[k] {
			missing = append(missing, k)
		}
	}
	if len(strays) == 1 && standsFor(&found[strays[0].finding], strays[0].name, missing, m, s, meant) {
		missing = nil
	}
	for _, k := range missing {
		w := finding.Newf("missing-field", p, finding.AtLabel, "%s is missing", p.With(k).Name())
		w.Help, w.Lacks = "add "+k+": "+shape.FirstSentence(s.Fields[k]), []finding.Path{p.With(k)}
		found = append(found, w)
	}
	for _, count := range s.Counts {
		found = append(found, countFields(m, s, count, meant, p)...)
	}
	return found
}

// A stray is a field that a struct does not have, and of which nothing says what
// was meant by its name.
type stray struct {
	name    string
	finding int // its index among the findings of the struct
}

// kindAsField puts one finding in the place of those about fields of which one
// says which field is meant and another one what its value is: type: "pattern" and
// name: "Report exported" for pattern: "Report exported".
func kindAsField(found findings, strays []stray, m map[string]any, s *shape.Shape) findings {
	kind := slices.IndexFunc(strays, func(stray stray) bool {
		text, ok := m[stray.name].(string)
		return ok && s.Fields[text] != nil
	})
	if kind < 0 || strays[len(strays)-1].finding-strays[0].finding != len(strays)-1 {
		return found
	}
	field := m[strays[kind].name].(string)
	w := found[strays[kind].finding]
	w.Help = "write the kind as the field's name: " + field + `: "…"`
	if other := 1 - kind; len(strays) == 2 {
		if text, ok := m[strays[other].name].(string); ok {
			w.Help = "write the kind as the field's name: " + field + ": " + strconv.Quote(text)
		}
	}
	w.Lacks, w.Suggestion, w.Repair = nil, field, nil
	return append(found[:strays[0].finding], w)
}

// standsFor reports whether the only stray field of a struct stands for what is
// missing in it: title for name. It says so in the stray's finding.
func standsFor(
	w *finding.Finding, stray string, missing []string, m map[string]any, s *shape.Shape, meant map[string]bool,
) bool {
	for _, count := range s.Counts {
		if !slices.ContainsFunc(count.Fields, func(k string) bool { _, ok := m[k]; return ok || meant[k] }) {
			if len(missing) > 0 {
				return false // more than one thing is missing
			}
			missing = count.Fields
			break
		}
	}
	if len(missing) == 0 || len(missing) > 1 && s.Fields[missing[0]].Required {
		return false
	}
	for _, k := range missing {
		if !s.Fields[k].Shape.Admits(m[stray]) {
			return false
		}
		meant[k] = true
	}
	w.Message += ", and " + finding.OneOf(missing) + " is missing"
	w.Help = finding.DidYouMean(finding.OneOf(missing))
	if len(missing) == 1 {
		w.Suggestion = missing[0]
	}
	return true
}

// countFields checks that a struct has as many of some fields as it needs.
func countFields(m map[string]any, s *shape.Shape, count shape.Count, meant map[string]bool, p finding.Path) findings {
	var has []string
	for _, k := range count.Fields {
		if v, ok := m[k]; ok && (v != nil || !s.Fields[k].Shape.Admits(nil)) {
			has = append(has, k)
		}
		if meant[k] {
			return nil
		}
	}
	where := p.Name()
	switch {
	case len(has) == 0:
		w := finding.Newf("missing-field", p, finding.AtLabel, "%s needs %s", where, finding.OneOf(count.Fields))
		var each []string
		for _, k := range count.Fields {
			each = append(each, k+": "+shape.FirstSentence(s.Fields[k]))
			w.Lacks = append(w.Lacks, p.With(k))
		}
		w.Help = "add " + strings.Join(each, "; or ")
		return findings{w}
	case count.Exactly && len(has) > 1:
		w := finding.Newf("conflicting-fields", p, finding.AtLabel, "%s has %s: it takes only one of them", where,
			strings.Join(has, " and "))
		w.Help = "keep one of " + finding.OneOf(count.Fields)
		return findings{w}
	}
	return nil
}

// union accepts what one of the alternatives accepts; else it reports what is
// wrong with the alternative that the value comes nearest to.
func (by Rules) union(v any, s *shape.Shape, p finding.Path) findings {
	if text, ok := v.(string); ok && by.Templates {
		if t, err := automation.ParseTemplate(text); err == nil {
			if spaced, blanks := t.BlanksAround(); blanks {
				found := by.union(spaced.String(), s, p)
				if !finding.AnyError(found) { // the blanks are all that is wrong
					found = append(found, by.text(text, &shape.Shape{Kind: shape.Any}, p)...)
				}
				return found
			}
		}
	}
	var best findings
	fits := false
	for _, alt := range s.Alts {
		found := by.Value(v, alt, p)
		if !finding.AnyError(found) {
			return found
		}
		if ok := shape.FitsKind(v, alt); ok && (!fits || len(found) < len(best)) {
			best, fits = found, true
		}
	}
	if fits {
		return best
	}
	either := eitherStruct(s.Alts)
	m, ok := v.(map[string]any)
	if !ok || either == nil {
		return findings{by.WrongType(v, s, p)}
	}
	if found := by.Struct(m, either, p); len(found) > 0 {
		return found
	}
	w := finding.Newf("missing-field", p, finding.AtLabel, "%s needs %s", p.Name(),
		finding.OneOf(finding.SortedKeys(either.Fields)))
	w.Help = "add one of them"
	return findings{w}
}

// eitherStruct is a struct with the fields of all structs among the
// alternatives, for a value that has none of them; nil if there is none.
func eitherStruct(alts []*shape.Shape) *shape.Shape {
	var either *shape.Shape
	for _, alt := range alts {
		if alt.Kind != shape.Struct {
			continue
		}
		if either == nil {
			either = &shape.Shape{Kind: shape.Struct, Fields: map[string]*shape.Field{}}
		}
		for name, f := range alt.Fields {
			optional := *f
			optional.Required = false
			either.Fields[name] = &optional
		}
	}
	return either
}

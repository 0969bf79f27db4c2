package check

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
)

// A Checker compares a value with its shape and with the placeholders that may
// stand in it, and collects everything that is wrong.
type Checker struct {
	Catalog automation.Catalog
	// Trigger is the kind of trigger that fills in the placeholders, "" if the
	// trigger is itself wrong.
	Trigger automation.TriggerKind
	// Templates says whether placeholders may stand in the texts.
	Templates bool
	// Gaps is what is not known of the project, nil if all is.
	Gaps *config.Gaps
	// draft says that the value is a definition's, which others complete: nothing
	// is missing in it.
	draft bool
	// Partial holds the paths of structs that may have more fields than the
	// value shows.
	Partial map[string]bool
	Found   []finding.Finding
}

// Report adds a finding, whose severity is that of its code. It returns the finding as
// it was added, so that more can be said in it: until the next one is added.
func (c *Checker) Report(code string, p finding.Path, at finding.Spot, format string, args ...any) *finding.Finding {
	c.Found = append(c.Found, finding.New(code, p, at, fmt.Sprintf(format, args...), ""))
	return &c.Found[len(c.Found)-1]
}

// Value checks v, which is decoded JSON (numbers as json.Number) or broken.
func (c *Checker) Value(v any, s *shape.Shape, p finding.Path) {
	switch v.(type) {
	case shape.Broken:
		return
	case shape.Unset:
		needed := s.String() + " is needed"
		c.Report("missing-value", p, finding.AtValue, "%s has no value: %s", p.Name(), needed).Help = "give it a value"
		return
	}
	switch s.Kind {
	case shape.Any:
		c.any(v, p)
	case shape.Union:
		c.union(v, s, p)
	case shape.Struct:
		if m, ok := v.(map[string]any); ok {
			c.structure(m, s, p)
			return
		}
		c.WrongType(v, s, p)
	case shape.List:
		l, ok := v.([]any)
		if !ok {
			c.WrongType(v, s, p)
			return
		}
		if s.NonEmptyList && len(l) == 0 {
			c.Report("empty-value", p, finding.AtValue, "%s must not be empty", p.Name()).Help = "give it at least one element"
		}
		for i, e := range l {
			c.Value(e, s.Elem, p.With(i))
		}
	default:
		c.scalar(v, s, p)
	}
}

// any checks a value that the spec leaves open: only its placeholders.
func (c *Checker) any(v any, p finding.Path) {
	switch v := v.(type) {
	case string:
		c.text(v, &shape.Shape{Kind: shape.Any}, p)
	case json.Number:
		c.number(v, p)
	case shape.Bytes:
		c.WrongType(v, &shape.Shape{Kind: shape.Text}, p)
	case []any:
		for i, e := range v {
			c.any(e, p.With(i))
		}
	case map[string]any:
		for _, k := range finding.SortedKeys(v) {
			c.fieldName(k, p.With(k))
			c.any(v[k], p.With(k))
		}
	}
}

func (c *Checker) structure(m map[string]any, s *shape.Shape, p finding.Path) {
	meant := map[string]bool{} // fields that a misspelt one stands for
	var unknown, strays []stray
	m = s.Mended(m)
	for _, k := range finding.SortedKeys(m) {
		at := p.With(k)
		f, ok := s.Fields[k]
		switch {
		case ok:
			if f.SetBySegment {
				w := c.Report("set-by-segment", at, finding.AtLabel, "%s is set by Segment itself: what is sent here is overwritten", at.Name())
				w.Help = "remove the field"
			}
			c.Value(m[k], f.Shape, at)
		case s.Rest != nil:
			c.fieldName(k, at)
			c.Value(m[k], s.Rest, at)
		case s.Open:
			c.fieldName(k, at)
			c.any(m[k], at)
		default:
			near := c.unknownField(k, m, s, at)
			meant[near] = true
			unknown = append(unknown, stray{k, len(c.Found) - 1})
			if c.Found[len(c.Found)-1].Suggestion == "" && len(callsWith(k)) == 0 {
				strays = append(strays, stray{k, len(c.Found) - 1})
			}
			if !c.Templates {
				continue
			}
			if f, ok := s.Fields[near]; ok && c.Found[len(c.Found)-1].Repair != nil {
				c.Value(m[k], f.Shape, at)
			} else {
				c.any(m[k], at)
			}
		}
	}
	if len(unknown) > 1 && !s.AnyKnown(m) {
		c.kindAsField(unknown, m, s)
	}
	if c.draft || c.Partial[p.String()] || len(meant) > 0 && !s.AnyKnown(m) {
		return // what is missing is probably what the unknown fields stand for
	}
	var missing []string
	for _, k := range finding.SortedKeys(s.Fields) {
		if _, ok := m[k]; !ok && s.Fields[k].Required && !meant[k] {
			missing = append(missing, k)
		}
	}
	if len(strays) == 1 && c.standsFor(strays[0], missing, m, s, meant) {
		missing = nil
	}
	for _, k := range missing {
		w := c.Report("missing-field", p, finding.AtLabel, "%s is missing", p.With(k).Name())
		w.Help, w.Lacks = "add "+k+": "+shape.FirstSentence(s.Fields[k]), []finding.Path{p.With(k)}
	}
	for _, count := range s.Counts {
		c.count(m, s, count, meant, p)
	}
}

// A stray is a field that a struct does not have, and of which nothing says what
// was meant by its name, with its finding.
type stray struct {
	name    string
	finding int
}

// kindAsField puts one finding in the place of those about fields of which one
// says which field is meant and another one what its value is: type: "pattern" and
// name: "Report exported" for pattern: "Report exported".
func (c *Checker) kindAsField(strays []stray, m map[string]any, s *shape.Shape) {
	kind := slices.IndexFunc(strays, func(stray stray) bool {
		text, ok := m[stray.name].(string)
		return ok && s.Fields[text] != nil
	})
	if kind < 0 || strays[len(strays)-1].finding-strays[0].finding != len(strays)-1 {
		return
	}
	field := m[strays[kind].name].(string)
	w := c.Found[strays[kind].finding]
	w.Help = "write the kind as the field's name: " + field + `: "…"`
	if other := 1 - kind; len(strays) == 2 {
		if text, ok := m[strays[other].name].(string); ok {
			w.Help = "write the kind as the field's name: " + field + ": " + strconv.Quote(text)
		}
	}
	w.Lacks, w.Suggestion, w.Repair = nil, field, nil
	c.Found = append(c.Found[:strays[0].finding], w)
}

// standsFor reports whether the only stray field of a struct stands for what is
// missing in it: title for name. It says so in the stray's finding.
func (c *Checker) standsFor(stray stray, missing []string, m map[string]any, s *shape.Shape, meant map[string]bool) bool {
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
		if !s.Fields[k].Shape.Admits(m[stray.name]) {
			return false
		}
		meant[k] = true
	}
	w := &c.Found[stray.finding]
	w.Message += ", and " + finding.OneOf(missing) + " is missing"
	w.Help = finding.DidYouMean(finding.OneOf(missing))
	if len(missing) == 1 {
		w.Suggestion = missing[0]
	}
	return true
}

// count checks that a struct has as many of some fields as it needs.
func (c *Checker) count(m map[string]any, s *shape.Shape, count shape.Count, meant map[string]bool, p finding.Path) {
	var has []string
	for _, k := range count.Fields {
		if _, ok := m[k]; ok {
			has = append(has, k)
		}
		if meant[k] {
			return
		}
	}
	where := p.Name()
	switch {
	case len(has) == 0:
		w := c.Report("missing-field", p, finding.AtLabel, "%s needs %s", where, finding.OneOf(count.Fields))
		var each []string
		for _, k := range count.Fields {
			each = append(each, k+": "+shape.FirstSentence(s.Fields[k]))
			w.Lacks = append(w.Lacks, p.With(k))
		}
		w.Help = "add " + strings.Join(each, "; or ")
	case count.Exactly && len(has) > 1:
		w := c.Report("conflicting-fields", p, finding.AtLabel, "%s has %s: it takes only one of them", where, strings.Join(has, " and "))
		w.Help = "keep one of " + finding.OneOf(count.Fields)
	}
}

// union accepts what one of the alternatives accepts; else it reports what is
// wrong with the alternative that the value comes nearest to.
func (c *Checker) union(v any, s *shape.Shape, p finding.Path) {
	if text, ok := v.(string); ok && c.Templates {
		if t, err := automation.ParseTemplate(text); err == nil {
			if spaced, blanks := t.BlanksAround(); blanks {
				before := len(c.Found)
				if c.union(spaced.String(), s, p); !slices.ContainsFunc(c.Found[before:], finding.IsError) {
					c.text(text, &shape.Shape{Kind: shape.Any}, p) // the blanks are all that is wrong
				}
				return
			}
		}
	}
	var best []finding.Finding
	fits := false
	for _, alt := range s.Alts {
		sub := *c
		sub.Found = nil
		sub.Value(v, alt, p)
		if !slices.ContainsFunc(sub.Found, finding.IsError) {
			c.Found = append(c.Found, sub.Found...)
			return
		}
		if ok := shape.FitsKind(v, alt); ok && (!fits || len(sub.Found) < len(best)) {
			best, fits = sub.Found, true
		}
	}
	if m, ok := v.(map[string]any); ok && !fits {
		if either := eitherStruct(s.Alts); either != nil {
			before := len(c.Found)
			if c.structure(m, either, p); len(c.Found) == before {
				w := c.Report("missing-field", p, finding.AtLabel, "%s needs %s", p.Name(), finding.OneOf(finding.SortedKeys(either.Fields)))
				w.Help = "add one of them"
			}
			return
		}
	}
	if !fits {
		c.WrongType(v, s, p)
		return
	}
	c.Found = append(c.Found, best...)
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

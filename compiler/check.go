package compiler

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
)

// broken stands for a value that already has a finding; nothing more is said of it.
type broken struct{}

// unset stands for a value that is still open.
type unset struct{}

// A checker compares a value with its shape and with the placeholders that may
// stand in it, and collects everything that is wrong.
type checker struct {
	catalog automation.Catalog
	// trigger is the kind of trigger that fills in the placeholders, "" if the
	// trigger is itself wrong.
	trigger automation.TriggerKind
	// templates says whether placeholders may stand in the texts.
	templates bool
	// unsure is what is not known of the project, nil if all is.
	unsure *unsure
	// draft says that the value is a definition's, which others complete: nothing
	// is missing in it.
	draft bool
	// partial holds the paths of structs that may have more fields than the
	// value shows.
	partial map[string]bool
	found   []finding
}

func (c *checker) report(code string, p valuePath, at spot, format string, args ...any) *finding {
	c.found = append(c.found, finding{path: p, spot: at, Diagnostic: diagnostic.Diagnostic{
		Severity: diagnostic.Error, Code: code, Message: fmt.Sprintf(format, args...)}})
	return &c.found[len(c.found)-1]
}

// value checks v, which is decoded JSON (numbers as json.Number) or broken.
func (c *checker) value(v any, s *shape, p valuePath) {
	switch v.(type) {
	case broken:
		return
	case unset:
		needed := s.String() + " is needed"
		c.report("missing-value", p, atValue, "%s has no value: %s", p.name(), needed).Help = "give it a value"
		return
	}
	switch s.kind {
	case anyShape:
		c.any(v, p)
	case unionShape:
		c.union(v, s, p)
	case structShape:
		if m, ok := v.(map[string]any); ok {
			c.structure(m, s, p)
			return
		}
		c.wrongType(v, s, p)
	case listShape:
		l, ok := v.([]any)
		if !ok {
			c.wrongType(v, s, p)
			return
		}
		if s.nonempty && len(l) == 0 {
			c.report("empty-value", p, atValue, "%s must not be empty", p.name()).Help = "give it at least one element"
		}
		for i, e := range l {
			c.value(e, s.elem, p.with(i))
		}
	default:
		c.scalar(v, s, p)
	}
}

// any checks a value that the spec leaves open: only its placeholders.
func (c *checker) any(v any, p valuePath) {
	switch v := v.(type) {
	case string:
		c.text(v, &shape{kind: anyShape}, p)
	case json.Number:
		c.number(v, p)
	case bytesValue:
		c.wrongType(v, &shape{kind: textShape}, p)
	case []any:
		for i, e := range v {
			c.any(e, p.with(i))
		}
	case map[string]any:
		for _, k := range sorted(v) {
			c.fieldName(k, p.with(k))
			c.any(v[k], p.with(k))
		}
	}
}

func (c *checker) structure(m map[string]any, s *shape, p valuePath) {
	meant := map[string]bool{} // fields that a misspelt one stands for
	var unknown, strays []stray
	m = s.mended(m)
	for _, k := range sorted(m) {
		at := p.with(k)
		f, ok := s.fields[k]
		switch {
		case ok:
			if f.setBySegment {
				w := c.report("set-by-segment", at, atLabel, "%s is set by Segment itself: what is sent here is overwritten", at.name())
				w.Severity, w.Help = diagnostic.Warning, "remove the field"
			}
			c.value(m[k], f.shape, at)
		case s.rest != nil:
			c.fieldName(k, at)
			c.value(m[k], s.rest, at)
		case s.open:
			c.fieldName(k, at)
			c.any(m[k], at)
		default:
			near := c.unknownField(k, m, s, at)
			meant[near] = true
			unknown = append(unknown, stray{k, len(c.found) - 1})
			if c.found[len(c.found)-1].Suggestion == "" && len(callsWith(k)) == 0 {
				strays = append(strays, stray{k, len(c.found) - 1})
			}
			if !c.templates {
				continue
			}
			if f, ok := s.fields[near]; ok && c.found[len(c.found)-1].repair != nil {
				c.value(m[k], f.shape, at)
			} else {
				c.any(m[k], at)
			}
		}
	}
	if len(unknown) > 1 && !s.anyKnown(m) {
		c.kindAsField(unknown, m, s)
	}
	if c.draft || c.partial[p.String()] || len(meant) > 0 && !s.anyKnown(m) {
		return // what is missing is probably what the unknown fields stand for
	}
	var missing []string
	for _, k := range sorted(s.fields) {
		if _, ok := m[k]; !ok && s.fields[k].required && !meant[k] {
			missing = append(missing, k)
		}
	}
	if len(strays) == 1 && c.standsFor(strays[0], missing, m, s, meant) {
		missing = nil
	}
	for _, k := range missing {
		w := c.report("missing-field", p, atLabel, "%s is missing", p.with(k).name())
		w.Help, w.lacks = "add "+k+": "+firstSentence(s.fields[k]), []valuePath{p.with(k)}
	}
	for _, count := range s.counts {
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
func (c *checker) kindAsField(strays []stray, m map[string]any, s *shape) {
	kind := slices.IndexFunc(strays, func(stray stray) bool {
		text, ok := m[stray.name].(string)
		return ok && s.fields[text] != nil
	})
	if kind < 0 || strays[len(strays)-1].finding-strays[0].finding != len(strays)-1 {
		return
	}
	field := m[strays[kind].name].(string)
	w := c.found[strays[kind].finding]
	w.Help = "write the kind as the field's name: " + field + `: "…"`
	if other := 1 - kind; len(strays) == 2 {
		if text, ok := m[strays[other].name].(string); ok {
			w.Help = "write the kind as the field's name: " + field + ": " + strconv.Quote(text)
		}
	}
	w.lacks, w.Suggestion, w.repair = nil, field, nil
	c.found = append(c.found[:strays[0].finding], w)
}

// standsFor reports whether the only stray field of a struct stands for what is
// missing in it: title for name. It says so in the stray's finding.
func (c *checker) standsFor(stray stray, missing []string, m map[string]any, s *shape, meant map[string]bool) bool {
	for _, count := range s.counts {
		if !slices.ContainsFunc(count.fields, func(k string) bool { _, ok := m[k]; return ok || meant[k] }) {
			if len(missing) > 0 {
				return false // more than one thing is missing
			}
			missing = count.fields
			break
		}
	}
	if len(missing) == 0 || len(missing) > 1 && s.fields[missing[0]].required {
		return false
	}
	for _, k := range missing {
		if !s.fields[k].shape.admits(m[stray.name]) {
			return false
		}
		meant[k] = true
	}
	w := &c.found[stray.finding]
	w.Message += ", and " + oneOf(missing) + " is missing"
	w.Help = didYouMean(oneOf(missing))
	if len(missing) == 1 {
		w.Suggestion = missing[0]
	}
	return true
}

// admits reports whether a value is of the sort that a shape asks for, or one of
// its alternatives does.
func (s *shape) admits(v any) bool {
	return s.kind == anyShape || fitsKind(v, s) || slices.ContainsFunc(s.alts, func(alt *shape) bool { return alt.admits(v) })
}

// anyKnown reports whether a value has a field that the shape has.
func (s *shape) anyKnown(m map[string]any) bool {
	for k := range m {
		if _, ok := s.fields[k]; ok {
			return true
		}
	}
	return false
}

// count checks that a struct has as many of some fields as it needs.
func (c *checker) count(m map[string]any, s *shape, count fieldCount, meant map[string]bool, p valuePath) {
	var has []string
	for _, k := range count.fields {
		if _, ok := m[k]; ok {
			has = append(has, k)
		}
		if meant[k] {
			return
		}
	}
	where := p.name()
	switch {
	case len(has) == 0:
		w := c.report("missing-field", p, atLabel, "%s needs %s", where, oneOf(count.fields))
		var each []string
		for _, k := range count.fields {
			each = append(each, k+": "+firstSentence(s.fields[k]))
			w.lacks = append(w.lacks, p.with(k))
		}
		w.Help = "add " + strings.Join(each, "; or ")
	case count.exactly && len(has) > 1:
		w := c.report("conflicting-fields", p, atLabel, "%s has %s: it takes only one of them", where, strings.Join(has, " and "))
		w.Help = "keep one of " + oneOf(count.fields)
	}
}

// union accepts what one of the alternatives accepts; else it reports what is
// wrong with the alternative that the value comes nearest to.
func (c *checker) union(v any, s *shape, p valuePath) {
	if text, ok := v.(string); ok && c.templates {
		if t, err := automation.ParseTemplate(text); err == nil {
			if spaced, blanks := t.BlanksAround(); blanks {
				before := len(c.found)
				if c.union(spaced.String(), s, p); !slices.ContainsFunc(c.found[before:], isError) {
					c.text(text, &shape{kind: anyShape}, p) // the blanks are all that is wrong
				}
				return
			}
		}
	}
	var best []finding
	fits := false
	for _, alt := range s.alts {
		sub := *c
		sub.found = nil
		sub.value(v, alt, p)
		if !slices.ContainsFunc(sub.found, isError) {
			c.found = append(c.found, sub.found...)
			return
		}
		if ok := fitsKind(v, alt); ok && (!fits || len(sub.found) < len(best)) {
			best, fits = sub.found, true
		}
	}
	if m, ok := v.(map[string]any); ok && !fits {
		if either := eitherStruct(s.alts); either != nil {
			before := len(c.found)
			if c.structure(m, either, p); len(c.found) == before {
				w := c.report("missing-field", p, atLabel, "%s needs %s", p.name(), oneOf(sorted(either.fields)))
				w.Help = "add one of them"
			}
			return
		}
	}
	if !fits {
		c.wrongType(v, s, p)
		return
	}
	c.found = append(c.found, best...)
}

func isError(f finding) bool { return f.Severity == diagnostic.Error }

// eitherStruct is a struct with the fields of all structs among the
// alternatives, for a value that has none of them; nil if there is none.
func eitherStruct(alts []*shape) *shape {
	var either *shape
	for _, alt := range alts {
		if alt.kind != structShape {
			continue
		}
		if either == nil {
			either = &shape{kind: structShape, fields: map[string]*fieldShape{}}
		}
		for name, f := range alt.fields {
			optional := *f
			optional.required = false
			either.fields[name] = &optional
		}
	}
	return either
}

// fitsKind reports whether a value is of the sort that a shape asks for,
// whatever else may be wrong with it. A struct fits where it shares a field.
func fitsKind(v any, s *shape) bool {
	switch v := v.(type) {
	case string:
		return s.kind == textShape || s.kind == timeShape || s.kind == dateShape
	case json.Number:
		return s.kind == numberShape || s.kind == integerShape
	case bool:
		return s.kind == booleanShape
	case []any:
		return s.kind == listShape
	case map[string]any:
		if s.kind != structShape {
			return false
		}
		for k := range v {
			if _, ok := s.fields[k]; ok {
				return true
			}
		}
		return s.open || s.rest != nil
	default:
		return v == nil && s.kind == nullShape
	}
}

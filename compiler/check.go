package compiler

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
)

// broken stands for a value that already has a finding; nothing more is said of it.
type broken struct{}

// A checker compares a value with its shape and with the placeholders that may
// stand in it, and collects everything that is wrong.
type checker struct {
	catalog automation.Catalog
	// trigger is the kind of trigger that fills in the placeholders, "" if the
	// trigger is itself wrong.
	trigger automation.TriggerKind
	// templates says whether placeholders may stand in the texts.
	templates bool
	found     []finding
}

func (c *checker) report(code string, p valuePath, at spot, format string, args ...any) *finding {
	c.found = append(c.found, finding{path: p, spot: at, Diagnostic: diagnostic.Diagnostic{
		Severity: diagnostic.Error, Code: code, Message: fmt.Sprintf(format, args...)}})
	return &c.found[len(c.found)-1]
}

// value checks v, which is decoded JSON (numbers as json.Number) or broken.
func (c *checker) value(v any, s *shape, p valuePath) {
	if _, ok := v.(broken); ok {
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
			c.report("empty-value", p, atValue, "%s must not be empty", p.name())
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
			meant[c.unknownField(k, m, s, at)] = true
		}
	}
	for _, k := range sorted(s.fields) {
		if _, ok := m[k]; !ok && s.fields[k].required && !meant[k] {
			w := c.report("missing-field", p, atLabel, "%s is missing", p.with(k).name())
			w.Help = "add " + k + ": " + firstSentence(s.fields[k])
		}
	}
	for _, count := range s.counts {
		c.count(m, count, meant, p)
	}
}

// count checks that a struct has as many of some fields as it needs.
func (c *checker) count(m map[string]any, count fieldCount, meant map[string]bool, p valuePath) {
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
	if where == "" {
		where = "the automation"
	}
	switch {
	case len(has) == 0:
		w := c.report("missing-field", p, atLabel, "%s needs %s", where, oneOf(count.fields))
		w.Help = "add " + oneOf(count.fields)
	case count.exactly && len(has) > 1:
		w := c.report("conflicting-fields", p, atLabel, "%s has %s: it takes only one of them", where, strings.Join(has, " and "))
		w.Help = "keep one of " + oneOf(count.fields)
	}
}

// unknownField reports a field that the shape does not have, and returns the
// field that was probably meant.
func (c *checker) unknownField(k string, m map[string]any, s *shape, at valuePath) string {
	var free []string
	for name := range s.fields {
		if _, taken := m[name]; !taken {
			free = append(free, name)
		}
	}
	where := at[:len(at)-1].name()
	if where == "" {
		where = "an automation"
		if len(at) < 2 || at[0] != "automations" {
			where = "the project file"
		}
	}
	w := c.report("unknown-field", at, atLabel, "%s has no field %q", where, k)
	if near := nearest(k, free); near != "" {
		w.Suggestion, w.Help = near, didYouMean(near)
		return near
	}
	for _, inner := range []string{"payload", "traits", "properties"} {
		f, ok := s.fields[inner]
		if !ok {
			continue
		}
		if _, ok := f.shape.fields[k]; ok {
			w.Suggestion = inner + "." + k
			w.Help = fmt.Sprintf("%s belongs in %s: write %s: %s: ...", k, inner, inner, k)
			return ""
		}
		if f.shape.open && inner != "payload" {
			w.Help = fmt.Sprintf("fields of your own go into %s: %s: ...", inner, k)
			return ""
		}
	}
	w.Help = "its fields are " + oneOf(sorted(s.fields))
	return ""
}

// fieldName checks the name of a field that the author chose.
func (c *checker) fieldName(k string, at valuePath) {
	if strings.Contains(k, "{{") {
		w := c.report("misplaced-placeholder", at, atLabel, "a placeholder can't stand in a field's name: it would be sent as it is")
		w.Help = "give the field a fixed name and put the placeholder into its value"
	}
}

// union accepts what one of the alternatives accepts; else it reports what is
// wrong with the alternative that the value comes nearest to.
func (c *checker) union(v any, s *shape, p valuePath) {
	var best []finding
	fits := false
	for _, alt := range s.alts {
		sub := &checker{catalog: c.catalog, trigger: c.trigger, templates: c.templates}
		sub.value(v, alt, p)
		if !slices.ContainsFunc(sub.found, func(f finding) bool { return f.Severity == diagnostic.Error }) {
			c.found = append(c.found, sub.found...)
			return
		}
		if ok := fitsKind(v, alt); ok && (!fits || len(sub.found) < len(best)) {
			best, fits = sub.found, true
		}
	}
	if m, ok := v.(map[string]any); ok && !fits {
		if either := eitherStruct(s.alts); either != nil {
			c.structure(m, either, p)
			return
		}
	}
	if !fits {
		c.wrongType(v, s, p)
		return
	}
	c.found = append(c.found, best...)
}

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

func (c *checker) wrongType(v any, s *shape, p valuePath) {
	w := c.report("wrong-type", p, atValue, "%s must be %s, got %s", p.name(), s, describe(v))
	text, isText := v.(string)
	switch {
	case isText && fitsKind(json.Number("0"), s) && isNumber(text):
		w.Help = "write " + text + " without quotes"
		w.Suggestion = text
	case isText && fitsKind(true, s) && (text == "true" || text == "false"):
		w.Help = "write " + text + " without quotes"
		w.Suggestion = text
	case s.kind == textShape && !isText:
		switch v.(type) {
		case json.Number, bool:
			w.Suggestion = strconv.Quote(fmt.Sprint(v))
			w.Help = "write " + w.Suggestion + " with quotes"
		}
	case v == nil:
		w.Help = "give it a value, or leave the field out"
	}
}

var numberText = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func isNumber(s string) bool { return numberText.MatchString(s) }

// scalar checks a text, number, boolean, time, date or null.
func (c *checker) scalar(v any, s *shape, p valuePath) {
	if text, ok := v.(string); ok {
		if s.kind != nullShape {
			c.text(text, s, p)
			return
		}
	}
	if !fitsKind(v, s) || s.kind == textShape || s.kind == timeShape || s.kind == dateShape {
		c.wrongType(v, s, p)
		return
	}
	if n, ok := v.(json.Number); ok {
		c.number(n, p)
		c.bounds(n, s, p)
	}
}

func (c *checker) bounds(n json.Number, s *shape, p valuePath) {
	if s.kind != integerShape {
		return
	}
	i, err := strconv.ParseInt(n.String(), 10, 64)
	switch {
	case err != nil:
		if r, ok := new(big.Rat).SetString(n.String()); !ok || !r.IsInt() {
			c.wrongType(n, s, p)
		}
	case s.min != nil && i < *s.min:
		c.report("out-of-range", p, atValue, "%s must be at least %d, got %d", p.name(), *s.min, i)
	case s.max != nil && i > *s.max:
		c.report("out-of-range", p, atValue, "%s must be at most %d, got %d", p.name(), *s.max, i)
	}
}

// number checks that a number arrives as it is written: JSON readers, and RFC
// 8785 with them, take numbers for IEEE 754 doubles.
func (c *checker) number(n json.Number, p valuePath) {
	if len(n) < 16 && !strings.ContainsAny(n.String(), "eE") {
		return
	}
	f, err := n.Float64()
	if err == nil {
		exact, ok1 := new(big.Rat).SetString(n.String())
		shortest, ok2 := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
		if ok1 && ok2 && exact.Cmp(shortest) == 0 {
			return
		}
	}
	w := c.report("number-precision", p, atValue, "%s is a number that JSON readers can't hold exactly: %s", p.name(), n)
	w.Help = "write it as a text, with quotes"
}

// text checks a text: its placeholders, and its content where it has none.
func (c *checker) text(v string, s *shape, p valuePath) {
	if strings.ContainsAny(v, "{}") && c.template(v, s, p) {
		return
	}
	switch s.kind {
	case numberShape, integerShape, booleanShape:
		c.wrongType(v, s, p)
	case timeShape, dateShape:
		c.time(v, s, p)
	case textShape:
		c.plainText(v, s, p)
	}
}

// plainText checks a text without placeholders.
func (c *checker) plainText(v string, s *shape, p valuePath) {
	switch {
	case s.nonEmpty && strings.TrimSpace(v) == "":
		w := c.report("empty-value", p, atValue, "%s must not be empty", p.name())
		w.Help = "give it a value"
	case len(s.consts) > 0 && !slices.Contains(s.consts, v):
		w := c.report("invalid-value", p, atValue, "%s must be %s, got %q", p.name(), s, v)
		if near := nearest(v, s.consts); near != "" {
			w.Suggestion, w.Help = near, didYouMean(strconv.Quote(near))
		}
	case s.pattern != nil && !s.pattern.MatchString(v):
		c.report("invalid-value", p, atValue, "%s does not have the form that it needs: %q", p.name(), v).Help = patternHelp(p)
	case s.maxRunes > 0 && utf8.RuneCountInString(v) > s.maxRunes:
		w := c.report("too-long", p, atValue, "%s has %d characters, and the longest that Segment takes is %d", p.name(), utf8.RuneCountInString(v), s.maxRunes)
		w.Help = "shorten it"
	}
}

// patternHelp says in words what the pattern of a field of segue.cue asks for.
func patternHelp(p valuePath) string {
	switch p[len(p)-1] {
	case "project":
		return "use lower-case letters, digits and hyphens, as in growth-eu"
	case "endpoint", "url":
		return "write an absolute URL, as in https://events.example.com/v1"
	case "timeout":
		return `write a duration, as in "30s" or "2m"`
	case "secret":
		return "use letters, digits and underscores, as in SEGMENT_WRITE_KEY"
	default:
		return ""
	}
}

const timeExample = "2026-03-14T09:26:53Z"

// time checks an instant or a date: its form, and that it exists.
func (c *checker) time(v string, s *shape, p valuePath) {
	_, err := time.Parse(time.RFC3339Nano, v)
	if err == nil {
		return
	}
	example := timeExample
	if s.kind == dateShape {
		example += " or 2026-03-14"
		if _, err = time.Parse(time.DateOnly, v); err == nil {
			return
		}
	}
	if y, m, ok := noSuchDay(v); ok {
		w := c.report("invalid-time", p, atValue, "%s is a day that does not exist: %q", p.name(), v)
		w.Help = fmt.Sprintf("%s %d has %d days", time.Month(m), y, time.Date(y, time.Month(m)+1, 0, 0, 0, 0, 0, time.UTC).Day())
		return
	}
	w := c.report("invalid-time", p, atValue, "%s is not a time as ISO 8601 writes it: %q", p.name(), v)
	w.Help = "write it as in " + example
}

var datePrefix = regexp.MustCompile(`^(\d{4})-(\d{2})-(\d{2})`)

// noSuchDay reports whether a text starts with a day that its month does not have.
func noSuchDay(v string) (year, month int, ok bool) {
	m := datePrefix.FindStringSubmatch(v)
	if m == nil {
		return 0, 0, false
	}
	year, _ = strconv.Atoi(m[1])
	month, _ = strconv.Atoi(m[2])
	_, err := time.Parse(time.DateOnly, m[0])
	return year, month, err != nil && month >= 1 && month <= 12
}

// String says what a shape asks for: "a number".
func (s *shape) String() string {
	switch s.kind {
	case textShape:
		if len(s.consts) > 0 {
			quoted := make([]string, len(s.consts))
			for i, v := range s.consts {
				quoted[i] = strconv.Quote(v)
			}
			return oneOf(quoted)
		}
		return "a text"
	case numberShape:
		return "a number"
	case integerShape:
		return "a whole number"
	case booleanShape:
		return "true or false"
	case timeShape:
		return "a time"
	case dateShape:
		return "a date or a time"
	case nullShape:
		return "null"
	case structShape:
		return "a struct"
	case listShape:
		return "a list"
	case unionShape:
		var names []string
		for _, alt := range s.alts {
			if n := alt.String(); !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
		return oneOf(names)
	default:
		return "a value"
	}
}

// describe says what a value is: `the text "12"`.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		if utf8.RuneCountInString(v) > 40 {
			v = string([]rune(v)[:40]) + "…"
		}
		return "the text " + strconv.Quote(v)
	case json.Number:
		return "the number " + v.String()
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "a list"
	case map[string]any:
		return "a struct"
	default:
		return "null"
	}
}

// firstSentence returns the start of a field's comment, for a remedy.
func firstSentence(f *fieldShape) string {
	doc := strings.Join(strings.Fields(f.doc), " ")
	if i := strings.Index(doc, ". "); i >= 0 {
		doc = doc[:i]
	}
	doc = strings.TrimSuffix(doc, ".")
	if doc == "" {
		return f.shape.String()
	}
	return strings.ToLower(doc[:1]) + doc[1:]
}

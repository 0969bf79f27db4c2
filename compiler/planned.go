package compiler

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
)

// planBlocks are the parts of a message that a tracking plan speaks of, by call.
var planBlocks = map[string]string{"track": "properties", "identify": "traits", "group": "traits"}

// checkPlan compares a message with the project's tracking plan.
func (m *message) checkPlan(payload any) {
	fields, ok := payload.(map[string]any)
	block := planBlocks[m.call]
	if m.plan == nil || !ok || block == "" {
		return
	}
	c := &planCheck{checker: &m.checker, plan: m.plan, said: map[string]bool{}}
	for _, f := range m.found {
		if f.Severity == diagnostic.Error {
			c.said[f.path.String()] = true
		}
	}
	at := m.at.with("payload")
	p := m.plan.traits[m.call]
	if m.call == "track" {
		if p, ok = c.event(fields["event"], at.with("event")); !ok {
			return
		}
	}
	if p == nil {
		return // anything goes
	}
	if v, ok := fields[block]; ok {
		c.value(v, p, at.with(block))
		return
	}
	for at := range c.said {
		if strings.HasPrefix(at, m.at.with("payload").String()+".") {
			return // what is wrong there may be the block
		}
	}
	var lacks []string
	for _, name := range sorted(p.fields) {
		if p.fields[name].required {
			lacks = append(lacks, name)
		}
	}
	if len(lacks) > 0 && !c.said[at.String()] && !c.partial[at.String()] {
		w := c.report("missing-property", at, atLabel, "%s has no %s, and in the tracking plan %s", at.name(), block, required(lacks))
		w.Help, w.lacks = fmt.Sprintf("add %s: {%s: ...}", block, lacks[0]), []valuePath{at.with(block)}
		w.Related = c.related(p.fields[lacks[0]])
	}
}

func required(names []string) string {
	if len(names) == 1 {
		return names[0] + " is required"
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1] + " are required"
}

// A planCheck compares one message with the tracking plan.
type planCheck struct {
	*checker
	plan *trackingPlan
	// said are the paths that have an error already: one mistake, one finding.
	said map[string]bool
}

// event looks up what is planned for an event; ok is false if there is nothing
// to compare the properties with.
func (c *planCheck) event(v any, at valuePath) (p *planned, ok bool) {
	name, isText := v.(string)
	if !isText || c.plan.anyEvent || c.said[at.String()] {
		return nil, false
	}
	if t, _ := automation.ParseTemplate(name); c.templates && len(t.References()) > 0 {
		// Not an error, for the values may well be planned events. But whoever
		// keeps a plan relies on it to be complete, and so wants to know of a
		// message that it does not cover. Without a plan there is no warning:
		// checkPlan does not come here.
		w := c.report("unchecked-event", at, atValue, "the tracking plan can't be checked: the name of the event is known only when it is sent")
		w.Severity, w.Help = diagnostic.Warning, "write one automation for each event, with its name in the code"
		return nil, false
	}
	if p, ok = c.plan.events[name]; ok {
		return p, true
	}
	w := c.report("unplanned-event", at, atValue, "the event %q is not in the tracking plan", name)
	if near := closest(name, c.plan.events, nil); near != "" {
		w.Suggestion, w.Help, w.repair = near, didYouMean(near), quoted(near)
	} else if len(c.plan.events) > 0 {
		w.Help = "add it to the plan, or send one of its events: " + oneOf(sorted(c.plan.events))
	} else {
		w.Help = "add it to the plan, which has no events yet"
	}
	return nil, false
}

// related points to the plan.
func (c *planCheck) related(p *planned) []diagnostic.Related {
	if p.place.File == "" {
		return nil
	}
	return []diagnostic.Related{p.place}
}

// value compares a value, which is decoded JSON or broken, with what is planned.
func (c *planCheck) value(v any, p *planned, at valuePath) {
	if _, ok := v.(broken); ok || p == nil || c.said[at.String()] {
		return
	}
	before := len(c.found)
	switch v := v.(type) {
	case map[string]any:
		if p.kinds&cue.StructKind == 0 {
			c.wrong(v, p, at)
		} else if p.fields != nil && (p.kinds == cue.StructKind || p.kinds == cue.TopKind) {
			c.structure(v, p, at)
		}
	case []any:
		if p.kinds&cue.ListKind == 0 {
			c.wrong(v, p, at)
		} else if p.elem != nil {
			for i, e := range v {
				c.value(e, p.elem, at.with(i))
			}
		}
	case string:
		c.plannedText(v, p, at)
	default:
		if !p.allows(v) {
			c.wrong(v, p, at)
		}
	}
	if len(c.found) == before && !p.exact && !c.brokenWithin(v, at) && !c.accepts(p, v) {
		c.wrong(v, p, at)
	}
}

// brokenWithin reports whether a value holds something that has an error
// already, so that nothing can be said of it as a whole.
func (c *planCheck) brokenWithin(v any, at valuePath) bool {
	switch v := v.(type) {
	case broken:
		return true
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return c.brokenWithin(e, nil) }) || c.saidBelow(at)
	case map[string]any:
		for _, e := range v {
			if c.brokenWithin(e, nil) {
				return true
			}
		}
		return c.saidBelow(at)
	}
	return false
}

func (c *planCheck) saidBelow(at valuePath) bool {
	if at == nil {
		return false
	}
	prefix := at.String()
	for path := range c.said {
		if rest, ok := strings.CutPrefix(path, prefix); ok && rest != "" && (rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// allows reports whether a number, a boolean or null is of a planned type.
func (p *planned) allows(v any) bool {
	switch v := v.(type) {
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return p.kinds&cue.FloatKind != 0
		}
		return p.kinds&cue.IntKind != 0
	case bool:
		return p.kinds&cue.BoolKind != 0
	default:
		return p.kinds&cue.NullKind != 0
	}
}

func (c *planCheck) structure(m map[string]any, p *planned, at valuePath) {
	meant := map[string]bool{} // fields that a misspelt one stands for
	for _, k := range sorted(m) {
		if f, ok := p.fields[k]; ok {
			c.value(m[k], f, at.with(k))
			continue
		}
		if !p.open && !c.said[at.with(k).String()] && !c.plan.allowsField(p, k) {
			meant[c.unplanned(k, m, p, at.with(k))] = true
		}
	}
	for _, k := range sorted(p.fields) {
		f := p.fields[k]
		if _, ok := m[k]; ok || !f.required || meant[k] || c.partial[at.String()] {
			continue
		}
		w := c.report("missing-property", at, atLabel, "%s is missing, and the tracking plan requires it", at.with(k).name())
		w.Help = "add " + k + ": " + f.String()
		if f.doc != "" {
			w.Help += ", " + firstSentence(&fieldShape{doc: f.doc, shape: &shape{}})
		}
		w.Related = c.related(f)
	}
}

// unplanned reports a field that the plan does not have, and returns the one that
// was probably meant.
func (c *planCheck) unplanned(k string, m map[string]any, p *planned, at valuePath) string {
	w := c.report("unplanned-property", at, atLabel, "%s is not in the tracking plan", at.name())
	w.Related = c.related(p)
	switch near := closest(k, p.fields, m); {
	case near != "":
		w.Suggestion, w.Help = near, didYouMean(near)
		if c.fitsPlan(m[k], p.fields[near], at) {
			w.repair = &repair{how: rename, text: near}
		}
		return near
	case len(p.fields) > 0:
		w.Help = "add it to the plan, or leave it out; the plan has " + oneOf(sorted(p.fields))
	default:
		w.Help = "add it to the plan, or leave it out; the plan has nothing here"
	}
	return ""
}

// plannedText compares a text. What a placeholder stands for is known by its
// type only: a lone one may become any text that is asked for.
func (c *planCheck) plannedText(v string, p *planned, at valuePath) {
	t, err := automation.ParseTemplate(v)
	if !c.templates || err == nil && len(t.References()) == 0 {
		if p.kinds&cue.StringKind == 0 || p.texts != nil && p.exact && !slices.Contains(p.texts, v) {
			c.wrong(v, p, at)
		}
		return
	}
	if err != nil {
		return // a finding of its own
	}
	ref, lone := t.Lone()
	kind := cue.StringKind
	switch {
	case lone && ref.Cast == automation.CastNumber:
		kind = cue.NumberKind
	case lone && ref.Cast == automation.CastBoolean:
		kind = cue.BoolKind
	}
	switch {
	case p.kinds&kind == 0:
		c.wrongPlaceholder(v, ref, lone, kind, p, at)
	case kind == cue.StringKind && !lone && p.texts != nil && p.exact && !slices.ContainsFunc(p.texts, func(s string) bool { return canBecome(t, s) }):
		c.wrong(v, p, at)
	}
}

// canBecome reports whether a template with several parts may become a text.
func canBecome(t automation.Template, s string) bool {
	texts := t.Texts()
	first, last := texts[0], texts[len(texts)-1]
	return len(s) >= len(first)+len(last) && strings.HasPrefix(s, first) && strings.HasSuffix(s, last)
}

// wrongPlaceholder reports a placeholder whose value is of another type than is
// planned.
func (c *planCheck) wrongPlaceholder(v string, ref automation.Reference, lone bool, kind cue.Kind, p *planned, at valuePath) {
	if !lone {
		c.wrong(v, p, at)
		return
	}
	entry := c.catalog[ref.Name]
	w := c.report("planned-type", at, atValue, "%s must be %s in the tracking plan, and {{%s}} is sent as %s", at.name(), p, ref.Name, kindName(kind))
	partOf(w, v, ref.Offset, ref.Length)
	w.Related = c.related(p)
	better := ref
	want := automation.StringValue
	switch {
	case p.kinds&cue.StringKind != 0:
		better.Cast = automation.NoCast
	case p.kinds&cue.NumberKind != 0 && entry.Type == automation.NumberValue:
		better.Cast = automation.CastNumber
	case p.kinds&cue.BoolKind != 0 && entry.Type == automation.BooleanValue:
		better.Cast = automation.CastBoolean
	case p.kinds&cue.NumberKind != 0:
		want = automation.NumberValue
	case p.kinds&cue.BoolKind != 0:
		want = automation.BooleanValue
	}
	if better.Cast != ref.Cast {
		w.Suggestion, w.Help = better.String(), fmt.Sprintf("write %q", better.String())
		w.repair = &repair{how: rewrite, text: better.String()}
		return
	}
	w.Help = "write " + p.String()
	if near := c.ofType(want); near != "" && want != automation.StringValue {
		w.Help = "use " + near + " with a cast, or write " + p.String()
	}
}

// wrong reports a value that is not what is planned.
func (c *planCheck) wrong(v any, p *planned, at valuePath) {
	w := c.report("planned-type", at, atValue, "%s must be %s in the tracking plan, got %s", at.name(), p, describe(v))
	w.Related = c.related(p)
	w.Help = "write " + p.String() + ", or change the plan"
	_, isStruct := v.(map[string]any)
	_, isList := v.([]any)
	if isStruct && p.kinds&cue.StructKind != 0 || isList && p.kinds&cue.ListKind != 0 {
		w.Message, w.Help = at.name()+" does not fit what the tracking plan says of it", "compare it with the plan"
	}
	if s, ok := v.(string); ok {
		if near := Nearest(s, p.texts); near != "" {
			w.Suggestion, w.Help, w.repair = near, didYouMean(near), quoted(near)
		} else if p.kinds&(cue.NumberKind|cue.StringKind) == cue.NumberKind && isNumber(s) {
			w.Suggestion, w.Help, w.repair = s, "write "+s+" without quotes", &repair{how: replace, text: s}
		}
	}
}

// String says what is planned, in words: a text, "csv" or "pdf".
func (p *planned) String() string {
	var names []string
	for _, s := range p.texts {
		names = append(names, fmt.Sprintf("%q", s))
	}
	kinds := p.kinds
	if p.texts != nil {
		kinds &^= cue.StringKind
	}
	if kinds&cue.NumberKind == cue.NumberKind {
		names, kinds = append(names, kindName(cue.NumberKind)), kinds&^cue.NumberKind
	}
	for _, k := range []cue.Kind{cue.StringKind, cue.IntKind, cue.FloatKind, cue.BoolKind, cue.StructKind, cue.ListKind, cue.NullKind} {
		if kinds&k != 0 && p.kinds != cue.TopKind {
			names = append(names, kindName(k))
		}
	}
	if len(names) == 0 {
		return "a value"
	}
	out := oneOf(names)
	if !p.exact && p.kinds&(cue.StructKind|cue.ListKind) == 0 {
		// What else the plan asks for is in the team's own words.
		text := uintPattern.ReplaceAllString(strings.Join(strings.Fields(fmt.Sprint(p.value)), " "), ">=0")
		if len(text) <= 80 {
			out += " that fits " + text
		}
	}
	return out
}

// uintPattern is how CUE prints a whole number that is not negative.
var uintPattern = regexp.MustCompile(`\buint\b`)

// kindName is a type in words.
func kindName(k cue.Kind) string {
	switch k {
	case cue.StringKind:
		return "a text"
	case cue.IntKind:
		return "a whole number"
	case cue.NumberKind, cue.FloatKind:
		return "a number"
	case cue.BoolKind:
		return "true or false"
	case cue.NullKind:
		return "null"
	case cue.ListKind:
		return "a list"
	default:
		return "a struct"
	}
}

// allowsField reports whether a struct of the plan takes a field that it does
// not name.
func (t *trackingPlan) allowsField(p *planned, name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return p.value.Allows(cue.Str(name))
}

// accepts reports whether CUE takes a value for what is planned.
func (c *planCheck) accepts(p *planned, v any) bool {
	text, known := c.cueText(v)
	q := planQuestion{planned: p, value: text}
	c.plan.mu.Lock()
	defer c.plan.mu.Unlock()
	fits, asked := c.plan.fits[q]
	if !asked {
		fits = p.value.Unify(c.plan.context.CompileString(text)).Validate(cue.Concrete(known)) == nil
		c.plan.fits[q] = fits
	}
	return fits
}

// cueText writes a value as CUE: JSON, with the type of what is not known yet in
// the place of a text with placeholders. known says that there is none of these.
func (c *planCheck) cueText(v any) (text string, known bool) {
	switch v := v.(type) {
	case string:
		t, err := automation.ParseTemplate(v)
		if !c.templates || err == nil && len(t.References()) == 0 {
			break
		}
		switch ref, lone := t.Lone(); {
		case lone && ref.Cast == automation.CastNumber:
			return "number", false
		case lone && ref.Cast == automation.CastBoolean:
			return "bool", false
		}
		return "string", false
	case []any:
		known = true
		items := make([]string, len(v))
		for i, e := range v {
			item, ok := c.cueText(e)
			items[i], known = item, known && ok
		}
		return "[" + strings.Join(items, ",") + "]", known
	case map[string]any:
		known = true
		var fields []string
		for _, k := range sorted(v) {
			field, ok := c.cueText(v[k])
			fields, known = append(fields, jsonText(k)+":"+field), known && ok
		}
		return "{" + strings.Join(fields, ",") + "}", known
	}
	return jsonText(v), true
}

// jsonText writes a scalar as JSON, which is CUE as well.
func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "_|_" // never: the value was JSON
	}
	return string(b)
}

package message

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/check"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/diagnostic"
)

// planBlocks are the parts of a message that a tracking plan speaks of, by call.
var planBlocks = map[string]string{"track": "properties", "identify": "traits", "group": "traits", "page": "properties",
	"screen": "properties"}

// Sent checks a message as it is sent, without placeholders: its ids, and its values against a
// tracking plan, nil for none. at is the path of its automation.
func Sent(plan *config.TrackingPlan, call string, payload any, at finding.Path) []finding.Finding {
	m := &Checked{Unchecked: Unchecked{Plan: plan, At: at}, Call: call}
	fields, _ := payload.(map[string]any)
	ids := slices.DeleteFunc(m.checkEmptyIDs(fields, at.With("payload")),
		func(f finding.Finding) bool { return !finding.IsError(f) })
	return append(ids, m.planned(payload, false)...)
}

// checkPlan compares the message with the project's tracking plan.
func (m *Checked) checkPlan() findings {
	found := m.planned(m.payload, true)
	m.planWins(found)
	return found
}

// planned compares a message with the project's tracking plan. templates says that it
// may hold placeholders.
func (m *Checked) planned(payload any, templates bool) findings {
	fields, ok := payload.(map[string]any)
	block := planBlocks[m.Call]
	if m.Plan == nil || !ok || m.Call == "http" {
		return nil
	}
	c := planCheck{Rules: m.rules(templates), plan: m.Plan, said: map[string]bool{}}
	for _, f := range m.Found {
		if finding.IsError(f) {
			c.said[f.At.String()] = true
		}
	}
	at := m.At.With("payload")
	p := m.Plan.Traits[m.Call]
	if m.Call == "track" {
		var found findings
		if p, found, ok = c.event(fields, at); !ok {
			return found
		}
	}
	return withoutRepeats(append(c.byCUE(fields, block, p, at), c.byRules(m.Call, fields, at)...))
}

// withoutRepeats leaves out what is found twice, where a plan in CUE and its files say the
// same.
func withoutRepeats(found findings) findings {
	seen := map[string]bool{}
	return slices.DeleteFunc(found, func(f finding.Finding) bool {
		id := f.Code + " " + f.At.String() + " " + lacked(f)
		defer func() { seen[id] = true }()
		return seen[id]
	})
}

// lacked is the field that a finding says is missing.
func lacked(f finding.Finding) string {
	if len(f.Lacks) == 0 {
		return ""
	}
	return f.Lacks[0].String()
}

// byCUE compares a message with what segue.cue itself plans.
func (c planCheck) byCUE(fields map[string]any, block string, p *config.PlanValue, at finding.Path) findings {
	if p == nil || block == "" {
		return nil // anything goes
	}
	if v, ok := fields[block]; ok {
		return c.value(v, p, at.With(block))
	}
	if c.saidBelow(at) {
		return nil // what is wrong there may be the block
	}
	var lacks []string
	for _, name := range finding.SortedKeys(p.Fields) {
		if p.Fields[name].Required {
			lacks = append(lacks, name)
		}
	}
	if len(lacks) == 0 || c.said[at.String()] || c.Partial[at.String()] {
		return nil
	}
	return findings{noBlock(block, lacks, p.Fields[lacks[0]], at)}
}

// noBlock reports a message without properties or traits, of which some are required.
func noBlock(block string, lacks []string, first *config.PlanValue, at finding.Path) finding.Finding {
	w := finding.Newf("missing-property", at, finding.AtLabel,
		"%s has no %s, and in the tracking plan %s", at.Name(), block, required(lacks))
	w.Help, w.Lacks = fmt.Sprintf("add %s: {%s: ...}", block, lacks[0]), []finding.Path{at.With(block)}
	w.Related = related(first)
	return w
}

func required(names []string) string {
	if len(names) == 1 {
		return names[0] + " is required"
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1] + " are required"
}

// A planCheck compares one message with the tracking plan.
type planCheck struct {
	check.Rules
	plan *config.TrackingPlan
	// said are the paths that have an error already: one mistake, one finding.
	said map[string]bool
}

// event looks up what is planned for an event; ok is false if there is nothing
// to compare the message with.
func (c planCheck) event(fields map[string]any, at finding.Path) (p *config.PlanValue, found findings, ok bool) {
	name, isString := fields["event"].(string)
	where := at.With("event")
	if c.plan.AnyEvent {
		return nil, nil, true
	}
	if !isString || c.said[where.String()] && !c.plan.Has(name) {
		return nil, nil, false
	}
	if t, _ := automation.ParseTemplate(name); c.Templates && len(t.References()) > 0 {
		// Not an error, for the values may well be planned events. But whoever
		// keeps a plan relies on it to be complete, and so wants to know of a
		// message that it does not cover. Without a plan there is no warning:
		// checkPlan does not come here.
		w := finding.Newf("unchecked-event", where, finding.AtValue,
			"the tracking plan can't be checked: the name of the event is known only when it is sent")
		w.Help = "write one automation for each event, with its name in the code"
		return nil, findings{w}, false
	}
	if c.plan.Has(name) {
		found, ok = c.version(name, fields, at)
		return c.plan.Events[name], found, ok
	}
	w := finding.Newf("unplanned-event", where, finding.AtValue, "the event %q is not in the tracking plan", name)
	events := c.plan.EventNames()
	if near := finding.Nearest(name, events); near != "" {
		w.Suggestion, w.Help, w.Repair = near, finding.DidYouMean(near), finding.Quoted(near)
	} else if len(events) > 0 {
		w.Help = "add it to the plan, or send one of its events: " + finding.OneOf(events)
	} else {
		w.Help = "add it to the plan, which has no events yet"
	}
	return nil, findings{w}, false
}

// related points to the plan.
func related(p *config.PlanValue) []diagnostic.Related {
	if p == nil || p.Place.File == "" {
		return nil
	}
	return []diagnostic.Related{p.Place}
}

// value compares a value, which is decoded JSON or broken, with what is planned.
func (c planCheck) value(v any, p *config.PlanValue, at finding.Path) (found findings) {
	if _, ok := v.(shape.Broken); ok || p == nil || c.said[at.String()] {
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		if p.Kinds&config.ObjectKind == 0 {
			return findings{wrong(v, p, at)}
		} else if p.Fields != nil && (p.Kinds == config.ObjectKind || p.Kinds == config.AnyKind) {
			found = c.structure(v, p, at)
		}
	case []any:
		if p.Kinds&config.ListKind == 0 {
			return findings{wrong(v, p, at)}
		} else if p.Elem != nil {
			for i, e := range v {
				found = append(found, c.value(e, p.Elem, at.With(i))...)
			}
		}
	case string:
		found = c.plannedText(v, p, at)
	default:
		if !p.Allows(v) {
			return findings{wrong(v, p, at)}
		}
	}
	if len(found) == 0 && !p.Exact && !c.brokenWithin(v, at) && !c.accepts(p, v) {
		return findings{wrong(v, p, at)}
	}
	return found
}

// brokenWithin reports whether a value holds something that has an error
// already, so that nothing can be said of it as a whole.
func (c planCheck) brokenWithin(v any, at finding.Path) bool {
	switch v := v.(type) {
	case shape.Broken:
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

func (c planCheck) saidBelow(at finding.Path) bool {
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

func (c planCheck) structure(m map[string]any, p *config.PlanValue, at finding.Path) (found findings) {
	meant := map[string]bool{} // fields that a misspelt one was meant to be
	for _, k := range finding.SortedKeys(m) {
		if f, ok := p.Fields[k]; ok {
			found = append(found, c.value(m[k], f, at.With(k))...)
			continue
		}
		if !p.Open && !c.said[at.With(k).String()] && !c.plan.Judge.AllowsField(p, k) {
			w, near := c.unplanned(k, m, p, at.With(k))
			found = append(found, w)
			meant[near] = true
		}
	}
	for _, k := range finding.SortedKeys(p.Fields) {
		f := p.Fields[k]
		if _, ok := m[k]; ok || !f.Required || meant[k] || c.Partial[at.String()] {
			continue
		}
		found = append(found, missing(k, f, at))
	}
	return found
}

// missing reports a field that is required.
func missing(name string, planned *config.PlanValue, at finding.Path) finding.Finding {
	w := finding.Newf("missing-property", at, finding.AtLabel, "%s is missing, and the tracking plan requires it",
		at.With(name).Name())
	w.Help = "add " + name + ": " + planned.String()
	if len(planned.Lacks) > 0 {
		w.Help += " with " + strings.Join(planned.Lacks, ", ")
	}
	if planned.Doc != "" {
		w.Help += ", " + shape.FirstSentence(&shape.Field{Doc: planned.Doc, Shape: &shape.Shape{}})
	}
	w.Related, w.Lacks = related(planned), []finding.Path{at.With(name)}
	return w
}

// unplanned makes the finding about a field that the plan does not have, and returns
// the one that was probably meant.
func (c planCheck) unplanned(
	k string, m map[string]any, p *config.PlanValue, at finding.Path,
) (w finding.Finding, meant string) {
	w = finding.Newf("unplanned-property", at, finding.AtLabel, "%s is not in the tracking plan", at.Name())
	w.Related = related(p)
	switch near := config.Closest(k, p.Fields, m); {
	case near != "":
		w.Suggestion, w.Help = near, finding.DidYouMean(near)
		if len(c.value(m[k], p.Fields[near], at)) == 0 {
			w.Repair = &finding.Repair{How: finding.RenameField, Text: near}
		}
		return w, near
	case len(p.Fields) > 0:
		w.Help = "add it to the plan, or leave it out; the plan has " + finding.OneOf(finding.SortedKeys(p.Fields))
	default:
		w.Help = "add it to the plan, or leave it out; the plan has nothing here"
	}
	return w, ""
}

// plannedText compares a string. The value of a placeholder is known by its type only: a
// lone one may become any string that is asked for.
func (c planCheck) plannedText(v string, p *config.PlanValue, at finding.Path) findings {
	t, err := automation.ParseTemplate(v)
	if !c.Templates || err == nil && len(t.References()) == 0 {
		if p.Kinds&config.StringKind == 0 || p.Texts != nil && p.Exact && !slices.Contains(p.Texts, v) {
			return findings{wrong(v, p, at)}
		}
		return nil
	}
	if err != nil {
		return nil // a finding of its own
	}
	ref, lone := t.Lone()
	kind := config.StringKind
	switch {
	case lone && ref.Cast == automation.CastNumber:
		kind = config.NumberKind
	case lone && ref.Cast == automation.CastBoolean:
		kind = config.BooleanKind
	}
	switch {
	case p.Kinds&kind == 0:
		return findings{c.wrongPlaceholder(v, ref, lone, kind, p, at)}
	case kind == config.StringKind && !lone && p.Texts != nil && p.Exact &&
		!slices.ContainsFunc(p.Texts, func(s string) bool { return canBecome(t, s) }):
		return findings{wrong(v, p, at)}
	}
	return nil
}

// canBecome reports whether a template with several parts may become a text.
func canBecome(t automation.Template, s string) bool {
	texts := t.Texts()
	first, last := texts[0], texts[len(texts)-1]
	return len(s) >= len(first)+len(last) && strings.HasPrefix(s, first) && strings.HasSuffix(s, last)
}

// wrongPlaceholder reports a placeholder whose value is of another type than is
// planned.
func (c planCheck) wrongPlaceholder(
	v string, ref automation.Reference, lone bool, kind config.Kinds, p *config.PlanValue, at finding.Path,
) finding.Finding {
	if !lone {
		return wrong(v, p, at)
	}
	entry := c.Catalog[ref.Name]
	w := finding.Newf("planned-type", at, finding.AtValue, "%s must be %s in the tracking plan, and {{%s}} is sent as %s",
		at.Name(), p, ref.Name, config.KindName(kind))
	w.In(v, ref.Offset, ref.Length)
	w.Related = related(p)
	better := ref
	want := automation.StringValue
	switch {
	case p.Kinds&config.StringKind != 0:
		better.Cast = automation.NoCast
	case p.Kinds&config.NumberKind != 0 && entry.Type == automation.NumberValue:
		better.Cast = automation.CastNumber
	case p.Kinds&config.BooleanKind != 0 && entry.Type == automation.BooleanValue:
		better.Cast = automation.CastBoolean
	case p.Kinds&config.NumberKind != 0:
		want = automation.NumberValue
	case p.Kinds&config.BooleanKind != 0:
		want = automation.BooleanValue
	}
	if better.Cast != ref.Cast {
		w.Suggestion, w.Help = better.String(), fmt.Sprintf("write %q", better.String())
		w.Repair = &finding.Repair{How: finding.RewriteText, Text: better.String()}
		return w
	}
	w.Help = "write " + p.String()
	if near := c.OfType(want); near != "" && want != automation.StringValue {
		w.Help = "use " + near + " with a cast, or write " + p.String()
	}
	return w
}

// wrong reports a value that is not what is planned.
func wrong(v any, p *config.PlanValue, at finding.Path) finding.Finding {
	w := finding.Newf("planned-type", at, finding.AtValue, "%s must be %s in the tracking plan, got %s", at.Name(), p,
		shape.Describe(v))
	w.Related = related(p)
	w.Help = "write " + p.String() + ", or change the plan"
	_, isStruct := v.(map[string]any)
	_, isList := v.([]any)
	if isStruct && p.Kinds&config.ObjectKind != 0 || isList && p.Kinds&config.ListKind != 0 {
		w.Message, w.Help = at.Name()+" does not fit the tracking plan", "compare it with the plan"
		if p.Constraint != "" {
			w.Message += ", which asks for " + p.Constraint
		}
	}
	if s, ok := v.(string); ok {
		if near := finding.Nearest(s, p.Texts); near != "" {
			w.Suggestion, w.Help, w.Repair = near, finding.DidYouMean(near), finding.Quoted(near)
		} else if p.Kinds&(config.NumberKind|config.StringKind) == config.NumberKind && check.IsNumber(s) {
			w.Suggestion, w.Help, w.Repair = s, "write "+s+" without quotes",
				&finding.Repair{How: finding.ReplaceLiteral, Text: s}
		}
	}
	return w
}

// accepts asks whether a value is what is planned.
func (c planCheck) accepts(p *config.PlanValue, v any) bool {
	text, known := c.cueText(v)
	return c.plan.Judge.Accepts(p, text, known)
}

// cueText writes a value as CUE: JSON, with the type of what is not known yet in
// the place of a text with placeholders. known says that there is none of these.
func (c planCheck) cueText(v any) (text string, known bool) {
	switch v := v.(type) {
	case string:
		t, err := automation.ParseTemplate(v)
		if !c.Templates || err == nil && len(t.References()) == 0 {
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
		for _, k := range finding.SortedKeys(v) {
			field, ok := c.cueText(v[k])
			fields, known = append(fields, JSONText(k)+":"+field), known && ok
		}
		return "{" + strings.Join(fields, ",") + "}", known
	}
	return JSONText(v), true
}

// JSONText writes a scalar as JSON, which is CUE as well.
func JSONText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "_|_" // never: the value was JSON
	}
	return string(b)
}

package message

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
)

// version checks that the version of an event that a message names is one of the plan's.
// ok is false if there is nothing to compare the message with.
func (c planCheck) version(event string, fields map[string]any, at finding.Path) (found findings, ok bool) {
	context, _ := fields["context"].(map[string]any)
	protocols, _ := context["protocols"].(map[string]any)
	given, exists := protocols["event_version"]
	where := at.With("context", "protocols", "event_version")
	if !exists || c.plan.Rules == nil || !c.plan.Rules.Has(event) || c.said[where.String()] {
		return nil, true
	}
	text := ""
	switch given := given.(type) {
	case string:
		text = given
		if t, _ := automation.ParseTemplate(text); c.Templates && len(t.References()) > 0 {
			w := finding.Newf("unchecked-event", where, finding.AtValue,
				"the tracking plan can't be checked: the version of the event is known only when it is sent")
			w.Help = "write the version in the code"
			return findings{w}, false
		}
	case json.Number:
		text = given.String()
	}
	versions := c.plan.Rules.Versions(event)
	if slices.Contains(versions, text) || len(versions) == 1 && versions[0] == "0" {
		return nil, true
	}
	w := finding.Newf("unplanned-event", where, finding.AtValue,
		"the event %q has no version %s in the tracking plan", event, text)
	w.Help = "write one of its versions: " + finding.OneOf(versions)
	return findings{w}, false
}

// byRules compares a message with the rules of the plan's files.
func (c planCheck) byRules(call string, fields map[string]any, at finding.Path) (found findings) {
	if c.plan.Rules == nil {
		return nil
	}
	r := ruleCheck{planCheck: c, fields: fields, at: at, block: planBlocks[call], unknown: map[string]config.Unknown{}}
	payload, _ := r.value(fields, nil).(map[string]any)
	partial := map[string]bool{}
	for path := range c.Partial {
		if rest, ok := strings.CutPrefix(path, at.String()); ok {
			partial[strings.TrimPrefix(rest, ".")] = true
		}
	}
	mismatches := c.plan.Rules.Check(config.PlannedMessage{Call: call, Payload: payload, Unknown: r.unknown,
		Partial: partial})
	for _, m := range mismatches {
		if m.Kind == config.Unplanned {
			found = append(found, r.unplannedField(m))
		}
	}
	return append(found, r.others(mismatches)...)
}

// A ruleCheck is a planCheck by the rules of files.
type ruleCheck struct {
	planCheck
	fields  map[string]any
	at      finding.Path // of the payload
	block   string
	unknown map[string]config.Unknown
	// meant are fields that a misspelt one was meant to be.
	meant []string
}

// value copies a value of the payload, and notes what of it is not known: the values of
// placeholders, and what has an error already.
func (r *ruleCheck) value(v any, at finding.Path) any {
	if _, broken := v.(shape.Broken); broken || len(at) > 0 && r.said[r.full(at).String()] {
		r.unknown[at.String()] = config.Unknown{Kinds: config.AnyKind}
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = r.value(e, at.With(k))
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = r.value(e, at.With(i))
		}
		return out
	case string:
		return r.text(v, at)
	case json.Number, bool, nil:
		return v
	}
	r.unknown[at.String()] = config.Unknown{Kinds: config.AnyKind}
	return nil
}

// text is a string as the rules get it. One with placeholders has any value of its type.
func (r *ruleCheck) text(s string, at finding.Path) any {
	t, err := automation.ParseTemplate(s)
	if !r.Templates || err == nil && len(t.References()) == 0 {
		return s
	}
	if err != nil {
		r.unknown[at.String()] = config.Unknown{Kinds: config.AnyKind} // it has a finding
		return nil
	}
	switch ref, lone := t.Lone(); {
	case lone && ref.Cast == automation.CastNumber:
		r.unknown[at.String()] = config.Unknown{Kinds: config.NumberKind}
		return json.Number("1")
	case lone && ref.Cast == automation.CastBoolean:
		r.unknown[at.String()] = config.Unknown{Kinds: config.BooleanKind}
		return true
	case lone:
		r.unknown[at.String()] = config.Unknown{Kinds: config.StringKind}
	default:
		r.unknown[at.String()] = config.Unknown{Kinds: config.StringKind,
			CanBe: func(other string) bool { return canBecome(t, other) }}
	}
	return s
}

func (r *ruleCheck) full(at finding.Path) finding.Path { return r.at.With(at...) }

// original is the value of the payload at a path below it.
func (r *ruleCheck) original(at finding.Path) any {
	var v any = r.fields
	for _, step := range at {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			list, _ := v.([]any)
			if v = nil; step < len(list) {
				v = list[step]
			}
		}
	}
	return v
}

func (r *ruleCheck) unplannedField(m config.Mismatch) finding.Finding {
	full := r.full(m.At)
	name, isName := m.At[len(m.At)-1].(string)
	around, _ := r.original(m.At[:len(m.At)-1]).(map[string]any)
	if !isName || around == nil {
		w := finding.Newf("unplanned-property", full, finding.AtValue, "%s is not in the tracking plan", full.Name())
		w.Help, w.Related = "add it to the plan, or leave it out", related(m.Want)
		return w
	}
	w, meant := r.unplanned(name, around, m.Want, full)
	if meant != "" {
		r.meant = append(r.meant, m.At[:len(m.At)-1].With(meant).String())
	} else if m.Want.Constraint != "" {
		w.Help = "write a name that the plan allows: see its " + m.Want.Constraint
	}
	return w
}

// others makes findings of the mismatches that are not about fields too many.
func (r *ruleCheck) others(mismatches []config.Mismatch) (found findings) {
	var lacks []string
	var first *config.PlanValue
	for _, m := range mismatches {
		full := r.full(m.At)
		switch m.Kind {
		case config.Missing:
			_, given := r.fields[r.block]
			switch {
			case slices.Contains(r.meant, m.At.With(m.Name).String()) || r.said[full.With(m.Name).String()]:
			case len(m.At) == 1 && m.At[0] == r.block && !given:
				if lacks = append(lacks, m.Name); first == nil {
					first = m.Want
				}
			case !r.Partial[full.String()]:
				w := missing(m.Name, m.Want, full)
				if m.Beside != "" {
					w.Message += " beside " + m.Beside
				}
				found = append(found, w)
			}
		case config.Unfit:
			found = append(found, r.unfit(m, full))
		case config.Unchecked:
			w := finding.Newf("unchecked-property", full, finding.AtValue, "the tracking plan is not checked here: %s", m.Reason)
			w.Help = "see to it that the value is right, and allow this finding with the reason"
			w.Related = related(m.Want)
			found = append(found, w)
		}
	}
	if len(lacks) > 0 && !r.saidBelow(r.at) && !r.said[r.at.String()] && !r.Partial[r.at.String()] {
		found = append(found, noBlock(r.block, lacks, first, r.at))
	}
	return found
}

// unfit reports a value that is not what is planned.
func (r *ruleCheck) unfit(m config.Mismatch, full finding.Path) finding.Finding {
	v := r.original(m.At)
	if s, ok := v.(string); ok && r.Templates {
		t, err := automation.ParseTemplate(s)
		if ref, lone := t.Lone(); err == nil && lone && m.Want.Kinds&r.unknown[m.At.String()].Kinds == 0 {
			return r.wrongPlaceholder(s, ref, lone, r.unknown[m.At.String()].Kinds, m.Want, full)
		}
	}
	if v == nil && len(m.At) == 1 && m.At[0] == r.block {
		w := finding.Newf("missing-property", r.at, finding.AtLabel, "%s has no %s that the tracking plan asks for",
			r.at.Name(), r.block)
		w.Help, w.Related = fmt.Sprintf("add %s: {...}", r.block), related(m.Want)
		return w
	}
	return wrong(v, m.Want, full)
}

// specCodes are those of findings about a type or value that the spec names and Segment
// does not ask for.
var specCodes = map[string]bool{"wrong-type": true, "invalid-value": true, "out-of-range": true, "stray-blanks": true,
	"misspelt-field": true}

// planWins takes back what the spec says of values of which the plan says something else,
// and of the names of planned events. What the plan itself refuses stays.
func (m *Checked) planWins(refused findings) {
	payload, _ := m.payload.(map[string]any)
	if m.Plan == nil || payload == nil || m.Call == "http" {
		return
	}
	event, _ := payload["event"].(string)
	top := m.At.With("payload")
	planned := config.PlannedMessage{Call: m.Call, Payload: payload}
	m.Found = slices.DeleteFunc(m.Found, func(f finding.Finding) bool {
		if !specCodes[f.Code] || len(f.At) <= len(top) || !slices.Equal(f.At[:len(top)], top) {
			return false
		}
		if f.Code == "stray-blanks" {
			return m.Call == "track" && len(f.At) == len(top)+1 && f.At[len(top)] == "event" && m.Plan.Has(event)
		}
		told := hasFinding(refused, f.At)
		if told && f.Code == "misspelt-field" {
			return true // the plan names the field's neighbor, too
		}
		return !finding.IsError(f) && !told && m.Plan.Plans(planned, f.At[len(top):])
	})
}

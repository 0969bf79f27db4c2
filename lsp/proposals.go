package lsp

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/text/currency"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/schema"
)

// placeholders proposes those of the catalog: first those that the trigger provides and the field takes.
func (w *where) placeholders() []proposal {
	project := w.projectView()
	if project == nil {
		return nil
	}
	field := w.field(w.chain)
	var out []proposal
	for _, name := range finding.SortedKeys(project.Catalog) {
		p := project.Catalog[name]
		one := proposal{label: name, kind: kindVariable, detail: shape.TypeWord(p.Type), doc: describePlaceholder(p), rank: "1"}
		switch {
		case w.of.kind != "" && !p.ProvidedBy(w.of.kind):
			one.rank = "3"
			one.detail += ", not provided by a " + string(w.of.kind)
		case field != nil && !fits(p.Type, field.Shape):
			one.rank = "2"
		}
		out = append(out, one)
	}
	return out
}

// fits reports whether a field takes values of a type, with a cast where that is needed.
func fits(t automation.ValueType, s *shape.Shape) bool {
	switch s.Kind {
	case shape.Number, shape.Integer:
		return t == automation.NumberValue
	case shape.Boolean:
		return t == automation.BooleanValue
	case shape.Time, shape.Date:
		return t == automation.TimeValue
	case shape.Text:
		return t == automation.StringValue
	case shape.Union:
		return slices.ContainsFunc(s.Alts, func(alt *shape.Shape) bool { return fits(t, alt) })
	}
	return true
}

// casts proposes casts: first the one for the placeholder's type.
func (w *where) casts(name string) []proposal {
	var of automation.ValueType
	if project := w.projectView(); project != nil {
		of = project.Catalog[name].Type
	}
	var out []proposal
	for _, c := range automation.Casts {
		one := proposal{label: string(c), kind: kindEnum, detail: "sends a " + string(c) + " in place of a string", rank: "2"}
		if string(c) == string(of) {
			one.rank = "1"
		}
		out = append(out, one)
	}
	return out
}

// values proposes the strings that the field at the place takes.
func (w *where) values() []proposal {
	if len(w.chain) == 0 {
		return nil
	}
	var out []proposal
	if w.isProject() {
		out = w.projectValues()
	} else if w.of.node != nil {
		out = w.automationValues()
	}
	if f := w.field(w.chain); f != nil {
		for _, v := range constants(f.Shape) {
			out = append(out, proposal{label: v, kind: kindEnum, doc: paragraph(f.Doc), rank: "1"})
		}
	}
	return out
}

// constants returns the strings that a shape allows, nil if it allows any.
func constants(s *shape.Shape) []string {
	out := slices.Clone(s.Consts)
	for _, alt := range s.Alts {
		out = append(out, constants(alt)...)
	}
	return out
}

// named proposes names.
func named(names []string, kind int, detail string) []proposal {
	var out []proposal
	for _, name := range names {
		out = append(out, proposal{label: name, kind: kind, detail: detail, rank: "1"})
	}
	return out
}

// projectValues proposes strings of segue.cue.
func (w *where) projectValues() []proposal {
	at := labels(w.chain)
	switch last := at[len(at)-1]; {
	case last == "secret":
		return named(w.secretNames(), kindValue, "a secret by its name")
	case last == "defaultTarget":
		return named(w.doc.outline().names("targets"), kindValue, "a target")
	case last == "platform" && at[0] == "targets":
		out := named(config.PlatformKinds, kindEnum, "a platform that segue supports")
		return append(out, named(w.doc.outline().names("platforms"), kindEnum, "a platform that segue.cue describes")...)
	case last == "[]" && at[len(at)-2] == "triggers" && at[0] == "placeholders":
		return named([]string{string(automation.Pattern), string(automation.Journey)}, kindEnum, "a kind of trigger")
	}
	return nil
}

// names returns the labels of the fields in a field of the top level.
func (o *outline) names(field string) []string {
	var out []string
	for _, top := range o.root.children {
		if top.label != field {
			continue
		}
		for _, n := range top.children {
			out = append(out, n.label)
		}
	}
	return out
}

// secretNames returns the names of secrets that the project has.
func (w *where) secretNames() []string {
	seen := map[string]bool{}
	if p := w.projectView(); p != nil {
		for name := range p.Secrets {
			seen[name] = true
		}
		for _, s := range p.Sources {
			seen[s.WriteKey.Name] = true
		}
		for _, t := range p.Targets {
			for _, ref := range []config.SecretRef{t.Token, t.APIKey, t.Password, t.ClientKey} {
				seen[ref.Name] = true
			}
			for _, s := range t.Sources {
				seen[s.WriteKey.Name] = true
			}
		}
	}
	delete(seen, "")
	return finding.SortedKeys(seen)
}

// automationValues proposes strings of an automation.
func (w *where) automationValues() []proposal {
	project := w.projectView()
	at := labels(w.chain)[2:]
	if project == nil || len(at) == 0 {
		return nil
	}
	switch {
	case len(at) == 2 && at[0] == "trigger":
		return named(project.Triggers[automation.TriggerKind(at[1])], kindEvent, "a "+at[1]+" of the platform")
	case len(at) == 1 && at[0] == "source":
		return named(finding.SortedKeys(project.Sources), kindValue, "a source of segue.cue")
	case len(at) == 3 && at[0] == "only" && at[1] == "targets":
		return named(finding.SortedKeys(project.Targets), kindValue, "a target of segue.cue")
	case at[0] == "headers" && at[len(at)-1] == "secret":
		return named(w.secretNames(), kindValue, "a secret by its name")
	case len(at) == 2 && at[0] == "headers" && strings.EqualFold(at[1], "Content-Type"):
		return named([]string{"application/json"}, kindValue, "")
	case len(at) == 2 && at[0] == "payload" && at[1] == "event" && w.of.call == "track":
		return w.events(project)
	case len(at) == 3 && at[1] == "properties" && at[2] == "currency":
		return named(currencies(), kindValue, "a currency of ISO 4217")
	case len(at) == 3 && at[1] == "context" && at[2] == "channel":
		return named([]string{"server", "browser", "mobile"}, kindValue, "")
	}
	return nil
}

// currencies returns the codes of the currencies that are in use.
var currencies = sync.OnceValue(func() []string {
	seen := map[string]bool{}
	for it := currency.Query(); it.Next(); {
		seen[it.Unit().String()] = true
	}
	return finding.SortedKeys(seen)
})

// events proposes the events of the tracking plan, and the semantic events after them.
func (w *where) events(project *config.Project) []proposal {
	var out []proposal
	if plan := project.Plan; plan != nil {
		for _, event := range plan.EventNames() {
			out = append(out, proposal{label: event, kind: kindEvent, detail: "an event of the tracking plan", rank: "1"})
		}
		if len(out) > 0 {
			return out // others are mistakes
		}
	}
	events := schema.Events()
	for _, event := range finding.SortedKeys(events) {
		doc := ""
		if f := shape.OfEvent(event).Fields["event"]; f != nil {
			doc = "A semantic event: `" + events[event] + "`."
		}
		out = append(out, proposal{label: event, kind: kindEvent, detail: "a semantic event", doc: doc, rank: "2"})
	}
	return out
}

// keywords proposes values that are not strings.
func (w *where) keywords() []proposal {
	f := w.field(w.chain)
	if f == nil || f.Shape.Kind != shape.Boolean {
		return nil
	}
	return []proposal{{label: "true", kind: kindEnum, rank: "1"}, {label: "false", kind: kindEnum, rank: "1"}}
}

// labelsHere proposes fields for the struct that the place is in.
func (w *where) labelsHere() []proposal {
	chain := w.chain
	if w.onLabel {
		chain = chain[:len(chain)-1]
	}
	if !w.isProject() {
		switch {
		case len(chain) == 0:
			return []proposal{{label: "automations", kind: kindField, text: "automations: ", rank: "1",
				doc: "The automations of the package, by name."}}
		case len(chain) == 1 && chain[0].label == "automations":
			return w.automationSnippets()
		}
	}
	taken := w.written()
	out := w.plannedFields(chain)
	out = append(out, w.namesHere(chain)...)
	if f := w.field(chain); f != nil {
		out = append(out, fieldsOf(f.Shape)...)
	}
	if w.of.call == "track" && len(chain) == 3 && chain[2].label == "payload" && w.of.event == "" {
		out = append(out, w.eventSnippets()...)
	}
	return slices.DeleteFunc(out, func(p proposal) bool { return slices.Contains(taken, p.label) })
}

// written returns the labels of the other fields in the struct that the place is in; nil if it is in a value.
func (w *where) written() []string {
	if w.inValue {
		return nil
	}
	here := w.doc.outline().root
	if n := len(w.chain); n > 0 && !w.onLabel {
		here = w.chain[n-1]
	} else if n > 1 {
		here = w.chain[n-2]
	}
	var out []string
	for _, n := range here.children {
		if w.offset < n.labelFrom || n.labelTo < w.offset {
			out = append(out, n.label)
		}
	}
	return out
}

// fieldsOf proposes the fields of a shape.
func fieldsOf(s *shape.Shape) []proposal {
	st := alternative(s, shape.Struct)
	if st == nil {
		return nil
	}
	var out []proposal
	for _, name := range st.Names() {
		f := st.Fields[name]
		rank := "2"
		detail := typeOf(f)
		if f.Required {
			rank, detail = "1", detail+", required"
		}
		if f.SetBySegment {
			continue
		}
		out = append(out, proposal{label: name, kind: kindField, detail: detail, doc: paragraph(f.Doc), rank: rank,
			text: labelText(name) + ": "})
	}
	return out
}

// headerNames are the headers that automations set.
var headerNames = []string{
	"Accept", "Accept-Language", "Authorization", "Cache-Control", "Content-Language", "Content-Type",
	"Idempotency-Key", "If-Match", "If-None-Match", "Prefer", "User-Agent", "X-Api-Key", "X-Request-Id",
}

// namesHere proposes the names of fields that the schema leaves to the author.
func (w *where) namesHere(chain []*node) []proposal {
	at := labels(chain)
	var names []string
	kind, detail := kindField, ""
	project := w.projectView()
	switch {
	case w.isProject() && len(at) == 3 && at[0] == "targets" && at[2] == "sources":
		names, detail = w.doc.outline().names("sources"), "a source"
	case w.isProject() && len(at) == 3 && at[0] == "targets" && at[2] == "inputs":
		names, detail = w.doc.outline().names("inputs"), "an input"
	case w.isProject() && len(at) == 1 && at[0] == "secrets":
		names, detail = w.secretNames(), "a secret"
	case w.isProject() || w.of.node == nil || len(at) < 3:
	case at[2] == "headers" && len(at) == 3:
		names, detail = headerNames, "a header"
	case at[2] == "allow" && len(at) == 3:
		names, detail = w.allowableHere(), "a warning of this automation"
	case at[2] == "tests" && len(at) == 5 && at[4] == "values" && project != nil:
		names, kind, detail = finding.SortedKeys(project.Catalog), kindVariable, "a placeholder"
	}
	out := named(names, kind, detail)
	for i := range out {
		out[i].text = labelText(out[i].label) + ": "
	}
	return out
}

// allowableHere returns the codes of the warnings of the automation.
func (w *where) allowableHere() []string {
	var out []string
	for _, d := range w.view.findings[w.name] {
		if d.Key == w.key(w.of.name) && w.allow(d) != nil && !slices.Contains(out, d.Code) {
			out = append(out, d.Code)
		}
	}
	return out
}

// plannedFields proposes the properties and traits of the tracking plan.
func (w *where) plannedFields(chain []*node) []proposal {
	project := w.projectView()
	at := labels(chain)
	if project == nil || w.of.node == nil || len(at) < 4 || at[2] != "payload" {
		return nil
	}
	block := at[3]
	if block != "properties" && block != "traits" {
		return nil
	}
	var out []proposal
	if project.Plan != nil {
		out = planned(project.Plan, w.of, block, at[4:])
	}
	return out
}

// planned proposes the fields of an object of the tracking plan. at leads to it below properties or traits.
func planned(plan *config.TrackingPlan, of automationOutline, block string, at []string) []proposal {
	v := plan.Traits[of.call]
	if of.call == "track" {
		v = plan.Events[of.event]
	}
	for _, name := range at {
		switch {
		case v == nil:
		case name == "[]":
			v = v.Elem
		default:
			v = v.Fields[name]
		}
	}
	fields := map[string]*config.PlanValue{}
	if v != nil {
		maps.Copy(fields, v.Fields)
	}
	if plan.Rules != nil && len(at) == 0 {
		maps.Copy(fields, ruled(plan.Rules, of, block))
	}
	var out []proposal
	for _, name := range finding.SortedKeys(fields) {
		f := fields[name]
		one := proposal{label: name, kind: kindField, detail: f.String() + " of the tracking plan", rank: "0",
			text: labelText(name) + ": "}
		if f != nil && f.Required {
			one.detail += ", required"
		}
		if f != nil {
			one.doc = paragraph(f.Doc)
		}
		out = append(out, one)
	}
	return out
}

// ruled returns the fields that a plan of another program names for a message. The plan only compares messages, so
// it gets one with a field that no plan has, and answers with those that it wants.
func ruled(rules config.Rules, of automationOutline, block string) map[string]*config.PlanValue {
	message := map[string]any{block: map[string]any{"\x00": ""}}
	if of.call == "track" {
		message["event"] = of.event
	}
	out := map[string]*config.PlanValue{}
	for _, m := range rules.Check(config.PlannedMessage{Call: of.call, Payload: message}) {
		switch {
		case len(m.At) == 0 || m.At[0] != block:
		case m.Kind == config.Missing && len(m.At) == 1:
			want := config.PlanValue{Kinds: config.AnyKind}
			if m.Want != nil {
				want = *m.Want
			}
			want.Required = true
			out[m.Name] = &want
		case m.Kind == config.Unplanned && m.Want != nil:
			for name, f := range m.Want.Fields {
				if out[name] == nil {
					out[name] = f
				}
			}
		}
	}
	return out
}

// eventSnippets propose the semantic events with their properties, for the payload of a track call.
func (w *where) eventSnippets() []proposal {
	var out []proposal
	for _, event := range finding.SortedKeys(schema.Events()) {
		s := shape.OfEvent(event)
		text, stops := "event: "+quoted(event), 0
		if f := s.Fields["properties"]; f != nil {
			st := alternative(f.Shape, shape.Struct)
			if st == nil {
				continue
			}
			text += "\nproperties: {\n"
			for _, name := range st.Names() {
				if stops++; stops > mostProperties {
					break
				}
				text += "\t" + labelText(name) + ": ${" + strconv.Itoa(stops) + ":" + placeholderFor(st.Fields[name].Shape) + "}\n"
			}
			text += "}$0"
		}
		out = append(out, proposal{label: "event: " + quoted(event), kind: kindSnippet, detail: "a semantic event with its properties",
			text: text, snippet: true, rank: "5"})
	}
	return out
}

// mostProperties is the number of properties in the snippet of an event.
const mostProperties = 8

// placeholderFor is an example of a value in a snippet.
func placeholderFor(s *shape.Shape) string {
	switch s.Kind {
	case shape.Number, shape.Integer:
		return "0"
	case shape.Boolean:
		return "true"
	case shape.List:
		return "[]"
	case shape.Struct:
		return `{\}`
	case shape.Time, shape.Date:
		return `"{{clientTimestampEndTime\}\}"`
	}
	return `""`
}

package compiler

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// The limits that Segment sets on an event.
const (
	maxEvent     = automation.MaxMessageBytes
	maxMessageID = automation.MaxMessageIDLength
)

// A message is one automation that is checked: the decoded value, and what has
// been learnt of it.
type message struct {
	checker
	value any
	raw   map[string]any
	key   string
	at    valuePath
	call  string // identify, group, track or http
	// undetermined says that the call can't be known, for which there is a
	// finding already.
	undetermined bool
	// triggers are the names of the platform's triggers, nil if they are not known.
	triggers triggerNames
	// sources are those of the project as the target sees them.
	sources map[string]Source
	source  Source // the one that receives the message
	// sourceless says that the message needs a source, and the project has none.
	sourceless bool
	plan       *trackingPlan
	url        string
	headers    map[string]automation.Header
	// pending are the codes that the automation allows and that are known only
	// when it is compared with others.
	pending []string
}

// message prepares an automation for its checks.
func (e *evaluation) message(value any, dir, name string) *message {
	return &message{
		checker: checker{catalog: e.project.Catalog, unsure: e.project.unsure},
		value:   value, key: keyOf(dir, name), at: valuePath{"automations", name},
		sources: e.project.sources(e.target),
		plan:    e.project.plan, triggers: e.project.triggers,
	}
}

func (m *message) failed() bool {
	return slices.ContainsFunc(m.found, func(f finding) bool { return f.Severity == diagnostic.Error })
}

// callWords are what people call the calls.
var callWords = map[string]string{"identify": "an identify call", "group": "a group call", "track": "a track call", "http": "an HTTP request"}

// callShapes are the shapes of an automation and of its payload by call.
var callShapes = sync.OnceValue(func() map[string][2]*shape {
	out := map[string][2]*shape{}
	for call, def := range schema.Calls {
		payload := &shape{kind: anyShape}
		if call != "http" {
			payload = shapeOf("segment." + def)
		}
		out[call] = [2]*shape{withoutPayload(shapeOf("automation." + def)), payload}
	}
	return out
})

// withoutPayload copies a shape and leaves the payload open: unlike the rest of
// an automation, it may hold placeholders. Its fields stay known, for those that
// stand beside the payload instead of in it.
func withoutPayload(s *shape) *shape {
	open := *s
	open.fields = maps.Clone(s.fields)
	payload := *open.fields["payload"]
	payload.shape = &shape{kind: anyShape, fields: payload.shape.fields}
	open.fields["payload"] = &payload
	return &open
}

// eventShapes are the shapes of the semantic events by the name of the event.
var eventShapes = sync.OnceValue(func() map[string]*shape {
	out := map[string]*shape{}
	for name, s := range schemaShapes() {
		if !strings.HasPrefix(name, "segment.") || s.kind != structShape {
			continue
		}
		if event, ok := s.fields["event"]; ok && len(event.shape.consts) == 1 {
			out[event.shape.consts[0]] = s
		}
	}
	return out
})

// check finds everything that is wrong. accepted says that CUE has found the
// value right, so that only what CUE can't see is left.
func (m *message) check(accepted bool) {
	if _, ok := m.value.(broken); ok {
		return
	}
	raw, ok := m.value.(map[string]any)
	if !ok {
		m.wrongType(m.value, &shape{kind: structShape}, m.at)
		return
	}
	m.raw = raw
	defer m.silence()
	m.checkKey()
	m.call, _ = raw["call"].(string)
	if _, ok := raw["call"].(broken); ok {
		m.undetermined = true
	}
	shapes, ok := callShapes()[m.call]
	if !ok && m.undetermined {
		m.findTrigger()
		m.templates = true
		m.any(raw["payload"], m.at.with("payload"))
		return
	}
	if !ok {
		w := m.report("not-an-automation", m.at, atLabel, "%s does not say which call it sends", m.key)
		w.Help = "write automation.#Identify, automation.#Group, automation.#Track or automation.#HTTP & {...}"
		return
	}
	other := ""
	if !accepted { // else nothing is missing, and there is nothing too much
		other = m.otherCall()
	}
	if other != "" {
		w := m.report("wrong-type", m.at, atCall, "the fields are those of %s, not of %s", callWords[other], callWords[m.call])
		w.Suggestion = "automation." + schema.Calls[other]
		w.Help = "use " + w.Suggestion
		m.call, shapes = other, callShapes()[other]
		m.raw = maps.Clone(raw)
		m.raw["call"] = other
	}
	m.envelope(shapes[0])
	raw = shapes[0].mended(raw)
	m.findTrigger()
	if payload, ok := raw["payload"]; ok {
		m.checkPayload(payload, shapes[1], accepted)
		m.templates = true
		m.checkPlan(payload)
		m.templates = false
		m.advise(payload)
	}
	m.findSource()
	m.checkURL()
	m.checkHeaders()
	m.checkSecrecy()
	m.found = withoutEchoes(m.found)
	slices.SortStableFunc(m.found, byPlace)
}

// otherCall returns the one call of which an automation has all the fields where it
// lacks several of its own, or has some that its own does not have; "" if there
// is none.
func (m *message) otherCall() string {
	if len(m.partial) > 0 || m.misfits(m.call) < 2 {
		return ""
	}
	other := ""
	for _, call := range sorted(callShapes()) {
		_, url := m.raw["url"]
		if call == m.call || call == "http" && !url || m.misfits(call) > 0 {
			continue
		}
		if other != "" {
			return ""
		}
		other = call
	}
	return other
}

// misfits counts the fields that an automation lacks for a call, and those that
// the call does not have.
func (m *message) misfits(call string) int {
	sub := *m
	sub.found, sub.call, sub.raw = nil, call, maps.Clone(m.raw)
	sub.raw["call"] = call
	shapes := callShapes()[call]
	sub.envelope(shapes[0])
	if payload, ok := m.raw["payload"]; ok {
		sub.checkPayload(payload, shapes[1], false)
	}
	n := 0
	for _, f := range sub.found {
		if f.Code == "missing-field" || f.Code == "unknown-field" {
			n++
		}
	}
	return n
}

// checkDraft finds what is wrong with a definition that automations build on,
// whatever they add to it.
func (m *message) checkDraft() {
	m.draft = true
	raw, _ := m.value.(map[string]any)
	m.raw = raw
	m.call, _ = raw["call"].(string)
	shapes, ok := callShapes()[m.call]
	if !ok {
		return
	}
	m.envelope(shapes[0])
	m.findTrigger()
	if payload, ok := raw["payload"]; ok {
		m.checkPayload(payload, shapes[1], false)
	}
	m.found = withoutEchoes(m.found)
	slices.SortStableFunc(m.found, byPlace)
}

// envelope checks all of the automation but its payload, URL and headers.
func (m *message) envelope(s *shape) {
	raw := maps.Clone(m.raw)
	for _, k := range []string{"url", "headers", "payload"} {
		if v, ok := raw[k]; ok {
			raw[k] = broken{}
			if k == "url" || k == "headers" {
				m.templates = true
				m.value1(v, s.fields[k], m.at.with(k))
				m.templates = false
			}
		}
	}
	if tests, ok := raw["tests"]; ok {
		raw["tests"] = broken{}
		m.checkTests(tests, s.fields["tests"])
	}
	m.structure(raw, s, m.at)
}

// value1 checks a field's value if the shape has the field.
func (m *message) value1(v any, f *fieldShape, at valuePath) {
	if f != nil {
		m.checker.value(v, f.shape, at)
	}
}

var keyPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$`)

// checkKey checks that the key can stand in a URL and in a file's name.
func (m *message) checkKey() {
	if keyPattern.MatchString(m.key) {
		return
	}
	w := m.report("invalid-key", m.at, atLabel, "%q can't be the key of an automation", m.key)
	w.Help = "use letters, digits, '-', '_' and '.'"
	if slug := slugOf(m.at[1].(string)); slug != "" {
		w.Suggestion, w.Help = slug, didYouMean(slug)
	}
}

// slugOf makes a key of a name: "Account activated" gives "account-activated".
func slugOf(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	return strings.Join(words, "-")
}

// findTrigger learns the kind of trigger. What is wrong with the trigger is
// found by its shape.
func (m *message) findTrigger() {
	t, _ := m.raw["trigger"].(map[string]any)
	_, pattern := t["pattern"].(string)
	_, journey := t["journey"].(string)
	switch {
	case pattern && !journey:
		m.trigger = automation.Pattern
	case journey && !pattern:
		m.trigger = automation.Journey
	}
	for kind, v := range t {
		name, ok := v.(string)
		if trimmed := strings.TrimSpace(name); ok && trimmed != name && trimmed != "" && (kind == "pattern" || kind == "journey") {
			w := m.report("stray-blanks", m.at.with("trigger", kind), atValue, "the name of the %s has blanks around it: %q", kind, name)
			w.Suggestion, w.Help, w.repair = trimmed, fmt.Sprintf("write %q", trimmed), quoted(trimmed)
			return
		}
	}
	m.checkTrigger(t)
}

// checkPayload checks the message: against the call's shape and, where CUE has
// refused it, against that of the semantic event. A track call that was not
// declared as a semantic event, but has the name of one, gets warnings.
func (m *message) checkPayload(payload any, s *shape, accepted bool) {
	at := m.at.with("payload")
	fields, _ := payload.(map[string]any)
	event, _ := fields["event"].(string)
	semantic := eventShapes()[event]
	m.templates = true
	defer func() { m.templates = false }()
	if m.call == "track" && semantic != nil {
		if !accepted {
			s = semantic
		} else {
			m.semantic(payload, s, semantic, at)
			m.checkSize(payload, at)
			return
		}
	}
	m.checker.value(payload, s, at)
	m.checkSize(payload, at)
}

// semantic checks a payload that CUE accepted by the call's shape, and warns of
// what the semantic event of that name would have otherwise.
func (m *message) semantic(payload any, s, event *shape, at valuePath) {
	before := len(m.found)
	m.checker.value(payload, s, at)
	known := slices.Clone(m.found[before:])
	sub := m.checker
	sub.found = nil
	sub.value(payload, event, at)
	for _, f := range sub.found {
		if slices.ContainsFunc(known, func(k finding) bool { return k.Code == f.Code && k.path.String() == f.path.String() }) {
			continue
		}
		f.Severity = diagnostic.Warning
		f.Message = fmt.Sprintf("in Segment's semantic event %q, %s", event.fields["event"].shape.consts[0], f.Message)
		m.found = append(m.found, f)
	}
}

// checkSize checks how deep a payload is, and the limits on what Segment takes: of
// the fixed part for certain, and of the longest values for a warning.
func (m *message) checkSize(payload any, at valuePath) {
	if depth := depthOf(payload); depth > automation.DeepestPayload {
		w := m.report("too-large", at, atLabel, "the payload is nested %d deep, of at most %d", depth, automation.DeepestPayload)
		w.Help = "take it apart"
		return
	}
	if m.call == "http" {
		return
	}
	fixed, longest := m.size(payload)
	switch {
	case fixed > maxEvent:
		w := m.report("too-large", at, atLabel, "the message is too large for Segment: %d bytes before any placeholder is filled in, of at most %d", fixed, maxEvent)
		w.Help = "send less, or split it into several events"
	case longest > maxEvent:
		w := m.report("may-be-too-large", at, atLabel, "with the longest values of its placeholders the message has %d bytes, of at most %d that Segment takes", longest, maxEvent)
		w.Severity, w.Help = diagnostic.Warning, "send less, or lower maxLength of the placeholders in segue.cue if their values are never that long"
	}
	fields, _ := payload.(map[string]any)
	id, ok := fields["messageId"].(string)
	if !ok || !strings.Contains(id, "{{") {
		return
	}
	if _, longest := m.size(id); longest-len(`""`) > maxMessageID {
		w := m.report("may-be-too-long", at.with("messageId"), atValue, "with the longest values of its placeholders messageId has %d characters, and Segment takes fewer than 100", longest-len(`""`))
		w.Severity, w.Help = diagnostic.Warning, "use shorter placeholders, or lower their maxLength in segue.cue if their values are never that long"
	}
}

// depthOf returns how many objects and lists are within each other.
func depthOf(v any) int {
	most := 0
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			most = max(most, depthOf(e))
		}
		return most + 1
	case map[string]any:
		for _, e := range v {
			most = max(most, depthOf(e))
		}
		return most + 1
	default:
		return 0
	}
}

// size returns the size of a value as JSON, without the values of its
// placeholders and with the longest ones.
func (m *message) size(v any) (fixed, longest int) {
	switch v := v.(type) {
	case string:
		fixed = jsonSize(v)
		longest = fixed
		if t, err := automation.ParseTemplate(v); err == nil {
			for _, r := range t.References() {
				fixed -= r.Length
				longest += m.catalog[r.Name].MaxLength - r.Length
			}
		}
	case []any:
		for _, e := range v {
			f, l := m.size(e)
			fixed, longest = fixed+f, longest+l
		}
		separators := max(0, len(v)-1) + len("[]")
		fixed, longest = fixed+separators, longest+separators
	case map[string]any:
		for k, e := range v {
			f, l := m.size(e)
			name := jsonSize(k) + len(":")
			fixed, longest = fixed+f+name, longest+l+name
		}
		separators := max(0, len(v)-1) + len("{}")
		fixed, longest = fixed+separators, longest+separators
	default:
		fixed = jsonSize(v)
		longest = fixed
	}
	return fixed, longest
}

func jsonSize(v any) int {
	b, err := json.Marshal(v)
	if err != nil {
		return 0
	}
	return len(b)
}

// findSource picks the source that receives a Segment call.
func (m *message) findSource() {
	if m.call == "http" {
		return
	}
	at := m.at.with("source")
	names := sorted(m.sources)
	name, given := m.raw["source"].(string)
	if _, ok := m.raw["source"].(broken); ok {
		return
	}
	switch {
	case !m.unsure.knows("sources"), !given && m.partial[m.at.String()]:
	case given:
		if _, ok := m.sources[name]; !ok {
			w := m.report("unknown-source", at, atValue, "segue.cue has no source %q", name)
			if near := Nearest(name, names); near != "" {
				w.Suggestion, w.Help = near, didYouMean(near)
				w.repair = quoted(near)
			} else if len(names) > 0 {
				w.Help = "its sources are " + oneOf(names)
			} else {
				w.Help = "add it to segue.cue, under sources"
			}
		}
	case len(names) == 1:
		name = names[0]
	case slices.Contains(names, "segment"):
		name = "segment"
	case len(names) == 0:
		m.sourceless = true // one finding for all
	default:
		w := m.report("unknown-source", m.at, atLabel, "segue.cue has several sources, and none is called segment")
		w.Help = "say which one receives the message: source: " + oneOf(names)
		w.lacks = []valuePath{at}
	}
	m.source = m.sources[name]
	if m.source.Region == "" {
		return
	}
	base := regionURLs[m.source.Region]
	if m.source.Endpoint != "" {
		base = strings.TrimSuffix(m.source.Endpoint, "/")
	}
	m.url = base + "/" + m.call
}

package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/schema"
)

// The limits that Segment sets on an event.
const (
	maxEvent     = automation.MaxMessageBytes
	maxMessageID = automation.MaxMessageIDLength
)

// A Message is one automation that is checked: the decoded value, and what has
// been learnt of it.
type Message struct {
	Checker
	Decoded any
	Raw     map[string]any
	Key     string
	At      finding.Path
	Call    string // identify, group, track or http
	// Undetermined says that the call can't be known, for which there is a
	// finding already.
	Undetermined bool
	// Triggers are the names of the platform's triggers, nil if they are not known.
	Triggers config.TriggerNames
	// Sources are those of the project as the target sees them.
	Sources map[string]config.Source
	source  config.Source // the one that receives the message
	// Sourceless says that the message needs a source, and the project has none.
	Sourceless bool
	Plan       *config.TrackingPlan
	url        string
	headers    map[string]automation.Header
	// pending are the codes that the automation allows and that are known only
	// when it is compared with others.
	pending []string
}

// Failed reports whether one of the findings is an error, so that the automation can't
// be emitted.
func (m *Message) Failed() bool { return finding.AnyError(m.Found) }

// callWords are what people call the calls.
var callWords = map[string]string{"identify": "an identify call", "group": "a group call", "track": "a track call", "http": "an HTTP request"}

// CallShapes are the shapes of an automation and of its payload by call.
var CallShapes = sync.OnceValue(func() map[string][2]*shape.Shape {
	out := map[string][2]*shape.Shape{}
	for call, def := range schema.Calls {
		payload := &shape.Shape{Kind: shape.Any}
		if call != "http" {
			payload = shape.Of("segment." + def)
		}
		out[call] = [2]*shape.Shape{withoutPayload(shape.Of("automation." + def)), payload}
	}
	return out
})

// withoutPayload copies a shape and leaves the payload open: unlike the rest of
// an automation, it may hold placeholders. Its fields stay known, for those that
// stand beside the payload instead of in it.
func withoutPayload(s *shape.Shape) *shape.Shape {
	open := *s
	open.Fields = maps.Clone(s.Fields)
	payload := *open.Fields["payload"]
	payload.Shape = &shape.Shape{Kind: shape.Any, Fields: payload.Shape.Fields}
	open.Fields["payload"] = &payload
	return &open
}

// EventShapes are the shapes of the semantic events by the name of the event.
var EventShapes = sync.OnceValue(func() map[string]*shape.Shape {
	out := map[string]*shape.Shape{}
	for name, s := range shape.All() {
		if !strings.HasPrefix(name, "segment.") || s.Kind != shape.Struct {
			continue
		}
		if event, ok := s.Fields["event"]; ok && len(event.Shape.Consts) == 1 {
			out[event.Shape.Consts[0]] = s
		}
	}
	return out
})

// Check finds everything that is wrong. accepted says that CUE has found the
// value right, so that only what CUE can't see is left.
func (m *Message) Check(accepted bool) {
	if _, ok := m.Decoded.(shape.Broken); ok {
		return
	}
	raw, ok := m.Decoded.(map[string]any)
	if !ok {
		m.WrongType(m.Decoded, &shape.Shape{Kind: shape.Struct}, m.At)
		return
	}
	m.Raw = raw
	defer m.silence()
	m.checkKey()
	m.Call, _ = raw["call"].(string)
	if _, ok := raw["call"].(shape.Broken); ok {
		m.Undetermined = true
	}
	shapes, ok := CallShapes()[m.Call]
	if !ok && m.Undetermined {
		m.findTrigger()
		m.Templates = true
		m.any(raw["payload"], m.At.With("payload"))
		return
	}
	if !ok {
		w := m.Report("not-an-automation", m.At, finding.AtLabel, "%s does not say which call it sends", m.Key)
		w.Help = "write automation.#Identify, automation.#Group, automation.#Track or automation.#HTTP & {...}"
		return
	}
	other := ""
	if !accepted { // else nothing is missing, and there is nothing too much
		other = m.otherCall()
	}
	if other != "" {
		w := m.Report("wrong-type", m.At, finding.AtCall, "the fields are those of %s, not of %s", callWords[other], callWords[m.Call])
		w.Suggestion = "automation." + schema.Calls[other]
		w.Help = "use " + w.Suggestion
		m.Call, shapes = other, CallShapes()[other]
		m.Raw = maps.Clone(raw)
		m.Raw["call"] = other
	}
	m.envelope(shapes[0])
	raw = shapes[0].Mended(raw)
	m.findTrigger()
	if payload, ok := raw["payload"]; ok {
		m.checkPayload(payload, shapes[1], accepted)
		m.Templates = true
		m.CheckPlan(payload)
		m.Templates = false
		m.advise(payload)
	}
	m.findSource()
	m.checkURL()
	m.checkHeaders()
	m.checkSecrecy()
	m.Found = finding.WithoutEchoes(m.Found)
	slices.SortStableFunc(m.Found, finding.ByPlace)
}

// otherCall returns the one call of which an automation has all the fields where it
// lacks several of its own, or has some that its own does not have; "" if there
// is none.
func (m *Message) otherCall() string {
	if len(m.Partial) > 0 || m.misfits(m.Call) < 2 {
		return ""
	}
	other := ""
	for _, call := range finding.SortedKeys(CallShapes()) {
		_, url := m.Raw["url"]
		if call == m.Call || call == "http" && !url || m.misfits(call) > 0 {
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
func (m *Message) misfits(call string) int {
	sub := *m
	sub.Found, sub.Call, sub.Raw = nil, call, maps.Clone(m.Raw)
	sub.Raw["call"] = call
	shapes := CallShapes()[call]
	sub.envelope(shapes[0])
	if payload, ok := m.Raw["payload"]; ok {
		sub.checkPayload(payload, shapes[1], false)
	}
	n := 0
	for _, f := range sub.Found {
		if f.Code == "missing-field" || f.Code == "unknown-field" {
			n++
		}
	}
	return n
}

// CheckDraft finds what is wrong with a definition that automations build on,
// whatever they add to it.
func (m *Message) CheckDraft() {
	m.draft = true
	raw, _ := m.Decoded.(map[string]any)
	m.Raw = raw
	m.Call, _ = raw["call"].(string)
	shapes, ok := CallShapes()[m.Call]
	if !ok {
		return
	}
	m.envelope(shapes[0])
	m.findTrigger()
	if payload, ok := raw["payload"]; ok {
		m.checkPayload(payload, shapes[1], false)
	}
	m.Found = finding.WithoutEchoes(m.Found)
	slices.SortStableFunc(m.Found, finding.ByPlace)
}

// envelope checks all of the automation but its payload, URL and headers.
func (m *Message) envelope(s *shape.Shape) {
	raw := maps.Clone(m.Raw)
	for _, k := range []string{"url", "headers", "payload"} {
		if v, ok := raw[k]; ok {
			raw[k] = shape.Broken{}
			if k == "url" || k == "headers" {
				m.Templates = true
				m.value1(v, s.Fields[k], m.At.With(k))
				m.Templates = false
			}
		}
	}
	if tests, ok := raw["tests"]; ok {
		raw["tests"] = shape.Broken{}
		m.checkTests(tests, s.Fields["tests"])
	}
	m.structure(raw, s, m.At)
}

// value1 checks a field's value if the shape has the field.
func (m *Message) value1(v any, f *shape.Field, at finding.Path) {
	if f != nil {
		m.Checker.Value(v, f.Shape, at)
	}
}

var keyPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$`)

// checkKey checks that the key can stand in a URL and in a file's name.
func (m *Message) checkKey() {
	if keyPattern.MatchString(m.Key) {
		return
	}
	w := m.Report("invalid-key", m.At, finding.AtLabel, "%q can't be the key of an automation", m.Key)
	w.Help = "use letters, digits, '-', '_' and '.'"
	if slug := SlugOf(m.At[1].(string)); slug != "" {
		w.Suggestion, w.Help = slug, finding.DidYouMean(slug)
	}
}

// SlugOf makes a key of a name: "Account activated" gives "account-activated".
func SlugOf(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	return strings.Join(words, "-")
}

// findTrigger learns the kind of trigger. What is wrong with the trigger is
// found by its shape.
func (m *Message) findTrigger() {
	t, _ := m.Raw["trigger"].(map[string]any)
	_, pattern := t["pattern"].(string)
	_, journey := t["journey"].(string)
	switch {
	case pattern && !journey:
		m.Trigger = automation.Pattern
	case journey && !pattern:
		m.Trigger = automation.Journey
	}
	for kind, v := range t {
		name, ok := v.(string)
		if trimmed := strings.TrimSpace(name); ok && trimmed != name && trimmed != "" && (kind == "pattern" || kind == "journey") {
			w := m.Report("stray-blanks", m.At.With("trigger", kind), finding.AtValue, "the name of the %s has blanks around it: %q", kind, name)
			w.Suggestion, w.Help, w.Repair = trimmed, fmt.Sprintf("write %q", trimmed), finding.Quoted(trimmed)
			return
		}
	}
	m.checkTrigger(t)
}

// checkPayload checks the message: against the call's shape and, where CUE has
// refused it, against that of the semantic event. A track call that was not
// declared as a semantic event, but has the name of one, gets warnings.
func (m *Message) checkPayload(payload any, s *shape.Shape, accepted bool) {
	at := m.At.With("payload")
	fields, _ := payload.(map[string]any)
	event, _ := fields["event"].(string)
	semantic := EventShapes()[event]
	m.Templates = true
	defer func() { m.Templates = false }()
	if m.Call == "track" && semantic != nil {
		if !accepted {
			s = semantic
		} else {
			m.semantic(payload, s, semantic, at)
			m.checkSize(payload, at)
			return
		}
	}
	m.Checker.Value(payload, s, at)
	m.checkSize(payload, at)
}

// semantic checks a payload that CUE accepted by the call's shape, and warns of
// what the semantic event of that name would have otherwise.
func (m *Message) semantic(payload any, s, event *shape.Shape, at finding.Path) {
	before := len(m.Found)
	m.Checker.Value(payload, s, at)
	known := slices.Clone(m.Found[before:])
	sub := m.Checker
	sub.Found = nil
	sub.Value(payload, event, at)
	for _, f := range sub.Found {
		if slices.ContainsFunc(known, func(k finding.Finding) bool { return k.Code == f.Code && k.At.String() == f.At.String() }) {
			continue
		}
		f.InSemanticEvent(event.Fields["event"].Shape.Consts[0])
		m.Found = append(m.Found, f)
	}
}

// checkSize checks how deep a payload is, and the limits on what Segment takes: of
// the fixed part for certain, and of the longest values for a warning.
func (m *Message) checkSize(payload any, at finding.Path) {
	if depth := depthOf(payload); depth > automation.DeepestPayload {
		w := m.Report("too-large", at, finding.AtLabel, "the payload is nested %d deep, of at most %d", depth, automation.DeepestPayload)
		w.Help = "take it apart"
		return
	}
	if m.Call == "http" {
		return
	}
	fixed, longest := m.size(payload)
	switch {
	case fixed > maxEvent:
		w := m.Report("too-large", at, finding.AtLabel, "the message is too large for Segment: %d bytes before any placeholder is filled in, of at most %d", fixed, maxEvent)
		w.Help = "send less, or split it into several events"
	case longest > maxEvent:
		w := m.Report("may-be-too-large", at, finding.AtLabel, "with the longest values of its placeholders the message has %d bytes, of at most %d that Segment takes", longest, maxEvent)
		w.Help = "send less, or lower maxLength of the placeholders in segue.cue if their values are never that long"
	}
	fields, _ := payload.(map[string]any)
	id, ok := fields["messageId"].(string)
	if !ok || !strings.Contains(id, "{{") {
		return
	}
	if _, longest := m.size(id); longest-len(`""`) > maxMessageID {
		w := m.Report("may-be-too-long", at.With("messageId"), finding.AtValue, "with the longest values of its placeholders messageId has %d characters, and Segment takes fewer than 100", longest-len(`""`))
		w.Help = "use shorter placeholders, or lower their maxLength in segue.cue if their values are never that long"
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
func (m *Message) size(v any) (fixed, longest int) {
	switch v := v.(type) {
	case string:
		fixed = jsonSize(v)
		longest = fixed
		if t, err := automation.ParseTemplate(v); err == nil {
			for _, r := range t.References() {
				fixed -= r.Length
				longest += m.Catalog[r.Name].MaxLength - r.Length
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
func (m *Message) findSource() {
	if m.Call == "http" {
		return
	}
	at := m.At.With("source")
	names := finding.SortedKeys(m.Sources)
	name, given := m.Raw["source"].(string)
	if _, ok := m.Raw["source"].(shape.Broken); ok {
		return
	}
	switch {
	case !m.Gaps.Knows("sources"), !given && m.Partial[m.At.String()]:
	case given:
		if _, ok := m.Sources[name]; !ok {
			w := m.Report("unknown-source", at, finding.AtValue, "segue.cue has no source %q", name)
			if near := finding.Nearest(name, names); near != "" {
				w.Suggestion, w.Help = near, finding.DidYouMean(near)
				w.Repair = finding.Quoted(near)
			} else if len(names) > 0 {
				w.Help = "its sources are " + finding.OneOf(names)
			} else {
				w.Help = "add it to segue.cue, under sources"
			}
		}
	case len(names) == 1:
		name = names[0]
	case slices.Contains(names, "segment"):
		name = "segment"
	case len(names) == 0:
		m.Sourceless = true // one finding for all
	default:
		w := m.Report("unknown-source", m.At, finding.AtLabel, "segue.cue has several sources, and none is called segment")
		w.Help = "say which one receives the message: source: " + finding.OneOf(names)
		w.Lacks = []finding.Path{at}
	}
	m.source = m.Sources[name]
	if m.source.Region == "" {
		return
	}
	base := regionURLs[m.source.Region]
	if m.source.Endpoint != "" {
		base = strings.TrimSuffix(m.source.Endpoint, "/")
	}
	m.url = base + "/" + m.Call
}

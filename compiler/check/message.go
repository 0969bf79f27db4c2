package check

import (
	"encoding/json"
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

// A Message is one automation that is checked: the decoded value, and what the checks
// have learnt of it.
type Message struct {
	// Checker has what the values are held against, and the findings.
	Checker
	Decoded any            // the automation as it was decoded
	Raw     map[string]any // the same, once it is known to be a struct
	Key     string
	At      finding.Path // of the automation
	Call    string       // identify, group, track or http
	// Undetermined says that the call can't be known, for which there is a
	// finding already.
	Undetermined bool
	// Triggers are the names of the platform's triggers, nil if they are not known.
	Triggers config.TriggerNames
	// Sources are those of the project as the target sees them.
	Sources map[string]config.Source
	// Sourceless says that the message needs a source, and the project has none.
	Sourceless bool
	// Targets are the names of the project's targets.
	Targets []string
	// Plan is the project's tracking plan, nil if it has none.
	Plan *config.TrackingPlan

	accepted bool // CUE has found the value right
	draft    bool // it is a definition's, which automations complete
	// payload is that of the automation, nil if it has none.
	payload any
	source  config.Source // the one that receives the message
	url     string
	headers map[string]automation.Header
	// pending are the codes that the automation allows and that are known only
	// when it is compared with others.
	pending []string
}

// Failed reports whether one of the findings is an error, so that the automation can't
// be emitted.
func (m *Message) Failed() bool { return finding.AnyError(m.Found) }

// callWords are what people call the calls.
var callWords = map[string]string{"identify": "an identify call", "group": "a group call", "track": "a track call",
	"http": "an HTTP request"}

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

// checks are those of an automation whose call is known, in their order. Each gets the
// automation with all that those before it have learnt and found, and returns its
// findings. A new one is added here; none has to ask whether another one may run.
var checks = []func(*Message) findings{
	(*Message).checkTrigger,      // learns the kind of trigger, which provides placeholders
	(*Message).checkFields,       // all but the payload, against the shape
	(*Message).checkPayload,      // against the shape
	(*Message).checkSize,         // of the payload
	(*Message).checkPlan,         // says nothing of values that have an error
	(*Message).checkEventName,    // of a track call
	(*Message).checkOnly,         // the names of targets
	(*Message).checkPersonalData, // says nothing of values that have a finding
	(*Message).checkSource,       // learns the source, and the URL that it gives
	(*Message).checkURL,          // that the author gave
	(*Message).checkHeaders,      // learns the headers
	(*Message).checkSecrecy,      // of what the headers send to the URL
}

// draftChecks are those of a definition that automations build on: what they add to it
// is not known.
var draftChecks = []func(*Message) findings{
	(*Message).checkTrigger,
	(*Message).checkFields,
	(*Message).checkPayload,
	(*Message).checkSize,
}

// Check finds everything that is wrong. accepted says that CUE has found the
// value right, so that only what CUE can't see is left.
func (m *Message) Check(accepted bool) {
	m.accepted = accepted
	if _, ok := m.Decoded.(shape.Broken); ok {
		return
	}
	raw, ok := m.Decoded.(map[string]any)
	if !ok {
		m.WrongType(m.Decoded, &shape.Shape{Kind: shape.Struct}, m.At)
		return
	}
	m.be(raw)
	defer m.silence()
	m.Found = append(m.Found, m.checkKey()...)
	if _, ok := raw["call"].(shape.Broken); ok {
		m.Undetermined = true
	}
	shapes, known := CallShapes()[m.Call]
	switch {
	case !known && m.Undetermined:
		m.Found = append(m.Found, m.checkTrigger()...)
		m.Found = append(m.Found, m.rules(true).any(m.payload, m.At.With("payload"))...)
		return
	case !known:
		w := m.Report("not-an-automation", m.At, finding.AtLabel, "%s does not say which call it sends", m.Key)
		w.Help = "write automation.#Identify, automation.#Group, automation.#Track or automation.#HTTP & {...}"
		return
	case !accepted: // else nothing is missing, and there is nothing too much
		if other := m.otherCall(); other != "" {
			m.Found = append(m.Found, m.wrongCall(other))
			m.be(withCall(raw, other))
			shapes = CallShapes()[other]
		}
	}
	m.payload = shapes[0].Mended(m.Raw)["payload"]
	m.run(checks)
}

// CheckDraft finds what is wrong with a definition that automations build on,
// whatever they add to it.
func (m *Message) CheckDraft() {
	raw, _ := m.Decoded.(map[string]any)
	m.draft = true
	m.be(raw)
	if _, ok := CallShapes()[m.Call]; ok {
		m.run(draftChecks)
	}
}

// be makes the message that of an automation.
func (m *Message) be(raw map[string]any) {
	m.Raw, m.payload = raw, raw["payload"]
	m.Call, _ = raw["call"].(string)
}

// run runs checks, and puts their findings in order.
func (m *Message) run(checks []func(*Message) findings) {
	for _, check := range checks {
		m.Found = append(m.Found, check(m)...)
	}
	m.Found = finding.WithoutEchoes(m.Found)
	slices.SortStableFunc(m.Found, finding.ByPlace)
}

// rules are those of the message, for a value that may or may not hold placeholders.
func (m *Message) rules(templates bool) rules {
	by := m.Checker.rules(templates)
	by.draft = m.draft
	return by
}

func withCall(raw map[string]any, call string) map[string]any {
	raw = maps.Clone(raw)
	raw["call"] = call
	return raw
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

// wrongCall makes the finding about an automation that is one of another call.
func (m *Message) wrongCall(other string) finding.Finding {
	w := report("wrong-type", m.At, finding.AtCall, "the fields are those of %s, not of %s", callWords[other],
		callWords[m.Call])
	w.Suggestion = "automation." + schema.Calls[other]
	w.Help = "use " + w.Suggestion
	return w
}

// misfits counts the fields that an automation lacks for a call, and those that
// the call does not have.
func (m *Message) misfits(call string) int {
	as := *m
	as.be(withCall(m.Raw, call))
	n := 0
	for _, f := range append(as.checkFields(), as.checkPayload()...) {
		if f.Code == "missing-field" || f.Code == "unknown-field" {
			n++
		}
	}
	return n
}

// checkFields checks all fields of the automation but its payload.
func (m *Message) checkFields() (found findings) {
	s := CallShapes()[m.Call][0]
	raw := maps.Clone(m.Raw)
	for _, k := range []string{"url", "headers", "payload"} {
		v, ok := raw[k]
		if !ok {
			continue
		}
		raw[k] = shape.Broken{}
		if f := s.Fields[k]; f != nil && k != "payload" {
			found = append(found, m.rules(true).value(v, f.Shape, m.At.With(k))...)
		}
	}
	if tests, ok := raw["tests"]; ok {
		raw["tests"] = shape.Broken{}
		found = append(found, m.checkTests(tests, s.Fields["tests"])...)
	}
	return append(found, m.rules(false).structure(raw, s, m.At)...)
}

var keyPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$`)

// checkKey checks that the key can stand in a URL and in a file's name.
func (m *Message) checkKey() findings {
	if keyPattern.MatchString(m.Key) {
		return nil
	}
	w := report("invalid-key", m.At, finding.AtLabel, "%q can't be the key of an automation", m.Key)
	w.Help = "use letters, digits, '-', '_' and '.'"
	if slug := SlugOf(m.At[1].(string)); slug != "" {
		w.Suggestion, w.Help = slug, finding.DidYouMean(slug)
	}
	return findings{w}
}

// SlugOf makes a key of a name: "Account activated" gives "account-activated".
func SlugOf(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	return strings.Join(words, "-")
}

// checkPayload checks the message: against the call's shape and, where CUE has
// refused it, against that of the semantic event. A track call that was not
// declared as a semantic event, but has the name of one, gets warnings.
func (m *Message) checkPayload() findings {
	if _, given := m.Raw["payload"]; !given {
		return nil
	}
	at, s := m.At.With("payload"), CallShapes()[m.Call][1]
	fields, _ := m.payload.(map[string]any)
	event, _ := fields["event"].(string)
	semantic := EventShapes()[event]
	switch {
	case m.Call != "track" || semantic == nil:
		return m.rules(true).value(m.payload, s, at)
	case !m.accepted:
		return m.rules(true).value(m.payload, semantic, at)
	}
	return m.bySemanticEvent(s, semantic, at)
}

// bySemanticEvent checks a payload that CUE accepted by the call's shape, and warns of
// what the semantic event of that name would have otherwise.
func (m *Message) bySemanticEvent(s, event *shape.Shape, at finding.Path) findings {
	found := m.rules(true).value(m.payload, s, at)
	known := slices.Clone(found)
	for _, f := range m.rules(true).value(m.payload, event, at) {
		if slices.ContainsFunc(known, func(k finding.Finding) bool {
			return k.Code == f.Code && k.At.String() == f.At.String()
		}) {
			continue
		}
		f.InSemanticEvent(event.Fields["event"].Shape.Consts[0])
		found = append(found, f)
	}
	return found
}

// checkSize checks how deep a payload is, and the limits on what Segment takes: of
// the fixed part for certain, and of the longest values for a warning.
func (m *Message) checkSize() (found findings) {
	at := m.At.With("payload")
	if depth := depthOf(m.payload); depth > automation.DeepestPayload {
		w := report("too-large", at, finding.AtLabel, "the payload is nested %d deep, of at most %d", depth,
			automation.DeepestPayload)
		w.Help = "take it apart"
		return findings{w}
	}
	if m.Call == "http" || m.payload == nil {
		return nil
	}
	fixed, longest := m.size(m.payload)
	switch {
	case fixed > maxEvent:
		w := report("too-large", at, finding.AtLabel,
			"the message is too large for Segment: %d bytes before any placeholder is filled in, of at most %d", fixed,
			maxEvent)
		w.Help = "send less, or split it into several events"
		found = append(found, w)
	case longest > maxEvent:
		w := report("may-be-too-large", at, finding.AtLabel,
			"with the longest values of its placeholders the message has %d bytes, of at most %d that Segment takes",
			longest, maxEvent)
		w.Help = "send less, or lower maxLength of the placeholders in segue.cue if their values are never that long"
		found = append(found, w)
	}
	fields, _ := m.payload.(map[string]any)
	id, ok := fields["messageId"].(string)
	if !ok || !strings.Contains(id, "{{") {
		return found
	}
	if _, longest := m.size(id); longest-len(`""`) > maxMessageID {
		w := report("may-be-too-long", at.With("messageId"), finding.AtValue,
			"with the longest values of its placeholders messageId has %d characters, and Segment takes fewer than 100", longest-len(`""`))
		w.Help = "use shorter placeholders, or lower their maxLength in segue.cue if their values are never that long"
		found = append(found, w)
	}
	return found
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

// checkSource picks the source that receives a Segment call, and the URL that it gives.
func (m *Message) checkSource() (found findings) {
	if m.Call == "http" {
		return nil
	}
	at := m.At.With("source")
	names := finding.SortedKeys(m.Sources)
	name, given := m.Raw["source"].(string)
	if _, ok := m.Raw["source"].(shape.Broken); ok {
		return nil
	}
	switch {
	case !m.Gaps.Knows("sources"), !given && m.Partial[m.At.String()]:
	case given:
		if _, ok := m.Sources[name]; !ok {
			w := report("unknown-source", at, finding.AtValue, "segue.cue has no source %q", name)
			if near := finding.Nearest(name, names); near != "" {
				w.Suggestion, w.Help = near, finding.DidYouMean(near)
				w.Repair = finding.Quoted(near)
			} else if len(names) > 0 {
				w.Help = "its sources are " + finding.OneOf(names)
			} else {
				w.Help = "add it to segue.cue, under sources"
			}
			found = append(found, w)
		}
	case len(names) == 1:
		name = names[0]
	case slices.Contains(names, "segment"):
		name = "segment"
	case len(names) == 0:
		m.Sourceless = true // one finding for all
	default:
		w := report("unknown-source", m.At, finding.AtLabel,
			"segue.cue has several sources, and none is called segment")
		w.Help = "say which one receives the message: source: " + finding.OneOf(names)
		w.Lacks = []finding.Path{at}
		found = append(found, w)
	}
	m.source = m.Sources[name]
	if m.source.Region == "" {
		return found
	}
	m.url = CallURL(m.source, m.Call)
	return found
}

// CallURL is where a call goes that a source receives.
func CallURL(s config.Source, call string) string {
	base := regionURLs[s.Region]
	if s.Endpoint != "" {
		base = strings.TrimSuffix(s.Endpoint, "/")
	}
	return base + "/" + call
}

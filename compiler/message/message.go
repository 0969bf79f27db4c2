package message

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/check"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/schema"
)

// findings are those of one check.
type findings = []finding.Finding

// An Unchecked message is one automation as it was decoded, with what it is held
// against.
type Unchecked struct {
	// Decoded is the automation as decoded JSON, with the values of the package shape for
	// what could not be decoded.
	Decoded any
	Key     string
	At      finding.Path // of the automation
	// Undetermined says that the call can't be known, for which there is a finding
	// already.
	Undetermined bool
	// Partial holds the paths of structs that may have more fields than the value
	// shows.
	Partial map[string]bool

	// Catalog has the placeholders of the project.
	Catalog automation.Catalog
	// Triggers are the names of the platform's triggers, nil if they are not known.
	Triggers config.TriggerNames
	// Sources are those of the project as the target sees them.
	Sources map[string]config.Source
	// Targets are the names of the project's targets.
	Targets []string
	// Plan is the project's tracking plan, nil if it has none.
	Plan *config.TrackingPlan
	// Gaps is what is not known of the project, nil if all is.
	Gaps *config.Gaps
}

// A Checked message is one with the findings about it, and what the checks have learnt.
type Checked struct {
	Unchecked
	// Found are the findings, in the order of their paths.
	Found   []finding.Finding
	Raw     map[string]any         // the automation, nil if it is not a struct
	Call    string                 // as in [schema.Calls]; "" if that is not known
	Trigger automation.TriggerKind // "" if the trigger is wrong
	// Sourceless says that the message needs a source, and the project has none.
	Sourceless bool

	accepted bool // CUE has found the value right
	draft    bool // it is a definition's, which automations complete
	// undetermined is Undetermined, or says that the call is what can't be decoded.
	undetermined bool
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
func (m *Checked) Failed() bool { return finding.AnyError(m.Found) }

// callWords are what people call the calls.
var callWords = map[string]string{"identify": "an identify call", "group": "a group call", "track": "a track call",
	"page": "a page call", "screen": "a screen call", "alias": "an alias call", "http": "an HTTP request"}

// checks are those of an automation whose call is known, in their order. Each gets the
// automation with all that those before it have learnt and found, and returns its
// findings. A new one is added here; none has to ask whether another one may run.
var checks = []func(*Checked) findings{
	(*Checked).checkTrigger,      // learns the kind of trigger, which provides placeholders
	(*Checked).checkFields,       // all but the payload, against the shape
	(*Checked).checkPayload,      // against the shape
	(*Checked).checkIdentity,     // the ids, and when it happened
	(*Checked).checkRouting,      // profiles and destinations
	(*Checked).checkFieldNames,   // as columns of a warehouse
	(*Checked).checkSize,         // of the payload
	(*Checked).checkPlan,         // says nothing of values that have an error
	(*Checked).checkEventName,    // of a track call
	(*Checked).checkOnly,         // the names of targets
	(*Checked).checkPersonalData, // this and the next say nothing of values that have a finding
	(*Checked).checkSensitive,
	(*Checked).checkUnusable,
	(*Checked).checkForeign,
	(*Checked).checkSource,  // learns the source, and the URL that it gives
	(*Checked).checkURL,     // that the author gave
	(*Checked).checkHeaders, // learns the headers
	(*Checked).checkSecrecy, // of what the headers send to the URL
}

// draftChecks are those of a definition that automations build on: what they add to it
// is not known.
var draftChecks = []func(*Checked) findings{
	(*Checked).checkTrigger,
	(*Checked).checkFields,
	(*Checked).checkPayload,
	(*Checked).checkSize,
}

// Check finds everything that is wrong. accepted says that CUE has found the
// value right, so that only what CUE can't see is left.
func (u Unchecked) Check(accepted bool) *Checked {
	m := &Checked{Unchecked: u, accepted: accepted, undetermined: u.Undetermined}
	if _, ok := u.Decoded.(shape.Broken); ok {
		return m
	}
	raw, ok := u.Decoded.(map[string]any)
	if !ok {
		m.Found = findings{m.rules(false).WrongType(u.Decoded, &shape.Shape{Kind: shape.Struct}, u.At)}
		return m
	}
	m.be(raw)
	if _, ok := raw["call"].(shape.Broken); ok {
		m.undetermined = true
	}
	m.Found = m.checkKey()
	switch shapes, known := shape.Calls()[m.Call]; {
	case known:
		m.checkCall(shapes)
	case m.undetermined:
		m.Found = append(m.Found, m.checkTrigger()...)
		m.Found = append(m.Found, m.rules(true).Any(m.payload, m.At.With("payload"))...)
	default:
		w := finding.Newf("not-an-automation", m.At, finding.AtLabel, "%s does not say which call it sends", m.Key)
		w.Help = "write the definition of the call, as in automation.#Track & {...}; automation.#HTTP is any other request"
		m.Found = append(m.Found, w)
	}
	m.Found, m.pending = m.silenced()
	return m
}

// checkCall runs the checks of an automation whose call is known, with its shapes. It may
// be meant to be another one.
func (m *Checked) checkCall(shapes shape.Call) {
	if !m.accepted { // else nothing is missing, and there is nothing too much
		if other := m.otherCall(); other != "" {
			m.Found = append(m.Found, m.wrongCall(other))
			m.be(withCall(m.Raw, other))
			shapes = shape.Calls()[other]
		}
	}
	m.payload = shapes.Automation.Mended(m.Raw)["payload"]
	m.run(checks)
}

// CheckDraft finds what is wrong with a definition that automations build on,
// whatever they add to it.
func (u Unchecked) CheckDraft() []finding.Finding {
	m := &Checked{Unchecked: u, undetermined: u.Undetermined, draft: true}
	raw, _ := u.Decoded.(map[string]any)
	m.be(raw)
	if _, ok := shape.Calls()[m.Call]; ok {
		m.run(draftChecks)
	}
	return m.Found
}

// be makes the message that of an automation.
func (m *Checked) be(raw map[string]any) {
	m.Raw, m.payload = raw, raw["payload"]
	m.Call, _ = raw["call"].(string)
}

// run runs checks, and puts their findings in order.
func (m *Checked) run(checks []func(*Checked) findings) {
	for _, check := range checks {
		m.Found = append(m.Found, check(m)...)
	}
	m.Found = finding.WithoutEchoes(m.Found)
	slices.SortStableFunc(m.Found, finding.ByPlace)
}

// told reports whether a value has a finding already: one is enough.
func (m *Checked) told(at finding.Path) bool { return hasFinding(m.Found, at) }

func hasFinding(found findings, at finding.Path) bool {
	return slices.ContainsFunc(found, func(f finding.Finding) bool { return slices.Equal(f.At, at) })
}

// rules are those of the message, for a value that may or may not hold placeholders.
func (m *Checked) rules(templates bool) check.Rules {
	return check.Rules{Catalog: m.Catalog, Trigger: m.Trigger, Gaps: m.Gaps, Partial: m.Partial, Templates: templates,
		Draft: m.draft}
}

func withCall(raw map[string]any, call string) map[string]any {
	raw = maps.Clone(raw)
	raw["call"] = call
	return raw
}

// otherCall returns the one call of which an automation has all the fields where it
// lacks several of its own, or has some that its own does not have; "" if there
// is none.
func (m *Checked) otherCall() string {
	if len(m.Partial) > 0 || m.misfits(m.Call) < 2 {
		return ""
	}
	other := ""
	for _, call := range finding.SortedKeys(shape.Calls()) {
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
func (m *Checked) wrongCall(other string) finding.Finding {
	w := finding.Newf("wrong-type", m.At, finding.AtCall, "the fields are those of %s, not of %s", callWords[other],
		callWords[m.Call])
	w.Suggestion = "automation." + schema.Calls[other]
	w.Help = "use " + w.Suggestion
	return w
}

// misfits counts the fields that an automation lacks for a call, and those that
// the call does not have.
func (m *Checked) misfits(call string) int {
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
func (m *Checked) checkFields() (found findings) {
	s := shape.Calls()[m.Call].Automation
	raw := maps.Clone(m.Raw)
	for _, k := range []string{"url", "headers", "payload"} {
		v, ok := raw[k]
		if !ok {
			continue
		}
		raw[k] = shape.Broken{}
		if f := s.Fields[k]; f != nil && k != "payload" {
			found = append(found, m.rules(true).Value(v, f.Shape, m.At.With(k))...)
		}
	}
	if tests, ok := raw["tests"]; ok {
		raw["tests"] = shape.Broken{}
		found = append(found, m.checkTests(tests, s.Fields["tests"])...)
	}
	return append(found, m.rules(false).Struct(raw, s, m.At)...)
}

var keyPattern = finding.Pattern(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$`)

// checkKey checks that the key can stand in a URL and in a file's name.
func (m *Checked) checkKey() findings {
	if keyPattern().MatchString(m.Key) {
		return m.checkKeyLength()
	}
	w := finding.Newf("invalid-key", m.At, finding.AtLabel, "%q can't be the key of an automation", m.Key)
	w.Help = "use letters, digits, '-', '_' and '.'"
	if slug := SlugOf(m.At[1].(string)); slug != "" {
		w.Suggestion, w.Help = slug, finding.DidYouMean(slug)
	}
	return findings{w}
}

// longestName is how long the name of a file may be on common disks, in bytes, and
// keyFile the ending of the file of an automation.
const (
	longestName = 255
	keyFile     = ".json"
)

// checkKeyLength checks that a file can have the key as its name, as compile -o writes it.
func (m *Checked) checkKeyLength() findings {
	most := longestName - len(keyFile)
	if name := path.Base(m.Key); len(name) > most {
		w := finding.Newf("invalid-key", m.At, finding.AtLabel,
			"the key has %d characters, and the name of a file has at most %d", len(name), longestName)
		w.Help = fmt.Sprintf("use at most %d", most)
		return findings{w}
	}
	return nil
}

// SlugOf makes a key of a name: "Account activated" gives "account-activated".
func SlugOf(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	return strings.Join(words, "-")
}

// checkPayload checks the message against its shape.
func (m *Checked) checkPayload() findings {
	if _, given := m.Raw["payload"]; !given {
		return nil
	}
	if m.payload == nil && m.Call == "http" { // platforms take it for no body, or refuse it
		w := finding.New("invalid-value", m.At.With("payload"), finding.AtValue,
			"payload can't be null: no platform sends null for a body", "leave it out for a request without a body")
		return findings{w}
	}
	return m.rules(true).Value(m.payload, m.payloadShape(), m.At.With("payload"))
}

// payloadShape is the shape of the call's message, or of the semantic event that a track
// call has the name of, whether it is declared as one or not.
func (m *Checked) payloadShape() *shape.Shape {
	fields, _ := m.payload.(map[string]any)
	event, _ := fields["event"].(string)
	if semantic := shape.OfEvent(event); m.Call == "track" && semantic != nil {
		return semantic
	}
	return shape.Calls()[m.Call].Payload
}

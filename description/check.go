package description

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
)

// Check tests the mapping with sample automations: encode followed by decode
// must return the same automation.
func (p *Platform) Check() []Problem {
	samples := p.samples()
	objects := make([]any, len(samples))
	for i, a := range samples {
		object, problem := p.checkEncode(a)
		if problem != nil {
			return []Problem{*problem}
		}
		objects[i] = object
	}
	lost := map[string]string{} // messages
	for i, a := range samples {
		if problem := p.compare(a, objects[i], lost); problem != nil {
			return []Problem{*problem}
		}
	}
	if len(lost) > 0 {
		fields := sortedKeys(lost)
		return []Problem{{Path: []string{"decode"}, Label: true, Code: "platform-mapping",
			Message: "encode and decode do not return a sample automation unchanged: " + strings.Join(fields, ", ") + plural(len(fields), " is lost", " are lost"),
			Help:    lost[fields[0]]}}
	}
	if p.Endpoints.Update.Method == "PATCH" {
		if problem := p.checkPatch(samples, objects); problem != nil {
			return []Problem{*problem}
		}
	}
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// samples returns automations that cover all fields a mapping may lose.
func (p *Platform) samples() []automation.Automation {
	text := func(s string) automation.Header { return automation.Header{Value: automation.Credential{Text: s}} }
	full := automation.Automation{
		Key: "sample/first", Name: `A "first" sample`, Enabled: true,
		Trigger: automation.Trigger{Kind: automation.Pattern, Name: "Account activated"},
		Action: automation.Request{
			Kind: automation.KindHTTPRequest, Method: "POST", URL: "https://api.segment.io/v1/track?q={{userId}}",
			Headers: map[string]automation.Header{
				"Authorization": {Scheme: automation.Basic, Username: automation.Credential{Secret: "SAMPLE"}},
				"Content-Type":  text("application/json"), "X-User": text("{{userId}}"),
			},
			Payload: json.RawMessage(`{"empty":{},"event":"Sample","flag":true,"list":[1,"two",null,[],{"three":3.5}],"none":null,"odd \"name\"":"\\ {{userName}} é","userId":"{{userId}}"}`),
		},
	}
	other := full
	other.Key, other.Name, other.Enabled = "sample/second", "Another sample", false
	other.Trigger = automation.Trigger{Kind: automation.Journey, Name: "Onboarding, done"}
	other.Action.Method, other.Action.URL = "PUT", "https://example.com/v1/users/{{userId}}"
	other.Action.Headers = map[string]automation.Header{"X-Token": {Scheme: automation.Bearer, Value: automation.Credential{Text: "abc"}}}
	other.Action.Payload = json.RawMessage(`["{{duration | number}}"]`)
	bare := full
	bare.Key, bare.Name = "sample/third", "A bare sample"
	bare.Action.Method, bare.Action.URL = "GET", "https://example.com/v1/ping"
	bare.Action.Headers, bare.Action.Payload = map[string]automation.Header{}, nil
	samples := []automation.Automation{full, other, bare}
	for i := range samples {
		a := &samples[i]
		if m := p.Only.Methods; len(m) > 0 && !slices.Contains(m, a.Action.Method) {
			a.Action.Method = m[i%len(m)]
		}
		if k := p.Only.Triggers; len(k) > 0 && !slices.Contains(k, string(a.Trigger.Kind)) {
			a.Trigger.Kind = automation.TriggerKind(k[i%len(k)])
		}
	}
	return samples
}

// sampleInput returns the input of encode for a sample.
func (p *Platform) sampleInput(a automation.Automation) (Input, error) {
	marker, err := p.MarkerText(RecordOf("sample", a, a.Hash()))
	return Input{Automation: a, Marker: marker, Project: "sample", Secret: func(string) (automation.Secret, bool) {
		return automation.NewSecret("sample"), true
	}}, err
}

// checkEncode encodes a sample, and returns the object that the platform would
// return for it.
func (p *Platform) checkEncode(a automation.Automation) (any, *Problem) {
	in, err := p.sampleInput(a)
	if err != nil {
		return nil, &Problem{Path: []string{"encode"}, Code: "platform-mapping", Cause: err}
	}
	object, err := p.Encode(in)
	if err != nil {
		return nil, &Problem{Path: []string{"encode", "object"}, Code: "platform-mapping", Cause: err,
			Message: "encode can't be evaluated for " + described(a)}
	}
	if _, ok := p.Record(object); !ok {
		return nil, &Problem{Path: []string{"encode", "object"}, Label: true, Code: "platform-mapping",
			Message: fmt.Sprintf("encode does not write the marker to marker.field, %s", p.Marker.Field),
			Help:    "declare marker: _ in encode, and write it there: " + strings.ReplaceAll(string(p.Marker.Field), ".", ": ") + ": marker"}
	}
	returned, err := p.encoded(in, "returned")
	if err != nil {
		return nil, &Problem{Path: []string{"encode", "returned"}, Code: "platform-mapping", Cause: err,
			Message: "encode.returned can't be evaluated for " + described(a)}
	}
	if returned != nil {
		object = returned
	}
	return object, nil
}

// described describes a sample automation in messages.
func described(a automation.Automation) string {
	body := "with a payload"
	if a.Action.Payload == nil {
		body = "without a payload"
	}
	state := "enabled"
	if !a.Enabled {
		state = "disabled"
	}
	return fmt.Sprintf("a sample automation (%s, %s, %s %s)", a.Trigger.Kind, state, a.Action.Method, body)
}

// compare records the fields of a sample that decode does not return.
func (p *Platform) compare(a automation.Automation, object any, lost map[string]string) *Problem {
	decoded, err := p.Decode(object)
	if err != nil {
		return &Problem{Path: []string{"decode", "automation"}, Label: true, Code: "platform-mapping", Cause: err,
			Message: "decode can't be evaluated for the object that encode makes from " + described(a)}
	}
	record, ok := p.Record(object)
	if !ok {
		record = RecordOf("sample", a, a.Hash())
	}
	want, got := tree(a), tree(p.Restore(decoded, record))
	differences("", want, got, lost)
	return nil
}

// tree returns an automation's canonical JSON, decoded.
func tree(a automation.Automation) any {
	b, err := a.Canonical()
	if err != nil {
		return err.Error()
	}
	v, err := Parse(b)
	if err != nil {
		return err.Error()
	}
	return v
}

// differences records the fields in which two values differ.
func differences(at string, want, got any, into map[string]string) {
	w, ok1 := want.(map[string]any)
	g, ok2 := got.(map[string]any)
	// A mapping handles the payload as one value.
	if !ok1 || !ok2 || at == "action.payload" {
		if a, b := short(want), short(got); a != b {
			if _, known := into[at]; !known {
				into[at] = fmt.Sprintf("%s was %s and comes back as %s", at, a, b)
			}
		}
		return
	}
	names := map[string]bool{}
	for name := range w {
		names[name] = true
	}
	for name := range g {
		names[name] = true
	}
	for _, name := range sortedKeys(names) {
		path := strings.TrimPrefix(at+"."+name, ".")
		wv, has1 := w[name]
		gv, has2 := g[name]
		switch {
		case has1 && has2:
			differences(path, wv, gv, into)
		case has1:
			into[path] = fmt.Sprintf("%s was %s and does not come back", path, short(wv))
		default:
			into[path] = fmt.Sprintf("%s was missing and comes back as %s", path, short(gv))
		}
	}
}

// short returns a value as abbreviated JSON.
func short(v any) string {
	b, err := marshal(v)
	if err != nil {
		return "?"
	}
	return string(b)
}

// checkPatch checks that a PATCH, which only replaces the fields that it sends,
// leaves no old content behind.
func (p *Platform) checkPatch(samples []automation.Automation, objects []any) *Problem {
	for i := range samples {
		for j, a := range samples {
			lost := map[string]string{}
			if problem := p.compare(a, merge(objects[i], objects[j]), lost); problem != nil {
				return problem
			}
			if fields := sortedKeys(lost); len(fields) > 0 {
				return &Problem{Path: []string{"encode", "object"}, Label: true, Code: "platform-mapping",
					Message: "an update with PATCH would keep parts of the old object: " + strings.Join(fields, ", ") + plural(len(fields), " is wrong afterwards", " are wrong afterwards"),
					Help:    "always write every field, with null for an absent value: " + lost[fields[0]]}
			}
		}
	}
	return nil
}

// merge returns an object after a PATCH, which adds or replaces fields at the
// top level.
func merge(old, sent any) any {
	o, ok1 := old.(map[string]any)
	s, ok2 := sent.(map[string]any)
	if !ok1 || !ok2 {
		return sent
	}
	out := maps.Clone(o)
	for name, v := range s {
		out[name] = v
	}
	return out
}

// Loses lists the fields of an automation that decode does not return from the
// object that encode made. It reports nothing if the platform returns something
// else than it was sent.
func (p *Platform) Loses(object any, a automation.Automation, r Record) ([]string, error) {
	if p.asymmetric() {
		return nil, nil
	}
	decoded, err := p.Decode(object)
	if err != nil {
		return nil, fmt.Errorf("the platform's description can't represent it: decode: %w", err)
	}
	lost := map[string]string{}
	differences("", tree(a), tree(p.Restore(decoded, r)), lost)
	return sortedKeys(lost), nil
}

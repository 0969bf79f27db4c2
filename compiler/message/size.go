package message

import (
	"encoding/json"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/finding"
)

// The limits that Segment sets on an event.
const (
	maxEvent     = automation.MaxMessageBytes
	maxMessageID = automation.MaxMessageIDLength
)

// checkSize checks how deep a payload is, and the limits on what Segment takes: of
// the fixed part for certain, and of the longest values for a warning.
func (m *Checked) checkSize() (found findings) {
	at := m.At.With("payload")
	if depth := depthOf(m.payload); depth > automation.DeepestPayload {
		w := finding.Newf("too-large", at, finding.AtLabel, "the payload is nested %d deep, of at most %d", depth,
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
		w := finding.Newf("too-large", at, finding.AtLabel,
			"the message is too large for Segment: %d bytes before any placeholder is filled in, of at most %d", fixed,
			maxEvent)
		w.Help = "send less, or split it into several events"
		found = append(found, w)
	case longest > maxEvent:
		w := finding.Newf("may-be-too-large", at, finding.AtLabel,
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
		w := finding.Newf("may-be-too-long", at.With("messageId"), finding.AtValue,
			"with the longest values of its placeholders messageId has %d characters, and Segment takes fewer than 100",
			longest-len(`""`))
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
func (m *Checked) size(v any) (fixed, longest int) {
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

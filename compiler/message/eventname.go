package message

import (
	"slices"
	"strconv"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/naming"
)

// checkEventName warns of a track event whose name does not follow the naming that
// Segment advises: a noun and a verb in the past, in Title Case. A name that may
// be fine is left alone, and so is one that the tracking plan has.
func (m *Checked) checkEventName() findings {
	payload, _ := m.payload.(map[string]any)
	name, ok := payload["event"].(string)
	if m.Call != "track" || !ok {
		return nil
	}
	if strings.ContainsAny(name, "{}") {
		return m.checkEventPerUser(name)
	}
	if m.Plan != nil && m.Plan.Has(name) {
		return nil
	}
	problem, better := naming.Event(name)
	if problem == "" {
		return nil
	}
	w := finding.Newf("event-name", m.At.With("payload", "event"), finding.AtValue, "the event %q %s", name, problem)
	w.Suggestion = better
	w.Help = `name it by a noun and a verb in the past, as in "Order Completed"`
	if better != "" {
		w.Help = "write " + strconv.Quote(better)
	}
	return findings{w}
}

// checkEventPerUser warns of the name of an event that is another one for each person or
// account: each would be an event, and a table of a warehouse, of its own.
func (m *Checked) checkEventPerUser(name string) findings {
	t, err := automation.ParseTemplate(name)
	if err != nil {
		return nil
	}
	for _, r := range t.References() {
		kind := m.Catalog[r.Name].Type
		if r.Name == "usagePatternName" || !slices.Contains(perSubject, r.Name) && kind != automation.TimeValue &&
			kind != automation.NumberValue && personalKind(r.Name) == "" {
			continue
		}
		w := finding.Newf("event-per-user", m.At.With("payload", "event"), finding.AtValue,
			"{{%s}} makes many events of one, each with a table of its own in a warehouse", r.Name)
		w.In(name, r.Offset, r.Length)
		w.Help = "give the event a fixed name, and send " + r.Name + " as a property"
		return findings{w}
	}
	return nil
}

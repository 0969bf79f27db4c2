package message

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
)

// checkTrigger learns the kind of trigger, and checks its name. What is wrong with the
// trigger otherwise is found by its shape.
func (m *Checked) checkTrigger() findings {
	t, _ := m.Raw["trigger"].(map[string]any)
	_, pattern := t["pattern"].(string)
	_, journey := t["journey"].(string)
	switch {
	case pattern && !journey:
		m.Trigger = automation.Pattern
	case journey && !pattern:
		m.Trigger = automation.Journey
	}
	for _, kind := range []automation.TriggerKind{automation.Pattern, automation.Journey} {
		name, ok := t[string(kind)].(string)
		if trimmed := strings.TrimSpace(name); ok && trimmed != name && trimmed != "" {
			w := finding.Newf("stray-blanks", m.At.With("trigger", string(kind)), finding.AtValue,
				"the name of the %s has leading or trailing whitespace: %q", kind, name)
			w.Suggestion, w.Help, w.Repair = trimmed, fmt.Sprintf("write %q", trimmed), finding.Quoted(trimmed)
			return findings{w}
		}
	}
	return m.knownTrigger(t)
}

// knownTrigger checks that the platform has a trigger of that name.
func (m *Checked) knownTrigger(t map[string]any) findings {
	if m.Triggers == nil || m.Trigger == "" {
		return nil
	}
	kind := m.Trigger
	name, _ := t[string(kind)].(string)
	if name == "" || slices.Contains(m.Triggers[kind], name) {
		return nil
	}
	w := finding.Newf("unknown-trigger", m.At.With("trigger", string(kind)), finding.AtValue, "the platform has no %s %q",
		kind, name)
	other := automation.Pattern
	if kind == automation.Pattern {
		other = automation.Journey
	}
	near := finding.Nearest(name, m.Triggers[kind])
	switch {
	case near != "":
		w.Suggestion, w.Help, w.Repair = near, finding.DidYouMean(strconv.Quote(near)), finding.Quoted(near)
	case slices.Contains(m.Triggers[other], name):
		w.Help = fmt.Sprintf("there is a %s of that name: write trigger: %s: %q", other, other, name)
	case len(m.Triggers[kind]) == 0:
		w.Help = fmt.Sprintf("%s lists no %ss; segue triggers pull renews it", config.TriggersFile, kind)
	default:
		w.Help = "write one of " + config.TriggersFile + ", which segue triggers pull renews"
	}
	return findings{w}
}

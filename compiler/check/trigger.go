package check

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
)

// checkTrigger checks that the platform has a trigger of that name.
func (m *Message) checkTrigger(t map[string]any) {
	if m.Triggers == nil || m.Trigger == "" {
		return
	}
	kind := m.Trigger
	name, _ := t[string(kind)].(string)
	if name == "" || slices.Contains(m.Triggers[kind], name) {
		return
	}
	w := m.Report("unknown-trigger", m.At.With("trigger", string(kind)), finding.AtValue, "the platform has no %s %q", kind, name)
	other := map[automation.TriggerKind]automation.TriggerKind{automation.Pattern: automation.Journey, automation.Journey: automation.Pattern}[kind]
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
}

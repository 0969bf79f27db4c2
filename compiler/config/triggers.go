package config

import (
	"github.com/seguehq/segue/automation"
)

// TriggersFile is where the triggers of a platform are kept, relative to the
// project and with slashes.
const TriggersFile = "triggers/triggers.cue"

// TriggerNames are the names of a platform's triggers by kind; nil if they are
// not known.
type TriggerNames map[automation.TriggerKind][]string

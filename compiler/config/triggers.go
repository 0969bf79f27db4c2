package config

import (
	"github.com/seguehq/segue/automation"
)

// TriggersFile is the file with the names of a platform's triggers, relative to the project and with slashes.
const TriggersFile = "triggers/triggers.cue"

// TriggerNames has the names of a platform's triggers by kind; nil if they are not known.
type TriggerNames map[automation.TriggerKind][]string

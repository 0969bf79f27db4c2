package explain

import (
	"github.com/seguehq/segue/compiler/finding"
)

// The descriptions of platforms are, like the tracking plan, more than values:
// encode and decode stay open until an automation is filled in. They are
// evaluated with the file, under the name of a definition.
const (
	PlatformsField      = "platforms"
	PlatformsDefinition = "#platforms"
)

// hiddenFields are the fields of the project file that are no values, by name,
// and the definitions that they are evaluated as.
var hiddenFields = map[string]string{PlanField: PlanDefinition, PlatformsField: PlatformsDefinition}

// HiddenAs returns the definition that a field of the project file is evaluated
// as, "" if it is a value. Where near is set, a misspelt name is taken for what
// it was meant to be.
func HiddenAs(label string, near bool) string {
	if d := hiddenFields[label]; d != "" || !near {
		return d
	}
	for name, d := range hiddenFields {
		if finding.Nearest(label, []string{name}) != "" {
			return d
		}
	}
	return ""
}

// shownAs is the field that was hidden as a definition.
func shownAs(definition any) (string, bool) {
	for name, d := range hiddenFields {
		if d == definition {
			return name, true
		}
	}
	return "", false
}

// The tracking plan is the one field of segue.cue that is not a value but says
// what values may be. It is evaluated with the file, for it may refer to what
// else is there, but under the name of a definition: CUE then closes its structs
// and does not ask for values in it.
const (
	PlanField      = "trackingPlan"
	PlanDefinition = "#trackingPlan"
)

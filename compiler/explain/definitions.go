package explain

import (
	"github.com/seguehq/segue/compiler/finding"
)

// The descriptions of platforms are, like the tracking plan, more than values: encode and decode stay open
// until an automation is filled in. They are evaluated with the file, under the name of a definition.
const (
	PlatformsField      = "platforms"
	PlatformsDefinition = "#platforms"
)

// hiddenFields maps the fields of the project file that are not values to the definitions that they are
// evaluated as.
var hiddenFields = map[string]string{PlanField: PlanDefinition, PlatformsField: PlatformsDefinition}

// HiddenAs returns the definition that a field of the project file is evaluated as, "" if the field is a value.
// If near is true, a misspelled name counts as the name that it resembles.
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

// shownAs returns the field that is evaluated as a definition.
func shownAs(definition any) (string, bool) {
	for name, d := range hiddenFields {
		if d == definition {
			return name, true
		}
	}
	return "", false
}

// The tracking plan is the one field of segue.cue that constrains values instead of being one. It is evaluated
// with the file, because it may refer to other fields, but under the name of a definition: CUE then closes its
// structs and does not ask for values in it.
const (
	PlanField      = "trackingPlan"
	PlanDefinition = "#trackingPlan"
)

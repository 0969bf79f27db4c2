package finding

import (
	"slices"
	"strings"

	"github.com/seguehq/segue/diagnostic"
)

// A Code is a kind of finding.
type Code struct {
	// Name is the slug that findings carry, such as "unknown-field".
	Name string
	// Severity is that of its findings. Also gives some findings another one.
	Severity diagnostic.Severity
	// Also is the severity of findings that are made with [Finding.Otherwise], "" if there are none. When
	// describes these findings.
	Also diagnostic.Severity
	When string
	// Comparing means that its findings come from comparing automations with each other.
	Comparing bool
}

// Codes lists all kinds of findings of the compiler, by name.
func Codes() []Code {
	return slices.Clone(table)
}

// table has the codes, sorted by name. A test compares them with the codes that the rooms of the compiler
// report.
var table = []Code{
	{Name: "blocked-id", Severity: diagnostic.Warning},
	{Name: "broken-data", Severity: diagnostic.Error},
	{Name: "broken-import", Severity: diagnostic.Error},
	{Name: "broken-plan", Severity: diagnostic.Error},
	{Name: "conflicting-fields", Severity: diagnostic.Error},
	{Name: "conflicting-values", Severity: diagnostic.Error},
	{Name: "cue", Severity: diagnostic.Error},
	{Name: "cycle", Severity: diagnostic.Error},
	{Name: "destination-spelling", Severity: diagnostic.Warning, Comparing: true},
	{Name: "duplicate-automation", Severity: diagnostic.Warning, Comparing: true},
	{Name: "duplicate-header", Severity: diagnostic.Error},
	{Name: "duplicate-key", Severity: diagnostic.Error, Also: diagnostic.Warning,
		When: "two keys differ only in capitals, which some disks do not tell apart"},
	{Name: "empty-value", Severity: diagnostic.Error,
		Also: diagnostic.Warning, When: "Segment takes it: the other id identifies the user, or it is a trait or property"},
	{Name: "event-name", Severity: diagnostic.Warning},
	{Name: "event-per-user", Severity: diagnostic.Warning},
	{Name: "event-spelling", Severity: diagnostic.Warning, Comparing: true},
	{Name: "field-name", Severity: diagnostic.Warning},
	{Name: "file-condition", Severity: diagnostic.Error},
	{Name: "file-name", Severity: diagnostic.Error},
	{Name: "file-too-large", Severity: diagnostic.Error},
	{Name: "fixed-message-id", Severity: diagnostic.Error,
		Also: diagnostic.Warning, When: "the id is the same in all messages about one user or account"},
	{Name: "fixed-value", Severity: diagnostic.Warning},
	{Name: "folder-name", Severity: diagnostic.Error},
	{Name: "group-of-one", Severity: diagnostic.Warning},
	{Name: "header-case", Severity: diagnostic.Warning},
	{Name: "import-cycle", Severity: diagnostic.Error},
	{Name: "import-name", Severity: diagnostic.Error},
	{Name: "invalid-header", Severity: diagnostic.Error,
		Also: diagnostic.Warning, When: "a character that is not ASCII: many servers refuse it, and some accept it"},
	{Name: "invalid-key", Severity: diagnostic.Error},
	{Name: "invalid-time", Severity: diagnostic.Error, Also: diagnostic.Warning,
		When: "it is a trait, a property or a field of context; or the time lacks a zone, a time of day or the T"},
	{Name: "invalid-url", Severity: diagnostic.Error},
	{Name: "invalid-value", Severity: diagnostic.Error,
		Also: diagnostic.Warning, When: advisedType},
	{Name: "linked-folder", Severity: diagnostic.Error},
	{Name: "malformed-placeholder", Severity: diagnostic.Error,
		Also: diagnostic.Warning, When: "it is written as in another language, and no placeholder has its name"},
	{Name: "may-be-too-large", Severity: diagnostic.Warning},
	{Name: "may-be-too-long", Severity: diagnostic.Warning},
	{Name: "misplaced-automation", Severity: diagnostic.Error},
	{Name: "misplaced-placeholder", Severity: diagnostic.Error},
	{Name: "missing-cast", Severity: diagnostic.Warning},
	{Name: "missing-field", Severity: diagnostic.Error},
	{Name: "missing-property", Severity: diagnostic.Error},
	{Name: "missing-value", Severity: diagnostic.Error},
	{Name: "misspelt-field", Severity: diagnostic.Warning},
	{Name: "mixed-case", Severity: diagnostic.Warning, Comparing: true},
	{Name: "mixed-user-ids", Severity: diagnostic.Warning, Comparing: true},
	{Name: "module-file", Severity: diagnostic.Error},
	{Name: "module-unavailable", Severity: diagnostic.Error},
	{Name: "nested-project", Severity: diagnostic.Error},
	{Name: "no-destination", Severity: diagnostic.Warning},
	{Name: "no-package", Severity: diagnostic.Error,
		Also: diagnostic.Warning, When: "the file has only comments"},
	{Name: "no-project", Severity: diagnostic.Error},
	{Name: "not-an-automation", Severity: diagnostic.Error},
	{Name: "number-precision", Severity: diagnostic.Error},
	{Name: "out-of-range", Severity: diagnostic.Error,
		Also: diagnostic.Warning, When: advisedType},
	{Name: "outside-project", Severity: diagnostic.Error},
	{Name: "over-budget", Severity: diagnostic.Error},
	{Name: "personal-data", Severity: diagnostic.Warning},
	{Name: "placeholder-not-provided", Severity: diagnostic.Error},
	{Name: "placeholder-type", Severity: diagnostic.Error,
		Also: diagnostic.Warning, When: advisedType},
	{Name: "plain-http", Severity: diagnostic.Error},
	{Name: "planned-type", Severity: diagnostic.Error},
	{Name: "platform-mapping", Severity: diagnostic.Error},
	{Name: "project-package", Severity: diagnostic.Error},
	{Name: "property-type", Severity: diagnostic.Warning, Comparing: true},
	{Name: "reserved-column", Severity: diagnostic.Warning},
	{Name: "reserved-header", Severity: diagnostic.Error},
	{Name: "same-column", Severity: diagnostic.Warning},
	{Name: "same-table", Severity: diagnostic.Warning, Comparing: true},
	{Name: "schema-version", Severity: diagnostic.Warning},
	{Name: "secret-in-code", Severity: diagnostic.Error,
		Also: diagnostic.Warning, When: "only the name of the header suggests a secret"},
	{Name: "set-by-segment", Severity: diagnostic.Warning},
	{Name: "stray-blanks", Severity: diagnostic.Error,
		Also: diagnostic.Warning, When: "the name of an event, which Segment takes as it is"},
	{Name: "syntax-error", Severity: diagnostic.Error},
	{Name: "too-large", Severity: diagnostic.Error},
	{Name: "too-long", Severity: diagnostic.Error},
	{Name: "unchecked-event", Severity: diagnostic.Warning},
	{Name: "unchecked-message", Severity: diagnostic.Warning},
	{Name: "unchecked-property", Severity: diagnostic.Warning},
	{Name: "unexpected-payload", Severity: diagnostic.Warning},
	{Name: "unknown-automation", Severity: diagnostic.Error},
	{Name: "unknown-cast", Severity: diagnostic.Error},
	{Name: "unknown-code", Severity: diagnostic.Error},
	{Name: "unknown-definition", Severity: diagnostic.Error},
	{Name: "unknown-field", Severity: diagnostic.Error},
	{Name: "unknown-import", Severity: diagnostic.Error},
	{Name: "unknown-placeholder", Severity: diagnostic.Error},
	{Name: "unknown-platform", Severity: diagnostic.Error},
	{Name: "unknown-reference", Severity: diagnostic.Error},
	{Name: "unknown-source", Severity: diagnostic.Error},
	{Name: "unknown-target", Severity: diagnostic.Error},
	{Name: "unknown-trigger", Severity: diagnostic.Error},
	{Name: "unplanned-event", Severity: diagnostic.Error},
	{Name: "unplanned-property", Severity: diagnostic.Error},
	{Name: "unreadable-file", Severity: diagnostic.Error},
	{Name: "unusable-value", Severity: diagnostic.Warning},
	{Name: "unused-allow", Severity: diagnostic.Warning},
	{Name: "unused-import", Severity: diagnostic.Error},
	{Name: "unused-let", Severity: diagnostic.Error},
	{Name: "unused-secret", Severity: diagnostic.Warning},
	{Name: "wrong-region", Severity: diagnostic.Error},
	{Name: "wrong-type", Severity: diagnostic.Error,
		Also: diagnostic.Warning, When: advisedType},
	{Name: "wrong-url", Severity: diagnostic.Error},
}

// advisedType is when a wrong type is a warning.
const advisedType = "a trait, a property or a field of context, whose type the spec names and Segment does not enforce"

// CodeOf returns a code by its name.
func CodeOf(name string) (Code, bool) {
	i, ok := slices.BinarySearchFunc(table, name,
		func(c Code, name string) int { return strings.Compare(c.Name, name) })
	if !ok {
		return Code{}, false
	}
	return table[i], true
}

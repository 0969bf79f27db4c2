package project

import (
	"strings"

	"github.com/seguehq/segue/compiler/finding"
)

// checkMoved checks the former names of the project and of its automations.
func checkMoved(raw map[string]any) (found []finding.Finding) {
	moved := objectIn(raw, "moved")
	invalid := func(at finding.Path, help, format string, args ...any) {
		w := finding.Newf("invalid-value", at, finding.AtValue, format, args...)
		w.Help = help
		found = append(found, w)
	}
	if former, ok := moved["project"].(string); ok && former == raw["project"] {
		invalid(finding.Path{"moved", "project"}, "write the name that the project had before, or leave it out",
			"%q is the project's name now, not a former one", former)
	}
	by := map[string]string{} // former keys by present ones
	for _, from := range finding.SortedKeys(moved) {
		to, ok := moved[from].(string)
		if !ok || to == "" || from == "project" {
			continue // its shape says so
		}
		at := finding.Path{"moved", from}
		switch {
		case circular(moved, from):
			invalid(at, "an automation has one present key: remove the line that leads back",
				"the moves lead in a circle, back to %s", from)
		case strings.HasSuffix(from, "...") != strings.HasSuffix(to, "..."):
			invalid(at, `write ... at the end of both names, or of none: "old/...": "new/..."`,
				"a folder can't become the key of an automation, nor the other way round")
		case by[to] != "" && !strings.HasSuffix(to, "..."):
			invalid(at, "one of them is another automation's: correct it, or remove it",
				"%s has two former keys, %s and %s", to, by[to], from)
		}
		by[to] = from
	}
	return found
}

// circular reports whether moves lead from a key back to it, and it is the first of the
// keys in the circle, so that a circle is told of once.
func circular(moved map[string]any, key string) bool {
	at := key
	for range moved {
		next, _ := moved[at].(string)
		if next == key {
			return true
		}
		if at = next; at == "" || at < key {
			return false
		}
	}
	return false
}

package project

import (
	"strings"

	"github.com/seguehq/segue/compiler/check"
	"github.com/seguehq/segue/compiler/finding"
)

// checkMoved checks the former names of the project and of its automations.
func checkMoved(c *check.Checker, raw map[string]any) {
	moved, _ := raw["moved"].(map[string]any)
	if former, ok := moved["project"].(string); ok && former == raw["project"] {
		w := c.Report("invalid-value", finding.Path{"moved", "project"}, finding.AtValue,
			"%q is the project's name now, not a former one", former)
		w.Help = "write the name that the project had before, or leave it out"
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
			w := c.Report("invalid-value", at, finding.AtValue, "the moves lead in a circle, back to %s", from)
			w.Help = "an automation has one present key: remove the line that leads back"
		case strings.HasSuffix(from, "...") != strings.HasSuffix(to, "..."):
			w := c.Report("invalid-value", at, finding.AtValue, "a folder can't become the key of an automation, nor the other way round")
			w.Help = `write ... at the end of both names, or of none: "old/...": "new/..."`
		case by[to] != "" && !strings.HasSuffix(to, "..."):
			w := c.Report("invalid-value", at, finding.AtValue, "%s has two former keys, %s and %s", to, by[to], from)
			w.Help = "one of them is another automation's: correct it, or remove it"
		}
		by[to] = from
	}
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

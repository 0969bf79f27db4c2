package message

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/naming"
)

// reservedColumns are those that the table of an event has for itself.
var reservedColumns = []string{"anonymous_id", "event", "event_text", "original_timestamp", "received_at", "sent_at",
	"timestamp", "user_id", "uuid", "uuid_ts"}

// checkFieldNames warns of traits and properties that a warehouse loses by their names.
func (m *Checked) checkFieldNames() (found findings) {
	block := MessageBlock(m.Call)
	payload, _ := m.payload.(map[string]any)
	fields, ok := payload[block].(map[string]any)
	if !ok {
		return nil
	}
	c := columns{first: map[string]finding.Path{}}
	c.walk(fields, nil, m.At.With("payload", block))
	for _, k := range finding.SortedKeys(fields) {
		if block != "properties" || !slices.Contains(reservedColumns, naming.Column(k)) {
			continue
		}
		at := m.At.With("payload", block, k)
		w := finding.Newf("reserved-column", at, finding.AtLabel,
			"%s is called like a column that Segment's warehouses fill in themselves: its value is lost there", at.Name())
		w.Help = "give it another name"
		c.found = append(c.found, w)
	}
	return c.found
}

// columns are those that a warehouse makes of the fields of a message.
type columns struct {
	first map[string]finding.Path // by the column, without the name of the block
	found findings
}

// walk goes through a struct, whose fields become columns as well: a: b: 1 is a_b.
func (c *columns) walk(fields map[string]any, prefix []string, at finding.Path) {
	for _, k := range finding.SortedKeys(fields) {
		inner := at.With(k)
		if problem := fieldNameProblem(k); problem != "" {
			w := finding.Newf("field-name", inner, finding.AtLabel, "the name %q of a field %s", k, problem)
			w.Help = "give it a name that begins with a letter"
			if trimmed := strings.TrimSpace(k); trimmed != "" && trimmed != k && fieldNameProblem(trimmed) == "" {
				w.Suggestion, w.Help = trimmed, "write "+strconv.Quote(trimmed)
			}
			c.found = append(c.found, w)
			continue
		}
		column := append(slices.Clone(prefix), naming.Column(k))
		name := strings.Join(column, "_")
		nested, isStruct := fields[k].(map[string]any)
		if isStruct {
			c.walk(nested, column, inner)
			continue
		}
		if other, taken := c.first[name]; taken {
			w := finding.Newf("same-column", inner, finding.AtLabel,
				"%s and %s become one column in a warehouse, %s: one of their values is lost", other.Name(), inner.Name(), name)
			w.Help = "keep one of them, or give one another name"
			c.found = append(c.found, w)
			continue
		}
		c.first[name] = inner
	}
}

func fieldNameProblem(k string) string {
	switch {
	case strings.TrimSpace(k) == "":
		return "is empty"
	case strings.TrimSpace(k) != k:
		return "has leading or trailing whitespace"
	case !strings.ContainsFunc(k, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
		return "has no letter"
	}
	return ""
}

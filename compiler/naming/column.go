package naming

import (
	"strings"

	"github.com/seguehq/segue/compiler/finding"
)

// Column is the name of the column, or of the table, that a warehouse makes of the name of a
// field or an event: Segment converts it to snake case
// (https://segment.com/docs/connections/storage/warehouses/schema/).
func Column(name string) string {
	words := finding.Words(name)
	for i, w := range words {
		words[i] = strings.ToLower(w)
	}
	return strings.Join(words, "_")
}

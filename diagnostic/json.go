package diagnostic

import (
	"encoding/json"
	"io"
)

// WriteJSON writes the findings as one JSON document: {"diagnostics": [...],
// "summary": {"errors": N, "warnings": N}}.
func WriteJSON(w io.Writer, l List) error {
	if l == nil {
		l = List{}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Diagnostics List    `json:"diagnostics"`
		Summary     Summary `json:"summary"`
	}{l, l.Summary()})
}

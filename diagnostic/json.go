package diagnostic

import (
	"bytes"
	"encoding/json"
	"io"
)

// WriteJSON writes the findings as one JSON document: {"diagnostics": [...], "summary": {"errors": N,
// "warnings": N}}. A confidential finding is written without its fix, which may contain a secret.
func WriteJSON(w io.Writer, l List) error {
	shown := append(List{}, l...)
	for i, d := range shown {
		if d.Confidential {
			shown[i].Fix = nil
		}
	}
	return EncodeJSON(w, struct {
		Diagnostics List    `json:"diagnostics"`
		Summary     Summary `json:"summary"`
	}{shown, l.Summary()})
}

// EncodeJSON writes a value as indented JSON that is safe to show on a terminal.
func EncodeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(EscapeJSON(b.Bytes()))
	return err
}

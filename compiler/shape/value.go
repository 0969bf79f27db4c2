package shape

import (
	"encoding/json"
)

// Broken stands for a value that already has a finding; nothing more is said of it.
type Broken struct{}

// Unset stands for a value that is still open.
type Unset struct{}

// Bytes stands for CUE's bytes, which are no text: they would be sent in
// base64. It holds them.
type Bytes string

// FitsKind reports whether a value is of the sort that a shape asks for,
// whatever else may be wrong with it. A struct fits where it shares a field.
func FitsKind(v any, s *Shape) bool {
	switch v := v.(type) {
	case string:
		return s.Kind == Text || s.Kind == Time || s.Kind == Date
	case json.Number:
		return s.Kind == Number || s.Kind == Integer
	case bool:
		return s.Kind == Boolean
	case []any:
		return s.Kind == List
	case map[string]any:
		if s.Kind != Struct {
			return false
		}
		for k := range v {
			if _, ok := s.Fields[k]; ok {
				return true
			}
		}
		return s.Open || s.Rest != nil
	default:
		return v == nil && s.Kind == Null
	}
}

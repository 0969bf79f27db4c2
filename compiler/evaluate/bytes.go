package evaluate

import (
	"cuelang.org/go/cue"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
)

// withBytes replaces the strings in a decoded value by [shape.Bytes] wherever v has bytes.
func withBytes(v cue.Value, raw any) any {
	if d, ok := v.Default(); ok {
		v = d
	}
	switch raw := raw.(type) {
	case string:
		if v.Kind() == cue.BytesKind {
			b, _ := v.Bytes()
			return shape.Bytes(b)
		}
	case []any:
		for i := range raw {
			raw[i] = withBytes(v.LookupPath(cue.MakePath(cue.Index(i))), raw[i])
		}
	case map[string]any:
		for k := range raw {
			raw[k] = withBytes(v.LookupPath(finding.FieldPath(k)), raw[k])
		}
	}
	return raw
}

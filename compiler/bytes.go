package compiler

import (
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
)

// makesBytes reports whether a file can make bytes: it has them between single
// quotes, or uses one of CUE's packages whose functions return them. CUE accepts
// bytes wherever a schema is open, and writes them in base64.
func makesBytes(f *ast.File) bool {
	makes := false
	ast.Walk(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			path := strings.TrimLeft(n.Path.Value, `"`)
			makes = makes || strings.HasPrefix(path, "crypto/") || strings.HasPrefix(path, "encoding/")
		case *ast.BasicLit:
			makes = makes || n.Kind == token.STRING && strings.HasPrefix(strings.TrimLeft(n.Value, "#"), "'")
		}
		return !makes
	}, nil)
	return makes
}

// withBytes puts bytesValue into a decoded value wherever v has bytes.
func withBytes(v cue.Value, raw any) any {
	if d, ok := v.Default(); ok {
		v = d
	}
	switch raw := raw.(type) {
	case string:
		if v.Kind() == cue.BytesKind {
			b, _ := v.Bytes()
			return bytesValue(b)
		}
	case []any:
		for i := range raw {
			raw[i] = withBytes(v.LookupPath(cue.MakePath(cue.Index(i))), raw[i])
		}
	case map[string]any:
		for k := range raw {
			raw[k] = withBytes(v.LookupPath(valueSelector(k)), raw[k])
		}
	}
	return raw
}

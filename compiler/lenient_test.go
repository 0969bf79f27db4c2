package compiler

import (
	"context"
	"path"
	"slices"
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/schema"
)

// schemaValue builds a package of the schema in files, in a context of its own.
func schemaValue(t *testing.T, files map[string][]byte, pkg string) (*cue.Context, cue.Value) {
	t.Helper()
	disk, err := workspace.Open(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	inst := workspace.NewLoader(disk, files).SchemaPackage(pkg)
	if inst.Err != nil {
		t.Fatalf("%s: %v", pkg, inst.Err)
	}
	ctx := cuecontext.New()
	return ctx, ctx.BuildInstance(inst)
}

func TestLenientSchemaEvaluates(t *testing.T) {
	for _, pkg := range schema.Packages() {
		if _, v := schemaValue(t, shape.Lenient(), pkg); v.Validate() != nil {
			t.Errorf("%s: %v", pkg, v.Validate())
		}
	}
}

// TestLenientSchemaGivesTheSame checks that a right automation has the same value
// with both schemas: the defaults and the fixed fields.
func TestLenientSchemaGivesTheSame(t *testing.T) {
	for _, call := range []struct{ name, value string }{
		{"#Identify", `{name: "n", trigger: pattern: "p", payload: {userId: "u", traits: age: 4, context: app: name: "a"}}`},
		{"#Group", `{name: "n", trigger: journey: "p", payload: {userId: "u", groupId: "g"}, enabled: false, headers: "X-A": "b"}`},
		{"#Track", `{name: "n", trigger: pattern: "p", payload: {anonymousId: "u", event: "e", properties: {revenue: 1.5, x: [1]}}}`},
		{"#Page", `{name: "n", trigger: pattern: "p", payload: {userId: "u", name: "Home", properties: {url: "https://x", keywords: ["a"]}}}`},
		{"#Screen", `{name: "n", trigger: pattern: "p", payload: {anonymousId: "u", category: "c", properties: x: 1}}`},
		{"#Alias", `{name: "n", trigger: pattern: "p", payload: {userId: "u", previousId: "v"}}`},
		{"#HTTP", `{name: "n", trigger: pattern: "p", url: "https://x", headers: Authorization: basic: username: secret: "A"}`},
	} {
		var got [2]string
		for i, files := range []map[string][]byte{schema.Files(), shape.Lenient()} {
			ctx, v := schemaValue(t, files, "automation")
			value := v.LookupPath(cue.ParsePath(call.name)).Unify(ctx.CompileString(call.value))
			b, err := value.MarshalJSON()
			if err != nil {
				t.Errorf("%s: %v", call.name, err)
			}
			var raw any
			if err := source.UnmarshalNumber(b, &raw); err != nil {
				t.Fatal(err)
			}
			if call.name == "#HTTP" && i == 1 {
				// A default within a union is the one thing that is lost.
				raw.(map[string]any)["headers"].(map[string]any)["Authorization"].(map[string]any)["basic"].(map[string]any)["password"] = ""
			}
			got[i] = sortedJSON(t, raw)
		}
		if got[0] != got[1] {
			t.Errorf("%s:\nstrict  %s\nlenient %s", call.name, got[0], got[1])
		}
	}
}

// TestLenientSchemaAcceptsAnything checks that no wrong value conflicts with the
// lenient schema, save for a field that the schema fixes.
func TestLenientSchemaAcceptsAnything(t *testing.T) {
	ctx, lenient := schemaValue(t, shape.Lenient(), "automation")
	for _, def := range []string{"#Identify", "#Group", "#Track", "#Page", "#Screen", "#Alias", "#HTTP"} {
		for _, field := range []string{"name", "trigger", "enabled", "protect", "headers", "source", "url", "payload", "unknown"} {
			for _, value := range []string{`"x"`, `5`, `true`, `null`, `[1]`, `{a: 1}`} {
				v := lenient.LookupPath(cue.ParsePath(def)).Unify(ctx.CompileString(field + ": " + value))
				if err := v.Validate(); err != nil {
					t.Errorf("%s & {%s: %s}: %v", def, field, value, err)
				}
			}
		}
	}
}

// TestShapesKnowTheSchema fails when the schema uses CUE that the shapes do not
// understand: such a value would never be found wrong where it is.
func TestShapesKnowTheSchema(t *testing.T) {
	seen := map[*shape.Shape]bool{}
	var walk func(name string, s *shape.Shape)
	walk = func(name string, s *shape.Shape) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		if s.Kind == shape.Any && s.Definition != "_" {
			t.Errorf("%s has a shape that accepts anything", name)
		}
		for _, k := range finding.SortedKeys(s.Fields) {
			walk(name+"."+k, s.Fields[k].Shape)
		}
		walk(name+"[string]", s.Rest)
		walk(name+"[]", s.Elem)
		for _, alt := range s.Alts {
			walk(name+"|", alt)
		}
	}
	for _, name := range finding.SortedKeys(shape.All()) {
		if s := shape.All()[name]; s.Kind == shape.Any {
			t.Errorf("%s accepts anything", name)
		} else {
			walk(name, s)
		}
	}
}

// TestShapesHaveAllFields compares the fields of each shape with those that CUE
// itself sees.
func TestShapesHaveAllFields(t *testing.T) {
	for _, pkg := range schema.Packages() {
		_, v := schemaValue(t, schema.Files(), pkg)
		defs, err := v.Fields(cue.Definitions(true))
		if err != nil {
			t.Fatal(err)
		}
		for defs.Next() {
			name := pkg + "." + defs.Selector().String()
			s, ok := shape.All()[name]
			if !ok || s.Kind != shape.Struct {
				continue
			}
			fields, err := defs.Value().Fields(cue.Optional(true))
			if err != nil {
				continue // such as a definition that is not concrete
			}
			var want []string
			for fields.Next() {
				if sel := fields.Selector(); sel.LabelType() == cue.StringLabel {
					want = append(want, sel.Unquoted())
				}
			}
			slices.Sort(want)
			if got := finding.SortedKeys(s.Fields); !slices.Equal(got, want) {
				t.Errorf("%s: shape has %q, CUE has %q", name, got, want)
			}
		}
	}
}

// TestSchemaIsInTheSubset checks that no construct of the schema is one that the
// shapes' reader passes over.
func TestSchemaIsInTheSubset(t *testing.T) {
	for name, content := range schema.Files() {
		f, err := parser.ParseFile(name, content)
		if err != nil {
			t.Fatal(err)
		}
		ast.Walk(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Comprehension, *ast.LetClause, *ast.IndexExpr, *ast.SliceExpr, *ast.Interpolation, *ast.Alias, *ast.PostfixAlias:
				t.Errorf("%s:%v: %T is outside of the subset that shape.go reads", name, n.Pos(), n)
			case *ast.CallExpr:
				if got := exprName(n.Fun); !slices.Contains([]string{"strings.MaxRunes", "time.Format", "matchN"}, got) {
					t.Errorf("%s:%v: shape.go does not know %s", name, n.Pos(), got)
				}
			case *ast.BasicLit, *ast.Field:
			}
			return true
		}, nil)
		if dir := path.Dir(name); !slices.Contains(schema.Packages(), dir) {
			t.Errorf("%s is in no package", name)
		}
	}
}

func exprName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		label, _, _ := ast.LabelName(e.Sel)
		return strings.Join([]string{exprName(e.X), label}, ".")
	}
	return ""
}

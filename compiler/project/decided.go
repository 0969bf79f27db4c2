package project

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"sync"
	"unicode/utf8"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/check"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/plain"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/schema"
)

// decidedProject reads a segue.cue of plain data without CUE, which takes longer to
// start than all the rest of a small project. The error says why the file is left to
// CUE: whatever has a finding is.
func decidedProject(disk *workspace.Disk) (*config.Project, error) {
	if !workspace.PlainModule(disk) {
		return nil, fmt.Errorf("the module file is not a plain one")
	}
	if disk.IsAside(config.ProjectFile) {
		return nil, fmt.Errorf("%s is put aside", config.ProjectFile)
	}
	content, err := disk.Read(config.ProjectFile)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(content) || bytes.ContainsAny(content, "\x00\ufeff\ufffd") {
		return nil, fmt.Errorf("%s is not plain UTF-8", config.ProjectFile)
	}
	f, err := parser.ParseFile(config.ProjectFile, content, parser.Version(schema.LanguageVersion))
	if err != nil {
		return nil, err
	}
	raw, err := plain.Project(f)
	if err != nil {
		return nil, err
	}
	found := check.Rules{}.Value(raw, shape.Of("project.#Project"), nil)
	if found = append(found, checkProject(raw, nil)...); len(found) > 0 {
		return nil, fmt.Errorf("there is something to say about %s: %s", config.ProjectFile, found[0].Message)
	}
	catalog := plainCatalog()
	if catalog == nil {
		return nil, fmt.Errorf("the catalog is not plain data")
	}
	p := &config.Project{Dir: disk.Dir, Triggers: loadTriggers(disk)}
	b, err := json.Marshal(raw)
	if err != nil {
		return nil, err
	}
	if err := source.UnmarshalNumber(b, p); err != nil {
		return nil, err
	}
	withDefaultData(p)
	p.Catalog = catalog
	if plan, given := raw["trackingPlan"].(map[string]any); given {
		if p.Plan, err = decidedPlan(disk, plan); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// decidedPlan reads a tracking plan of files alone.
func decidedPlan(disk *workspace.Disk, plan map[string]any) (*config.TrackingPlan, error) {
	var names []string
	switch given := plan["jsonSchema"].(type) {
	case string:
		names = []string{given}
	case []any:
		for _, v := range given {
			name, _ := v.(string)
			names = append(names, name)
		}
	default:
		return nil, fmt.Errorf("the tracking plan is not one of files")
	}
	files := planFiles{disk: disk}
	rules := files.read(names)
	if rules == nil || len(files.found) > 0 {
		return nil, fmt.Errorf("there is something to say about the tracking plan")
	}
	return &config.TrackingPlan{Events: map[string]*config.PlanValue{}, Traits: map[string]*config.PlanValue{},
		Judge: newJudge(), AnyEvent: !rules.NamesEvents(), Rules: rules, Files: files.names}, nil
}

// plainCatalog reads the placeholders that the schema documents, as builtinCatalog does,
// from their syntax. It returns nil if they are not all plain data.
func plainCatalog() automation.Catalog {
	// Every project gets one of its own, for it adds to it.
	b := catalogJSON()
	if b == nil {
		return nil
	}
	var catalog automation.Catalog
	if source.UnmarshalNumber(b, &catalog) != nil {
		return nil
	}
	return catalog
}

// catalogJSON is the catalog of the schema, nil if it is not plain data.
var catalogJSON = sync.OnceValue(func() []byte {
	const pkg = "placeholder"
	var presets map[string]any
	var entries *ast.StructLit
	for name, content := range schema.Files() {
		if path.Dir(name) != pkg {
			continue
		}
		f, err := parser.ParseFile(name, content)
		if err != nil {
			return nil
		}
		for _, d := range f.Decls {
			field, ok := d.(*ast.Field)
			if !ok {
				continue
			}
			lit, _ := field.Value.(*ast.StructLit)
			switch label, _, _ := ast.LabelName(field.Label); {
			case label == "#Placeholder" && lit != nil:
				presets = presetsOf(lit)
			case label == "#Catalog":
				entries = lit
			}
		}
	}
	if presets == nil || entries == nil {
		return nil
	}
	catalog := map[string]any{}
	for _, d := range entries.Elts {
		field, ok := d.(*ast.Field)
		if !ok {
			return nil
		}
		label, _, err := ast.LabelName(field.Label)
		both, ok := field.Value.(*ast.BinaryExpr)
		if err != nil || !ok || both.Op != token.AND {
			return nil
		}
		id, ok1 := both.X.(*ast.Ident)
		own, ok2 := both.Y.(*ast.StructLit)
		if !ok1 || !ok2 || id.Name != "#Placeholder" {
			return nil
		}
		entry := map[string]any{}
		for k, v := range presets {
			entry[k] = v
		}
		for _, d := range own.Elts {
			field, ok := d.(*ast.Field)
			if !ok {
				return nil
			}
			k, _, err := ast.LabelName(field.Label)
			v, ok := dataOf(field.Value)
			if err != nil || !ok {
				return nil
			}
			entry[k] = v
		}
		catalog[label] = entry
	}
	b, err := json.Marshal(catalog)
	if err != nil {
		return nil
	}
	return b
})

// presetsOf returns the defaults of a definition's fields; nil if one is not plain data.
func presetsOf(lit *ast.StructLit) map[string]any {
	out := map[string]any{}
	for _, d := range lit.Elts {
		field, ok := d.(*ast.Field)
		if !ok {
			continue
		}
		e := field.Value
		for {
			b, ok := e.(*ast.BinaryExpr)
			if !ok || b.Op != token.OR {
				break
			}
			e = b.X
		}
		if u, ok := e.(*ast.UnaryExpr); ok && u.Op == token.MUL {
			k, _, err := ast.LabelName(field.Label)
			v, ok := dataOf(u.X)
			if err != nil || !ok {
				return nil
			}
			out[k] = v
		}
	}
	return out
}

// dataOf returns the value of an expression that is a scalar, or a list of such.
func dataOf(e ast.Expr) (any, bool) {
	switch e := e.(type) {
	case *ast.ListLit:
		list := []any{}
		for _, elem := range e.Elts {
			v, ok := dataOf(elem)
			if !ok {
				return nil, false
			}
			list = append(list, v)
		}
		return list, true
	case *ast.BasicLit:
		switch e.Kind {
		case token.STRING:
			s, err := literal.Unquote(e.Value)
			return s, err == nil
		case token.INT, token.FLOAT:
			return json.Number(e.Value), true
		case token.TRUE, token.FALSE:
			return e.Kind == token.TRUE, true
		}
	}
	return nil, false
}

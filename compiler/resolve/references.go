package resolve

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/ast/astutil"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// A resolver resolves the references of one file.
type resolver struct {
	*resolution
	src        *source.File
	scope      map[string]bool // the names that the package defines
	imported   map[string]*ast.ImportSpec
	meant      map[string]bool   // names of packages whose import has a finding
	gone       map[ast.Node]bool // imports that can't be resolved, or are not used
	bare       map[ast.Node]bool // nodes that are invalid as written, such as placeholders without quotes
	unresolved map[*ast.Ident]bool
	// added has missing imports that were added, by name. Each has a finding.
	added map[string]*ast.ImportSpec
	// otherName has the findings about imports that the file uses under a wrong name.
	otherName map[*ast.ImportSpec]*diagnostic.Diagnostic
	// respelt maps unresolvable references to corrected ones, if the correction is certain. The values that use
	// them are then checked too.
	respelt map[*ast.Ident]*ast.Ident
	// found has the findings about the file. They may be extended until the file is done.
	found []*diagnostic.Diagnostic
}

func (r *resolver) file() {
	s := r.src
	for spec := range s.Syntax.ImportSpecs() {
		if !r.importSpec(spec) {
			r.gone[spec] = true
			r.meant[source.ImportName(spec)] = true
			continue
		}
		r.imported[source.ImportName(spec)] = spec
	}
	for name, spec := range r.imported {
		if f := source.TopField(s.Syntax.Decls, name); f != nil {
			r.nameClash(f, spec)
			return
		}
	}
	used := source.Referenced(s.Syntax)
	r.barePlaceholders()
	r.doubledOperators()
	r.leftovers()
	r.commas()
	r.bareAddresses()
	r.strayValues()
	r.packageForField(used)
	r.assignments(used)
	for _, id := range s.Syntax.Unresolved {
		if spec := r.added[id.Name]; spec != nil && id.Node == nil {
			id.Node = spec // the missing import has a finding
			continue
		}
		if r.unresolved[id] || id == source.PackageIdent(s.Syntax) || id.Node != nil || r.scope[id.Name] ||
			source.Predeclared(id.Name) {
			continue // the parser also lists the package clause
		}
		r.unresolved[id] = true
		switch {
		case r.Unparsed, r.tornWord(id.Name): // it may be defined in the file that does not parse
		case r.meant[id.Name], finding.Nearest(id.Name, finding.SortedKeys(r.meant)) != "":
		default:
			if spec := r.unknownReference(id, used); spec != nil {
				used[spec] = true
			}
		}
	}
	for spec := range s.Syntax.ImportSpecs() {
		if !r.gone[spec] && !used[spec] && !r.tornWord(source.ImportName(spec)) {
			r.gone[spec] = true
			d := r.report("unused-import", spec, "the import "+spec.Path.Value+" is not used", "remove it")
			r.fixUnused(d, spec, func(s *ast.ImportSpec) bool {
				return !used[s] && r.imported[source.ImportName(s)] == s
			})
		}
	}
	rest := r.withoutLost()
	r.loosen(rest)
	r.patched[s.Syntax.Filename] = rest
}

// report adds a finding about a part of the file. The caller may extend it.
func (r *resolver) report(code string, n ast.Node, message, help string) *diagnostic.Diagnostic {
	at := source.PathAt(r.src.Syntax, n.Pos())
	d := finding.Diagnose(code, diagnostic.Diagnostic{
		Path: at.String(), File: r.src.Name, Range: r.Index.NodeRange(n), Message: message, Help: help})
	if len(at) > 1 && at[0] == "automations" {
		d.Key = path.Join(r.Dir, at[1].(string))
	}
	r.found = append(r.found, &d)
	return &d
}

// nameClash reports a field with the name of an import. CUE refuses such a file.
func (r *resolver) nameClash(f *ast.Field, spec *ast.ImportSpec) {
	label, _ := source.FieldLabel(f)
	r.refused = true
	if !r.IsProjectFile && finding.Nearest(label, []string{"automations"}) != "" {
		d := r.report("unknown-field", f.Label,
			"the field "+label+" has the name of an import; automations must be under automations",
			finding.DidYouMean("automations"))
		d.Suggestion = "automations"
		if _, plain := f.Label.(*ast.Ident); plain {
			r.fix(d, f.Label, "automations")
		}
		return
	}
	if sel, ok := f.Value.(*ast.SelectorExpr); ok && r.IsProjectFile {
		if id, ok := sel.X.(*ast.Ident); ok && id.Name == label {
			written := r.src.Covered(r.Index.NodeRange(sel))
			d := r.report("unknown-field", f.Label, "segue.cue has no field "+label+": its schema applies without one",
				"write "+written+" without "+label+":")
			d.Suggestion = written
			return
		}
	}
	r.report("import-name", spec, "the import has the name of a field of the file, "+label,
		"import the package under another name, as in import segue "+strconv.Quote(source.ImportPath(spec)))
}

// hole returns the value that replaces an unresolvable expression.
func (r *resolver) hole(n ast.Node) ast.Expr {
	id := &ast.Ident{NamePos: n.Pos(), Name: "_"}
	r.family.holes[id] = true
	return id
}

// withoutLost replaces unresolvable expressions by holes, and also expressions that contain a hole, unless they
// only unify with it. It removes imports that are lost or no longer used.
func (r *resolver) withoutLost() *ast.File {
	f := astutil.Apply(r.src.Syntax, r.dig, r.widen).(*ast.File)
	used := source.Referenced(f)
	var decls []ast.Decl
	for _, d := range f.Decls {
		imports, ok := d.(*ast.ImportDecl)
		if !ok {
			decls = append(decls, d)
			continue
		}
		kept := *imports
		kept.Specs = slices.DeleteFunc(slices.Clone(imports.Specs),
			func(spec *ast.ImportSpec) bool { return r.gone[spec] || !used[spec] })
		if len(kept.Specs) > 0 {
			decls = append(decls, &kept)
		}
	}
	out := *f
	out.Decls = decls
	return &out
}

// dig replaces an unresolvable reference by a hole.
func (r *resolver) dig(c astutil.Cursor) bool {
	switch n := c.Node().(type) {
	case *ast.SelectorExpr:
		x, ok := n.X.(*ast.Ident)
		if !ok {
			break
		}
		if right := r.respelt[x]; right != nil {
			n.X, x = right, right
			r.family.mended[right] = true
		}
		if r.gone[x.Node] || r.unresolved[x] {
			c.Replace(r.hole(n))
			return false
		}
		switch near, defined := r.definition(n, x); {
		case defined:
		case near != "":
			length := n.Sel.End().Offset() - n.Sel.Pos().Offset()
			n.Sel = &ast.Ident{NamePos: n.Sel.Pos(), Name: near}
			r.Index.Written[n.Sel] = length
			r.family.mended[n] = true
		default:
			c.Replace(r.hole(n))
			return false
		}
	case *ast.StructLit, *ast.BinaryExpr, *ast.BasicLit, *ast.UnaryExpr:
		if r.bare[n] {
			c.Replace(r.hole(n))
			return false
		}
	case *ast.Ident:
		switch right := r.respelt[n]; {
		case right != nil:
			c.Replace(right)
			r.family.mended[right] = true
		case r.unresolved[n] || r.gone[n.Node]:
			c.Replace(r.hole(n))
		}
	case *ast.ImportDecl:
		return false
	}
	return true
}

// widen replaces an expression by a hole if it needs the value of a hole within it.
func (r *resolver) widen(c astutil.Cursor) bool {
	lost := func(n ast.Node) bool { return n != nil && r.family.holes[n] }
	widened := false
	switch n := c.Node().(type) {
	case *ast.Field:
		if lost(n.Label) {
			r.family.holes[n] = true
			c.Delete()
		}
	case *ast.CallExpr:
		widened = lost(n.Fun) || slices.ContainsFunc(n.Args, func(e ast.Expr) bool { return lost(e) })
	case *ast.Interpolation:
		widened = slices.ContainsFunc(n.Elts, func(e ast.Expr) bool { return lost(e) })
	case *ast.SelectorExpr:
		widened = lost(n.X)
	case *ast.IndexExpr:
		widened = lost(n.X) || lost(n.Index)
	case *ast.SliceExpr:
		widened = lost(n.X)
	case *ast.UnaryExpr:
		widened = lost(n.X)
	case *ast.ParenExpr:
		widened = lost(n.X)
	case *ast.BinaryExpr:
		widened = n.Op != token.AND && (lost(n.X) || lost(n.Y))
	case *ast.Comprehension:
		if slices.ContainsFunc(n.Clauses, r.lostClause) {
			if _, decl := c.Parent().Node().(*ast.StructLit); decl {
				c.Replace(&ast.EmbedDecl{Expr: r.hole(n)})
			} else {
				c.Replace(r.hole(n))
			}
		}
	}
	if widened {
		c.Replace(r.hole(c.Node()))
	}
	return true
}

func (r *resolver) lostClause(c ast.Clause) bool {
	switch c := c.(type) {
	case *ast.ForClause:
		return r.family.holes[c.Source]
	case *ast.IfClause:
		return r.family.holes[c.Condition]
	}
	return false
}

// unknownReference reports an undefined identifier. It returns the import that was meant, if that is clear.
func (r *resolver) unknownReference(id *ast.Ident, used map[ast.Node]bool) *ast.ImportSpec {
	for name, spec := range r.imported {
		if d := r.otherName[spec]; d != nil &&
			path.Base(ast.ParseImportPath(source.ImportPath(spec)).Path) == id.Name {
			at := r.Index.NodeRange(id)
			d.Related = append(d.Related, diagnostic.Related{Message: "and here", File: r.src.Name, Range: at})
			if d.Fix != nil {
				d.Fix.Edits = append(d.Fix.Edits, diagnostic.Edit{File: r.src.Name, Range: at, NewText: name})
			}
			return spec
		}
	}
	d := r.report("unknown-reference", id, id.Name+" is not defined", "")
	for name, spec := range r.imported {
		if path.Base(ast.ParseImportPath(source.ImportPath(spec)).Path) == id.Name {
			r.otherName[spec] = d
			d.Message, d.Suggestion = "the import "+spec.Path.Value+" is called "+name+" here, not "+id.Name, name
			d.Help = finding.DidYouMean(name)
			r.fix(d, id, name)
			return spec
		}
	}
	if missing := r.missingImport(id); missing != "" {
		d.Help = "import it: import " + strconv.Quote(missing)
		return r.importMissing(d, id, missing)
	}
	if r.bareWord(d, id) {
		return nil
	}
	names := slices.Collect(maps.Keys(r.scope))
	names = slices.AppendSeq(names, maps.Keys(r.imported))
	fields, variables := r.around(id)
	names = append(append(names, fields...), variables...)
	names = append(names, "true", "false", "null", "string", "number", "bool", "int")
	if near := finding.Nearest(id.Name, names); near != "" {
		d.Suggestion, d.Help = near, finding.DidYouMean(near)
		spec := r.imported[near]
		if len(near) > 2 && slices.Contains(variables, near) || r.certainReference(id, near) {
			r.fix(d, id, near)
			right := &ast.Ident{NamePos: id.NamePos, Name: near}
			r.Index.Written[right] = len(id.Name)
			if spec != nil {
				right.Node = spec
			}
			if !slices.Contains(variables, near) && (spec != nil || r.scope[near]) {
				r.respelt[id] = right
			}
		}
		return spec
	}
	if spec := r.importDefining(id, used); spec != nil {
		name := source.ImportName(spec)
		d.Suggestion, d.Help = name, finding.DidYouMean(name)
		return spec
	}
	if file := r.definedIn(id.Name); file != nil {
		d.Help = file.Name + " defines it, but belongs to another package: write package " + r.Name + " there too"
		if clause := source.PackageIdent(file.Syntax); clause != nil {
			d.Related = append(d.Related, diagnostic.Related{Message: "of the package " + clause.Name, File: file.Name,
				Range: source.RangeOf(clause.Pos(), clause.End())})
		}
		return nil
	}
	if strings.HasPrefix(id.Name, "#") {
		d.Help = "define it, as in " + id.Name + ": {...}"
		return nil
	}
	d.Help = "if you meant a string, quote it: " + strconv.Quote(id.Name)
	return nil
}

// around lists the fields of the structs around an identifier, and the variables of the loops and lets around
// it: the identifier may refer to them.
func (r *resolver) around(id *ast.Ident) (fields, variables []string) {
	ast.Walk(r.src.Syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.StructLit:
			if !source.Contains(n, id) {
				break
			}
			for _, d := range n.Elts {
				switch d := d.(type) {
				case *ast.Field:
					if _, plain := d.Label.(*ast.Ident); plain && !source.Contains(d.Label, id) {
						label, _ := source.FieldLabel(d)
						fields = append(fields, label)
					}
				case *ast.LetClause:
					variables = append(variables, d.Ident.Name)
				}
			}
		case *ast.Comprehension:
			if source.Contains(n, id) {
				variables = append(variables, source.ClauseNames(n)...)
			}
		}
		return true
	}, nil)
	return slices.DeleteFunc(fields, func(name string) bool { return name == "" }), variables
}

// importDefining returns the unused import whose package defines the name that is selected from an identifier.
// It returns nil if there is none, or several.
func (r *resolver) importDefining(id *ast.Ident, used map[ast.Node]bool) *ast.ImportSpec {
	label := ""
	ast.Walk(r.src.Syntax, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.X == id {
			label, _, _ = ast.LabelName(sel.Sel)
		}
		return label == ""
	}, nil)
	var found *ast.ImportSpec
	for _, spec := range r.imported {
		if label == "" || used[spec] || !slices.Contains(r.packageFields(ast.ParseImportPath(source.ImportPath(spec))),
			label) {
			continue
		}
		if found != nil {
			return nil
		}
		found = spec
	}
	return found
}

// definition reports whether a package defines the name that is selected from it. If not, it adds a finding.
// near is the corrected name if that is certain, otherwise "".
func (r *resolver) definition(sel *ast.SelectorExpr, x *ast.Ident) (near string, defined bool) {
	spec, ok := x.Node.(*ast.ImportSpec)
	if !ok {
		return "", true
	}
	label, _, err := ast.LabelName(sel.Sel)
	pkg := ast.ParseImportPath(source.ImportPath(spec))
	names := r.packageFields(pkg)
	if err != nil || len(names) == 0 || slices.Contains(names, label) {
		return "", true
	}
	d := r.report("unknown-definition", sel.Sel, "the package "+path.Base(pkg.Path)+" does not define "+label, "")
	found := finding.Nearest(label, names)
	if found == "" {
		d.Help = "it defines " + finding.OneOf(offered(pkg.Path, names))
		return "", false
	}
	d.Suggestion, d.Help = found, finding.DidYouMean(x.Name+"."+found)
	if _, plain := sel.Sel.(*ast.Ident); plain {
		r.fix(d, sel.Sel, found)
		near = found
	}
	return near, false
}

package compiler

import (
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/description"
	"github.com/seguehq/segue/diagnostic"
)

// The descriptions of platforms are, like the tracking plan, more than values:
// encode and decode stay open until an automation is filled in. They are
// evaluated with the file, under the name of a definition.
const (
	platformsField      = "platforms"
	platformsDefinition = "#platforms"
)

// PlatformKinds are the platforms that segue knows without a description.
var PlatformKinds = []string{embeddedKind, n8nKind, noderedKind}

const (
	// embeddedKind is the platform that is part of segue.
	embeddedKind = "embedded"
	n8nKind      = "n8n"
	noderedKind  = "nodered"
)

// hiddenFields are the fields of the project file that are no values, by name,
// and the definitions that they are evaluated as.
var hiddenFields = map[string]string{planField: planDefinition, platformsField: platformsDefinition}

// hiddenAs returns the definition that a field of the project file is evaluated
// as, "" if it is a value. Where near is set, a misspelt name is taken for what
// it was meant to be.
func hiddenAs(label string, near bool) string {
	if d := hiddenFields[label]; d != "" || !near {
		return d
	}
	for name, d := range hiddenFields {
		if Nearest(label, []string{name}) != "" {
			return d
		}
	}
	return ""
}

// shownAs is the field that was hidden as a definition.
func shownAs(definition any) (string, bool) {
	for name, d := range hiddenFields {
		if d == definition {
			return name, true
		}
	}
	return "", false
}

// platforms reads the descriptions from the project file's value. Their outlines
// are returned even where something is wrong with them. Mappings are tried out
// only if CUE has accepted the file.
func readPlatforms(p *explained, file cue.Value, accepted bool) (all map[string]*description.Platform, outline map[string]any) {
	v := file.LookupPath(cue.MakePath(cue.Def(platformsDefinition)))
	if !v.Exists() {
		return nil, nil
	}
	before := len(p.found)
	at := valuePath{platformsField}
	c := &checker{}
	raw := platformOutline(p, v, at)
	c.value(raw, &shape{kind: structShape, rest: shapeOf("platform.#Platform")}, at)
	outline, _ = raw.(map[string]any)
	for _, name := range sorted(outline) {
		if slices.Contains(PlatformKinds, name) {
			w := c.report("invalid-value", at.with(name), atLabel, "%s is a platform that segue knows by itself: it can't be described", name)
			w.Help = "give the description another name"
		}
	}
	for _, f := range c.found {
		addDescribed(p, f, p.positions[f.path.String()])
	}
	if p.found[before:].HasErrors() || !accepted {
		return nil, outline
	}
	all = map[string]*description.Platform{}
	lock := new(sync.Mutex)
	for _, name := range sorted(outline) {
		value := v.LookupPath(valueSelector(name))
		platform, problems := description.New(value, lock)
		if platform != nil {
			problems = platform.Check()
		}
		for _, problem := range problems {
			platformProblem(p, problem, at.with(name), value)
		}
		all[name] = platform
	}
	return all, outline
}

// platformOutline is the descriptions as decoded JSON, without the mappings,
// which are no values.
func platformOutline(p *explained, v cue.Value, at valuePath) any {
	if inMapping(at) {
		p.positions[at.String()] = v.Pos()
		return broken{}
	}
	if v.IncompleteKind() != cue.StructKind {
		return p.raw(v, at)
	}
	// That a field is missing is for the shapes to say, which know more of it.
	fields, err := v.Fields(cue.Optional(true))
	if err != nil {
		return p.raw(v, at)
	}
	p.positions[at.String()] = v.Pos()
	m := map[string]any{}
	for fields.Next() {
		if fields.Selector().ConstraintType() != 0 {
			continue
		}
		name := labelOf(fields)
		m[name] = platformOutline(p, fields.Value(), at.with(name))
	}
	return m
}

// inMapping reports whether a path leads to a part of encode or decode.
func inMapping(at valuePath) bool {
	switch {
	case len(at) == 4 && (at[2] == "encode" || at[2] == "decode"):
		return true
	case len(at) == 6 && at[2] == "triggers" && at[4] == "decode":
		return true
	}
	return false
}

// platformProblem reports what is wrong with a description.
func platformProblem(p *explained, problem description.Problem, at valuePath, v cue.Value) {
	spot := atValue
	if problem.Label {
		spot = atLabel
	}
	// What the schema gives a default to need not be in the file; the nearest
	// field around it is.
	path, position := at, v.Pos()
	for _, name := range problem.Path {
		path = path.with(name)
		if v = v.LookupPath(valueSelector(name)); v.Exists() && p.index.sourceOf(v.Pos()) != nil {
			position = v.Pos()
		}
	}
	before := len(p.found)
	if cause := cueerrors.Error(nil); errors.As(problem.Cause, &cause) {
		p.cueErrors(problem.Cause, nil)
	}
	if len(p.found) == before {
		f := finding{path: path, spot: spot, Diagnostic: diagnostic.Diagnostic{Severity: diagnostic.Error, Code: problem.Code,
			Message: problem.Message, Help: problem.Help, Suggestion: problem.Suggestion}}
		if problem.Cause != nil {
			f.Message += ": " + shown(strings.Join(strings.Fields(problem.Cause.Error()), " "))
		}
		if f.Help == "" {
			f.Help = "docs/platforms.md has a description that works"
		}
		addDescribed(p, f, position)
		return
	}
	// One mistake in a mapping gives one finding: what else CUE says follows.
	d := p.found[before]
	d.Code, d.Message = "platform-mapping", problem.Message+": "+d.Message
	p.found = append(p.found[:before], d)
	refineMappings(p, before)
}

// refineMappings says more of findings, from an index on, about fields that a
// mapping selects: CUE knows nothing of what else there is.
func refineMappings(p *explained, from int) {
	for i := range p.found[from:] {
		d := &p.found[from+i]
		imported := d.File != projectFile && (d.Code == "platform-mapping" || d.Code == "unknown-reference")
		if !strings.HasPrefix(d.Path, platformsField+".") && !imported {
			continue
		}
		switch near, there := mappingName(p, d.Range, d.File); {
		case there:
			d.Help = "not every automation has it: write the field only where it is there, as docs/platforms.md shows"
		case near != "" && d.Suggestion == "":
			d.Suggestion, d.Help = near, didYouMean(near)
		}
	}
}

// mappingName returns the name that was probably meant where a mapping selects a
// field that automations do not have, "" if it does something else; or says that
// some automations have it.
func mappingName(p *explained, at diagnostic.Range, file string) (near string, there bool) {
	for _, s := range describingSources(p) {
		if s.name != file {
			continue
		}
		ast.Walk(s.syntax, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || sel.Sel.Pos().Line() != at.Start.Line || sel.Sel.Pos().Column() != at.Start.Column {
				return true
			}
			name, _, _ := ast.LabelName(sel.Sel)
			if of := automationPart(sel.X); of != nil {
				_, there = of.fields[name]
				near = Nearest(name, sorted(of.fields))
			}
			return false
		}, nil)
	}
	return near, there
}

// describingSources are the project file and the files of the packages that it
// imports.
func describingSources(p *explained) []*source {
	all := slices.Clone(p.index.sources)
	for _, id := range sorted(p.imported) {
		if o := p.imported[id]; o != nil {
			all = append(all, o.index.sources...)
		}
	}
	return all
}

// addDescribed places a finding about a description and keeps it. What the project
// file takes from a package has its place there.
func addDescribed(p *explained, f finding, position token.Pos) {
	at := describedSites(p, f.path)
	for _, s := range at {
		node := ast.Node(s.value)
		if f.spot == atLabel && s.field != nil {
			node = s.field.Label
		}
		if src := p.index.sourceOf(node.Pos()); src == nil || src.name == projectFile {
			continue
		}
		d := f.Diagnostic
		d.Path = f.path.String()
		p.index.at(&d, f, s)
		d.Fix = p.index.fix(&d, f, s, []site{s})
		p.found = append(p.found, d)
		return
	}
	p.add(f, position)
}

// A described is an expression that makes up a description, in the package of an
// index.
type described struct {
	site
	of *index
}

// describedSites returns the places that give what a path into a description
// leads to, through the packages that are imported.
func describedSites(p *explained, path valuePath) []site {
	if len(path) < 2 {
		return nil
	}
	var at []described
	for _, s := range p.index.sites(path[:2]) {
		at = append(at, described{s, p.index})
	}
	for _, step := range path[2:] {
		var next []described
		for _, d := range describedLiterals(p, at, 0) {
			for _, decl := range d.value.(*ast.StructLit).Elts {
				if field, ok := decl.(*ast.Field); ok {
					if label, ok := fieldLabel(field); ok && label == step {
						next = append(next, described{site{field: field, value: field.Value}, d.of})
					}
				}
			}
		}
		at = next
	}
	var out []site
	for _, d := range at {
		out = append(out, d.site)
	}
	if len(path) == 2 {
		// The project file only names the description, unless it adds to it.
		for _, d := range describedLiterals(p, at, 0) {
			if d.of == p.index {
				return out
			}
			out = append(out, d.site)
		}
	}
	return out
}

// literals returns the struct literals that expressions come to.
func describedLiterals(p *explained, at []described, depth int) []described {
	var out []described
	if depth > maxDepth {
		return nil
	}
	for _, d := range at {
		with := func(of *index, field *ast.Field, e ast.Expr) {
			out = append(out, describedLiterals(p, []described{{site{field: field, value: e}, of}}, depth+1)...)
		}
		switch e := d.value.(type) {
		case *ast.StructLit:
			out = append(out, d)
			for _, decl := range e.Elts {
				if embed, ok := decl.(*ast.EmbedDecl); ok {
					with(d.of, d.field, embed.Expr)
				}
			}
		case *ast.ParenExpr:
			with(d.of, d.field, e.X)
		case *ast.BinaryExpr:
			if e.Op == token.AND {
				with(d.of, d.field, e.X)
				with(d.of, d.field, e.Y)
			}
		case *ast.Ident:
			for _, def := range d.of.definitions(e) {
				with(d.of, fieldOf(d.of, def), def)
			}
		case *ast.SelectorExpr:
			label, _, err := ast.LabelName(e.Sel)
			id, ok := e.X.(*ast.Ident)
			if err != nil || !ok {
				continue
			}
			spec, ok := id.Node.(*ast.ImportSpec)
			if !ok {
				continue
			}
			if of := p.importedIndex(spec); of != nil {
				for _, def := range of.top[label] {
					with(of, fieldOf(of, def), def)
				}
			}
		}
	}
	return out
}

// fieldOf returns the field at the top of a package that has a value.
func fieldOf(x *index, value ast.Expr) *ast.Field {
	for _, s := range x.sources {
		for _, d := range s.syntax.Decls {
			if field, ok := d.(*ast.Field); ok && field.Value == value {
				return field
			}
		}
	}
	return nil
}

// importedIndex returns the index of a package of the project, or of one that is
// kept in cue.mod; nil for any other.
func (p *opened) importedIndex(spec *ast.ImportSpec) *index {
	name := ast.ParseImportPath(importPath(spec))
	plain := name.Unqualified().String()
	dirs := []string{"cue.mod/pkg/" + plain, "cue.mod/gen/" + plain, "cue.mod/usr/" + plain}
	if dir, ok := p.projectDirs()[plain]; ok {
		dirs = []string{dir}
	}
	for _, dir := range dirs {
		files, err := p.sourceFiles(dir)
		if err != nil {
			continue
		}
		for _, file := range files {
			if o := p.owner(p.loader.full(path.Join(dir, file))); o != nil && o.pkg == name.Qualifier {
				return o.index
			}
		}
	}
	return nil
}

// automationPart returns the shape of what an expression such as
// automation.trigger selects, nil for any other expression.
func automationPart(e ast.Expr) *shape {
	switch e := e.(type) {
	case *ast.Ident:
		if e.Name == "automation" {
			return shapeOf("platform.#Automation")
		}
	case *ast.SelectorExpr:
		if of := automationPart(e.X); of != nil {
			name, _, _ := ast.LabelName(e.Sel)
			if f := of.fields[name]; f != nil {
				return f.shape
			}
		}
	}
	return nil
}

// checkPlatform checks the platform of a target, and what the target has for it.
func checkPlatform(c *checker, target, described map[string]any, at valuePath) {
	kind, ok := target["platform"].(string)
	if !ok || strings.TrimSpace(kind) == "" {
		return // its shape says so
	}
	description, own := described[kind].(map[string]any)
	if !own && !slices.Contains(PlatformKinds, kind) {
		known := append(sorted(described), PlatformKinds...)
		w := c.report("unknown-platform", at.with("platform"), atValue, "there is no platform %q", kind)
		w.Help = "segue knows " + oneOf(known) + "; describe another one under platforms"
		if near := Nearest(kind, known); near != "" {
			w.Suggestion, w.Help, w.repair = near, didYouMean(strconv.Quote(near)), quoted(near)
		}
		return
	}
	has := func(field string) bool { _, ok := target[field]; return ok }
	misplaced := func(field, help string) {
		if has(field) {
			w := c.report("unknown-field", at.with(field), atLabel, "a target on the platform %s has no field %q", kind, field)
			w.Help = help
		}
	}
	conflict := func(one, other, help string) {
		w := c.report("conflicting-fields", at, atLabel, "%s has %s and %s: it takes only one of them", at, one, other)
		w.Help = help
	}
	missing := func(field, help string) {
		if misspelt(target, field) {
			return // it is there, under another name, which is a finding already
		}
		w := c.report("missing-field", at, atLabel, "%s is missing", at.with(field))
		w.Help = help
	}
	// The user and the password are one mistake where neither is wanted.
	user := "username"
	if !has(user) {
		user = "password"
	}
	if kind == embeddedKind {
		misplaced("apiKey", "its credential is called token")
		misplaced(user, "its credential is called token, and belongs to no user")
		switch {
		case has("url") && has("data"):
			conflict("url", "data", "keep url for a platform that runs by itself, data for one within segue")
		case has("url") && !has("token") && !has(user):
			missing("token", "add token: secret: NAME, the secret that holds the platform's bearer token")
		}
		return
	}
	misplaced("data", "remove it: only the embedded platform runs within segue")
	if !has("url") {
		missing("url", "add url: the address that the platform runs at")
	}
	auth, _ := description["auth"].(map[string]any)
	_, free := auth["none"]
	switch kind {
	case n8nKind:
		misplaced(user, "n8n's API knows no users by their passwords: it takes apiKey: secret: NAME")
	case noderedKind:
		// It is the one that logs in.
	default:
		misplaced(user, "its credential is called token or apiKey; a user name for it stands in the description, as auth: basic: NAME")
	}
	switch {
	case has("token") && has("apiKey"):
		conflict("token", "apiKey", "keep the one by the name that the platform has for it")
	case kind == n8nKind && !has("apiKey"):
		misplaced("token", "its credential is called apiKey")
		if !has("token") && !has(user) {
			missing("apiKey", "add apiKey: secret: NAME, the secret that holds an API key of n8n")
		}
	case kind == noderedKind && has("apiKey"):
		misplaced("apiKey", "its credential is called token, or username and password")
	case kind == noderedKind && has("token") && has(user):
		conflict("token", user, "keep token, or else username and password")
	case kind == noderedKind && has("username") && !has("password"):
		missing("password", "add password: secret: NAME, the secret that holds the user's password")
	case kind == noderedKind && has("password") && !has("username"):
		missing("username", "add username: the name of the user whose password it is")
	case own && !free && !has("token") && !has("apiKey") && !has(user):
		missing("token", "add token: secret: NAME, or apiKey: secret: NAME; a platform without either has auth: none: true in its description")
	}
}

// misspelt reports whether a target has a field that is probably meant to be
// another one.
func misspelt(target map[string]any, field string) bool {
	known := shapeOf("project.#Target").fields
	for name := range target {
		if _, ok := known[name]; !ok && Nearest(name, sorted(known)) == field {
			return true
		}
	}
	return false
}

package project

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/check"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/explain"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/description"
	"github.com/seguehq/segue/diagnostic"
)

// descriptions are those of platforms in segue.cue, and what is wrong with them.
type descriptions struct {
	// platforms are nil where something is wrong with one.
	platforms map[string]*description.Platform
	// outline is the descriptions as decoded JSON, even where something is wrong.
	outline map[string]any
	found   diagnostic.List
}

// readPlatforms reads the descriptions from the project file's value. Mappings are
// tried out only if CUE has accepted the file.
func readPlatforms(p *explain.Evaluated, accepted bool) (out descriptions) {
	v := p.Value.LookupPath(cue.MakePath(cue.Def(explain.PlatformsDefinition)))
	if !v.Exists() {
		return out
	}
	at := finding.Path{explain.PlatformsField}
	conversion := p.Convert(false)
	raw, found := platformOutline(conversion, v, at)
	out.found = found
	checked := check.Rules{}.Value(raw, &shape.Shape{Kind: shape.Struct, Rest: shape.Of("platform.#Platform")}, at)
	out.outline, _ = raw.(map[string]any)
	for _, name := range finding.SortedKeys(out.outline) {
		if slices.Contains(config.PlatformKinds, name) {
			w := finding.Newf("invalid-value", at.With(name), finding.AtLabel,
				"%s is a platform that segue knows by itself: it can't be described", name)
			w.Help = "give the description another name"
			checked = append(checked, w)
		}
	}
	for _, f := range checked {
		out.found = append(out.found, placeDescribed(p, f, conversion.Positions[f.At.String()]))
	}
	if out.found.HasErrors() || !accepted {
		return out
	}
	out.platforms = map[string]*description.Platform{}
	lock := new(sync.Mutex)
	for _, name := range finding.SortedKeys(out.outline) {
		value := v.LookupPath(finding.FieldPath(name))
		platform, problems := description.New(value, lock)
		if platform != nil {
			problems = platform.Check()
		}
		for _, problem := range problems {
			out.found = append(out.found, platformProblem(p, problem, at.With(name), value))
		}
		out.platforms[name] = platform
	}
	return out
}

// platformOutline is the descriptions as decoded JSON, without the mappings,
// which are not values.
func platformOutline(c *explain.Conversion, v cue.Value, at finding.Path) (any, diagnostic.List) {
	if inMapping(at) {
		c.Positions[at.String()] = v.Pos()
		return shape.Broken{}, nil
	}
	if v.IncompleteKind() != cue.StructKind {
		return c.Value(v, at)
	}
	// That a field is missing is for the shapes to say, which know more of it.
	fields, err := v.Fields(cue.Optional(true))
	if err != nil {
		return c.Value(v, at)
	}
	c.Positions[at.String()] = v.Pos()
	m := map[string]any{}
	var found diagnostic.List
	for fields.Next() {
		if fields.Selector().ConstraintType() != 0 {
			continue
		}
		name := source.LabelOf(fields)
		value, more := platformOutline(c, fields.Value(), at.With(name))
		m[name], found = value, append(found, more...)
	}
	return m, found
}

// inMapping reports whether a path leads to a part of encode or decode.
func inMapping(at finding.Path) bool {
	switch {
	case len(at) == 4 && (at[2] == "encode" || at[2] == "decode"):
		return true
	case len(at) == 6 && at[2] == "triggers" && at[4] == "decode":
		return true
	}
	return false
}

// platformProblem makes the finding about a problem of a description.
func platformProblem(
	p *explain.Evaluated, problem description.Problem, at finding.Path, v cue.Value,
) diagnostic.Diagnostic {
	spot := finding.AtValue
	if problem.Label {
		spot = finding.AtLabel
	}
	// What the schema gives a default to need not be in the file; the nearest
	// field around it is.
	path, position := at, v.Pos()
	for _, name := range problem.Path {
		path = path.With(name)
		if v = v.LookupPath(finding.FieldPath(name)); v.Exists() && p.Index.SourceOf(v.Pos()) != nil {
			position = v.Pos()
		}
	}
	if cause := cueerrors.Error(nil); errors.As(problem.Cause, &cause) {
		if found := p.Errors(problem.Cause); len(found) > 0 {
			// One mistake in a mapping gives one finding: what else CUE says follows.
			d := finding.Diagnose("platform-mapping", found[0])
			d.Message = problem.Message + ": " + d.Message
			return refineMapping(p, d)
		}
	}
	f := finding.New(problem.Code, path, spot, problem.Message, problem.Help)
	f.Suggestion = problem.Suggestion
	if problem.Cause != nil {
		f.Message += ": " + explain.Shown(strings.Join(strings.Fields(problem.Cause.Error()), " "))
	}
	if f.Help == "" {
		f.Help = "docs/platforms.md has a description that works"
	}
	return placeDescribed(p, f, position)
}

// refineMappings says more of findings about fields that a mapping selects: CUE knows
// nothing of what else there is.
func refineMappings(p *explain.Evaluated, found diagnostic.List) diagnostic.List {
	out := make(diagnostic.List, len(found))
	for i, d := range found {
		out[i] = refineMapping(p, d)
	}
	return out
}

func refineMapping(p *explain.Evaluated, d diagnostic.Diagnostic) diagnostic.Diagnostic {
	imported := d.File != config.ProjectFile && (d.Code == "platform-mapping" || d.Code == "unknown-reference")
	if !strings.HasPrefix(d.Path, explain.PlatformsField+".") && !imported {
		return d
	}
	switch near, there := mappingName(p, d.Range, d.File); {
	case there:
		d.Help = "not every automation has it: write the field only where it is there, as docs/platforms.md shows"
	case near != "" && d.Suggestion == "":
		d.Suggestion, d.Help = near, finding.DidYouMean(near)
	}
	return d
}

// mappingName returns the name that was probably meant where a mapping selects a
// field that automations do not have, "" if it does something else; or says that
// some automations have it.
func mappingName(p *explain.Evaluated, at diagnostic.Range, file string) (near string, there bool) {
	for _, s := range describingSources(p) {
		if s.Name != file {
			continue
		}
		ast.Walk(s.Syntax, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || sel.Sel.Pos().Line() != at.Start.Line || sel.Sel.Pos().Column() != at.Start.Column {
				return true
			}
			name, _, _ := ast.LabelName(sel.Sel)
			if of := automationPart(sel.X); of != nil {
				_, there = of.Fields[name]
				near = finding.Nearest(name, finding.SortedKeys(of.Fields))
			}
			return false
		}, nil)
	}
	return near, there
}

// describingSources are the project file and the files of the packages that it
// imports.
func describingSources(p *explain.Evaluated) []*source.File {
	all := slices.Clone(p.Index.Sources)
	for _, o := range p.Imported() {
		all = append(all, o.Index.Sources...)
	}
	return all
}

// placeDescribed places a finding about a description. What the project file takes from a
// package has its place there.
func placeDescribed(p *explain.Evaluated, f finding.Finding, position token.Pos) diagnostic.Diagnostic {
	at := describedSites(p, f.At)
	for _, s := range at {
		node := ast.Node(s.Value)
		if f.Spot == finding.AtLabel && s.Field != nil {
			node = s.Field.Label
		}
		if src := p.Index.SourceOf(node.Pos()); src == nil || src.Name == config.ProjectFile {
			continue
		}
		d := f.Diagnostic
		d.Path = f.At.String()
		p.Index.PlaceAt(&d, f, s)
		d.Fix = p.Index.Fix(&d, f, s, []source.Site{s})
		return d
	}
	return p.Index.Place(f, position)
}

// A described is an expression that makes up a description, in the package of an
// index.
type described struct {
	source.Site
	of *source.Index
}

// describedSites returns the places that give what a path into a description
// leads to, through the packages that are imported.
func describedSites(p *explain.Evaluated, path finding.Path) []source.Site {
	if len(path) < 2 {
		return nil
	}
	var at []described
	for _, s := range p.Index.Sites(path[:2]) {
		at = append(at, described{s, p.Index})
	}
	for _, step := range path[2:] {
		var next []described
		for _, d := range describedLiterals(p, at, 0) {
			for _, decl := range d.Value.(*ast.StructLit).Elts {
				if field, ok := decl.(*ast.Field); ok {
					if label, ok := source.FieldLabel(field); ok && label == step {
						next = append(next, described{source.Site{Field: field, Value: field.Value}, d.of})
					}
				}
			}
		}
		at = next
	}
	var out []source.Site
	for _, d := range at {
		out = append(out, d.Site)
	}
	if len(path) == 2 {
		// The project file only names the description, unless it adds to it.
		for _, d := range describedLiterals(p, at, 0) {
			if d.of == p.Index {
				return out
			}
			out = append(out, d.Site)
		}
	}
	return out
}

// literals returns the struct literals that expressions come to.
func describedLiterals(p *explain.Evaluated, at []described, depth int) []described {
	var out []described
	if depth > source.MaxDepth {
		return nil
	}
	for _, d := range at {
		with := func(of *source.Index, field *ast.Field, e ast.Expr) {
			out = append(out, describedLiterals(p, []described{{source.Site{Field: field, Value: e}, of}}, depth+1)...)
		}
		switch e := d.Value.(type) {
		case *ast.StructLit:
			out = append(out, d)
			for _, decl := range e.Elts {
				if embed, ok := decl.(*ast.EmbedDecl); ok {
					with(d.of, d.Field, embed.Expr)
				}
			}
		case *ast.ParenExpr:
			with(d.of, d.Field, e.X)
		case *ast.BinaryExpr:
			if e.Op == token.AND {
				with(d.of, d.Field, e.X)
				with(d.of, d.Field, e.Y)
			}
		case *ast.Ident:
			for _, def := range d.of.Definitions(e) {
				with(d.of, topFieldOf(d.of, def), def)
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
			if of := p.ImportedIndex(spec); of != nil {
				for _, def := range of.Top[label] {
					with(of, topFieldOf(of, def), def)
				}
			}
		}
	}
	return out
}

// topFieldOf returns the field at the top of a package that has a value.
func topFieldOf(x *source.Index, value ast.Expr) *ast.Field {
	for _, s := range x.Sources {
		for _, d := range s.Syntax.Decls {
			if field, ok := d.(*ast.Field); ok && field.Value == value {
				return field
			}
		}
	}
	return nil
}

// automationPart returns the shape of what an expression such as
// automation.trigger selects, nil for any other expression.
func automationPart(e ast.Expr) *shape.Shape {
	switch e := e.(type) {
	case *ast.Ident:
		if e.Name == "automation" {
			return shape.Of("platform.#Automation")
		}
	case *ast.SelectorExpr:
		if of := automationPart(e.X); of != nil {
			name, _, _ := ast.LabelName(e.Sel)
			if f := of.Fields[name]; f != nil {
				return f.Shape
			}
		}
	}
	return nil
}

// checkPlatform checks the platform of a target, and what the target has for it.
func checkPlatform(target, described map[string]any, at finding.Path) (found []finding.Finding) {
	kind, ok := target["platform"].(string)
	if !ok || strings.TrimSpace(kind) == "" {
		return nil // its shape says so
	}
	description, own := described[kind].(map[string]any)
	if !own && !slices.Contains(config.PlatformKinds, kind) {
		known := append(finding.SortedKeys(described), config.PlatformKinds...)
		w := finding.Newf("unknown-platform", at.With("platform"), finding.AtValue, "there is no platform %q", kind)
		w.Help = "segue knows " + finding.OneOf(known) + "; describe another one under platforms"
		if near := finding.Nearest(kind, known); near != "" {
			w.Suggestion, w.Help, w.Repair = near, finding.DidYouMean(strconv.Quote(near)), finding.Quoted(near)
		}
		return []finding.Finding{w}
	}
	has := func(field string) bool { _, ok := target[field]; return ok }
	misplaced := func(field, help string) {
		if has(field) {
			w := finding.Newf("unknown-field", at.With(field), finding.AtLabel,
				"a target on the platform %s has no field %q", kind, field)
			w.Help = help
			found = append(found, w)
		}
	}
	conflict := func(one, other, help string) {
		w := finding.Newf("conflicting-fields", at, finding.AtLabel, "%s has %s and %s: it takes only one of them", at,
			one, other)
		w.Help = help
		found = append(found, w)
	}
	missing := func(field, help string) {
		if misspelt(target, field) {
			return // it is there, under another name, which is a finding already
		}
		w := finding.Newf("missing-field", at, finding.AtLabel, "%s is missing", at.With(field))
		w.Help = help
		found = append(found, w)
	}
	switch inProcess := kind == config.Embedded && !has("url"); {
	case inProcess:
		for _, field := range []string{"ca", "clientCert", "clientKey"} {
			misplaced(field, "remove it: a platform within segue is not reached over a network")
		}
	case has("clientCert") && !has("clientKey"):
		missing("clientKey", "add clientKey: secret: NAME, the secret that holds the private key of the certificate")
	case has("clientKey") && !has("clientCert"):
		missing("clientCert", "add clientCert: the path of the file with the certificate whose key it is")
	}
	// The user and the password are one mistake where neither is wanted.
	user := "username"
	if !has(user) {
		user = "password"
	}
	if kind == config.Embedded {
		misplaced("apiKey", "its credential is called token")
		misplaced(user, "its credential is called token, and belongs to no user")
		switch {
		case has("url") && has("data"):
			conflict("url", "data", "keep url for a platform that runs by itself, data for one within segue")
		case has("url") && !has("token") && !has(user):
			missing("token", "add token: secret: NAME, the secret that holds the platform's bearer token")
		}
		return found
	}
	misplaced("data", "remove it: only the embedded platform runs within segue")
	if !has("url") {
		missing("url", "add url: the address that the platform runs at")
	}
	auth, _ := description["auth"].(map[string]any)
	_, free := auth["none"]
	switch kind {
	case config.N8n:
		misplaced(user, "n8n's API knows no users by their passwords: it takes apiKey: secret: NAME")
	case config.NodeRED:
		// It is the one that logs in.
	default:
		misplaced(user, "its credential is called token or apiKey; a user name for it stands in the description, "+
			"as auth: basic: NAME")
	}
	switch {
	case has("token") && has("apiKey"):
		conflict("token", "apiKey", "keep the one by the name that the platform has for it")
	case kind == config.N8n && !has("apiKey"):
		misplaced("token", "its credential is called apiKey")
		if !has("token") && !has(user) {
			missing("apiKey", "add apiKey: secret: NAME, the secret that holds an API key of n8n")
		}
	case kind == config.NodeRED && has("apiKey"):
		misplaced("apiKey", "its credential is called token, or username and password")
	case kind == config.NodeRED && has("token") && has(user):
		conflict("token", user, "keep token, or else username and password")
	case kind == config.NodeRED && has("username") && !has("password"):
		missing("password", "add password: secret: NAME, the secret that holds the user's password")
	case kind == config.NodeRED && has("password") && !has("username"):
		missing("username", "add username: the name of the user whose password it is")
	case own && !free && !has("token") && !has("apiKey") && !has(user):
		missing("token", "add token: secret: NAME, or apiKey: secret: NAME; "+
			"a platform without either has auth: none: true in its description")
	}
	return found
}

// misspelt reports whether a target has a field that is probably meant to be
// another one.
func misspelt(target map[string]any, field string) bool {
	known := shape.Of("project.#Target").Fields
	for name := range target {
		if _, ok := known[name]; !ok && finding.Nearest(name, finding.SortedKeys(known)) == field {
			return true
		}
	}
	return false
}

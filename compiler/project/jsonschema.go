package project

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"
	cuejson "cuelang.org/go/encoding/json"
	"cuelang.org/go/encoding/jsonschema"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/explain"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// A schemaPlan is a tracking plan in JSON Schema.
type schemaPlan struct {
	events map[string]cue.Value // of the properties
	traits map[string]cue.Value // by call
	// common are properties that all events may have.
	common cue.Value
}

// fromFile takes over what the JSON Schema has.
func (r *planReader) fromFile(s *schemaPlan) {
	at := finding.Path{explain.PlanField, "jsonSchema"}
	var common *config.PlanValue
	if s.common.Exists() {
		common = r.read(s.common, at, 0)
	}
	for _, event := range finding.SortedKeys(s.events) {
		p := r.read(s.events[event], at, 0)
		if p != nil && common != nil {
			p = r.withCommon(p, common)
		}
		r.plan.Events[event] = p
	}
	for call, v := range s.traits {
		r.plan.Traits[call] = r.read(v, at, 0)
	}
}

// fileProblem reports that the plan's JSON file can't be used.
func (r *planReader) fileProblem(help, format string, args ...any) {
	at := finding.Path{explain.PlanField, "jsonSchema"}
	f := finding.New("broken-plan", at, finding.AtValue, fmt.Sprintf(format, args...), help)
	r.found = append(r.found, r.of.Index.Place(f, token.NoPos))
}

// jsonProblem reports a mistake within the plan's JSON file.
func (r *planReader) jsonProblem(name string, err error, help string) {
	first := cueerrors.Errors(err)[0]
	text := strings.ReplaceAll(source.PlainMessage(first), r.of.Loader.Full(name), name)
	if content, err := r.of.Loader.Disk.Read(name); err == nil {
		var any json.RawMessage
		if err := json.Unmarshal(content, &any); err != nil {
			text = "it is no JSON: " + err.Error()
		}
	}
	d := finding.Diagnose("broken-plan", diagnostic.Diagnostic{File: name,
		Message: "the tracking plan can't be read: " + text, Help: help})
	for _, pos := range cueerrors.Positions(first) {
		if r.of.Loader.Relative(pos.Filename()) == name {
			d.Range = source.RangeOf(pos, pos)
			d.Range.End.Column++
			break
		}
	}
	r.found = append(r.found, d)
}

// jsonSchema reads a tracking plan in JSON Schema. Its layout is one of
//
//	{"rules": {"events": [{"name": ..., "rules": SCHEMA OF THE MESSAGE}],
//	           "identify": SCHEMA OF THE MESSAGE, "group": ..., "global": ...}}
//	{"rules": [{"type": "TRACK", "key": ..., "jsonSchema": SCHEMA OF THE MESSAGE}]}
//	{"Event Name": SCHEMA OF THE PROPERTIES}
//
// the first two being what Segment Protocols exports and its public API returns.
// As there, a property that a schema does not name is not in the plan, unless
// the schema has additionalProperties.
func (r *planReader) jsonSchema(name string) *schemaPlan {
	out := &schemaPlan{events: map[string]cue.Value{}, traits: map[string]cue.Value{}}
	filename := r.of.Loader.Full(name)
	content, problem := readPlanFile(r.of.Loader.Disk, name)
	if problem != "" {
		help := "write a path that is relative to the project's folder, and in it"
		if near := finding.Nearest(path.Base(name), jsonFiles(r.of.Loader.Disk, path.Dir(name))); near != "" {
			help = finding.DidYouMean(path.Join(path.Dir(name), near))
		}
		r.fileProblem(help, "the tracking plan %q %s", name, problem)
		return out
	}
	r.plan.Files = append(r.plan.Files, path.Clean(name))
	file := r.of.Loader.Relative(filename)
	syntax, err := cuejson.Extract(filename, content)
	if err != nil {
		r.jsonProblem(file, err, "correct the JSON")
		return out
	}
	v := r.judge.context.BuildExpr(syntax)
	if data := v.LookupPath(cue.ParsePath("data.rules")); data.Exists() {
		v = v.LookupPath(cue.ParsePath("data"))
	}
	s := &schemaReader{planReader: r, file: file, out: out}
	rules := v.LookupPath(cue.ParsePath("rules"))
	switch {
	case v.IncompleteKind() != cue.StructKind:
		r.fileProblem("see docs/tracking-plans.md for its layout", "the tracking plan %q is not a JSON object", name)
	case rules.IncompleteKind() == cue.ListKind:
		s.publicAPI(rules)
	case rules.LookupPath(cue.ParsePath("events")).IncompleteKind() == cue.ListKind:
		s.protocols(rules)
	default:
		s.plain(v)
	}
	return out
}

// readPlanFile reads a file, or says what is wrong with it.
func readPlanFile(disk *workspace.Disk, name string) (content []byte, problem string) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return nil, "is outside of the project, and nothing there is read"
	}
	content, err := disk.Read(name)
	switch {
	case err == nil:
		return content, ""
	case !disk.Exists(name) && errors.Is(err, fs.ErrNotExist):
		return nil, "does not exist"
	}
	return nil, "can't be read: " + workspace.RefusalOf(err).Message
}

func jsonFiles(disk *workspace.Disk, dir string) []string {
	if !filepath.IsLocal(filepath.FromSlash(dir)) {
		return nil
	}
	entries, err := disk.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".json" {
			out = append(out, e.Name())
		}
	}
	return out
}

// A schemaReader reads the schemas of a JSON file.
type schemaReader struct {
	*planReader
	file string
	out  *schemaPlan
}

// protocols reads what Segment Protocols exports.
func (s *schemaReader) protocols(rules cue.Value) {
	s.newest(rules.LookupPath(cue.ParsePath("events")), func(rule cue.Value) (string, cue.Value) {
		name, _ := rule.LookupPath(cue.ParsePath("name")).String()
		return name, rule.LookupPath(cue.ParsePath("rules"))
	})
	for _, call := range []string{"identify", "group"} {
		if schema := rules.LookupPath(cue.ParsePath(call)); schema.IncompleteKind() == cue.StructKind {
			s.traits(call, schema)
		}
	}
	if global := rules.LookupPath(cue.ParsePath("global")); global.IncompleteKind() == cue.StructKind {
		s.out.common = s.block(global, "properties")
	}
}

// publicAPI reads the rules as Segment's public API lists them.
func (s *schemaReader) publicAPI(rules cue.Value) {
	kindOf := func(rule cue.Value) string {
		kind, _ := rule.LookupPath(cue.ParsePath("type")).String()
		return strings.ToUpper(kind)
	}
	schemaOf := func(rule cue.Value) cue.Value { return rule.LookupPath(cue.ParsePath("jsonSchema")) }
	s.newest(rules, func(rule cue.Value) (string, cue.Value) {
		name, _ := rule.LookupPath(cue.ParsePath("key")).String()
		if kindOf(rule) != "TRACK" {
			name = ""
		}
		return name, schemaOf(rule)
	})
	list, err := rules.List()
	for err == nil && list.Next() {
		switch kindOf(list.Value()) {
		case "IDENTIFY":
			s.traits("identify", schemaOf(list.Value()))
		case "GROUP":
			s.traits("group", schemaOf(list.Value()))
		case "COMMON":
			s.out.common = s.block(schemaOf(list.Value()), "properties")
		}
	}
}

// newest reads the rules of events, each of which may be there in several
// versions: the highest one counts.
func (s *schemaReader) newest(rules cue.Value, read func(cue.Value) (name string, schema cue.Value)) {
	version := map[string]int64{}
	list, err := rules.List()
	for err == nil && list.Next() {
		name, schema := read(list.Value())
		if name == "" {
			continue
		}
		n, _ := list.Value().LookupPath(cue.ParsePath("version")).Int64()
		if newest, seen := version[name]; seen && newest > n {
			continue
		}
		version[name] = n
		s.out.events[name] = s.block(schema, "properties")
	}
}

func (s *schemaReader) traits(call string, schema cue.Value) {
	if v := s.block(schema, "traits"); v.Exists() {
		s.out.traits[call] = v
	}
}

// plain reads an object of events with schemas of their properties.
func (s *schemaReader) plain(v cue.Value) {
	fields, err := v.Fields()
	for err == nil && fields.Next() {
		name := source.LabelOf(fields)
		if strings.HasPrefix(name, "$") {
			continue // such as $schema
		}
		s.out.events[name] = s.extract(fields.Value())
	}
}

// block reads what the schema of a message says of its properties or traits.
func (s *schemaReader) block(schema cue.Value, name string) cue.Value {
	if !schema.Exists() {
		return cue.Value{}
	}
	message := s.extract(schema)
	if !message.Exists() {
		return cue.Value{}
	}
	fields, err := message.Fields(cue.Optional(true))
	for err == nil && fields.Next() {
		if fields.Selector().IsString() && fields.Selector().Unquoted() == name &&
			fields.Value().IncompleteKind() == cue.StructKind {
			return fields.Value()
		}
	}
	return cue.Value{}
}

// extract makes CUE of a JSON Schema.
func (s *schemaReader) extract(v cue.Value) cue.Value {
	var elsewhere error // a reference that leads out of the plan
	f, err := jsonschema.Extract(v, &jsonschema.Config{
		// What Segment's schemas are, unless they say otherwise in $schema.
		DefaultVersion: jsonschema.VersionDraft7,
		// As in Segment Protocols, what is not in the plan is not planned.
		OpenOnlyWhenExplicit: true,
		MapRef: func(to jsonschema.SchemaLoc) (string, cue.Path, error) {
			if !to.IsLocal {
				elsewhere = fmt.Errorf("a $ref leads to %s, and no other document is read", to.ID)
				return "", cue.Path{}, elsewhere
			}
			return jsonschema.DefaultMapRef(to)
		},
	})
	switch {
	case elsewhere != nil:
		s.jsonProblem(s.file, cueerrors.Newf(cueerrors.Positions(err)[0], "%v", elsewhere),
			"copy what it refers to into the plan")
		return cue.Value{}
	case err != nil:
		s.jsonProblem(s.file, err, "write a JSON Schema")
		return cue.Value{}
	}
	closed := s.judge.context.BuildFile(asDefinition(f))
	if err := closed.Validate(); err != nil {
		s.jsonProblem(s.file, cueerrors.Promote(err, ""), "write a JSON Schema")
		return cue.Value{}
	}
	return closed.LookupPath(cue.MakePath(cue.Def("#schema")))
}

// asDefinition puts a file's content into the definition #schema, which closes
// its structs.
func asDefinition(f *ast.File) *ast.File {
	out := &ast.File{Filename: f.Filename}
	body := &ast.StructLit{}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.ImportDecl:
			out.Decls = append(out.Decls, d)
		case *ast.Package, *ast.Attribute:
		default:
			body.Elts = append(body.Elts, d)
		}
	}
	out.Decls = append(out.Decls, &ast.Field{Label: ast.NewIdent("#schema"), Value: body})
	return out
}

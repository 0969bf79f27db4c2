package trackingplan

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dlclark/regexp2"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/seguehq/segue/compiler/finding"
)

// mostDepth bounds how deep a schema may be nested.
const mostDepth = 200

// A compiled schema is made when it is first needed.
type compiled struct {
	once    sync.Once
	schema  *jsonschema.Schema
	problem *Problem

	mu       sync.Mutex
	compiler *jsonschema.Compiler // that has all parts of the schema
}

// part returns the part of a schema that an error of the library is about, nil if there is
// none.
func (r *rule) part(url string) *jsonschema.Schema {
	r.compiled.mu.Lock()
	defer r.compiled.mu.Unlock()
	s, err := r.compiled.compiler.Compile(url)
	if err != nil {
		return nil
	}
	return s
}

// compile returns the compiled schema, or what is wrong with it. It may be called from
// several goroutines.
func (r *rule) compile() (*jsonschema.Schema, *Problem) {
	r.compiled.once.Do(func() { r.compiled.schema, r.compiled.problem = r.compileSchema() })
	return r.compiled.schema, r.compiled.problem
}

// resource is the URL by which the library knows the schema of a rule.
const resource = "plan:///"

func (r *rule) compileSchema() (*jsonschema.Schema, *Problem) {
	n := normaliser{plainIDs: !refersByID(r.schema, 0)}
	schema := n.schema(r.schema, nil)
	if n.problem != nil {
		return nil, r.problem(*n.problem)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7) // that of Segment's schemas
	c.AssertFormat()
	c.UseRegexpEngine(regexpEngine)
	c.UseLoader(noLoader{})
	for _, format := range n.formats {
		c.RegisterFormat(&jsonschema.Format{Name: format, Validate: func(any) error { return nil }})
	}
	if err := c.AddResource(resource, schema); err != nil {
		return nil, r.problem(mistake{text: "it is not a JSON Schema", help: "write a JSON Schema"})
	}
	s, err := c.Compile(resource)
	if err != nil {
		return nil, r.problem(n.mistakeOf(err))
	}
	if at, ok := cycle(s); ok {
		return nil, r.problem(mistake{at: at, text: "this schema refers to itself without end", help: "remove the $ref"})
	}
	r.compiled.compiler = c
	return s, nil
}

// A mistake is one in a schema.
type mistake struct {
	at         pointer // below the schema
	text, help string
}

func (r *rule) problem(m mistake) *Problem {
	return &Problem{File: r.doc.name, Range: r.doc.place(r.schemaAt.with(m.at...)), Message: m.text, Help: m.help}
}

// noLoader refuses all documents but the plan itself.
type noLoader struct{}

var errElsewhere = errors.New("no other document is read")

func (noLoader) Load(string) (any, error) { return nil, errElsewhere }

// A normaliser prepares a schema for the library, and finds mistakes that the library
// would report in its own words or without a place.
type normaliser struct {
	// plainIDs says that nothing refers to an identifier, so that they can be left out:
	// exports have them twice, or such as are no URL.
	plainIDs bool
	formats  []string // that nobody checks
	refs     []reference
	problem  *mistake // the first
}

// A reference is a $ref.
type reference struct {
	at pointer
	to string
}

func (n *normaliser) fail(at pointer, help, format string, args ...any) {
	if n.problem == nil {
		n.problem = &mistake{at, fmt.Sprintf(format, args...), help}
	}
}

// The keywords that hold schemas: by name, in a list, or one.
var (
	keywordsOfNames = []string{"properties", "patternProperties", "definitions", "$defs", "dependentSchemas",
		"dependencies"}
	keywordsOfLists = []string{"allOf", "anyOf", "oneOf", "prefixItems", "items"}
	keywordsOfOne   = []string{"additionalProperties", "additionalItems", "items", "not", "if", "then", "else", "contains",
		"propertyNames", "unevaluatedItems", "unevaluatedProperties", "contentSchema"}
)

// schema returns a copy of a schema.
func (n *normaliser) schema(v any, at pointer) any {
	m, ok := v.(map[string]any)
	switch {
	case len(at) > mostDepth:
		n.fail(at, "make it flatter", "the schema is nested too deeply")
		return true
	case !ok:
		if _, isBool := v.(bool); !isBool {
			n.fail(at, "write an object", "a schema is an object, and this is %s", typeName(v))
		}
		return v
	}
	out := make(map[string]any, len(m))
	for _, key := range finding.SortedKeys(m) {
		here, value := at.with(key), m[key]
		switch list, isList := value.([]any); {
		case slices.Contains(keywordsOfNames, key):
			out[key] = n.named(value, here)
		case isList && slices.Contains(keywordsOfLists, key):
			schemas := make([]any, len(list))
			for i, s := range list {
				schemas[i] = n.schema(s, here.with(strconv.Itoa(i)))
			}
			out[key] = schemas
		case slices.Contains(keywordsOfOne, key):
			out[key] = n.schema(value, here)
		default:
			n.keyword(out, key, value, here)
		}
	}
	if m["nameMapping"] != nil { // Avo requires it, and does not send it
		if required, ok := out["required"].([]any); ok {
			out["required"] = slices.DeleteFunc(slices.Clone(required), func(v any) bool { return v == "nameMapping" })
		}
	}
	return out
}

// named copies an object of schemas.
func (n *normaliser) named(v any, at pointer) any {
	m, ok := v.(map[string]any)
	if !ok {
		n.fail(at, "write an object", "%s is an object of schemas, and this is %s", at[len(at)-1], typeName(v))
		return v
	}
	out := make(map[string]any, len(m))
	for _, name := range finding.SortedKeys(m) {
		here := at.with(name)
		if at[len(at)-1] == "patternProperties" {
			n.pattern(name, here)
		}
		if _, isList := m[name].([]any); isList && at[len(at)-1] == "dependencies" {
			out[name] = m[name]
			continue
		}
		out[name] = n.schema(m[name], here)
	}
	return out
}

// keyword copies a keyword that holds no schema.
func (n *normaliser) keyword(out map[string]any, key string, v any, at pointer) {
	switch key {
	case "type":
		if v = n.types(v, at); v == nil {
			return
		}
	case "enum":
		if list, ok := v.([]any); ok && len(list) == 0 {
			n.fail(at, "list the values that may be sent, or remove enum", "the enum is empty, so no value would fit")
		}
	case "required":
		if _, isBool := v.(bool); isBool {
			n.fail(at, "name the property in required of the object that it belongs to",
				"required is a list of names, and this is %s", typeName(v))
		}
		if list, ok := v.([]any); ok && len(list) == 0 {
			return // which draft 4 does not allow
		}
	case "pattern":
		if s, ok := v.(string); ok {
			n.pattern(s, at)
		}
	case "format":
		if s, ok := v.(string); ok && !slices.Contains(knownFormats, s) && !slices.Contains(n.formats, s) {
			n.formats = append(n.formats, s)
		}
	case "$ref":
		if s, ok := v.(string); ok {
			n.refs = append(n.refs, reference{at, s})
		}
	case "$schema":
		if v = n.dialect(v, at); v == nil {
			return
		}
	case "id", "$id":
		if _, ok := v.(string); !ok || n.plainIDs {
			return
		}
	}
	out[key] = v
}

// typeNames are the types of JSON Schema.
var typeNames = []string{"string", "number", "integer", "boolean", "object", "array", "null"}

// types copies the value of type. "any", which Segment's own exports hold, is no
// constraint; nil is returned for it.
func (n *normaliser) types(v any, at pointer) any {
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	if isList && len(list) == 0 {
		n.fail(at, "name a type, or remove type", "the list of types is empty, so no value would fit")
	}
	seen := map[any]bool{}
	var out []any
	for i, t := range list {
		here := at
		if isList {
			here = at.with(strconv.Itoa(i))
		}
		s, ok := t.(string)
		switch {
		case s == "any":
			return nil
		case !ok:
			n.fail(here, "write one of "+strings.Join(typeNames, ", "), "a type is a string, and this is %s", typeName(t))
		case !slices.Contains(typeNames, s):
			help := "write one of " + strings.Join(typeNames, ", ")
			if near := finding.Nearest(strings.ToLower(s), typeNames); near != "" {
				help = finding.DidYouMean(near)
			} else if near := otherTypes[strings.ToLower(s)]; near != "" {
				help = finding.DidYouMean(near)
			}
			n.fail(here, help, "unknown type %q", s)
		}
		if ok && !seen[s] {
			seen[s], out = true, append(out, s)
		}
	}
	if !isList {
		return v
	}
	return out
}

// otherTypes are what other languages call the types of JSON Schema.
var otherTypes = map[string]string{"text": "string", "str": "string", "date": "string", "datetime": "string",
	"int": "integer", "long": "integer", "float": "number", "double": "number", "decimal": "number", "bool": "boolean",
	"map": "object", "struct": "object", "dict": "object", "list": "array"}

// drafts are the versions of JSON Schema that can be read.
var drafts = regexp.MustCompile(`^https?://json-schema\.org/(draft-0[467]/|draft/20(19-09|20-12)/)?schema#?$`)

func (n *normaliser) dialect(v any, at pointer) any {
	s, ok := v.(string)
	if ok && s == "" || len(at) > 1 {
		return nil
	}
	if !ok || !drafts.MatchString(s) {
		shown := typeName(v)
		if ok {
			shown = s
		}
		n.fail(at, "remove it, or name draft 4, 6, 7, 2019-09 or 2020-12",
			"the version of JSON Schema is not known: %s", shown)
	}
	return v
}

// refersByID reports whether a schema has a $ref to an identifier, not to a place.
func refersByID(v any, depth int) bool {
	if depth > mostDepth {
		return false
	}
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return refersByID(e, depth+1) })
	case map[string]any:
		for _, key := range []string{"$ref", "$dynamicRef"} {
			if s, ok := v[key].(string); ok && s != "#" && !strings.HasPrefix(s, "#/") {
				return true
			}
		}
		for _, e := range v {
			if refersByID(e, depth+1) {
				return true
			}
		}
	}
	return false
}

// pattern checks that a pattern can be read.
func (n *normaliser) pattern(s string, at pointer) {
	if _, err := regexpEngine(s); err != nil {
		n.fail(at, "correct the regular expression", "the pattern %q can't be read: %s", s, err)
	}
}

// knownFormats are those that are checked.
var knownFormats = []string{"json-pointer", "relative-json-pointer", "uuid", "duration", "period", "ipv4", "ipv6",
	"hostname", "email", "date", "time", "date-time", "uri", "iri", "uri-reference", "iri-reference", "uri-template",
	"semver", "regex"}

// regexpEngine reads a pattern. Those of RE2 take linear time; others, with lookaheads and
// the like, are those of ECMAScript.
func regexpEngine(s string) (jsonschema.Regexp, error) {
	if re, err := regexp.Compile(s); err == nil {
		return re, nil
	}
	re, err := regexp2.Compile(s, regexp2.ECMAScript)
	if err != nil {
		_, text, found := strings.Cut(err.Error(), ": ")
		if !found {
			text = err.Error()
		}
		return nil, errors.New(text)
	}
	re.MatchTimeout = mostMatching
	return backtracking{re}, nil
}

// mostMatching bounds how long one pattern may try. Nothing that a plan should hold comes
// near it.
const mostMatching = 2 * time.Second

// A backtracking pattern may take too long. It then matches, for nothing is certain.
type backtracking struct{ *regexp2.Regexp }

func (b backtracking) MatchString(s string) bool {
	ok, err := b.Regexp.MatchString(s)
	return ok || err != nil
}

// mistakeOf says in plain words why the library refuses a schema.
func (n *normaliser) mistakeOf(err error) mistake {
	var invalid *jsonschema.SchemaValidationError
	if errors.As(err, &invalid) {
		var found *jsonschema.ValidationError
		if errors.As(invalid.Err, &found) {
			leaf := firstLeaf(found)
			at := append(fragment(invalid.URL), leaf.InstanceLocation...)
			if missing := at.reference(n.refs); missing != nil {
				return *missing
			}
			return mistake{at, schemaWords(leaf, at), "write a JSON Schema"}
		}
	}
	for _, ref := range n.refs {
		if !strings.HasPrefix(ref.to, "#") {
			return mistake{ref.at, fmt.Sprintf("a $ref leads to %s, and no other document is read", ref.to),
				"copy what it refers to into the plan"}
		}
	}
	for _, ref := range n.refs {
		text := err.Error()
		if strings.Contains(text, strconv.Quote(resource+ref.to)) || strings.Contains(text, strconv.Quote(ref.to)) {
			return mistake{ref.at, fmt.Sprintf("a $ref leads to %s, and there is nothing", ref.to), "correct the $ref"}
		}
	}
	if len(n.refs) > 0 {
		return mistake{n.refs[0].at, fmt.Sprintf("the $ref to %s can't be followed", n.refs[0].to), "correct the $ref"}
	}
	return mistake{nil, "it is not a JSON Schema", "write a JSON Schema"}
}

// reference is the mistake of a $ref to something that is not a schema, nil if none
// leads here.
func (p pointer) reference(refs []reference) *mistake {
	for _, ref := range refs {
		to := fragment(ref.to)
		if strings.HasPrefix(ref.to, "#/") && len(to) <= len(p) && slices.Equal(to, p[:len(to)]) && !schemaPlace(to) {
			return &mistake{ref.at, fmt.Sprintf("a $ref leads to %s, which is not a schema", ref.to), "correct the $ref"}
		}
	}
	return nil
}

// schemaPlace reports whether a pointer leads to a place where schemas are.
func schemaPlace(p pointer) bool {
	for i := 0; i < len(p); i++ {
		switch {
		case slices.Contains(keywordsOfNames, p[i]):
			i++
		case slices.Contains(keywordsOfLists, p[i]) && i+1 < len(p):
			if _, ok := index(p[i+1]); ok {
				i++
			}
		case slices.Contains(keywordsOfOne, p[i]):
		default:
			return false
		}
	}
	return true
}

// cycle finds a schema that refers to itself without going into a value.
func cycle(top *jsonschema.Schema) (at pointer, ok bool) {
	const entered, left = 1, 2
	state := map[*jsonschema.Schema]int{}
	var visit func(s *jsonschema.Schema) bool
	all := map[*jsonschema.Schema]bool{}
	visit = func(s *jsonschema.Schema) bool {
		if s == nil || state[s] == left {
			return false
		}
		if state[s] == entered {
			at = fragment(s.Location)
			return true
		}
		state[s] = entered
		for _, next := range beside(s) {
			if visit(next) {
				return true
			}
		}
		state[s] = left
		return false
	}
	var each func(s *jsonschema.Schema) bool
	each = func(s *jsonschema.Schema) bool {
		if s == nil || all[s] {
			return false
		}
		all[s] = true
		return visit(s) || slices.ContainsFunc(beside(s), each) || slices.ContainsFunc(within(s), each)
	}
	ok = each(top)
	return at, ok
}

// beside are the schemas that a schema holds a value to as well.
func beside(s *jsonschema.Schema) []*jsonschema.Schema {
	out := slices.Concat([]*jsonschema.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else},
		s.AllOf, s.AnyOf, s.OneOf)
	if s.DynamicRef != nil {
		out = append(out, s.DynamicRef.Ref)
	}
	for _, name := range finding.SortedKeys(s.DependentSchemas) {
		out = append(out, s.DependentSchemas[name])
	}
	for _, name := range finding.SortedKeys(s.Dependencies) {
		if dependent, ok := s.Dependencies[name].(*jsonschema.Schema); ok {
			out = append(out, dependent)
		}
	}
	return slices.DeleteFunc(out, func(s *jsonschema.Schema) bool { return s == nil })
}

// within are the schemas of values within a value.
func within(s *jsonschema.Schema) []*jsonschema.Schema {
	out := slices.Concat([]*jsonschema.Schema{s.PropertyNames, s.UnevaluatedProperties, s.Contains, s.Items2020,
		s.UnevaluatedItems, s.ContentSchema}, s.PrefixItems)
	for _, name := range finding.SortedKeys(s.Properties) {
		out = append(out, s.Properties[name])
	}
	for _, p := range s.PatternProperties {
		out = append(out, p)
	}
	for _, v := range []any{s.AdditionalProperties, s.Items, s.AdditionalItems} {
		switch v := v.(type) {
		case *jsonschema.Schema:
			out = append(out, v)
		case []*jsonschema.Schema:
			out = append(out, v...)
		}
	}
	return slices.DeleteFunc(out, func(s *jsonschema.Schema) bool { return s == nil })
}

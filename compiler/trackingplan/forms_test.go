package trackingplan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
)

// The schema of a message in which format is required and a string.
const messageSchema = `{"type": "object", "properties": {"context": {}, "traits": {}, "properties": {"type": "object",
	"properties": {"format": {"type": "string"}}, "required": ["format"]}}}`

// That of the properties alone.
const propertiesSchema = `{"type": "object", "properties": {"format": {"type": "string"}}, "required": ["format"]}`

// mismatches are those of a track call of Report Exported with some properties, each in a
// line.
func mismatches(t testing.TB, p *Plan, call, payload string) []string {
	t.Helper()
	v, err := unmarshal([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return describeAll(p.Check(config.PlannedMessage{Call: call, Payload: v.(map[string]any)}))
}

func describeAll(found []config.Mismatch) []string {
	out := []string{}
	for _, m := range found {
		at := m.At
		if m.Name != "" {
			at = at.With(m.Name)
		}
		line := []string{"unfit", "missing", "unplanned", "unchecked"}[m.Kind] + " " + at.String()
		if m.Kind == config.Unfit {
			line += ": " + m.Want.String()
		}
		out = append(out, line)
	}
	return out
}

func read(t testing.TB, files ...File) (*Plan, []string) {
	t.Helper()
	p, problems := Read(files, noFile)
	var out []string
	for _, problem := range append(problems, p.Verify()...) {
		out = append(out, fmt.Sprintf("%s:%d:%d: %s", problem.File, problem.Range.Start.Line, problem.Range.Start.Column,
			problem.Message))
	}
	return p, out
}

// Each form plans the event Report Exported, with format as a required string.
func TestForms(t *testing.T) {
	rule := `{"key": "Report Exported", "type": "TRACK", "version": 1, "jsonSchema": ` + messageSchema + `}`
	event := `{"name": "Report Exported", "rules": ` + messageSchema + `}`
	quoted, err := json.Marshal(messageSchema)
	if err != nil {
		t.Fatal(err)
	}
	utf16, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(`{"rules": [` + rule + `]}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ form, name, content string }{
		{"public API", "a.json", `{"data": {"rules": [` + rule + `]}}`},
		{"public API, the last page", "a.json", `{"data": {"rules": [` + rule + `], "pagination": {"current": "MA==", "totalEntries": 1}}}`},
		{"pages in a list", "a.json", `[{"data": {"rules": [` + rule + `], "pagination": {"current": "MA==", "next": "MQ=="}}},
			{"data": {"rules": [], "pagination": {"current": "MQ=="}}}]`},
		{"rules", "a.json", `{"rules": [` + rule + `]}`},
		{"bare list", "a.json", `[` + rule + `]`},
		{"schema as a string", "a.json", `[{"key": "Report Exported", "type": "TRACK", "json_schema": ` + string(quoted) + `}]`},
		{"protocols", "a.json", `{"display_name": "Growth", "rules": {"events": [` + event + `], "global": {}, "identify": {}}}`},
		{"config API", "a.json", `{"tracking_plan": {"name": "x", "rules": {"events": [` + event + `]}}}`},
		{"config API, a list of plans", "a.json", `[{"name": "x", "display_name": "X", "rules": {"events": [` + event + `]}}]`},
		{"event library", "a.json", `{"global": {"properties": {"context": {}}}, "events": [` + event + `]}`},
		{"typewriter", "plan.json", `{"name": "Growth", "rules": [{"key": "Report Exported", "type": "TRACK", "jsonSchema": ` + propertiesSchema + `}]}`},
		{"rudderstack", "a.json", `{"id": "tp_1", "name": "Growth", "events": [{"id": "ev_1", "name": "Report Exported", "eventType": "track",
			"identitySection": "", "rules": {"$schema": "", "properties": ` + `{"properties": ` + propertiesSchema + `}}}]}`},
		{"rudderstack, the answer of the API", "a.json", `{"data": [{"name": "Report Exported", "eventType": "track",
			"rules": {"properties": {"properties": ` + propertiesSchema + `}}}], "total": 1, "currentPage": 1, "pageSize": 50}`},
		{"avo", "a.json", `{"name": "Avo", "events": [{"id": "1", "name": "Report Exported", "tags": [], "rules": {
			"$schema": "http://json-schema.org/draft-06/schema#", "type": "object", "required": ["properties", "nameMapping"],
			"properties": {"properties": {"type": "object", "properties": {"format": {"id": "2", "type": "string",
			"nameMapping": [{"name": "f", "destinationId": "x"}]}}, "additionalProperties": false, "required": ["format"]}},
			"nameMapping": [{"name": "R", "destinationId": "all"}]}}], "metrics": {}}`},
		{"plain", "a.json", `{"$schema": "x", "Report Exported": ` + propertiesSchema + `}`},
		{"yaml", "a.yaml", "Report Exported:\n  type: object\n  properties:\n    format: {type: string}\n  required: [format]\n"},
		{"yaml with an alias", "a.yml", "rules:\n- key: Report Exported\n  type: TRACK\n  jsonSchema:\n    definitions: {s: &s {type: string}}\n" +
			"    properties:\n      properties:\n        properties: {format: *s}\n        required: [format]\n"},
		{"terraform", "a.tf", "resource \"segment_tracking_plan\" \"a\" {\n  rules = [{\n    key = \"Report Exported\"\n    type = \"TRACK\"\n    version = 1\n" +
			"    json_schema = jsonencode({properties = {properties = {\n      properties = {\"format\" : {type = \"string\"}}, required = [\"format\"]}}})\n  }]\n}\n"},
		{"terraform with a string", "a.tf", "locals {\n  schema = " + strings.ReplaceAll(string(quoted), `${`, `$${`) + "\n}\n" +
			"resource \"segment_tracking_plan_rules\" \"a\" {\n  rules = [{key = \"Report Exported\", type = \"TRACK\", json_schema = local.schema}]\n}\n"},
		{"byte order mark", "a.json", "\xef\xbb\xbf[" + rule + "]"},
		{"UTF-16", "a.json", utf16},
		{"CRLF", "a.json", strings.ReplaceAll("{\"rules\": [\n"+rule+"\n]}", "\n", "\r\n")},
	} {
		t.Run(test.form, func(t *testing.T) {
			p, problems := read(t, File{test.name, []byte(test.content)})
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if got := p.Events(); !slices.Equal(got, []string{"Report Exported"}) || !p.NamesEvents() {
				t.Errorf("events %q", got)
			}
			for payload, want := range map[string]string{
				`{"event": "Report Exported", "userId": "u", "properties": {"format": "csv"}}`:         "",
				`{"event": "Report Exported", "userId": "u", "properties": {"format": 3}}`:             "unfit properties.format: a string",
				`{"event": "Report Exported", "userId": "u", "properties": {}}`:                        "missing properties.format",
				`{"event": "Report Exported", "userId": "u"}`:                                          "missing properties.format",
				`{"event": "Report Exported", "userId": "u", "properties": {"format": "csv", "x": 1}}`: "unplanned properties.x",
			} {
				if got := strings.Join(mismatches(t, p, "track", payload), "; "); got != want {
					t.Errorf("%s\ngot  %s\nwant %s", payload, got, want)
				}
			}
		})
	}
}

// A plan of several files is one plan.
func TestSeveralFiles(t *testing.T) {
	page := func(current, next, event string) File {
		return File{"page-" + current + ".json", []byte(`{"data": {"rules": [{"key": "` + event + `", "type": "TRACK", "jsonSchema": {}}],
			"pagination": {"current": "` + current + `", "next": "` + next + `"}}}`)}
	}
	p, problems := read(t, page("1", "2", "A"), page("2", "", "B"))
	if len(problems) > 0 || !slices.Equal(p.Events(), []string{"A", "B"}) {
		t.Errorf("problems %q, events %q", problems, p.Events())
	}
	if _, problems = read(t, page("1", "2", "A"), page("3", "", "B")); len(problems) != 1 || !strings.Contains(problems[0], "one page") {
		t.Errorf("problems %q", problems)
	}
}

// Terraform's file reads a file of the project.
func TestTerraformFile(t *testing.T) {
	p, problems := Read([]File{{"tf/a.tf", []byte("resource \"segment_tracking_plan\" \"a\" {\n  rules_json_file = file(\"${path.module}/rules.json\")\n}\n")}},
		func(name string) ([]byte, error) {
			if name != "tf/rules.json" {
				t.Errorf("reads %s", name)
			}
			return []byte(`{"events": [{"name": "A"}]}`), nil
		})
	if len(problems) > 0 || !p.Has("A") {
		t.Errorf("problems %v", problems)
	}
}

// The oldest version counts, unless the message names another.
func TestVersions(t *testing.T) {
	schema := func(name string) string {
		return `{"properties": {"properties": {"properties": {"` + name + `": {}}}}}`
	}
	p, problems := read(t, File{"a.json", []byte(`[{"key": "A", "type": "TRACK", "version": 10, "jsonSchema": ` + schema("ten") + `},
		{"key": "A", "type": "TRACK", "version": 9, "jsonSchema": ` + schema("nine") + `}]`)})
	if len(problems) > 0 || !slices.Equal(p.Versions("A"), []string{"9", "10"}) {
		t.Fatal(problems, p.Versions("A"))
	}
	for payload, want := range map[string]string{
		`{"event": "A", "properties": {"nine": 1, "ten": 1}}`:                                                        "unplanned properties.ten",
		`{"event": "A", "properties": {"nine": 1, "ten": 1}, "context": {"protocols": {"event_version": 10}}}`:       "unplanned properties.nine",
		`{"event": "A", "properties": {"nine": 1, "ten": 1}, "context": {"protocols": {"event_version": "10"}}}`:     "unplanned properties.nine",
		`{"event": "A", "properties": {"nine": 1, "ten": 1}, "context": {"protocols": {"event_version": "latest"}}}`: "unplanned properties.ten",
	} {
		if got := strings.Join(mismatches(t, p, "track", payload), "; "); got != want {
			t.Errorf("%s: got %s, want %s", payload, got, want)
		}
	}
}

// Rules for calls, for all messages, and for single traits.
func TestOtherRules(t *testing.T) {
	p, problems := read(t, File{"a.json", []byte(`{"rules": {
		"events": [{"name": "A", "rules": {"properties": {"properties": {"properties": {"own": {}}}}}}],
		"global": {"properties": {"context": {"required": ["locale"]}, "properties": {"properties": {"team": {"type": "string"}}}}},
		"identify": {"properties": {"traits": {"properties": {"plan": {"enum": ["free", "pro"]}}}}},
		"identify_traits": [{"name": "seats", "rules": {"type": "integer"}}],
		"group_traits": [{"name": "size", "rules": {"type": "integer"}}]}}`)})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, test := range []struct{ call, payload, want string }{
		{"track", `{"event": "A", "context": {"locale": "x"}, "properties": {"own": 1, "team": "t"}}`, ""},
		{"track", `{"event": "A", "context": {}, "properties": {"team": 1, "x": 1}}`,
			"missing context.locale; unfit properties.team: a string; unplanned properties.x"},
		{"identify", `{"traits": {"plan": "po", "seats": "3"}}`, `unfit traits.plan: "free" or "pro"; unfit traits.seats: an integer`},
		{"identify", `{"traits": {"plan": "pro", "seats": 3.0}}`, ""},
		{"group", `{"traits": {"size": 1.5, "name": "x"}}`, "unfit traits.size: an integer"},
	} {
		if got := strings.Join(mismatches(t, p, test.call, test.payload), "; "); got != test.want {
			t.Errorf("%s %s\ngot  %s\nwant %s", test.call, test.payload, got, test.want)
		}
	}
}

// plain is a plan with one property x.
func plain(schema string) File {
	return File{"a.json", []byte(`{"A": {"properties": {"x": ` + schema + `}}}`)}
}

// Every keyword is checked, of values that are known and of such that are not.
func TestKeywords(t *testing.T) {
	number, text := config.Unknown{Kinds: config.NumberKind}, config.Unknown{Kinds: config.StringKind}
	prefixed := config.Unknown{Kinds: config.StringKind, CanBe: func(s string) bool { return strings.HasPrefix(s, "a-") }}
	for _, test := range []struct {
		schema, value string
		unknown       map[string]config.Unknown // below properties
		want          string
	}{
		{`{"type": "integer"}`, `3.0`, nil, ""},
		{`{"type": "integer"}`, `1e2`, nil, ""},
		{`{"type": ["any"]}`, `{"b": 1}`, nil, ""},
		{`{"type": "any"}`, `3`, nil, ""},
		{`{"pattern": "^(?!x)"}`, `"xb"`, nil, "unfit properties.x: a value that fits the pattern ^(?!x)"},
		{`{"type": "string", "pattern": "^(?!x)"}`, `"bx"`, nil, ""},
		{`{"type": "string", "format": "uuid"}`, `"nope"`, nil, "unfit properties.x: a string that fits the format uuid"},
		{`{"type": "string", "format": "date-time"}`, `"2026-01-31T10:00:00Z"`, nil, ""},
		{`{"type": "string", "format": "uri"}`, `"no uri"`, nil, "unfit properties.x: a string that fits the format uri"},
		{`{"type": "string", "format": "sku"}`, `"a"`, nil, "unchecked properties.x"},
		{`{"const": 3}`, `4`, nil, "unfit properties.x: 3"},
		{`{"enum": ["a", 1, null]}`, `2`, nil, `unfit properties.x: "a", 1 or null`},
		{`{"not": {"type": "string"}}`, `"a"`, nil, "unfit properties.x: a value that fits not"},
		{`{"oneOf": [{"type": "number"}, {"minimum": 0}]}`, `3`, nil, "unfit properties.x: a value that fits oneOf: it fits two of its schemas"},
		{`{"anyOf": [{"type": "null"}, {"type": "object", "properties": {"a": {"type": "string"}}}]}`, `{"a": 1}`, nil,
			"unfit properties.x.a: a string"},
		{`{"if": {"required": ["a"]}, "then": {"required": ["b"]}}`, `{"a": 1}`, nil, "missing properties.x.b"},
		{`{"dependentRequired": {"a": ["b"]}, "$schema": "https://json-schema.org/draft/2020-12/schema"}`, `{"a": 1}`, nil, ""},
		{`{"dependencies": {"a": ["b"]}}`, `{"a": 1}`, nil, "missing properties.x.b"},
		{`{"propertyNames": {"pattern": "^a"}}`, `{"b": 1, "a": 2}`, nil, "unplanned properties.x.b"},
		{`{"properties": {"a": {}}, "additionalProperties": false}`, `{"b": 1}`, nil, "unplanned properties.x.b"},
		{`{"properties": {"a": {}}}`, `{"b": 1}`, nil, "unplanned properties.x.b"},
		{`{"properties": {"a": {}}, "patternProperties": {"^b": {"type": "string"}}}`, `{"b": 1}`, nil, "unfit properties.x.b: a string"},
		{`{"properties": {"a": {}}, "additionalProperties": true}`, `{"b": 1}`, nil, ""},
		{`{"type": "object"}`, `{"b": 1}`, nil, ""},
		{`{"items": {"properties": {"a": {"type": "string"}}}}`, `[{"a": "x"}, {"a": 1, "b": 2}]`, nil,
			"unfit properties.x[1].a: a string; unplanned properties.x[1].b"},
		{`{"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}`, `{"a": 1, "b": 2, "c": 3}`, nil, "unplanned properties.x.c"},
		{`false`, `1`, nil, "unplanned properties.x"},
		{`{"uniqueItems": true}`, `[1, 1]`, nil, "unfit properties.x: a value that fits uniqueItems"},
		{`{"contains": {"const": 1}}`, `[2]`, nil, "unfit properties.x: a value that fits contains"},
		// A placeholder's type is known, and its value is not.
		{`{"type": "integer", "minimum": 5}`, `1`, map[string]config.Unknown{"x": number}, ""},
		{`{"type": "string"}`, `1`, map[string]config.Unknown{"x": number}, "unfit properties.x: a string"},
		{`{"type": "string", "format": "email", "pattern": "@", "maxLength": 1}`, `"{{a}}"`, map[string]config.Unknown{"x": text}, ""},
		{`{"enum": ["a", "b"]}`, `"{{a}}"`, map[string]config.Unknown{"x": text}, ""},
		{`{"enum": ["a-1", "b"]}`, `"a-{{a}}"`, map[string]config.Unknown{"x": prefixed}, ""},
		{`{"enum": ["b"]}`, `"a-{{a}}"`, map[string]config.Unknown{"x": prefixed}, `unfit properties.x: "b"`},
		{`{"enum": [1, 2]}`, `"{{a}}"`, map[string]config.Unknown{"x": text}, "unfit properties.x: 1 or 2"},
		{`{"not": {"const": "{{a}}"}}`, `"{{a}}"`, map[string]config.Unknown{"x": text}, ""},
		{`{"anyOf": [{"type": "integer"}, {"const": "b"}]}`, `"{{a}}"`, map[string]config.Unknown{"x": text}, ""},
		{`{"anyOf": [{"type": "integer"}, {"type": "null"}]}`, `"{{a}}"`, map[string]config.Unknown{"x": text}, "unfit properties.x: an integer or null"},
		{`{"if": {"properties": {"a": {"const": "{{a}}"}}}, "then": {"required": ["b"]}}`, `{"a": "{{a}}"}`,
			map[string]config.Unknown{"x.a": text}, ""},
		{`{"uniqueItems": true}`, `["{{a}}", "{{a}}"]`, map[string]config.Unknown{"x[0]": text, "x[1]": text}, ""},
		{`{"type": "object", "required": ["a"]}`, `null`, map[string]config.Unknown{"x": {Kinds: config.AnyKind}}, ""},
	} {
		p, problems := read(t, plain(test.schema))
		if len(problems) > 0 {
			t.Errorf("%s: %s", test.schema, problems)
			continue
		}
		v, err := unmarshal([]byte(`{"event": "A", "properties": {"x": ` + test.value + `}}`))
		if err != nil {
			t.Fatal(err)
		}
		m := config.PlannedMessage{Call: "track", Payload: v.(map[string]any), Unknown: map[string]config.Unknown{}}
		for at, u := range test.unknown {
			m.Unknown["properties."+at] = u
		}
		if got := strings.Join(describeAll(p.Check(m)), "; "); got != test.want {
			t.Errorf("%s of %s\ngot  %s\nwant %s", test.value, test.schema, got, test.want)
		}
	}
}

// broken are schemas, and what is wrong with them.
var broken = map[string]string{
	`{"type": "objct"}`:                             `a.json:1:37: unknown type "objct"`,
	`{"type": ["string", "objct"]}`:                 `a.json:1:48: unknown type "objct"`,
	`{"type": []}`:                                  `a.json:1:37: the list of types is empty, so no value would fit`,
	`{"type": 3}`:                                   `a.json:1:37: a type is a string, and this is a number`,
	`{"enum": []}`:                                  `a.json:1:37: the enum is empty, so no value would fit`,
	`{"enum": "a"}`:                                 `a.json:1:37: enum must be a list, and is a string`,
	`{"pattern": "("}`:                              `a.json:1:40: the pattern "(" can't be read: missing closing )`,
	`{"pattern": 3}`:                                `a.json:1:40: pattern must be a string, and is a number`,
	`{"patternProperties": {"[": {}}}`:              "a.json:1:56: the pattern \"[\" can't be read: unterminated [] set",
	`{"required": true}`:                            `a.json:1:41: required is a list of names, and this is true`,
	`{"required": "a"}`:                             `a.json:1:41: required must be a list, and is a string`,
	`{"properties": []}`:                            `a.json:1:43: properties is an object of schemas, and this is a list`,
	`{"minLength": -1}`:                             `a.json:1:42: minLength is too small`,
	`{"$ref": "#/definitions/none"}`:                `a.json:1:37: a $ref leads to #/definitions/none, and there is nothing`,
	`{"$ref": "#none"}`:                             `a.json:1:37: a $ref leads to #none, and there is nothing`,
	`{"$ref": "https://example.com/a"}`:             `a.json:1:37: a $ref leads to https://example.com/a, and no other document is read`,
	`{"$ref": "other.json"}`:                        `a.json:1:37: a $ref leads to other.json, and no other document is read`,
	`{"$ref": "#/properties/x"}`:                    `a.json:1:28: this schema refers to itself without end`,
	`{"allOf": [{"$ref": "#/properties/x"}]}`:       `a.json:1:28: this schema refers to itself without end`,
	`{"$ref": 3}`:                                   `a.json:1:37: $ref must be a string, and is a number`,
	`null`:                                          `a.json:1:28: a schema is an object, and this is null`,
	`[]`:                                            `a.json:1:28: a schema is an object, and this is a list`,
	`"string"`:                                      `a.json:1:28: a schema is an object, and this is a string`,
	`{"items": [{"type": "x"}]}`:                    `a.json:1:48: unknown type "x"`,
	`{"definitions": {"a": {"minimum": "x"}}}`:      `a.json:1:62: minimum must be a number, and is a string`,
	`{"exclusiveMinimum": true, "minimum": 0}`:      `a.json:1:49: exclusiveMinimum must be a number, and is true or false`,
	`{"allOf": []}`:                                 `a.json:1:38: allOf must have 1 or more elements`,
	`{"multipleOf": 0}`:                             `a.json:1:43: multipleOf is too small`,
	`{"a": {"b": 1}, "$ref": "#/properties/x/a/b"}`: `a.json:1:52: a $ref leads to #/properties/x/a/b, which is not a schema`,
}

func TestBrokenSchemas(t *testing.T) {
	for schema, want := range broken {
		_, problems := read(t, plain(schema))
		if len(problems) != 1 || !strings.HasPrefix(problems[0], want) {
			t.Errorf("%s\ngot  %q\nwant %s", schema, problems, want)
		}
	}
}

// However broken a plan is, reading it and comparing with it ends, and every problem has a
// message without the words of libraries.
func FuzzRead(f *testing.F) {
	for schema := range broken {
		f.Add("a.json", string(plain(schema).Content))
	}
	for _, seed := range []string{`{}`, `[]`, `null`, `3`, `"a"`, ``, `{`, `[[]]`, `[null]`, `[{}]`, `{"rules": null}`, `{"rules": {}}`,
		`{"data": null}`, `{"data": {"rules": {}}}`, `{"events": [[]]}`, `{"rules": {"events": [null]}}`, `{"rules": [{"type": 3}]}`,
		`[{"key": "A", "type": "TRACK", "jsonSchema": "{\"type\": \"x\"}"}]`, `{"A": {"$id": "a", "properties": {"x": {"$id": "a"}}}}`,
		`{"A": {"$schema": "http://json-schema.org/draft-03/schema#"}}`, `{"A": {"$dynamicRef": "#a", "$anchor": "a"}}`,
		`{"A": {"$recursiveRef": "#"}}`, `{"A": {"pattern": "(a+)+\\1$"}}`} {
		f.Add("a.json", seed)
	}
	f.Add("a.yaml", "a: &a [*a]\n")
	f.Add("a.yaml", "? [a]\n: b\n")
	f.Add("a.yaml", "A: {x: .nan, y: 0x10, z: 1_000, t: 2026-01-01}\n")
	f.Add("a.tf", "resource \"segment_tracking_plan\" \"a\" {\n  rules = [null]\n}\n")
	f.Add("a.tf", "resource \"segment_tracking_plan\" \"a\" {\n  rules = jsonencode(\n")
	f.Fuzz(func(t *testing.T, name, content string) {
		if !slices.Contains([]string{"a.json", "a.yaml", "a.tf"}, name) || len(content) > 10_000 {
			return
		}
		p, problems := Read([]File{{name, []byte(content)}}, noFile)
		for _, problem := range append(problems, p.Verify()...) {
			for _, inside := range []string{"plan:///", "jsonschema", "cty.", "%!", "panic", "0x"} {
				if strings.Contains(problem.Message, inside) && !strings.Contains(content, inside) {
					t.Errorf("the message shows the inside: %s", problem.Message)
				}
			}
			if problem.Message == "" || problem.Help == "" {
				t.Errorf("an empty message or help: %v", problem)
			}
		}
		for _, event := range append(p.Events(), "A") {
			m := config.PlannedMessage{Call: "track", Payload: map[string]any{"event": event, "userId": "u",
				"properties": map[string]any{"x": json.Number("3"), "format": "{{a}}", "list": []any{"a", nil, true}}},
				Unknown: map[string]config.Unknown{"properties.format": {Kinds: config.StringKind}}}
			first := fmt.Sprint(describeAll(p.Check(m)))
			if second := fmt.Sprint(describeAll(p.Check(m))); first != second {
				t.Errorf("two answers:\n%s\n%s", first, second)
			}
			p.Plans(m, finding.Path{"properties", "x"})
		}
	})
}

// The two largest shapes of public plans are read, and their names are right names.
func TestLargePlan(t *testing.T) {
	p, problems := read(t, File{"plan.json", largePlan(500, 20)})
	if len(problems) > 0 || len(p.Events()) != 500 || !p.Has("Report 499  Exported") {
		t.Fatal(problems, len(p.Events()))
	}
	got := mismatches(t, p, "track", `{"event": "Report 7  Exported", "properties": {"property 0": 1, "property 1": 2.5, "property 2": [], "property 3": "x"}}`)
	want := []string{"unfit properties.\"property 0\": a string", "unfit properties.\"property 1\": an integer or null",
		`unfit properties."property 3": "csv" or "pdf"`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What is sound needs no compiling: the library finds nothing wrong with it.
func TestSound(t *testing.T) {
	for schema := range broken {
		v, err := unmarshal([]byte(schema))
		if err == nil && sound(v, 0) {
			t.Errorf("%s is taken for sound", schema)
		}
	}
	v, err := unmarshal(largePlan(1, 20))
	if err != nil {
		t.Fatal(err)
	}
	l := layout{doc: &document{name: "a.json", value: v}}
	l.read(v, nil)
	if !sound(l.rules[0].schema, 0) {
		t.Error("the schema of a large plan is not taken for sound")
	}
	if _, problem := l.rules[0].compile(); problem != nil {
		t.Error(problem)
	}
}

package compiler_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

const planProject = `project: "corpus"
sources: segment: writeKey: secret: "SEGMENT_WRITE_KEY"
placeholders: seats: {type: "number", sample: 3, description: "How many seats."}
placeholders: trial: {type: "boolean", sample: true, description: "Whether it is a trial."}
`

const exportPlan = `
trackingPlan: events: {
	"Report Exported": {
		description: "Sent as {{userId}} exports a report."
		properties: {
			// What the file is.
			format!: "csv" | "pdf"
			rows?:   int & >=0
			code?:   =~"^[A-Z]+$"
			note?:   string
			seats?:  number
			trial?:  bool
			filter?: {from?: string, to?: string}
			tags?: [...string]
		}
	}
	"Report Opened": {}
	"Page Left": properties: {}
	"Seat Added": properties: {seats!: number, plan!: string, ...}
}
`

// track is a track automation with a payload's fields after its userId.
func track(fields string) string {
	return `package growth

import "github.com/seguehq/segue/schema/automation"

automations: "x": automation.#Track & {
	name: "X"
	trigger: pattern: "X"
	payload: {
		userId: "{{userId}}"
` + fields + `
	}
}
`
}

// compileFiles compiles a project and returns its findings, each in a line.
func compileFiles(t *testing.T, files map[string]string) []string {
	t.Helper()
	if _, ok := files["cue.mod/module.cue"]; !ok {
		files["cue.mod/module.cue"] = workspace.ModuleFile("corpus.example@v0")
	}
	result, err := compiler.Compile(context.Background(), compiler.Options{Dir: writeProject(t, files)})
	if err != nil {
		t.Fatal(err)
	}
	return lines(result.Diagnostics)
}

func lines(list diagnostic.List) []string {
	out := []string{}
	for _, d := range list {
		line := fmt.Sprintf("%s:%d:%d-%d:%d: %s %s: %s", d.File, d.Range.Start.Line, d.Range.Start.Column,
			d.Range.End.Line, d.Range.End.Column, d.Severity, d.Code, d.Message)
		if d.Suggestion != "" {
			line += " [" + d.Suggestion + "]"
		}
		for _, r := range d.Related {
			line += fmt.Sprintf(" (%s:%d)", r.File, r.Range.Start.Line)
		}
		out = append(out, line)
	}
	return out
}

func TestTrackingPlan(t *testing.T) {
	for _, test := range []struct {
		name, fields string
		want         []string
	}{
		{"fits", "event: \"Report Exported\"\nproperties: {format: \"csv\", rows: 3, code: \"AB\", filter: from: \"a\", tags: [\"x\"]}", nil},
		{"placeholders fit", "event: \"Report Exported\"\nproperties: {format: \"{{accountId}}\", rows: \"{{duration | number}}\", code: \"{{accountId}}\", note: \"by {{accountId}}\", trial: \"{{trial | boolean}}\"}", nil},
		{"anything goes", "event: \"Report Opened\"\nproperties: {a: 1}", nil},
		{"open", "event: \"Seat Added\"\nproperties: {seats: 1, plan: \"pro\", more: true}", nil},
		{"event", "event: \"Report Exportd\"\nproperties: a: 1", []string{
			`growth/a.cue:10:8-10:24: error unplanned-event: the event "Report Exportd" is not in the tracking plan [Report Exported]`}},
		{"unlike any event", `event: "Zebra Fed"`, []string{
			`growth/a.cue:10:8-10:19: error unplanned-event: the event "Zebra Fed" is not in the tracking plan`}},
		{"event with a placeholder", `event: "Report {{accountId}}"`, []string{
			`growth/a.cue:10:8-10:30: warning unchecked-event: the tracking plan can't be checked: the name of the event is known only when it is sent`,
			`growth/a.cue:10:16-10:29: warning event-per-user: {{accountId}} makes many events of one, each with a table of its own in a warehouse`}},
		{"property", "event: \"Report Exported\"\nproperties: {format: \"csv\", row: 3}", []string{
			`growth/a.cue:11:29-11:32: error unplanned-property: payload.properties.row is not in the tracking plan [rows] (segue.cue:9)`}},
		{"none planned", "event: \"Page Left\"\nproperties: a: 1", []string{
			`growth/a.cue:11:13-11:14: error unplanned-property: payload.properties.a is not in the tracking plan (segue.cue:22)`}},
		{"nested property", "event: \"Report Exported\"\nproperties: {format: \"csv\", filter: form: \"a\"}", []string{
			`growth/a.cue:11:37-11:41: error unplanned-property: payload.properties.filter.form is not in the tracking plan [from] (segue.cue:17)`}},
		{"misspelt and required", "event: \"Report Exported\"\nproperties: fromat: \"csv\"", []string{
			`growth/a.cue:11:13-11:19: error unplanned-property: payload.properties.fromat is not in the tracking plan [format] (segue.cue:9)`}},
		{"missing", "event: \"Report Exported\"\nproperties: rows: 3", []string{
			`growth/a.cue:11:1-11:11: error missing-property: payload.properties.format is missing, and the tracking plan requires it (segue.cue:11)`}},
		{"no properties", `event: "Seat Added"`, []string{
			`growth/a.cue:8:2-8:9: error missing-property: payload has no properties, and in the tracking plan plan and seats are required (segue.cue:23)`}},
		{"not an allowed string", "event: \"Report Exported\"\nproperties: format: \"cvs\"", []string{
			`growth/a.cue:11:21-11:26: error planned-type: payload.properties.format must be "csv" or "pdf" in the tracking plan, got the string "cvs" [csv] (segue.cue:11)`}},
		{"mixed text that can't fit", "event: \"Report Exported\"\nproperties: format: \"x{{accountId}}\"", []string{
			`growth/a.cue:11:21-11:37: error planned-type: payload.properties.format must be "csv" or "pdf" in the tracking plan, got the string "x{{accountId}}" (segue.cue:11)`}},
		{"type", "event: \"Report Exported\"\nproperties: {format: \"csv\", seats: \"3\"}", []string{
			`growth/a.cue:11:36-11:39: error planned-type: payload.properties.seats must be a number in the tracking plan, got the string "3" [3] (segue.cue:15)`}},
		{"bound", "event: \"Report Exported\"\nproperties: {format: \"csv\", rows: -1}", []string{
			`growth/a.cue:11:35-11:37: error planned-type: payload.properties.rows must be an integer that matches >=0 in the tracking plan, got the number -1 (segue.cue:12)`}},
		{"fraction", "event: \"Report Exported\"\nproperties: {format: \"csv\", rows: 1.5}", []string{
			`growth/a.cue:11:35-11:38: error planned-type: payload.properties.rows must be an integer that matches >=0 in the tracking plan, got the number 1.5 (segue.cue:12)`}},
		{"pattern", "event: \"Report Exported\"\nproperties: {format: \"csv\", code: \"ab\"}", []string{
			`growth/a.cue:11:35-11:39: error planned-type: payload.properties.code must be a string that matches =~"^[A-Z]+$" in the tracking plan, got the string "ab" (segue.cue:13)`}},
		{"item", "event: \"Report Exported\"\nproperties: {format: \"csv\", tags: [\"a\", 2]}", []string{
			`growth/a.cue:11:41-11:42: error planned-type: payload.properties.tags[1] must be a string in the tracking plan, got the number 2 (segue.cue:18)`}},
		{"object for a string", "event: \"Report Exported\"\nproperties: {format: \"csv\", note: {a: 1}}", []string{
			`growth/a.cue:11:35-11:41: error planned-type: payload.properties.note must be a string in the tracking plan, got an object (segue.cue:14)`}},
		{"no cast", "event: \"Report Exported\"\nproperties: {format: \"csv\", seats: \"{{seats}}\"}", []string{
			`growth/a.cue:11:37-11:46: error planned-type: payload.properties.seats must be a number in the tracking plan, and {{seats}} is sent as a string [{{seats | number}}] (segue.cue:15)`}},
		{"a cast too many", "event: \"Report Exported\"\nproperties: {format: \"csv\", note: \"{{duration | number}}\"}", []string{
			`growth/a.cue:11:36-11:57: error planned-type: payload.properties.note must be a string in the tracking plan, and {{duration}} is sent as a number [{{duration}}] (segue.cue:14)`}},
		{"the wrong placeholder", "event: \"Report Exported\"\nproperties: {format: \"csv\", trial: \"{{accountId}}\"}", []string{
			`growth/a.cue:11:37-11:50: error planned-type: payload.properties.trial must be true or false in the tracking plan, and {{accountId}} is sent as a string (segue.cue:16)`}},
		{"one finding for one mistake", "event: \"Report Exported\"\nproperties: {format: \"csv\", seats: \"{{seat}}\"}", []string{
			`growth/a.cue:11:37-11:45: error unknown-placeholder: unknown placeholder {{seat}} [seats]`}},
		{"beside another mistake", "event: \"Report Exported\"\nusrId: \"u\"\nproperties: format: \"xls\"", []string{
			`growth/a.cue:11:1-11:6: error unknown-field: payload has no field "usrId"`,
			`growth/a.cue:12:21-12:26: error planned-type: payload.properties.format must be "csv" or "pdf" in the tracking plan, got the string "xls" (segue.cue:11)`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := compileFiles(t, map[string]string{"segue.cue": planProject + exportPlan, "growth/a.cue": track(test.fields)})
			if diff := cmp.Diff(append([]string{}, test.want...), got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// The plan's traits hold for identify and group calls.
func TestTrackingPlanTraits(t *testing.T) {
	plan := planProject + "trackingPlan: {identify: traits: {plan?: \"free\" | \"pro\", ...}, group: traits: {name!: string}}\n"
	identify := func(call, fields string) string {
		return strings.Replace(track(fields), "#Track", "#"+call, 1)
	}
	for _, test := range []struct {
		name, source string
		want         []string
	}{
		{"identify", identify("Identify", `traits: {plan: "pro", age: 3}`), nil},
		{"no traits", identify("Identify", ``), nil},
		{"tracks are not planned", track(`event: "Anything"`), nil},
		{"wrong trait", identify("Identify", `traits: plan: "po"`), []string{
			`growth/a.cue:10:15-10:19: error planned-type: payload.traits.plan must be "free" or "pro" in the tracking plan, got the string "po" [pro] (segue.cue:5)`}},
		{"group", identify("Group", `groupId: "g", traits: nmae: "N"`), []string{
			`growth/a.cue:10:23-10:27: error unplanned-property: payload.traits.nmae is not in the tracking plan [name] (segue.cue:5)`}},
		{"missing", identify("Group", `groupId: "g"`), []string{
			`growth/a.cue:8:2-8:9: error missing-property: payload has no traits, and in the tracking plan name is required (segue.cue:5)`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := compileFiles(t, map[string]string{"segue.cue": plan, "growth/a.cue": test.source})
			if diff := cmp.Diff(append([]string{}, test.want...), got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

const protocolsPlan = `{
  "name": "Growth",
  "rules": {
    "events": [
      {"name": "Report Exported", "version": 3, "rules": {"type": "object", "properties": {"properties": {"type": "object", "properties": {"new": {}}}}}},
      {"name": "Report Exported", "version": 2, "rules": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
          "context": {},
          "traits": {},
          "properties": {
            "type": "object",
            "required": ["format"],
            "properties": {
              "format": {"type": "string", "enum": ["csv", "pdf"], "description": "What the file is."},
              "rows": {"type": ["integer", "null"], "minimum": 0},
              "any": {},
              "kind": {"$ref": "#/definitions/kind"}
            }
          }
        },
        "definitions": {"kind": {"type": "string", "pattern": "^k"}}
      }},
      {"name": "Report Opened", "rules": {"type": "object", "properties": {"properties": {"type": "object", "additionalProperties": true}}}}
    ],
    "global": {"type": "object", "properties": {"properties": {"type": "object", "properties": {"team": {"type": "string"}}}}},
    "identify": {"type": "object", "properties": {"traits": {"type": "object", "properties": {"plan": {"type": "string"}}}}},
    "group": {}
  }
}`

const apiPlan = `{"data": {"rules": [
  {"type": "TRACK", "key": "Report Exported", "version": 1, "jsonSchema": {"type": "object", "properties": {"properties": {"type": "object",
    "required": ["format"], "properties": {"format": {"type": "string", "enum": ["csv", "pdf"]}, "rows": {"type": "integer", "minimum": 0}}}}}},
  {"type": "IDENTIFY", "jsonSchema": {"type": "object", "properties": {"traits": {"type": "object", "properties": {"plan": {"type": "string"}}}}}},
  {"type": "COMMON", "jsonSchema": {"type": "object", "properties": {"properties": {"type": "object", "properties": {"team": {"type": "string"}}}}}}
]}}`

const plainPlan = `{
  "Report Exported": {"type": "object", "required": ["format"], "properties": {
    "format": {"enum": ["csv", "pdf"]}, "rows": {"type": "integer", "minimum": 0}, "team": {"type": "string"}}},
  "Report Opened": true
}`

func TestTrackingPlanInJSONSchema(t *testing.T) {
	for layout, plan := range map[string]string{"protocols": protocolsPlan, "api": apiPlan, "plain": plainPlan} {
		for _, test := range []struct {
			name, fields string
			want         []string // code and place
		}{
			{"fits", "event: \"Report Exported\"\nproperties: {format: \"csv\", rows: 3, team: \"a\"}", nil},
			{"placeholder", "event: \"Report Exported\"\nproperties: {format: \"{{accountId}}\", rows: \"{{duration | number}}\"}", nil},
			{"event", `event: "Report Expotred"`, []string{"10:8 unplanned-event"}},
			{"property", "event: \"Report Exported\"\nproperties: {format: \"csv\", teams: \"a\"}", []string{"11:29 unplanned-property"}},
			{"missing", "event: \"Report Exported\"\nproperties: rows: 1", []string{"11:1 missing-property"}},
			{"text", "event: \"Report Exported\"\nproperties: format: \"xls\"", []string{"11:21 planned-type"}},
			{"bound", "event: \"Report Exported\"\nproperties: {format: \"pdf\", rows: -2}", []string{"11:35 planned-type"}},
		} {
			t.Run(layout+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				got := compileFiles(t, map[string]string{"segue.cue": planProject + "trackingPlan: jsonSchema: \"plans/plan.json\"\n",
					"plans/plan.json": plan, "growth/a.cue": track(test.fields)})
				if len(got) != len(test.want) {
					t.Fatalf("findings %q, want %q", got, test.want)
				}
				for i, want := range test.want {
					place, code, _ := strings.Cut(want, " ")
					if !strings.HasPrefix(got[i], "growth/a.cue:"+place+"-") || !strings.Contains(got[i], "error "+code+": ") {
						t.Errorf("finding %q, want %q", got[i], want)
					}
				}
			})
		}
	}
}

// If both CUE and JSON Schema plan the same event, both plans apply.
func TestTrackingPlanFromBoth(t *testing.T) {
	files := func(fields string) map[string]string {
		return map[string]string{"segue.cue": planProject + `trackingPlan: {
	jsonSchema: "plan.json"
	events: "Report Exported": properties: {format?: "csv"}
	events: "Report Closed": {}
}
`, "plan.json": `{"Report Exported": {"type": "object", "properties": {"format": {"type": "string"}}}}`, "growth/a.cue": track(fields)}
	}
	if got := compileFiles(t, files("event: \"Report Closed\"")); len(got) != 0 {
		t.Errorf("findings %q", got)
	}
	got := compileFiles(t, files("event: \"Report Exported\"\nproperties: format: \"pdf\""))
	if len(got) != 1 || !strings.Contains(got[0], "11:21-11:26: error planned-type") {
		t.Errorf("findings %q", got)
	}
}

func TestBrokenTrackingPlan(t *testing.T) {
	for _, test := range []struct {
		name, plan, file string
		want             []string
	}{
		{"misspelt field", `trackingPlan: evnts: "A B": {}`, "", []string{
			`segue.cue:5:15-5:20: error unknown-field: trackingPlan has no field "evnts" [events]`}},
		{"misspelt itself", `trackingplan: events: "A B": properties: {a: string}`, "", []string{
			`segue.cue:5:1-5:13: error unknown-field: the project file has no field "trackingplan" [trackingPlan]`}},
		{"misspelt properties", `trackingPlan: events: "A B": propertys: {a: string}`, "", []string{
			`segue.cue:5:30-5:39: error unknown-field: trackingPlan.events."A B" has no field "propertys" [properties]`}},
		{"not a struct", `trackingPlan: events: "A B": properties: "a"`, "", []string{
			`segue.cue:5:42-5:45: error wrong-type: trackingPlan.events."A B".properties must be an object, got the string "a"`}},
		{"conflict", `trackingPlan: events: "A B": properties: a: "x" & "y"`, "", []string{
			`segue.cue:5:51-5:54: error `}},
		{"conflict in an optional property", `trackingPlan: events: "A B": properties: {a?: int & string}`, "", []string{
			`segue.cue:5:47-5:59: error conflicting-values: `}},
		{"unknown reference", `trackingPlan: events: "A B": properties: {a?: strin}`, "", []string{
			`segue.cue:5:47-5:52: error unknown-reference: strin is not defined [string]`}},
		{"beside another mistake", "trackingPlan: events: \"A B\": properties: {a: string}\nsourcs: {}", "", []string{
			`growth/a.cue:8:2-8:9: error missing-property: `,
			`segue.cue:6:1-6:7: error unknown-field: the project file has no field "sourcs"`}},
		{"no file", `trackingPlan: jsonSchema: "plna.json"`, "{}", []string{
			`segue.cue:5:27-5:38: error broken-plan: the tracking plan "plna.json" does not exist`}},
		{"a folder", `trackingPlan: jsonSchema: "growth"`, "{}", []string{
			`segue.cue:5:27-5:35: error broken-plan: the tracking plan "growth" can't be read: this is not a regular file`}},
		{"not JSON", `trackingPlan: jsonSchema: "plan.json"`, "{\n  \"A B\": {]\n}", []string{
			`plan.json:2:11-2:12: error broken-plan: the tracking plan can't be read: `}},
		{"not an object", `trackingPlan: jsonSchema: "plan.json"`, "[1]", []string{
			`plan.json:1:2-1:3: error broken-plan: the tracking plan can't be read: this rule is a number, and a rule is an object`}},
		{"not a schema", `trackingPlan: jsonSchema: "plan.json"`, "{\n  \"A B\": {\"type\": \"objct\"}\n}", []string{
			`plan.json:2:19-2:26: error broken-plan: the tracking plan can't be read: unknown type "objct"`}},
		{"a reference to nothing", `trackingPlan: jsonSchema: "plan.json"`, "{\n  \"A B\": {\"type\": \"object\", \"properties\": {\"a\": {\"$ref\": \"#/definitions/none\"}}}\n}", []string{
			`plan.json:2:`}},
		{"a message's schema that is none", `trackingPlan: jsonSchema: "plan.json"`, `{"rules": {"events": [{"name": "A B", "rules": {"type": "objct"}}]}}`, []string{
			`plan.json:1:`}},
		{"a reference to a file", `trackingPlan: jsonSchema: "plan.json"`, `{"rules": {"events": [{"name": "A B", "rules": {"$ref": "file:///etc/passwd"}}]}}`, []string{
			`plan.json:1:57-1:77: error broken-plan: the tracking plan can't be read: a $ref leads to file:///etc/passwd, and no other document is read`}},
		{"a reference to another host", `trackingPlan: jsonSchema: "plan.json"`, `{"rules": [{"type": "IDENTIFY", "key": "", "jsonSchema": {"$ref": "https://example.com/a.json"}}]}`, []string{
			`plan.json:1:67-1:95: error broken-plan: the tracking plan can't be read: a $ref leads to https://example.com/a.json, and no other document is read`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"segue.cue": planProject + test.plan + "\n", "growth/a.cue": track(`event: "A B"`)}
			if test.file != "" {
				files["plan.json"] = test.file
			}
			got := compileFiles(t, files)
			if len(got) != len(test.want) {
				t.Fatalf("findings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
			for i, want := range test.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("finding %s\nwant    %s", got[i], want)
				}
			}
		})
	}
}

// A plan may refer to itself, to other packages, and to the rest of segue.cue.
func TestTrackingPlanInCUE(t *testing.T) {
	files := func(fields string) map[string]string {
		return map[string]string{"segue.cue": `import (
	segue "github.com/seguehq/segue/schema/project"
	"corpus.example/plan"
	"strings"
)

segue.#Project

project: "corpus"
sources: segment: writeKey: secret: "SEGMENT_WRITE_KEY"
trackingPlan: events: "Report Exported": properties: {plan.#Report, title?: strings.MaxRunes(5)}
trackingPlan: events: "Tree Grown": properties: #Tree
#Tree: {left?: #Tree, right?: #Tree, name?: string, [=~"^x_"]: number}
`, "plan/plan.cue": "package plan\n\n#Report: {format!: \"csv\" | \"pdf\"}\n", "growth/a.cue": track(fields)}
	}
	for fields, want := range map[string]string{
		"event: \"Report Exported\"\nproperties: {format: \"csv\", title: \"short\"}":     "",
		"event: \"Report Exported\"\nproperties: {format: \"csv\", title: \"not short\"}": "11:36-11:47: error planned-type",
		"event: \"Report Exported\"\nproperties: {format: \"xls\"}":                       "11:22-11:27: error planned-type",
		"event: \"Tree Grown\"\nproperties: {left: left: name: \"a\", x_1: 2}":            "",
		"event: \"Tree Grown\"\nproperties: {left: left: name: 1}":                        "11:13-11:34: error planned-type",
		"event: \"Tree Grown\"\nproperties: {left: left: nme: \"a\"}":                     "11:13-11:35: error planned-type",
		"event: \"Tree Grown\"\nproperties: {x_1: \"a\"}":                                 "11:13-11:23: error planned-type",
	} {
		got := strings.Join(compileFiles(t, files(fields)), "\n")
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s\nfindings %q, want %q", fields, got, want)
		}
	}
}

// Where one name is near, the fix is certain, and leaves nothing to say.
func TestTrackingPlanFixes(t *testing.T) {
	for _, fields := range []string{
		"event: \"Report Exportd\"",
		"event: \"Report Exported\"\nproperties: {format: \"cvs\"}",
		"event: \"Report Exported\"\nproperties: {fromat: \"csv\"}",
		"event: \"Report Exported\"\nproperties: {format: \"csv\", seats: \"3\"}",
		"event: \"Report Exported\"\nproperties: {format: \"csv\", seats: \"{{seats}}\"}",
		"event: \"Report Exported\"\nproperties: {format: \"csv\", note: \"{{duration | number}}\"}",
	} {
		plan := strings.Replace(planProject+exportPlan, "format!:", "format?:", 1)
		dir := writeProject(t, map[string]string{"segue.cue": plan,
			"growth/a.cue": track(fields), "cue.mod/module.cue": workspace.ModuleFile("corpus.example@v0")})
		file := filepath.Join(dir, "growth", "a.cue")
		for round := range 2 {
			result, err := compiler.Compile(context.Background(), compiler.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			if round == 1 {
				if len(result.Diagnostics) > 0 {
					t.Errorf("%s\nafter the fix: %s", fields, lines(result.Diagnostics))
				}
				break
			}
			if len(result.Diagnostics) != 1 || result.Diagnostics[0].Fix == nil {
				t.Errorf("%s\nno fix: %s", fields, lines(result.Diagnostics))
				break
			}
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if content, err = diagnostic.Apply(content, result.Diagnostics[0].Fix.Edits); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, content, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A plan is asked about by all workers at once.
func BenchmarkTrackingPlan(b *testing.B) {
	for _, plan := range []string{"", exportPlan} {
		name := "without"
		files := map[string]string{"segue.cue": planProject + plan, "cue.mod/module.cue": workspace.ModuleFile("corpus.example@v0")}
		if plan != "" {
			name = "with"
		}
		for i := range 500 {
			files[fmt.Sprintf("p%d/a.cue", i)] = track(fmt.Sprintf("event: \"Report Exported\"\nproperties: {format: \"csv\", rows: %d, code: \"AB\", filter: from: \"{{userId}}\"}", i))
		}
		dir := writeProject(b, files)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				result, err := compiler.Compile(context.Background(), compiler.Options{Dir: dir})
				if err != nil || len(result.Document.Automations) != 500 {
					b.Fatal(err, len(result.Diagnostics))
				}
			}
		})
	}
}

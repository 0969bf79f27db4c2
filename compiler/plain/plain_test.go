package plain

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"

	"github.com/seguehq/segue/schema"
)

// Numbers and strings have to be exported as CUE exports them, or be left to it.
func TestScalars(t *testing.T) {
	ctx := cuecontext.New()
	decided := 0
	for _, text := range []string{
		"0", "1", "-1", "+1", "- 1", "00", "01", "1_000", "1__0", "0x1F", "0xff_ff", "-0x10", "0b101", "0o17", "0O17", "0X1f", "1K", "1.5K", "2Mi", "1Ki", "0.3Ki", "1.1Ki",
		"1e3", "1E-3", "1e+3", "1.0", "1.50", ".5", "5.", "-.5", "0.0", "-0", "-0.0", "0e5", "-0e5", "0.0000001", "0.000001", "1e-7", "1.2e+5", "0.1e1", "1e400", "1e0", "1.e1",
		"123456789012345678901234567890", "999999999999999999", "9999999999999999999", "1234567890123456789", "100000000000000000000.5", "1_0.5_0", "-999999999999999999",
		"--1", "-+1", "!true", "true", "false", "null", "_", "string", "'a'", "1K5", "1.2.3",
		`""`, `"a"`, `"a\tb"`, `"\""`, `"\\"`, `"\/"`, `"\u00e9"`, `"\U0001F600"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\x41"`, `"\101"`, `"\a\b\f\v\r\n"`, `"\'"`, `"\z"`, `"\(1)"`, `"\u0000"`, `"\ufffd"`,
		`#"a "b" \n"#`, `#"a\#n"#`, `##"a"#b"##`, `#"\#(1)"#`, "\"\"\"\n\ta\n\t  b\n\t\"\"\"", "\"\"\"\n\"\"\"", "\"\"\"\n\ta \\\n\tb\n\t\"\"\"", "\"\"\"\n\ta\\\n\t\"\"\"", "\"\"\"\n\t\ta\n\tb\n\t\t\"\"\"", "\"\"\"a\"\"\"",
		"#\"\"\"\n\ta \\n \"\"\"\n\t\"\"\"#", "\"\"\"\r\n\ta\r\n\tb\r\n\t\"\"\"", "\"a\rb\"", "\"é\"", "\"e\u0301\"", "'''\n\ta\n\t'''", `#'a'#`,
	} {
		f, err := parser.ParseFile("x.cue", "x: "+text)
		if err != nil {
			continue // it never comes here
		}
		n := &node{}
		p := pkg{schema: Embedded()}
		if err := p.unify(n, f.Decls[0].(*ast.Field).Value, 0); err != nil {
			continue
		}
		v, ok := decide(n, nil)
		if !ok {
			t.Errorf("%s is read, and not decided", text)
			continue
		}
		decided++
		want := ctx.BuildFile(f).LookupPath(cue.ParsePath("x"))
		b, err := want.MarshalJSON()
		if err != nil {
			t.Errorf("%s is %v, and CUE refuses it: %v", text, v, err)
			continue
		}
		var exported any
		d := json.NewDecoder(strings.NewReader(string(b)))
		d.UseNumber()
		if err := d.Decode(&exported); err != nil {
			t.Fatal(err)
		}
		if exported != v {
			t.Errorf("%s is %#v, and %#v with CUE", text, v, exported)
		}
		if n.kind == numberKind && n.isInt != (want.Kind() == cue.IntKind) {
			t.Errorf("%s: an int is %v, and CUE has a %v", text, n.isInt, want.Kind())
		}
	}
	if decided < 65 {
		t.Errorf("only %d were decided", decided)
	}
}

// The whole schema of automations and messages is read: CUE would have to evaluate the other parts, which is
// slow.
func TestSchemaIsRead(t *testing.T) {
	seen := map[*typ]bool{}
	var visit func(path string, v *typ)
	visit = func(path string, v *typ) {
		if v == nil || seen[v] {
			return
		}
		seen[v] = true
		if v.kind == never {
			t.Errorf("%s is not read", path)
		}
		for i, part := range v.parts {
			visit(fmt.Sprintf("%s(%d)", path, i), part)
		}
		for label, f := range v.fields {
			visit(path+"."+label, f.typ)
		}
		visit(path+"[]", v.elem)
		visit(path+"[0]", v.first)
		visit(path+".*", v.rest)
	}
	for name, d := range schema.Declarations() {
		if strings.HasPrefix(d.Name, "#") && (d.Package == "automation" || d.Package == "segment") {
			visit(name, Embedded().definition(name))
		}
	}
	if text, ok := Embedded().text("placeholder.userId"); !ok || text != "{{userId}}" {
		t.Errorf("a placeholder is %q", text)
	}
}

const trackHead = `package growth

import (
	"github.com/seguehq/segue/schema/automation"
	"github.com/seguehq/segue/schema/placeholder"
	"github.com/seguehq/segue/schema/segment"
)
`

func TestDecide(t *testing.T) {
	got, err := Embedded().Decide(parse(t, trackHead+`
automations: trial: automation.#Track & {
	name: "Trial"
	trigger: pattern: "Trial started"
	payload: segment.#TrialStarted & {
		userId: placeholder.userId
		properties: trial_plan_name: "team"
	}
	payload: properties: seats: 0x10
	headers: Authorization: basic: username: "ada"
	only: targets: ["prod"]
	tests: one: {values: userId: "u", expect: userId: "u"}
}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"name": "Trial", "call": "track", "enabled": true, "protect": false,
		"trigger": map[string]any{"pattern": "Trial started"},
		"payload": map[string]any{"userId": "{{userId}}", "event": "Trial Started",
			"properties": map[string]any{"trial_plan_name": "team", "seats": json.Number("16")}},
		"only":    map[string]any{"targets": []any{"prod"}},
		"headers": map[string]any{"Authorization": map[string]any{"basic": map[string]any{"username": "ada", "password": ""}}},
		"tests":   map[string]any{"one": map[string]any{"values": map[string]any{"userId": "u"}}},
	}
	if d := cmp.Diff(want, got[0].Value); d != "" || got[0].Name != "trial" || got[0].Pos.Line() != 9 {
		t.Errorf("%s at %v:\n%s", got[0].Name, got[0].Pos, d)
	}
}

// Packages that are left to CUE, each for one reason.
func TestLeftToCUE(t *testing.T) {
	const right = `automations: a: automation.#Track & {name: "A", trigger: pattern: "P", payload: segment.#TrialStarted & {userId: placeholder.userId}}`
	if _, err := Embedded().Decide(parse(t, trackHead+right)); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{`name: "A"`, `name: ""`},
		{`name: "A"`, `name: "A" & string`},
		{`name: "A"`, `name: *"A" | string`},
		{`name: "A"`, `name: "\(1)"`},
		{`name: "A"`, `name: 'A'`},
		{`name: "A"`, `name: "A", name: "A"`},
		{`name: "A"`, `name: "A", other: 1`},
		{`name: "A"`, `name: "A", _hidden: 1`},
		{`name: "A"`, `name: "A", #Def: 1`},
		{`name: "A"`, `name: "A", let x = 1`},
		{`name: "A"`, `name: "A", ...`},
		{`name: "A"`, `name: "A", enabled?: true`},
		{`name: "A"`, `name: "A", enabled!: true`},
		{`name: "A"`, `name: "A", enabled: true @x()`},
		{`name: "A"`, `name: "A", @x()`},
		{`name: "A"`, `name: "A", enabled: "true"`},
		{`name: "A"`, `name: "A", if true {enabled: true}`},
		{`name: "A"`, `name: "A", {enabled: true}`},
		{`name: "A"`, `name: "A", call: "group"`},
		{`name: "A"`, `name: "A", only: targets: []`},
		{`name: "A"`, `name: "A", only: targets: [""]`},
		{`name: "A"`, `name: "A", only: targets: ["a", ""]`},
		{`name: "A"`, `name: "A", [string]: _`},
		{`name: "A"`, `name: "A", ("x"): 1`},
		{`name: "A"`, `name: "A", X=enabled: true`},
		{`name: "A"`, `name: "A", headers: X: {}`},
		{`name: "A"`, `name: "A", headers: X: secret: "a-b"`},
		{`name: "A"`, `name: "A", headers: X: {secret: "A", bearer: secret: "A"}`},
		{`name: "A"`, `name: "A", headers: X: null`},
		{`pattern: "P"`, `{}`},
		{`pattern: "P"`, `{pattern: "P", journey: "J"}`},
		{`pattern: "P"`, `pattern: ["P"]`},
		{`userId: placeholder.userId`, ``},
		{`userId: placeholder.userId`, `userId: placeholder.userID`},
		{`userId: placeholder.userId`, `userId: placeholder.userId & string`},
		{`userId: placeholder.userId`, `userId: name`},
		{`userId: placeholder.userId`, `userId: 7, anonymousId: placeholder.userId`},
		{`userId: placeholder.userId`, `userId: placeholder.userId, event: "Trial started"`},
		{`userId: placeholder.userId`, `userId: placeholder.userId, messageId: "` + strings.Repeat("é", 100) + `"`},
		{`userId: placeholder.userId`, `userId: placeholder.userId, properties: [1, ...]`},
		{`userId: placeholder.userId`, `userId: placeholder.userId, properties: x: segment.#Time`},
		{`segment.#TrialStarted`, `segment.#OrderCompleted & segment.#TrialStarted`},
		{`segment.#TrialStarted`, `segment."#TrialStarted"`},
		{`segment.#TrialStarted`, `segment.#TrialStarted | segment.#TrialEnded`},
		{`segment.#TrialStarted`, `segment.#TrialStarts`},
		{`automation.#Track &`, `automation.#SegmentCall &`},
		{`automation.#Track &`, ``},
		{`automations: a:`, `automations: a?:`},
		{`automations: a:`, `automations: #a:`},
		{`automations: a:`, `automations: [string]:`},
		{`automations: a:`, `automation: a:`},
		{`automations: a:`, "other: 1\nautomations: a:"},
		{`automations: a:`, "let x = 1\nautomations: a:"},
		{`automations: a:`, "automations: a: {}\nautomations: a:"},
		{`automations: a:`, `automations: "e` + "\u0301" + `":`},
		{"package growth", "@x()\npackage growth"},
		{"package growth", "package _"},
		{"package growth\n", ""},
		{`"github.com/seguehq/segue/schema/segment"`, `"github.com/seguehq/segue/schema/segment:segment"`},
		{`"github.com/seguehq/segue/schema/segment"`, "\"github.com/seguehq/segue/schema/segment\"\n\t\"strings\""},
		{`"github.com/seguehq/segue/schema/segment"`, "\"github.com/seguehq/segue/schema/segment\"\n\t\"github.com/seguehq/segue/schema/platform\""},
		{`"github.com/seguehq/segue/schema/segment"`, `segments "github.com/seguehq/segue/schema/segment"`},
	} {
		text := strings.Replace(trackHead+right, change[0], change[1], 1)
		if text == trackHead+right {
			t.Errorf("%q is not there", change[0])
		}
		f, err := parser.ParseFile("a.cue", text)
		if err != nil {
			t.Errorf("%s: %v", change[1], err)
			continue
		}
		if got, err := Embedded().Decide([]*ast.File{f}); err == nil {
			t.Errorf("with %s it is decided: %v", change[1], got[0].Value)
		}
	}
}

func parse(t *testing.T, text string) []*ast.File {
	t.Helper()
	f, err := parser.ParseFile("a.cue", text)
	if err != nil {
		t.Fatal(err)
	}
	return []*ast.File{f}
}

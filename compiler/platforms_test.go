package compiler_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// describedProject describes a platform with nothing wrong.
const describedProject = `import "encoding/json"

project: "growth"
sources: segment: writeKey: secret: "SEGMENT_WRITE_KEY"
targets: prod: {platform: "acme", url: "https://acme.example.com", token: secret: "ACME_TOKEN"}

platforms: acme: {
	endpoints: {
		list: path: "/rules"
		create: path: "/rules"
		update: path: "/rules/{id}"
		delete: path: "/rules/{id}"
	}
	marker: field: "meta.note"
	encode: {
		automation: _
		headers: _
		marker: _
		object: {
			title: automation.name
			on: automation.enabled
			kind: automation.trigger.kind
			trigger: automation.trigger.name
			verb: automation.action.method
			to: automation.action.url
			head: {for name, h in headers {(name): h.value}}
			body: *null | string
			if automation.action.payload != _|_ {body: json.Marshal(automation.action.payload)}
			meta: note: marker
		}
	}
	decode: {
		object: _
		automation: {
			name: object.title
			enabled: object.on
			trigger: {kind: object.kind, name: object.trigger}
			action: {
				method: object.verb
				url: object.to
				headers: object.head
				if object.body != null {payload: json.Unmarshal(object.body)}
			}
		}
	}
}
`

// findingsOf returns the findings about a project of these files.
func findingsOf(t *testing.T, files map[string]string) diagnostic.List {
	t.Helper()
	result, err := compiler.Compile(context.Background(), compiler.Options{Dir: writeProject(t, files)})
	if err != nil {
		t.Fatal(err)
	}
	return result.Diagnostics
}

// rangeIn returns the range of a string in a file, between two arrows if it has some.
func rangeIn(t *testing.T, content, text string) diagnostic.Range {
	t.Helper()
	start := strings.Index(content, strings.NewReplacer("«", "", "»", "").Replace(text))
	if start < 0 {
		t.Fatalf("%q is not in the file", text)
	}
	before, inner, marked := strings.Cut(text, "«")
	if marked {
		inner, _, _ = strings.Cut(inner, "»")
		start += len(before)
	} else {
		inner = text
	}
	position := func(offset int) diagnostic.Position {
		return diagnostic.Position{Line: strings.Count(content[:offset], "\n") + 1, Column: offset - strings.LastIndex(content[:offset], "\n")}
	}
	return diagnostic.Range{Start: position(start), End: position(start + len(inner))}
}

func TestDescribedPlatform(t *testing.T) {
	if found := findingsOf(t, map[string]string{"segue.cue": describedProject}); len(found) > 0 {
		t.Errorf("findings about a description with nothing wrong: %+v", found)
	}
}

func TestFindingsAboutDescriptions(t *testing.T) {
	for _, test := range []struct {
		name, old, new string
		// at is where the finding is, in «» if more is needed to find it.
		at                     string
		code, message, suggest string
	}{
		{"an unknown field", "endpoints: {", "endpoint: {", "«endpoint»: {", "unknown-field", `platforms.acme has no field "endpoint"`, "endpoints"},
		{"an unknown field within", "list: path:", "lst: path:", "«lst»: path", "unknown-field", `platforms.acme.endpoints has no field "lst"`, "list"},
		{"an unknown field of encode", "object: {\n\t\t\ttitle", "objekt: {\n\t\t\ttitle", "«objekt»: {", "unknown-field", `platforms.acme.encode has no field "objekt"`, "object"},
		{"a missing endpoint", "\t\tdelete: path: \"/rules/{id}\"\n", "", "«endpoints»: {", "missing-field", "platforms.acme.endpoints.delete is missing", ""},
		{"a missing marker", "\tmarker: field: \"meta.note\"\n", "", "platforms: «acme»: {", "missing-field", "platforms.acme.marker is missing", ""},
		{"a wrong type", `update: path: "/rules/{id}"`, `update: path: 12`, "update: path: «12»", "wrong-type", "platforms.acme.endpoints.update.path must be a string, got the number 12", `"12"`},
		{"a wrong method", `update: path: "/rules/{id}"`, `update: {path: "/rules/{id}", method: "POTS"}`, `«"POTS"»`, "invalid-value", `platforms.acme.endpoints.update.method must be "POST", "PUT" or "PATCH", got "POTS"`, "POST"},
		{"a path without the identifier", `update: path: "/rules/{id}"`, `update: path: "/rules"`, `update: path: «"/rules"»`, "invalid-value", "the path lacks {id}, which says which automation is meant", ""},
		{"an unknown variable", `delete: path: "/rules/{id}"`, `delete: path: "/rules/{id}/{name}"`, `«"/rules/{id}/{name}"»`, "invalid-value", `nothing can be filled in for {name} in "/rules/{id}/{name}"`, ""},
		{"a path without its slash", `list: path: "/rules"`, `list: path: "rules"`, `list: path: «"rules"»`, "invalid-value", `the path of an endpoint begins with a slash, got "rules"`, ""},
		{"a cursor that is nowhere", "marker: field:", "paging: {kind: \"cursor\", parameter: \"after\"}\n\tmarker: field:", "«paging»: {kind", "missing-field", "paging.next is missing: pages by cursor need it", ""},
		{"a revision that no answer has", "marker: field:", "revision: header: \"ETag\"\n\tmarker: field:", "«endpoints»: {", "missing-field", "endpoints.read is missing: a list does not have the header ETag", ""},
		{"two ways to authorize", "marker: field:", "auth: {header: \"X\", query: \"y\"}\n\tmarker: field:", "«auth»: {header", "conflicting-fields", "platforms.acme.auth has header and query: it takes only one of them", ""},
		{"a field that the automation does not have", "title: automation.name", "title: automation.nam", "title: automation.«nam»", "platform-mapping", "encode can't be evaluated for a sample automation (pattern, enabled, POST with a payload): there is no field nam", "name"},
		{"an operation that fails", "title: automation.name", "title: automation.name + 1", "title: «automation.name + 1»", "platform-mapping", "encode can't be evaluated for a sample automation (pattern, enabled, POST with a payload): ", ""},
		{"encode without a payload", "\t\t\tif automation.action.payload != _|_ {body: json.Marshal(automation.action.payload)}\n", "\t\t\tbody: json.Marshal(automation.action.payload)\n", "body: json.Marshal(automation.action.«payload»)", "platform-mapping", "encode can't be evaluated for a sample automation (pattern, enabled, GET without a payload): ", ""},
		{"a name that nothing has", "title: automation.name", "title: automaton.name", "title: «automaton».name", "unknown-reference", "automaton is not defined", "automation"},
		{"a decode that fails", "enabled: object.on", "enabled: object.no", "enabled: object.«no»", "platform-mapping", "decode can't be evaluated for the object that encode makes from a sample automation (pattern, enabled, POST with a payload): ", ""},
		{"a field of the wrong type in decode", "enabled: object.on", "enabled: object.title", "decode: {\n\t\tobject: _\n\t\t«automation»", "platform-mapping", "decode can't be evaluated for the object that encode makes from a sample automation (pattern, enabled, POST with a payload): decode returns a string for automation.enabled", ""},
		{"a marker elsewhere", "meta: note: marker", "meta: mark: marker", "«object»: {\n\t\t\ttitle", "platform-mapping", "encode does not write the marker to marker.field, meta.note", ""},
		{"a field that gets lost", "method: object.verb", `method: "POST"`, "«decode»: {", "platform-mapping", "encode and decode do not return a sample automation unchanged: action.method is lost", ""},
		{"fields that get lost", "trigger: {kind: object.kind, name: object.trigger}", `trigger: {kind: "pattern", name: object.title}`, "«decode»: {", "platform-mapping", "encode and decode do not return a sample automation unchanged: trigger.kind, trigger.name are lost", ""},
		{"headers that get lost", "headers: object.head", "headers: {}", "«decode»: {", "platform-mapping", "encode and decode do not return a sample automation unchanged: action.headers.Authorization, action.headers.Content-Type, action.headers.X-Token, action.headers.X-User are lost", ""},
		{"a PATCH that leaves something behind", "update: path: \"/rules/{id}\"", "update: {path: \"/rules/{id}\", method: \"PATCH\"}", "", "", "", ""},
		{"a platform that segue knows", "platforms: acme: {", "platforms: embedded: {}\nplatforms: acme: {", "platforms: «embedded»: {}", "invalid-value", "embedded is a platform that segue knows by itself: it can't be described", ""},
		{"a target on an unknown platform", `platform: "acme"`, `platform: "acmee"`, `platform: «"acmee"»`, "unknown-platform", `there is no platform "acmee"`, "acme"},
		{"a target without a url", `url: "https://acme.example.com", `, "", "targets: «prod»: {", "missing-field", "targets.prod.url is missing", ""},
		{"a target without a token", `, token: secret: "ACME_TOKEN"`, "", "targets: «prod»: {", "missing-field", "targets.prod.token is missing", ""},
		{"a target with token and API key", `token: secret:`, `apiKey: secret: "X", token: secret:`, "targets: «prod»: {", "conflicting-fields", "targets.prod has token and apiKey: it takes only one of them", ""},
		{"a target with a user", `token: secret: "ACME_TOKEN"`, `username: "x", password: secret: "ACME_PASSWORD"`, "«username»: \"x\"", "unknown-field", `a target on the platform acme has no field "username"`, ""},
		{"a target with a misspelt token", `token: secret:`, `tokn: secret:`, "«tokn»: secret", "unknown-field", `targets.prod has no field "tokn"`, "token"},
		{"a target with data", `token: secret:`, `data: "x.db", token: secret:`, "«data»: \"x.db\"", "unknown-field", `a target on the platform acme has no field "data"`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			content := strings.Replace(describedProject, test.old, test.new, 1)
			if content == describedProject {
				t.Fatal("the mistake is not in the file")
			}
			found := findingsOf(t, map[string]string{"segue.cue": content})
			if test.code == "" {
				if len(found) > 0 {
					t.Errorf("findings: %+v", found)
				}
				return
			}
			for len(found) > 1 && test.name == "a platform that segue knows" {
				found = found[:1] // its missing parts are reported too
			}
			if len(found) != 1 {
				t.Fatalf("%d findings, want 1: %+v", len(found), found)
			}
			d := found[0]
			checkFinding(t, writeProject(t, map[string]string{"segue.cue": content}), d)
			if d.Code != test.code || d.File != "segue.cue" || d.Suggestion != test.suggest || !strings.HasPrefix(d.Message, test.message) {
				t.Errorf("%s %s (suggestion %q): %s\nwant %s (suggestion %q): %s", d.File, d.Code, d.Suggestion, d.Message, test.code, test.suggest, test.message)
			}
			if want := rangeIn(t, content, test.at); d.Range != want {
				t.Errorf("the finding is at %v, want %v: %s", d.Range, want, d.Message)
			}
		})
	}
}

// An update that only sends fields must send all of them.
func TestPatchMustReplaceEveryField(t *testing.T) {
	content := strings.NewReplacer(`update: path: "/rules/{id}"`, `update: {path: "/rules/{id}", method: "PATCH"}`, "\t\t\tbody: *null | string\n", "",
		"if object.body != null", "if object.body != _|_").Replace(describedProject)
	found := findingsOf(t, map[string]string{"segue.cue": content})
	want := "an update with PATCH would keep parts of the old object: action.payload is wrong afterwards"
	if len(found) != 1 || found[0].Code != "platform-mapping" || found[0].Message != want || found[0].Range != rangeIn(t, content, "«object»: {\n\t\t\ttitle") {
		t.Errorf("findings: %+v", found)
	}
	if with := findingsOf(t, map[string]string{"segue.cue": strings.Replace(content, `"PATCH"`, `"PUT"`, 1)}); len(with) > 0 {
		t.Errorf("with PUT: %+v", with)
	}
}

// A description may be in a package of its own, in the project or in cue.mod, with the schema or without. Its
// mistakes are found there.
func TestImportedDescription(t *testing.T) {
	_, body, _ := strings.Cut(describedProject, "platforms: acme: {")
	heads := map[string]string{
		"without the schema": "package acme\n\nimport \"encoding/json\"\n\n#Platform: {",
		"with the schema":    "package acme\n\nimport (\n\t\"encoding/json\"\n\n\t\"github.com/seguehq/segue/schema/platform\"\n)\n\n#Platform: platform.#Platform & {",
	}
	places := map[string]string{
		"acme/acme.cue":                          "corpus.example/acme",
		"cue.mod/pkg/acme.example/acme/acme.cue": "acme.example/acme",
	}
	const sample = " can't be evaluated for "
	for head, start := range heads {
		for place, path := range places {
			t.Run(head+", "+place, func(t *testing.T) {
				pkg := start + body
				files := map[string]string{
					"cue.mod/module.cue": workspace.ModuleFile("corpus.example@v0"),
					place:                pkg,
					"segue.cue": "import " + strconv.Quote(path) + `

project: "growth"
targets: prod: {platform: "acme", url: "https://acme.example.com", token: secret: "ACME_TOKEN"}
platforms: "acme": acme.#Platform
`,
				}
				if found := findingsOf(t, files); len(found) > 0 {
					t.Fatalf("findings about a description with nothing wrong: %+v", found)
				}
				for _, test := range []struct{ old, new, at, code, message, suggest string }{
					{"list: path:", "lst: path:", "«lst»: path:", "unknown-field", `platforms.acme.endpoints has no field "lst"`, "list"},
					{"endpoints: {", "endpoint: {", "«endpoint»: {", "unknown-field", `platforms.acme has no field "endpoint"`, "endpoints"},
					{"\t\tobject: {\n\t\t\ttitle", "\t\tobjekt: {\n\t\t\ttitle", "«objekt»: {", "unknown-field", `platforms.acme.encode has no field "objekt"`, "object"},
					{`update: path: "/rules/{id}"`, `update: path: 12`, "update: path: «12»", "wrong-type", "platforms.acme.endpoints.update.path must be a string, got the number 12", `"12"`},
					{`update: path: "/rules/{id}"`, `update: {path: "/rules/{id}", method: "POTS"}`, `«"POTS"»`, "invalid-value", "platforms.acme.endpoints.update.method must be", "POST"},
					{"\t\tdelete: path: \"/rules/{id}\"\n", "", "«endpoints»: {", "missing-field", "platforms.acme.endpoints.delete is missing", ""},
					{"\tmarker: field: \"meta.note\"\n", "", "«#Platform»: ", "missing-field", "platforms.acme.marker is missing", ""},
					{`update: path: "/rules/{id}"`, `update: path: "/rules"`, `update: path: «"/rules"»`, "invalid-value", "the path lacks {id}, which says which automation is meant", ""},
					{"title: automation.name", "title: automaton.name", "title: «automaton».name", "unknown-reference", "automaton is not defined", "automation"},
					{"title: automation.name", "title: automation.nam", "title: automation.«nam»", "", "there is no field nam", "name"},
					{"title: automation.name", "title: automation.name + 1", "title: «automation.name + 1»", "platform-mapping", "encode" + sample, ""},
					{"enabled: object.on", "enabled: object.no", "enabled: object.«no»", "platform-mapping", "decode" + sample, ""},
					{"method: object.verb", `method: "POST"`, "«decode»: {", "platform-mapping", "encode and decode do not return a sample automation unchanged: action.method is lost", ""},
				} {
					content := strings.Replace(pkg, test.old, test.new, 1)
					if content == pkg {
						t.Fatalf("%s: the mistake is not in the file", test.new)
					}
					files[place] = content
					found := findingsOf(t, files)
					if len(found) != 1 {
						t.Errorf("%s: %d findings, want 1: %+v", test.at, len(found), found)
						continue
					}
					d := found[0]
					if want := rangeIn(t, content, test.at); d.File != place || d.Range != want {
						t.Errorf("%s: the finding is at %s %v, want %s %v", test.at, d.File, d.Range, place, want)
					}
					if test.code != "" && d.Code != test.code || d.Suggestion != test.suggest || !strings.Contains(d.Message, test.message) {
						t.Errorf("%s: %s (suggestion %q): %s\nwant %s (suggestion %q): %s", test.at, d.Code, d.Suggestion, d.Message, test.code, test.suggest, test.message)
					}
				}
			})
		}
	}
}

// With the schema embedded, as segue init writes it, an editor knows the fields;
// the description means the same.
func TestDescriptionWithSchema(t *testing.T) {
	content := strings.NewReplacer(
		`import "encoding/json"`, `import (
	"encoding/json"

	segue "github.com/seguehq/segue/schema/project"
	"github.com/seguehq/segue/schema/platform"
)

segue.#Project`,
		"platforms: acme: {", "platforms: acme: platform.#Platform & {").Replace(describedProject)
	if found := findingsOf(t, map[string]string{"segue.cue": content}); len(found) > 0 {
		t.Errorf("findings: %+v", found)
	}
	for _, test := range []struct{ old, new, at, code string }{
		{"title: automation.name", "title: automation.nam", "title: automation.«nam»", "unknown-reference"},
		{"list: path:", "lst: path:", "«lst»: path:", "unknown-field"},
		{"method: object.verb", `method: "POST"`, "«decode»: {", "platform-mapping"},
	} {
		wrong := strings.Replace(content, test.old, test.new, 1)
		found := findingsOf(t, map[string]string{"segue.cue": wrong})
		if len(found) != 1 || found[0].Code != test.code || found[0].Range != rangeIn(t, wrong, test.at) {
			t.Errorf("%s: %+v", test.new, found)
		}
		if test.code == "unknown-reference" && found[0].Suggestion != "name" {
			t.Errorf("%s: the suggestion is %q", test.new, found[0].Suggestion)
		}
	}
}

package compiler_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/compiler"
)

func TestPlacesAreTheAuthorsLines(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"segue.cue": `project: "growth"
sources: segment: writeKey: secret: "KEY"
targets: local: platform: "embedded"
`,
		"growth/growth.cue": `package growth

import "github.com/seguehq/segue/schema/automation"

automations: "a": automation.#Identify & {
	name: "A"
	trigger: pattern: "Account activated"
	payload: {
		userId: "{{userId}}"
		traits: {
			plan: #plan
			tags: ["x", "y"]
		}
	}
}
`,
		"growth/plan.cue": `package growth

import "github.com/seguehq/segue/schema/automation"

#plan: "trial"

for n in ["x", "y"] {
	automations: "made-\(n)": automation.#Identify & {
		name: "Made \(n)"
		trigger: journey: n
		payload: userId: "{{userId}}"
	}
}
`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := compiler.NewSession(compiler.Options{Dir: dir})
	result, err := s.Compile(t.Context(), "", nil)
	if err != nil || len(result.Document.Automations) != 3 {
		t.Fatalf("Compile: %v, %v", result, err)
	}
	places, err := s.Places(t.Context(), result)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		key  string
		path []any
		want string
	}{
		{"growth/a", nil, "growth/growth.cue:5"},
		{"growth/a", []any{"name"}, "growth/growth.cue:6"},
		{"growth/a", []any{"trigger", "name"}, "growth/growth.cue:7"},
		{"growth/a", []any{"action", "payload", "userId"}, "growth/growth.cue:9"},
		{"growth/a", []any{"action", "payload", "traits", "plan"}, "growth/growth.cue:11"},
		{"growth/a", []any{"action", "payload", "traits", "tags", 1}, "growth/growth.cue:12"},
		{"growth/a", []any{"action", "payload", "traits", "gone"}, "growth/growth.cue:10"},
		{"growth/a", []any{"action", "url"}, "growth/growth.cue:5"},
		{"growth/a", []any{"enabled"}, "growth/growth.cue:5"},
		{"growth/made-x", []any{"name"}, "growth/plan.cue:8"},
		{"growth/none", nil, "none"},
	} {
		got := "none"
		if file, line, ok := places.Of(test.key, test.path...); ok {
			got = fmt.Sprintf("%s:%d", file, line)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s %v (-want +got):\n%s", test.key, test.path, diff)
		}
	}
}

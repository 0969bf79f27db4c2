package main

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCIPage holds the pipelines in docs/ci.md to the files, which are those that the scripts
// run. SEGUE_UPDATE=1 renews the page.
func TestCIPage(t *testing.T) {
	page := filepath.FromSlash("../../docs/ci.md")
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	section := regexp.MustCompile(`(?s)(<!-- (docs/ci/\S+): begin -->\n)(.*?)(<!-- docs/ci/\S+: end -->)`)
	renewed := section.ReplaceAllStringFunc(string(b), func(s string) string {
		shown++
		m := section.FindStringSubmatch(s)
		content, err := os.ReadFile(filepath.Join("../..", filepath.FromSlash(m[2])))
		if err != nil {
			t.Fatal(err)
		}
		language := map[string]string{".yml": "yaml", "": "groovy"}[path.Ext(m[2])]
		return m[1] + "```" + language + "\n" + strings.TrimSpace(string(content)) + "\n```\n" + m[4]
	})
	files, err := os.ReadDir("../../docs/ci")
	if err != nil {
		t.Fatal(err)
	}
	if shown != len(files) {
		t.Errorf("docs/ci.md shows %d of the %d files in docs/ci", shown, len(files))
	}
	if renewed == string(b) {
		return
	}
	if os.Getenv("SEGUE_UPDATE") == "" {
		t.Fatal("docs/ci.md shows other pipelines than docs/ci has: renew it with SEGUE_UPDATE=1 go test ./cmd/segue -run TestCIPage")
	}
	if err := os.WriteFile(page, []byte(renewed), 0o644); err != nil {
		t.Fatal(err)
	}
}

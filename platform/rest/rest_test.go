package rest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/description"
	"github.com/seguehq/segue/platform/rest"
)

// worked returns the project file of docs/platforms.md.
func worked(t testing.TB) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/platforms.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(page), "<!-- worked description -->\n```cue\n")
	block, _, ends := strings.Cut(after, "\n```\n")
	if !ok || !ends {
		t.Fatal("docs/platforms.md has no worked description")
	}
	return block + "\n"
}

// described loads a project file and returns the description named acme.
func described(t testing.TB, projectFile string) *description.Platform {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "segue.cue"), []byte(projectFile), 0o600); err != nil {
		t.Fatal(err)
	}
	project, findings, err := compiler.NewSession(compiler.Options{Dir: dir}).Project(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range findings {
		t.Errorf("%s:%d:%d: %s: %s (%s)", d.File, d.Range.Start.Line, d.Range.Start.Column, d.Code, d.Message, d.Help)
	}
	if project == nil || project.Platforms["acme"] == nil {
		t.Fatal("the project is not usable")
	}
	return project.Platforms["acme"]
}

// client returns a platform and closes it at the end of the test.
func client(t testing.TB, d *description.Platform, url string, options rest.Options) rest.Client {
	t.Helper()
	p, err := rest.New(d, url, automation.NewSecret(acmeKey), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

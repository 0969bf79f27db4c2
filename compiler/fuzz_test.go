package compiler_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/workspace"
)

// FuzzCompile compiles any content of a file of a package or, if project is set, of segue.cue. Nothing may
// panic or hang, and every finding must be safe to show. Its seeds are the corpus.
func FuzzCompile(f *testing.F) {
	names, err := filepath.Glob(corpusDir + "/*/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for i, name := range names {
		if testing.Short() && i%8 != 0 {
			continue
		}
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".cue") && len(file.Data) < 4<<10 {
				f.Add(markers.Replace(string(file.Data)), file.Name == "segue.cue")
			}
		}
	}
	f.Fuzz(func(t *testing.T, content string, project bool) {
		// CUE has no limits of its own: multiplying values are a matter of Limits.
		if len(content) > 8<<10 || strings.Contains(content, "Repeat") || strings.Contains(content, "Range") || strings.Contains(content, "for ") || strings.Contains(content, "*") {
			return
		}
		dir := t.TempDir()
		files := map[string]string{"cue.mod/module.cue": workspace.ModuleFile("fuzz.example@v0"), "segue.cue": defaultProject, "growth/a.cue": content}
		if project {
			files["segue.cue"], files["growth/a.cue"] = content, identify("growth", "a")
		}
		for name, data := range files {
			name = filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(data), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		result, err := compiler.Compile(context.Background(), compiler.Options{Dir: dir, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range result.Diagnostics {
			checkShowable(t, d)
		}
	})
}

package compiler_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/cache"
)

// seedOf is the seed of a random test, which it prints: SEGUE_TEST_SEED gives it again.
func seedOf(t *testing.T) uint64 {
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("SEGUE_TEST_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SEGUE_TEST_SEED=%d", seed)
	return seed
}

// outcome is all that a compilation gives, as text.
func outcome(r *compiler.Result, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	var b bytes.Buffer
	for _, d := range r.Diagnostics {
		line, _ := json.Marshal(d)
		fmt.Fprintf(&b, "%s %v\n", line, d.Confidential)
	}
	document, err := r.Document.Canonical()
	fmt.Fprintf(&b, "%s %v\n", document, err)
	return b.String()
}

// projects are the folders of the examples and of some of the corpus's specimens, as
// copies.
func projects(t *testing.T, random *rand.Rand, most int) []string {
	specimens, err := filepath.Glob(corpusDir + "/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob("../examples/*/segue.cue")
	if err != nil {
		t.Fatal(err)
	}
	random.Shuffle(len(specimens), func(i, j int) { specimens[i], specimens[j] = specimens[j], specimens[i] })
	names = append(names, specimens[:min(most, len(specimens))]...)
	var dirs []string
	for _, name := range names {
		if filepath.Ext(name) == ".txtar" {
			dirs = append(dirs, readSpecimen(t, name).unpack(t))
			continue
		}
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(filepath.Dir(name))); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

// sourcesOf lists the project's own CUE files, with slashes.
func sourcesOf(t *testing.T, dir string) []string {
	var names []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if d.IsDir() && rel == filepath.FromSlash("cue.mod/pkg") {
			return filepath.SkipDir
		}
		if d.Type().IsRegular() && filepath.Ext(name) == ".cue" {
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// edited changes content at random.
func edited(random *rand.Rand, text []byte, other []byte) []byte {
	lines := bytes.SplitAfter(text, []byte("\n"))
	at := random.IntN(len(lines))
	switch random.IntN(6) {
	case 0: // a line is gone
		lines = slices.Delete(lines, at, at+1)
	case 1: // or there twice
		lines = slices.Insert(lines, at, lines[at])
	case 2: // a character is gone
		if len(text) > 0 {
			i := random.IntN(len(text))
			return append(bytes.Clone(text[:i]), text[i+1:]...)
		}
	case 3: // or another one
		if len(text) > 0 {
			out := bytes.Clone(text)
			out[random.IntN(len(out))] = `ab"{}:,#_1.`[random.IntN(11)]
			return out
		}
	case 4: // a line of another file
		from := bytes.SplitAfter(other, []byte("\n"))
		lines = slices.Insert(lines, at, from[random.IntN(len(from))])
	default: // only a comment
		lines = slices.Insert(lines, at, []byte("// "+strconv.Itoa(random.IntN(1000))+"\n"))
	}
	return bytes.Join(lines, nil)
}

// The result is the same, byte for byte, with results kept on disk, with results that a session remembers, and
// with unsaved text.
func TestKeptResultsAreTheSame(t *testing.T) {
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 0))
	most, edits := 16, 4
	if testing.Short() {
		most = 4
	}
	if n, err := strconv.Atoi(os.Getenv("SEGUE_TEST_EDITS")); err == nil {
		most, edits = 1000, n
	}
	var hits int64
	for _, dir := range projects(t, random, most) {
		config := cache.Config{Dir: t.TempDir()}
		withCache := func() string {
			c := cache.Open(config)
			defer func() { hits += c.Counts().Disk }()
			defer c.Close(t.Context())
			return outcome(compiler.Compile(t.Context(), compiler.Options{Dir: dir, Version: "test", Cache: c}))
		}
		watching := compiler.NewSession(compiler.Options{Dir: dir, Version: "test"})
		watching.Again()
		editor := compiler.NewSession(compiler.Options{Dir: dir, Version: "test"})
		editor.Again()
		compare := func(what string, log []string) {
			t.Helper()
			want := outcome(compiler.Compile(t.Context(), compiler.Options{Dir: dir}))
			watching.Forget()
			for how, got := range map[string]string{
				"cached": withCache(), "cached again": withCache(),
				"watched": outcome(watching.Compile(t.Context(), "", nil)),
				"unsaved": outcome(editor.Compile(t.Context(), "", nil)),
			} {
				if got != want {
					t.Errorf("%s, %s, %s:\n%s\nis %s:\n%s\nnot\n%s", dir, what, how, strings.Join(log, "\n"), how, got, want)
				}
			}
		}
		compare("as it is", nil)
		var log []string
		for range edits {
			names := sourcesOf(t, dir)
			name, other := names[random.IntN(len(names))], names[random.IntN(len(names))]
			text, err := os.ReadFile(filepath.Join(dir, name))
			otherText, err2 := os.ReadFile(filepath.Join(dir, other))
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			text = edited(random, text, otherText)
			log = append(log, fmt.Sprintf("%s: %q", name, text))
			editor.Set(name, text)
			before := outcome(editor.Compile(t.Context(), "", nil))
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
				t.Fatal(err)
			}
			compare("edited", log)
			if after := outcome(editor.Compile(t.Context(), "", nil)); after != before {
				t.Errorf("%s: before it was saved\n%s\nand after\n%s\n%s", dir, before, after, strings.Join(log, "\n"))
			}
			if t.Failed() {
				return
			}
		}
	}
	if hits == 0 {
		t.Error("nothing came from the cache")
	}
}

func TestCompileTouched(t *testing.T) {
	dir := t.TempDir()
	track := func(pkg, imports, event string) string {
		return fmt.Sprintf("package %s\n\nimport \"github.com/seguehq/segue/schema/automation\"\n%s\nautomations: one: automation.#Track & {\n\tname: \"One\"\n\ttrigger: pattern: \"One\"\n\tpayload: {userId: \"{{userId}}\", event: %s}\n}\n", pkg, imports, event)
	}
	for name, content := range map[string]string{
		"segue.cue":           defaultProject,
		"cue.mod/module.cue":  "module: \"touched.example@v0\"\nlanguage: version: \"v0.17.0\"\n",
		"shared/shared.cue":   "package shared\n\n#Event: \"Report Exported\"\n",
		"growth/a.cue":        track("growth", "import \"touched.example/shared\"\n", "shared.#Event"),
		"growth/eu/a.cue":     track("eu", "", `"Report Exported In Europe"`),
		"support/a.cue":       track("support", "", `"Ticket Closed"`),
		"support/data/x.json": "{}",
	} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	s := compiler.NewSession(compiler.Options{Dir: dir})
	for name, want := range map[string][]string{
		"shared/shared.cue": {"growth", "shared"},
		"growth/a.cue":      {"growth"},
		"growth/new.cue":    {"growth"},
		"support/a.cue":     {"support"},
		"segue.cue":         {"growth", "growth/eu", "shared", "support"},
		"README.md":         nil,
	} {
		result, got, err := s.CompileTouched(t.Context(), "", name)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s touches %v, want %v", name, got, want)
		}
		if result != nil && len(result.Diagnostics) > 0 {
			t.Errorf("%s: %v", name, result.Diagnostics)
		}
	}
	// A mistake that is not saved has its finding, with all that it touches.
	s.Set("shared/shared.cue", []byte("package shared\n\n#Event: 3\n"))
	result, _, err := s.CompileTouched(t.Context(), "", "shared/shared.cue")
	if err != nil || len(result.Diagnostics) != 1 || result.Diagnostics[0].Code != "wrong-type" {
		t.Errorf("%v, %v; want the type of the event", result.Diagnostics, err)
	}
}

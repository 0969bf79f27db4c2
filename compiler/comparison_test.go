package compiler_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// cueCommand is the command that segue is compared with.
const cueCommand = "cuelang.org/go/cmd/cue@v0.17.1"

// A score counts how well a tool does on some specimens.
type score struct {
	mistakes, found, one, line, column, remedy int
}

func (s *score) add(o score) {
	s.mistakes += o.mistakes
	s.found += o.found
	s.one += o.one
	s.line += o.line
	s.column += o.column
	s.remedy += o.remedy
}

func (s score) row(tool string) string {
	percent := func(n int) string { return fmt.Sprintf("%d %%", (100*n+s.mistakes/2)/s.mistakes) }
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s |\n", tool, percent(s.found), percent(s.one), percent(s.line), percent(s.column), percent(s.remedy))
}

// The corpus has small projects with one mistake each. This sets segue beside
// plain cue on those whose mistake is an error, and holds the table in
// docs/diagnostics.md to it. Renew it with
// SEGUE_UPDATE=1 go test ./compiler -run TestBesideCue.
func TestBesideCue(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs cue over the whole corpus")
	}
	cue := installCue(t)
	var names []string
	err := filepath.WalkDir(corpusDir, func(name string, _ fs.DirEntry, err error) error {
		if filepath.Ext(name) == ".txtar" {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	type pair struct{ segue, cue score }
	areas := map[string]*pair{}
	var all pair
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, name := range names {
		s := readSpecimen(t, name)
		d, ok := oneError(s)
		if !ok {
			continue
		}
		dir := s.unpack(t)
		group.Go(func() error {
			ours, err := segueScore(dir, s.target, d)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			theirs, err := cueScore(cue, dir, d)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			area := filepath.Base(filepath.Dir(name))
			if areas[area] == nil {
				areas[area] = &pair{}
			}
			for _, p := range []*pair{areas[area], &all} {
				p.segue.add(ours)
				p.cue.add(theirs)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if all.segue.mistakes < 120 {
		t.Errorf("only %d mistakes were compared", all.segue.mistakes)
	}
	var table bytes.Buffer
	fmt.Fprintf(&table, "\n%d projects with one mistake each (`testdata/corpus`), against `cue vet -c -E` of CUE 0.17.1 with the\nschema vendored. Cue's line and column count as right if any position that it prints\nis the right one.\n\n", all.segue.mistakes)
	table.WriteString("| | found | exactly one | right line | right column | remedy |\n| --- | --- | --- | --- | --- | --- |\n")
	table.WriteString(all.segue.row("**segue vet**") + all.cue.row("**cue vet**"))
	for _, area := range slices.Sorted(mapKeys(areas)) {
		table.WriteString(areas[area].segue.row(fmt.Sprintf("%s (%d): segue", area, areas[area].segue.mistakes)) + areas[area].cue.row(area+": cue"))
	}
	table.WriteByte('\n')
	holdPage(t, "comparison", table.String())
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// holdPage compares a part of docs/diagnostics.md with its expected text.
func holdPage(t *testing.T, part, want string) {
	t.Helper()
	const page = "../docs/diagnostics.md"
	begin, end := "<!-- "+part+": begin -->\n", "<!-- "+part+": end -->\n"
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(old), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s lacks the marks around %s", page, part)
	}
	if os.Getenv("SEGUE_UPDATE") != "" {
		if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s is stale; renew it with SEGUE_UPDATE=1 (-want +got):\n%s", page, diff)
	}
}

// installCue builds the cue command, from the module cache where it is there.
func installCue(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "install", cueCommand)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go install %s: %v\n%s", cueCommand, err, out)
	}
	return filepath.Join(dir, "cue")
}

var wantedPlace = regexp.MustCompile(`^(\S.*):(\d+):(\d+)-\d+:\d+ (error|warning) `)

// oneError returns the place of a specimen's finding, if it has one error only
// and that has a place.
func oneError(s specimen) (diagnostic.Diagnostic, bool) {
	for _, f := range s.archive.Files {
		if f.Name != "want" || s.findings != 1 {
			continue
		}
		m := wantedPlace.FindStringSubmatch(string(f.Data))
		if m == nil || m[4] != "error" {
			return diagnostic.Diagnostic{}, false
		}
		d := diagnostic.Diagnostic{File: m[1]}
		d.Range.Start.Line, _ = strconv.Atoi(m[2])
		d.Range.Start.Column, _ = strconv.Atoi(m[3])
		return d, d.Range.Start.Line > 0
	}
	return diagnostic.Diagnostic{}, false
}

func segueScore(dir, target string, want diagnostic.Diagnostic) (score, error) {
	result, err := compiler.Compile(context.Background(), compiler.Options{Dir: dir, Target: target})
	if err != nil {
		return score{}, err
	}
	s := score{mistakes: 1, found: count(len(result.Diagnostics) > 0), one: count(len(result.Diagnostics) == 1)}
	for _, d := range result.Diagnostics {
		if d.File == want.File && d.Range.Start.Line == want.Range.Start.Line {
			s.line = 1
			s.column = max(s.column, count(d.Range.Start.Column == want.Range.Start.Column))
		}
		s.remedy = max(s.remedy, count(d.Help != ""))
	}
	return s, nil
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// cueScore runs cue on a project's packages, and on segue.cue together with the
// schema of project files.
func cueScore(cue, dir string, want diagnostic.Diagnostic) (score, error) {
	for name, content := range schema.Files() {
		file := filepath.Join(dir, filepath.FromSlash(schema.VendorDir), filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return score{}, err
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return score{}, err
		}
	}
	const wrapper = "embed_segue.cue"
	embed := "import segueProject \"" + schema.ModulePath + "/project\"\n\nsegueProject.#Project\n"
	if err := os.WriteFile(filepath.Join(dir, wrapper), []byte(embed), 0o644); err != nil {
		return score{}, err
	}
	s := score{mistakes: 1}
	errs := 0
	for _, args := range [][]string{{"./..."}, {"segue.cue", wrapper}} {
		cmd := exec.Command(cue, append([]string{"vet", "-c", "-E"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return score{}, err
		}
		if err == nil {
			continue
		}
		// A project without packages is not a mistake.
		if bytes.Contains(out, []byte("matched no packages")) || bytes.Contains(out, []byte("no CUE files")) {
			continue
		}
		s.found = 1
		for line := range strings.Lines(string(out)) {
			place, indented := strings.CutPrefix(strings.TrimRight(line, "\n"), "    ./")
			if !indented {
				errs += count(strings.TrimSpace(line) != "" && !strings.HasPrefix(line, " "))
				continue
			}
			if place == fmt.Sprintf("%s:%d:%d", want.File, want.Range.Start.Line, want.Range.Start.Column) {
				s.column = 1
			}
			if strings.HasPrefix(place, fmt.Sprintf("%s:%d:", want.File, want.Range.Start.Line)) {
				s.line = 1
			}
		}
	}
	s.one = count(errs == 1)
	return s, nil
}

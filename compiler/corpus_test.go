package compiler_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// The corpus is testdata/corpus: small projects with one mistake each, and
// the findings of segue. After a change of messages, renew the findings with
//
//	SEGUE_UPDATE=1 go test ./compiler -run TestCorpus
//
// and read every line of the difference as the author of the mistake would.
//
// An archive's comment describes the mistake. Lines of it may set something:
//
//	findings: 3      how many findings there are, where it is not one
//	target: prod     compile for that target
//	marked: a.cue    the file has bytes that an archive can't hold, as markers
//
// An archive without segue.cue or cue.mod/module.cue gets default ones.
var update = os.Getenv("SEGUE_UPDATE") != ""

const corpusDir = "../testdata/corpus"

const defaultProject = `project: "corpus"
sources: segment: writeKey: secret: "SEGMENT_WRITE_KEY"
`

// markers replace bytes that an archive can't contain.
var markers = strings.NewReplacer("<CR>", "\r", "<BOM>", "\xef\xbb\xbf", "<FF>", "\xff", "<NUL>", "\x00", "<ESC>", "\x1b", "<END>\n", "")

// A specimen is one archive of the corpus.
type specimen struct {
	archive  *txtar.Archive
	findings int
	target   string
	marked   []string
}

func readSpecimen(t *testing.T, name string) specimen {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s := specimen{archive: archive, findings: 1}
	for line := range strings.Lines(string(archive.Comment)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "findings":
			if s.findings, err = strconv.Atoi(value); err != nil {
				t.Fatal(err)
			}
		case "target":
			s.target = value
		case "marked":
			s.marked = append(s.marked, value)
		}
	}
	return s
}

// unpack writes the project into a new folder.
func (s specimen) unpack(t *testing.T) string {
	t.Helper()
	files := map[string]string{
		"segue.cue":          defaultProject,
		"cue.mod/module.cue": workspace.ModuleFile("corpus.example@v0"),
	}
	for _, f := range s.archive.Files {
		content := string(f.Data)
		if slices.Contains(s.marked, f.Name) {
			content = markers.Replace(content)
		}
		files[f.Name] = content
	}
	delete(files, "want")
	return writeProject(t, files)
}

// writeProject writes files, by name with slashes, into a new folder.
func writeProject(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCorpus(t *testing.T) {
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
	if len(names) < 140 {
		t.Errorf("the corpus has %d archives only", len(names))
	}
	for i, name := range names {
		if testing.Short() && i%8 != 0 {
			continue // a sample finds what several compilations at once get wrong
		}
		rel, _ := filepath.Rel(corpusDir, name)
		t.Run(strings.TrimSuffix(filepath.ToSlash(rel), ".txtar"), func(t *testing.T) {
			t.Parallel()
			testSpecimen(t, name)
		})
	}
}

func testSpecimen(t *testing.T, name string) {
	s := readSpecimen(t, name)
	dir := s.unpack(t)
	result, err := compiler.Compile(context.Background(), compiler.Options{Dir: dir, Target: s.target})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Diagnostics) != s.findings {
		t.Errorf("%d findings, want %d", len(result.Diagnostics), s.findings)
	}
	var got bytes.Buffer
	for _, d := range result.Diagnostics {
		checkFinding(t, dir, d)
		writeFinding(&got, d)
	}
	var want []byte
	i := slices.IndexFunc(s.archive.Files, func(f txtar.File) bool { return f.Name == "want" })
	if i >= 0 {
		want = s.archive.Files[i].Data
	}
	if update {
		if i < 0 {
			i = len(s.archive.Files)
			s.archive.Files = append(s.archive.Files, txtar.File{Name: "want"})
		}
		s.archive.Files[i].Data = got.Bytes()
		if err := os.WriteFile(name, txtar.Format(s.archive), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// writeFinding writes a finding as the corpus has it.
func writeFinding(w *bytes.Buffer, d diagnostic.Diagnostic) {
	orDash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	fmt.Fprintf(w, "%s %s %s %s\n\t%s\n", place(d.File, d.Range), d.Severity, d.Code, orDash(d.Path), d.Message)
	fmt.Fprintf(w, "\thelp: %s\n", orDash(d.Help))
	if d.Suggestion != "" {
		fmt.Fprintf(w, "\tsuggestion: %s\n", d.Suggestion)
	}
	for _, r := range d.Related {
		fmt.Fprintf(w, "\trelated: %s %s\n", place(r.File, r.Range), r.Message)
	}
}

func place(file string, r diagnostic.Range) string {
	return fmt.Sprintf("%s:%d:%d-%d:%d", file, r.Start.Line, r.Start.Column, r.End.Line, r.End.Column)
}

// internals are words of CUE's, or of this program's, that an author must not
// have to read.
var internals = regexp.MustCompile(`disjunction|_\|_|conflicting values|incomplete|non-concrete|matchN|cue\.mod/pkg|segment-spec|\(\?|\[\^|\^\[|mismatched types|invalid interpolation|#\w+(Fields|Placeholder)\b`)

// checkFinding checks the properties of every finding of the corpus.
func checkFinding(t *testing.T, dir string, d diagnostic.Diagnostic) {
	t.Helper()
	checkShowable(t, d)
	for what, text := range texts(d) {
		if found := internals.FindString(text); found != "" {
			t.Errorf("the %s shows the inside of segue, %q: %s", what, found, text)
		}
	}
	checkRange(t, dir, d.File, d.Range)
	for _, r := range d.Related {
		checkRange(t, dir, r.File, r.Range)
	}
}

func texts(d diagnostic.Diagnostic) map[string]string {
	return map[string]string{"message": d.Message, "help": d.Help, "path": d.Path, "suggestion": d.Suggestion, "file": d.File}
}

// checkShowable checks that a finding is complete and can't disturb a terminal.
func checkShowable(t *testing.T, d diagnostic.Diagnostic) {
	t.Helper()
	for what, text := range texts(d) {
		if diagnostic.Printable(text) != text || !utf8.ValidString(text) {
			t.Errorf("the %s is not printable: %q", what, text)
		}
	}
	if d.Message == "" || d.Help == "" || d.Code == "" || d.Severity == "" {
		t.Errorf("the finding is not complete: %+v", d)
	}
}

// checkRange checks that a range lies in its file and is not empty.
func checkRange(t *testing.T, dir, file string, r diagnostic.Range) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file)))
	if file != "" && r == (diagnostic.Range{}) {
		return // about the file as a whole
	}
	if err != nil {
		t.Errorf("no such file: %v", err)
		return
	}
	lines := strings.Split(string(content), "\n")
	for _, p := range []diagnostic.Position{r.Start, r.End} {
		if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > len(lines[p.Line-1])+2 {
			t.Errorf("the range %v is not in %s", r, file)
			return
		}
	}
	if r.Start.Line > r.End.Line || r.Start.Line == r.End.Line && r.Start.Column >= r.End.Column {
		t.Errorf("the range %v of %s is empty", r, file)
	}
}

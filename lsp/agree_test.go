package lsp

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

var (
	allSpecimens = flag.Bool("lsp.corpus", false, "compare all specimens of the corpus with vet, and not a sample")
	randomEdits  = flag.Int("lsp.edits", 200, "the `number` of random edits")
	randomSeed   = flag.Uint64("lsp.seed", 0, "the seed of the random edits; 0 for a new one")
)

// fresh returns the findings of a project as vet has them, in the form of shownLines.
func fresh(t *testing.T, dir string, options compiler.Options) []string {
	t.Helper()
	options.Dir = dir
	result, err := compiler.Compile(context.Background(), options)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, d := range result.Diagnostics {
		name := d.File
		info, err := os.Stat(filepath.Join(dir, name))
		if name == "" || err != nil || info.IsDir() {
			name, d.Range = "segue.cue", diagnostic.Range{}
		}
		content, _ := os.ReadFile(filepath.Join(dir, name)) // segue.cue may be what is missing
		text := d.Message
		if d.Help != "" {
			text += "\nhelp: " + d.Help
		}
		out = append(out, fmt.Sprintf("%s:%s-%s %s %s: %s", name, column(content, d.Range.Start), column(content, d.Range.End),
			d.Severity, d.Code, text))
	}
	slices.Sort(out)
	return out
}

// column shows a position of a finding with the column in UTF-16.
func column(content []byte, p diagnostic.Position) string {
	lines := strings.Split(string(content), "\n")
	if p.Line < 1 || p.Line > len(lines) {
		return "1:1"
	}
	line := strings.TrimSuffix(lines[p.Line-1], "\r")
	return fmt.Sprintf("%d:%d", p.Line, len(utf16.Encode([]rune(line[:min(p.Column-1, len(line))])))+1)
}

// shownLines returns the findings that the editor shows in a folder.
func (e *editor) shownLines(dir string) []string {
	out := []string{}
	for name, list := range e.shown() {
		name, below := strings.CutPrefix(name, dir+"/")
		for _, d := range list {
			severity := map[int]string{severityError: "error", severityWarning: "warning"}[d.Severity]
			line := fmt.Sprintf("%s:%s %s %s: %s", name, shownSpan(d.Range), severity, d.Code, d.Message)
			if below || dir == "." {
				out = append(out, line)
			}
		}
	}
	slices.Sort(out)
	return out
}

// markers replace bytes that an archive of the corpus can't contain.
var markers = strings.NewReplacer("<CR>", "\r", "<BOM>", "\xef\xbb\xbf", "<FF>", "\xff", "<NUL>", "\x00", "<ESC>", "\x1b", "<END>\n", "")

// Every specimen of the corpus has the findings of vet, with all of its files open.
func TestCorpusInEditor(t *testing.T) {
	specimens, err := filepath.Glob("../testdata/corpus/*/*.txtar")
	if err != nil || len(specimens) == 0 {
		t.Fatalf("no specimens: %v", err)
	}
	options := testOptions(t)
	options.CUE = nil
	dir := t.TempDir()
	e := startEditor(t, dir, options)
	step := 12
	if *allSpecimens {
		step = 1
	}
	for i := 0; i < len(specimens); i += step {
		file := specimens[i]
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			files := unpackSpecimen(t, file)
			if files == nil {
				t.Skip("it is about a target, or about bytes that no editor sends")
			}
			for file, text := range files {
				writeFile(t, filepath.Join(dir, name, filepath.FromSlash(file)), text)
			}
			for file, text := range files {
				if strings.HasSuffix(file, ".cue") && !strings.HasPrefix(file, "cue.mod/") && !strings.HasSuffix(file, "_test.cue") {
					e.open(name+"/"+file, text)
				}
			}
			e.settle(name + "/segue.cue")
			if diff := cmp.Diff(fresh(t, filepath.Join(dir, name), options.Compiler), e.shownLines(name)); diff != "" {
				t.Errorf("vet has -, the editor has +:\n%s", diff)
			}
		})
	}
}

// unpackSpecimen returns the files of a specimen; nil if an editor can't have it.
func unpackSpecimen(t *testing.T, file string) map[string]string {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"segue.cue":          "project: \"corpus\"\nsources: segment: writeKey: secret: \"SEGMENT_WRITE_KEY\"\n",
		"cue.mod/module.cue": workspace.ModuleFile("corpus.example@v0"),
	}
	for _, f := range archive.Files {
		text := string(f.Data)
		if strings.Contains(string(archive.Comment), "marked: "+f.Name+"\n") {
			text = markers.Replace(text)
		}
		if !utf8.ValidString(text) {
			return nil
		}
		files[f.Name] = text
	}
	if strings.Contains(string(archive.Comment), "target: ") {
		return nil
	}
	delete(files, "want")
	return files
}

// pieces are what random edits insert.
var pieces = []string{
	"\n", "\t", " ", "}", "{", "\"", ":", ",", "{{userId}}", "{{userID}}", "{{duration | number}}", "{{", "}}", "é", "😀", "\r\n",
	"name", "payload: ", "event: \"Signed Up\"\n", "trigger: journey: \"J\"\n", "traits: email: \"{{userEmail}}\"\n",
	"properties: {a: 1, b: \"{{accountName}}\"}\n", "automation.#Track & {\n", "}\n", "// a comment\n", "automations: b: ",
	"import \"strings\"\n", "#x: 1\n", "x: #x\n", "[1, 2]", "\"\\(x)\"", "enabled: false\n",
}

// After many random edits, the findings are those of a fresh vet, and no memory is lost.
func TestRandomEdits(t *testing.T) {
	seed := *randomSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("go test ./lsp -run TestRandomEdits -lsp.seed %d -lsp.edits %d", seed, *randomEdits)
	random := rand.New(rand.NewPCG(seed, 0))
	options := testOptions(t)
	options.CUE = nil
	dir := t.TempDir()
	writeWorkspace(t, dir, 3, 3)
	var names []string
	_ = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, name); err == nil && strings.HasPrefix(rel, "p") && !entry.IsDir() {
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	e := startEditor(t, dir, options, ".")
	for _, name := range names {
		e.openFile(name)
	}
	original := map[string]string{}
	for _, name := range names {
		original[name] = e.docs[e.uri(name)].text
	}
	var early uint64
	for i := range *randomEdits {
		name := names[random.IntN(len(names))]
		e.randomEdit(random, name, original[name])
		if random.IntN(20) == 0 {
			e.settle(name)
		}
		if i == 999 {
			e.settle(name)
			early = heap()
		}
	}
	e.settle(names[0])
	shown := e.shownLines(".")
	if late := heap(); early > 0 && late > early+early/5 {
		t.Errorf("the heap has grown from %d bytes after 1000 edits to %d", early, late)
	}
	for _, name := range names {
		writeFile(t, filepath.Join(dir, name), e.docs[e.uri(name)].text)
	}
	if diff := cmp.Diff(fresh(t, dir, options.Compiler), shown); diff != "" {
		t.Errorf("vet has -, the editor has +:\n%s", diff)
	}
}

// randomEdit inserts, deletes, or restores the file, so that its errors do not only become more.
func (e *editor) randomEdit(random *rand.Rand, name, original string) {
	doc := e.docs[e.uri(name)]
	from := random.IntN(len(doc.text) + 1)
	switch random.IntN(8) {
	case 0:
		e.edit(name, doc.span(0, len(doc.text)), original)
	case 1, 2:
		to := min(from+random.IntN(20), len(doc.text))
		e.edit(name, doc.span(from, to), "")
	default:
		e.edit(name, doc.span(from, from), pieces[random.IntN(len(pieces))])
	}
}

// heap returns the size of the heap after a collection, in bytes.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

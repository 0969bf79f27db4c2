package compiler_test

import (
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// rooms are the packages of the compiler in the order of docs/architecture.md. Each
// may import only those before it.
var rooms = []string{"finding", "limits", "cache", "credential", "config", "trackingplan", "source", "workspace", "shape", "naming", "check",
	"meaning", "message", "draft", "plain", "resolve", "explain", "project", "evaluate", "."}

// withoutCUE are the rooms that work on decoded values and paths alone.
var withoutCUE = []string{"limits", "cache", "check", "meaning", "message", "config", "trackingplan"}

const modulePath = "github.com/seguehq/segue/"

func TestRoomsImportOnlyThoseBefore(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != "testdata" && !slices.Contains(rooms, e.Name()) {
			t.Errorf("the room %s has no place in the order", e.Name())
		}
	}
	for i, room := range rooms {
		files, err := filepath.Glob(filepath.Join(room, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			t.Errorf("the room %s has no files", room)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range syntax.Imports {
				name, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				other, own := strings.CutPrefix(name, modulePath+"compiler")
				if at := slices.Index(rooms, path.Join(".", other)); own && (at < 0 || at >= i) {
					t.Errorf("%s imports %s, which comes later", file, name)
				}
				for _, engine := range []string{"sync", "platform", "cmd"} {
					if strings.HasPrefix(name, modulePath+engine) {
						t.Errorf("%s imports %s: the compiler knows no platform", file, name)
					}
				}
				if slices.Contains(withoutCUE, room) && strings.HasPrefix(name, "cuelang.org/") {
					t.Errorf("%s imports %s: the room works without CUE", file, name)
				}
			}
		}
	}
}

// A room has at most 3,000 lines, and a file 600, tests aside. No line is longer than 120
// columns, where a tab takes one.
func TestRoomsAreSmall(t *testing.T) {
	for _, room := range rooms {
		files, err := filepath.Glob(filepath.Join(room, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(string(content), "\n")
			if len(lines) > 600 {
				t.Errorf("%s has %d lines", file, len(lines))
			}
			for i, line := range lines {
				if n := utf8.RuneCountInString(line); n > 120 {
					t.Errorf("%s:%d has %d columns", file, i+1, n)
				}
			}
			total += len(lines)
		}
		if total > 3100 {
			t.Errorf("the room %s has %d lines", room, total)
		}
	}
}

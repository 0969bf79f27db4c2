package compiler_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	contributingPath = regexp.MustCompile("`([a-z]+(?:/[A-Za-z0-9_.-]*)+)`")
	contributingTest = regexp.MustCompile(`go test (?:-timeout 60m )?\./(\S+) -run '?(Test\w+)`)
	contributingRoom = regexp.MustCompile("(?m)^\\| `compiler(?:/([a-z]+))?` \\|")
)

// CONTRIBUTING.md names files, tests and rooms that are there, the rooms in their order.
func TestContributing(t *testing.T) {
	content, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(content)
	paths := contributingPath.FindAllStringSubmatch(page, -1)
	if len(paths) < 40 {
		t.Errorf("the page names %d paths only", len(paths))
	}
	for _, m := range paths {
		if strings.Contains(m[1], "NAME") {
			continue // to be made
		}
		if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(m[1]))); err != nil {
			t.Errorf("there is no %s", m[1])
		}
	}
	tests := contributingTest.FindAllStringSubmatch(page, -1)
	if len(tests) < 8 {
		t.Errorf("the page names %d tests only", len(tests))
	}
	for _, m := range tests {
		files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(strings.TrimSuffix(m[1], "/...")), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(files, func(file string) bool {
			content, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(content), "\nfunc "+m[2])
		}) {
			t.Errorf("no test in %s is called %s", m[1], m[2])
		}
	}
	var listed []string
	for _, m := range contributingRoom.FindAllStringSubmatch(page, -1) {
		if m[1] == "" {
			m[1] = "."
		}
		listed = append(listed, m[1])
	}
	if !slices.Equal(listed, rooms) {
		t.Errorf("the page lists the rooms %v; in their order they are %v", listed, rooms)
	}
}

package diagnostic

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestApply(t *testing.T) {
	span := func(l1, c1, l2, c2 int) Range { return Range{Position{l1, c1}, Position{l2, c2}} }
	for _, c := range []struct {
		name, content string
		edits         []Edit
		want, err     string
	}{
		{name: "none", content: "a\n", want: "a\n"},
		{name: "replace, insert and delete, in any order", content: "one two\nthree\n",
			edits: []Edit{{"f", at(2, 1, 6), "3"}, {"f", at(1, 4, 8), ""}, {"f", at(1, 1, 1), "> "}}, want: "> one\n3\n"},
		{name: "over lines", content: "a\nb\nc", edits: []Edit{{"f", span(1, 2, 3, 1), "-"}}, want: "a-c"},
		{name: "line ends stay", content: "a\r\nb\r\n", edits: []Edit{{"f", at(1, 1, 2), "x"}, {"f", at(2, 2, 2), "y"}}, want: "x\r\nby\r\n"},
		{name: "at the end", content: "a\n", edits: []Edit{{"f", at(2, 1, 1), "b\n"}}, want: "a\nb\n"},
		{name: "of an empty file", content: "", edits: []Edit{{"f", at(1, 1, 1), "b"}}, want: "b"},
		{name: "beside each other", content: "abcd", edits: []Edit{{"f", at(1, 3, 5), "34"}, {"f", at(1, 1, 3), "12"}, {"f", at(1, 3, 3), "-"}}, want: "12-34"},
		{name: "past many lines", content: strings.Repeat("\n", 1000) + "x\n", edits: []Edit{{"f", at(1001, 1, 2), "y"}}, want: strings.Repeat("\n", 1000) + "y\n"},
		{name: "overlap", content: "abcd", edits: []Edit{{"f", at(1, 1, 3), ""}, {"f", at(1, 2, 4), ""}}, err: "f:1:2: the edit overlaps another"},
		{name: "an insertion within", content: "abcd", edits: []Edit{{"f", at(1, 2, 2), "x"}, {"f", at(1, 1, 4), ""}}, err: "f:1:1: the edit overlaps another"},
		{name: "two insertions at one place", content: "ab", edits: []Edit{{"f", at(1, 2, 2), "x"}, {"f", at(1, 2, 2), "y"}}, err: "f:1:2: the edit overlaps another"},
		{name: "no such line", content: "a\n", edits: []Edit{{"f", at(3, 1, 1), "x"}}, err: "f:3:1: the edit is outside of the file, or has no range"},
		{name: "no such column", content: "a\nbb", edits: []Edit{{"f", at(1, 1, 3), "x"}}, err: "f:1:1: the edit is outside of the file, or has no range"},
		{name: "no place", content: "a", edits: []Edit{{File: "f"}}, err: "f: the edit is outside of the file, or has no range"},
		{name: "backwards", content: "abc", edits: []Edit{{"f", at(1, 3, 2), "x"}}, err: "f:1:3: the edit is outside of the file, or has no range"},
		{name: "within a character", content: "é", edits: []Edit{{"f", at(1, 1, 2), "x"}}, err: "f:1:1: the edit splits a character"},
		{name: "two files", content: "a", edits: []Edit{{"f", at(1, 1, 1), "x"}, {"g", at(1, 2, 2), "x"}}, err: "edits of two files, f and g"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Apply([]byte(c.content), c.edits)
			switch {
			case c.err != "":
				if err == nil || err.Error() != c.err {
					t.Errorf("got %q and error %v, want error %s", got, err, c.err)
				}
			case err != nil || string(got) != c.want:
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestFixFiles(t *testing.T) {
	a := func(from, to int, text string) Edit { return Edit{"a.cue", at(1, from, to), text} }
	b := func(from, to int, text string) Edit { return Edit{"b.cue", at(1, from, to), text} }
	for _, c := range []struct {
		name  string
		fixes [][]Edit
		fixed int
		want  map[string]string // the written files
		err   string
	}{
		{name: "nothing to do", fixes: [][]Edit{nil, {}}},
		{name: "two files", fixes: [][]Edit{{a(1, 2, "1")}, {b(3, 4, "C")}, {a(6, 7, "6")}}, fixed: 3,
			want: map[string]string{"a.cue": "1bcde6", "b.cue": "abCdef"}},
		{name: "the same edit twice", fixes: [][]Edit{{a(1, 1, "x")}, {a(1, 1, "x")}}, fixed: 2, want: map[string]string{"a.cue": "xabcdef"}},
		{name: "an overlap waits", fixes: [][]Edit{{a(1, 4, "x")}, {a(3, 5, "y")}, {a(5, 6, "z")}}, fixed: 2, want: map[string]string{"a.cue": "xdzf"}},
		{name: "all edits of a fix or none", fixes: [][]Edit{{a(1, 2, "x")}, {b(1, 2, "y"), a(3, 4, "y"), a(1, 3, "y")}, {b(1, 3, "z")}}, fixed: 2,
			want: map[string]string{"a.cue": "xbcdef", "b.cue": "zcdef"}},
		{name: "a fix at odds with itself", fixes: [][]Edit{{a(1, 3, "x"), a(2, 4, "y")}}},
		{name: "an edit that does not fit", fixes: [][]Edit{{b(1, 2, "x")}, {a(1, 99, "x")}}, err: "a.cue:1:1: the edit is outside of the file, or has no range"},
		{name: "an unreadable file", fixes: [][]Edit{{b(1, 2, "x")}, {{"gone\n.cue", at(1, 1, 1), "x"}}}, err: `read gone\n.cue: open gone`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l List
			for _, edits := range c.fixes {
				l = append(l, Diagnostic{Fix: &Fix{"m", edits}})
			}
			l = append(l, Diagnostic{Message: "without a fix"})
			written := map[string]string{}
			fixed, err := FixFiles(l, readAlphabet, func(file string, content []byte) error {
				if _, ok := written[file]; ok {
					t.Errorf("%s is written twice", file)
				}
				written[file] = string(content)
				return nil
			})
			if got := errorText(err); !strings.HasPrefix(got, c.err) || (err != nil) != (c.err != "") {
				t.Fatalf("error %q, want %q", got, c.err)
			}
			if fixed != c.fixed || !maps.Equal(written, c.want) {
				t.Errorf("fixed %d, wrote %q; want %d, %q", fixed, written, c.fixed, c.want)
			}
		})
	}
}

func TestFixFilesCountsWrittenFixes(t *testing.T) {
	l := List{
		{Fix: &Fix{"", []Edit{{"b.cue", at(1, 1, 1), "x"}}}},
		{Fix: &Fix{"", []Edit{{"a.cue", at(1, 1, 1), "x"}}}},
		{Fix: &Fix{"", []Edit{{"a.cue", at(1, 3, 3), "x"}, {"b.cue", at(1, 3, 3), "x"}}}},
	}
	full := errors.New("disk full")
	var order []string
	fixed, err := FixFiles(l, readAlphabet, func(file string, _ []byte) error {
		if order = append(order, file); file == "b.cue" {
			return full
		}
		return nil
	})
	if fixed != 1 || !errors.Is(err, full) || err.Error() != "write b.cue: disk full" || !slices.Equal(order, []string{"a.cue", "b.cue"}) {
		t.Errorf("fixed %d, %v, in the order %q", fixed, err, order)
	}
}

func readAlphabet(file string) ([]byte, error) {
	if strings.HasPrefix(file, "gone") {
		return nil, errors.New("open " + strings.TrimSpace(file))
	}
	return []byte("abcdef"), nil
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

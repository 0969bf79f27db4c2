package diagnostic

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"
)

// excerptOf returns the excerpt of a range of a file.
func excerptOf(t *testing.T, content string, r Range, width int) string {
	t.Helper()
	out := write(t, "text", List{{Severity: Error, Code: "c", Message: "m", File: "f", Range: r}},
		Options{Width: width, Source: func(string) ([]byte, error) { return []byte(content), nil }})
	_, out, _ = strings.Cut(out, "\n")
	out, _, _ = strings.Cut(out, "\n1 error\n")
	return out
}

func TestExcerpt(t *testing.T) {
	lines := func(l ...string) string { return strings.Join(l, "\n") + "\n" }
	long := strings.Repeat("0123456789", 100)
	for _, c := range []struct {
		name, content string
		r             Range
		width         int
		want          string
	}{
		{name: "a word", content: "ab cd ef\n", r: at(1, 4, 6), want: lines("  1 | ab cd ef", "    |    ^^")},
		{name: "the number's width", content: strings.Repeat("\n", 99) + "abc", r: at(100, 2, 3), want: lines("  100 | abc", "      |  ^")},
		{name: "tabs go to the next stop", content: "\ta\tb", r: at(1, 2, 4), want: lines("  1 |     a   b", "    |     ^^^^")},
		{name: "wide characters", content: "日本語: x", r: at(1, 12, 13), want: lines("  1 | 日本語: x", "    |         ^")},
		{name: "under wide characters", content: "a日本b", r: at(1, 2, 8), want: lines("  1 | a日本b", "    |  ^^^^")},
		{name: "emoji", content: "😀👍🏽 x", r: at(1, 14, 15), want: lines("  1 | 😀👍🏽 x", "    |      ^")},
		{name: "a joined emoji is shown in its parts", content: "👩\u200d🚀x", r: at(1, 12, 13), want: lines(`  1 | 👩\u200d🚀x`, "    |           ^")},
		{name: "marks on letters", content: "e\u0301e\u0301x", r: at(1, 7, 8), want: lines("  1 | e\u0301e\u0301x", "    |   ^")},
		{name: "half a character", content: "a日b", r: at(1, 3, 4), want: lines("  1 | a日b", "    |  ^^")},
		{name: "not UTF-8", content: "a\xff\xfeb", r: at(1, 4, 5), want: lines(`  1 | a\xff\xfeb`, "    |          ^")},
		{name: "controls are never raw", content: "a\x1b[2J\x9b\u202e\x00b", r: at(1, 2, 3), want: lines(`  1 | a\x1b[2J\x9b\u202e\x00b`, "    |  ^^^^")},
		{name: "an empty range", content: "abc", r: at(1, 2, 2), want: lines("  1 | abc", "    |  ^")},
		{name: "an unknown end", content: "abc", r: Range{Start: Position{1, 2}}, want: lines("  1 | abc", "    |  ^")},
		{name: "an end before the start", content: "abc\nd", r: Range{Position{2, 1}, Position{1, 2}}, want: lines("  2 | d", "    | ^")},
		{name: "the end of the line", content: "abc\r\n", r: at(1, 4, 4), want: lines("  1 | abc", "    |    ^")},
		{name: "an end beyond the line", content: "abc\n", r: at(1, 2, 99), want: lines("  1 | abc", "    |  ^^")},
		{name: "a column beyond the line", content: "abc\n", r: at(1, 9, 10)},
		{name: "a line beyond the file", content: "abc\n", r: at(7, 1, 2)},
		{name: "two lines", content: "a: {\n  b: 1\n}\n", r: Range{Position{1, 4}, Position{2, 7}},
			want: lines("  1 | a: {", "    |    ^", "  2 |   b: 1", "    |   ^^^^")},
		{name: "three lines", content: "a: {  \n\n  }\n", r: Range{Position{1, 4}, Position{3, 4}},
			want: lines("  1 | a: {", "    |    ^", "  2 |", "  3 |   }", "    |   ^")},
		{name: "many lines", content: "a: [\n" + strings.Repeat("1,\n", 9) + "]\n", r: Range{Position{1, 4}, Position{11, 2}},
			want: lines("   1 | a: [", "     |    ^", "  ...", "  11 | ]", "     | ^")},
		{name: "up to the start of a line", content: "ab\ncd\n", r: Range{Position{1, 2}, Position{2, 1}}, want: lines("  1 | ab", "    |  ^")},
		{name: "more lines than the file has", content: "ab\ncd", r: Range{Position{1, 2}, Position{9, 2}}, want: lines("  1 | ab", "    |  ^")},
		{name: "a long line's start", content: long, r: at(1, 2, 4), width: 30, want: lines("  1 | 01234567890123456789012…", "    |  ^^")},
		{name: "a long line's middle", content: long, r: at(1, 502, 504), width: 30, want: lines("  1 | …1234567890123456789012…", "    |            ^^")},
		{name: "a long line's end", content: long, r: at(1, 998, 1001), width: 30, want: lines("  1 | …78901234567890123456789", "    |                      ^^^")},
		{name: "a long range", content: long, r: at(1, 101, 501), width: 30, want: lines("  1 | …5678901234567890123456…", "    |       ^^^^^^^^^^^^^^^^^^")},
		{name: "a letter with more marks than are shown", content: "a" + strings.Repeat("\u0301", 5000) + "b", r: at(1, 10002, 10003),
			want: lines("  1 | …b", "    |  ^")},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, excerptOf(t, c.content, c.r, c.width)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTextWraps(t *testing.T) {
	l := List{{Severity: Error, Code: "some-code", Message: "a message that is a good deal longer than the terminal", File: "folder/file.cue", Range: at(1, 2, 3),
		Path: "automations.one", Help: "do this, then do that, and 日本語 日本語 日本語 at last", Related: []Related{{"the other place is over there", "other.cue", at(1, 1, 2)}}}}
	want := `folder/file.cue:1:2: error: a message
    that is a good deal longer than the
    terminal [some-code]
  at: automations.one
  see: other.cue:1:1: the other place is
       over there
  help: do this, then do that, and
        日本語 日本語 日本語 at last

1 error
`
	if diff := cmp.Diff(want, write(t, "text", l, Options{Width: 40})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for line := range strings.Lines(write(t, "text", l, Options{Width: 12})) {
		if words := strings.Fields(line); uniseg.StringWidth(strings.TrimSpace(line)) > 12 && len(words) > 1 {
			t.Errorf("a line with room to break is too wide: %q", line)
		}
	}
}

func TestTextAtMost(t *testing.T) {
	var l List
	for range 4 {
		l = append(l, Diagnostic{Severity: Warning, Code: "w", Message: "warned"})
	}
	for range 3 {
		l = append(l, Diagnostic{Severity: Error, Code: "e", Message: "wrong"})
	}
	l = append(l, Diagnostic{Severity: Error, Code: "b", Message: "wrong"})
	for most, want := range map[int]string{
		2: "error: wrong [e]\n\nerror: wrong [e]\n\nand 6 more: 4 w, 1 b, 1 e\n\n4 errors, 4 warnings\n",
		5: "warning: warned [w]\n\nerror: wrong [e]\n\nerror: wrong [e]\n\nerror: wrong [e]\n\nerror: wrong [b]\n\nand 3 more: 3 w\n\n4 errors, 4 warnings\n",
	} {
		if diff := cmp.Diff(want, write(t, "text", l, Options{Max: most})); diff != "" {
			t.Errorf("at most %d (-want +got):\n%s", most, diff)
		}
	}
	for _, most := range []int{0, 8, 9} {
		if got := write(t, "text", l, Options{Max: most}); strings.Contains(got, "more:") || strings.Count(got, "[") != 8 {
			t.Errorf("at most %d: %s", most, got)
		}
	}
}

func TestTextColor(t *testing.T) {
	l := List{{Severity: Warning, Code: "c", Message: "m n", File: "f", Range: at(1, 2, 3), Help: "h"}}
	got := write(t, "text", l, Options{Color: true, Source: func(string) ([]byte, error) { return []byte("abc"), nil }})
	for _, want := range []string{"\x1b[1mf:1:2:\x1b[", "\x1b[33;1mwarning:\x1b[", "\x1b[33;1m^\x1b[", "\x1b[36mhelp:\x1b["} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if got := write(t, "text", l, Options{}); strings.Contains(got, "\x1b") {
		t.Errorf("colours without being asked: %q", got)
	}
}

func TestSecretLinesAreNotShown(t *testing.T) {
	source := func(string) ([]byte, error) { return []byte("a: 1\nkey: \"s3cr3t\"\nb: 2\n"), nil }
	secret := Diagnostic{Severity: Error, Confidential: true, File: "f", Range: at(2, 6, 14)}
	for name, c := range map[string]struct {
		l     List
		shown string
	}{
		"by a finding on the same line":   {List{secret, {File: "f", Range: at(2, 1, 4)}}, ""},
		"by a range over it":              {List{secret, {File: "f", Range: Range{Position{1, 1}, Position{3, 5}}}}, ""},
		"but lines beside it":             {List{secret, {File: "f", Range: at(1, 1, 2)}}, "a: 1"},
		"but other files":                 {List{secret, {File: "g", Range: at(3, 1, 2)}}, "b: 2"},
		"where the secret has no place":   {List{{Confidential: true, File: "f"}, {File: "f", Range: at(2, 1, 4)}}, ""},
		"where the secret is not printed": {List{{Severity: Error, File: "f", Range: at(2, 1, 4)}, {Confidential: true, File: "f", Range: at(2, 6, 14)}}, ""},
	} {
		for _, format := range Formats() {
			got := write(t, format, c.l, Options{Source: source, Max: 1 + len(c.l)%2})
			if strings.Contains(got, "s3cr3t") {
				t.Errorf("%s, %s: shown:\n%s", name, format, got)
			}
		}
		if got := write(t, "text", c.l, Options{Source: source}); c.shown != "" && !strings.Contains(got, c.shown) {
			t.Errorf("%s: %q is not shown:\n%s", name, c.shown, got)
		}
	}
}

func TestUnreadableSource(t *testing.T) {
	l := List{{Severity: Error, Code: "c", Message: "m", File: "f", Range: at(1, 2, 3)}}
	got := write(t, "text", l, Options{Source: func(string) ([]byte, error) { return nil, errors.New("gone") }})
	if want := "f:1:2: error: m [c]\n\n1 error\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

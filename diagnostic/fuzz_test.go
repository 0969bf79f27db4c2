package diagnostic

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// For any finding and file, every format is valid UTF-8 and valid in its own grammar, and contains nothing that
// a terminal could take for a command.
func FuzzFormats(f *testing.F) {
	f.Add("c", "m", "h", "f.cue", "content\nmore", 1, 2, 1, 5, uint8(0))
	f.Add("a:b,c", "100%\r\n::error::\x1b[2J", "\u202e\u009b", "../a b:c\x00.cue", "\t日本\xff語😀\u200d😀\n", 1, 4, 2, 1, uint8(40))
	f.Add("\xff", "]]>&<\"'\ufffe", "[a](b) {0}", "\xfe", "", 0, 0, -1, -7, uint8(1))
	f.Add("c", strings.Repeat("long ", 99), "", "/f", strings.Repeat("e\u0301", 999), 1, 300, 1, 1200, uint8(80))
	schema := sarifSchemaOf(f)
	f.Fuzz(func(t *testing.T, code, message, help, file, content string, line, column, endLine, endColumn int, width uint8) {
		r := Range{Position{line, column}, Position{endLine, endColumn}}
		d := Diagnostic{Severity: Error, Code: code, Message: message, Suggestion: help, Help: help, File: file, Range: r, Path: message, Key: file,
			Related: []Related{{message, file, r}, {help, code, r}}, Fix: &Fix{help, []Edit{{file, r, message}, {code, r, help}}}}
		warning := d
		warning.Severity = Warning
		l := List{d, warning, d, {Message: code, Confidential: true, File: content, Fix: d.Fix}}
		l.Sort()
		opts := Options{Width: int(width), Max: int(width) % 3, Prefix: help, ToolVersion: message, Source: func(string) ([]byte, error) { return []byte(content), nil },
			Describe: func(string) Rule { return Rule{Summary: message, Help: help} }}
		for _, format := range Formats() {
			got := write(t, format, l, opts)
			if !utf8.ValidString(got) {
				t.Errorf("%s: not UTF-8: %q", format, got)
			}
			if i := strings.IndexFunc(got, func(r rune) bool { return r != '\n' && unprintable(r) }); i >= 0 {
				t.Errorf("%s: a raw %q", format, got[i:min(len(got), i+9)])
			}
			switch format {
			case "json":
				if !json.Valid([]byte(got)) {
					t.Errorf("not JSON: %s", got)
				}
			case "sarif":
				validateSARIF(t, schema, got)
			case "junit":
				readJUnit(t, got)
			case "github":
				for line := range strings.Lines(got) {
					if !strings.HasPrefix(line, "::error ") && !strings.HasPrefix(line, "::warning ") {
						t.Errorf("a line that is no command: %q", line)
					}
				}
				if strings.Count(got, "\n") != len(l) {
					t.Errorf("%d findings, %d lines", len(l), strings.Count(got, "\n"))
				}
			}
		}
	})
}

// A line is never wider than asked for, and its marked part is in view.
func FuzzFit(f *testing.F) {
	f.Add("0123456789", 3, 5, 24)
	f.Add(strings.Repeat("日\t😀e\u0301\xff", 99), 300, 400, 40)
	f.Add(strings.Repeat("\u0301", 999), 300, 1400, 30)
	f.Fuzz(func(t *testing.T, line string, from, to, width int) {
		width = max(excerptLeast, width%200)
		l := marked{line: []byte(line), from: min(max(from, 0), len(line)), to: min(max(to, 0), len(line))}
		l.to = max(l.from, l.to)
		l.snap()
		before, under, after := fit(l, width)
		if w := before.width + under.width + after.width; w > width {
			t.Errorf("%d columns of %d: %q %q %q", w, width, before.text, under.text, after.text)
		}
		if l.to > l.from && under.text == "" {
			t.Errorf("the marked part is out of view: %q %q", before.text, after.text)
		}
	})
}

// Edits that are taken leave the rest of the file as it was, and those that are
// refused change nothing.
func FuzzApply(f *testing.F) {
	f.Add([]byte("a\nbc\r\n"), "x", 1, 1, 2, 2, 2, 3)
	f.Fuzz(func(t *testing.T, content []byte, text string, line, column, endLine, endColumn, line2, column2 int) {
		kept := bytes.Clone(content)
		one := Edit{"f", Range{Position{line, column}, Position{endLine, endColumn}}, text}
		two := Edit{"f", Range{Position{line2, column2}, Position{line2, column2}}, "y"}
		got, err := Apply(content, []Edit{one, two})
		if !bytes.Equal(kept, content) {
			t.Fatal("the content that was given is changed")
		}
		if err != nil {
			return
		}
		other, err := Apply(content, []Edit{two, one})
		if err != nil || !bytes.Equal(got, other) {
			t.Errorf("in the other order: %q, %v; was %q", other, err, got)
		}
		s := newSource(content)
		start, _ := s.position(one.Range.Start)
		end, _ := s.position(one.Range.End)
		if want := len(content) - (end - start) + len(text) + 1; len(got) != want {
			t.Errorf("%d bytes, want %d", len(got), want)
		}
	})
}

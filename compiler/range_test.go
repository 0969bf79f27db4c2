package compiler

import (
	"bytes"
	"testing"

	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

func TestRangesEndWithTheirFile(t *testing.T) {
	span := func(line, column, endLine, endColumn int) diagnostic.Range {
		return diagnostic.Range{Start: diagnostic.Position{Line: line, Column: column}, End: diagnostic.Position{Line: endLine, Column: endColumn}}
	}
	for _, test := range []struct {
		content   string
		have, got diagnostic.Range
	}{
		{"ab\ncd\n", span(1, 1, 2, 3), span(1, 1, 2, 3)},
		{"ab\ncd\n", span(1, 3, 1, 4), span(1, 3, 1, 4)},  // a line break
		{"ab\ncd\n", span(1, 1, 1, 99), span(1, 1, 1, 4)}, // to the end of the line
		{"ab\ncd\n", span(2, 1, 9, 1), span(2, 1, 3, 1)},
		{"ab\ncd\n", span(3, 1, 3, 2), span(2, 3, 2, 4)},
		{"ab\ncd\n", span(7, 1, 7, 2), span(2, 3, 2, 4)},
		{"ab\ncd", span(2, 3, 2, 4), span(2, 2, 2, 3)},
		{"ab\ncé", span(2, 4, 2, 5), span(2, 2, 2, 4)},
		{"x", span(1, 1, 1, 2), span(1, 1, 1, 2)},
		{"", span(1, 1, 1, 2), diagnostic.Range{}},
		{"ab", diagnostic.Range{}, diagnostic.Range{}},
	} {
		if got := source.Within(bytes.Split([]byte(test.content), []byte("\n")), test.have); got != test.got {
			t.Errorf("%v in %q: %v, want %v", test.have, test.content, got, test.got)
		}
	}
}

// Wherever a file breaks off, the findings are in it.
func TestFindingsOfTruncatedFiles(t *testing.T) {
	const whole = "package growth\n\nimport \"github.com/seguehq/segue/schema/automation\"\n\nautomations: a: automation.#Track & {\n\tname: \"\"\"\n\t\tA\n\t\t\"\"\"\n\ttrigger: pattern: \"A\"\n\tpayload: {userId: \"{{userId}}\", event: \"A\"}\n}\n"
	for i := 1; i < len(whole); i += 3 {
		content := whole[:i]
		disk := openTree(t, map[string]string{
			"project/segue.cue":    "project: \"x\"\nsources: segment: writeKey: secret: \"KEY\"\n",
			"project/growth/a.cue": content,
		})
		result, err := Compile(t.Context(), Options{Dir: disk.Dir})
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Split([]byte(content), []byte("\n"))
		for _, d := range result.Diagnostics {
			if last := len(lines[len(lines)-1]) + 1; d.Range.End.Line > len(lines) || d.Range.End.Line == len(lines) && d.Range.End.Column > last {
				t.Errorf("%q: %s at %v", content, d.Message, d.Range)
			}
		}
	}
}

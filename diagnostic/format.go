package diagnostic

import (
	"fmt"
	"io"
	"path"
	"strings"
)

// Options says how findings are written. Each format uses what concerns it, and
// the zero value is good for all of them.
type Options struct {
	// Color switches terminal colours on, in the text format.
	Color bool
	// Width is the terminal's width in columns, for the text format. Zero is
	// unknown: nothing is wrapped then.
	Width int
	// Max is how many findings the text format prints before it only counts.
	// Zero prints all.
	Max int
	// Source returns a file's content, so that the offending line can be shown
	// and byte columns be converted. Nil, or an error, leaves lines out and
	// takes columns as they are.
	Source func(file string) ([]byte, error)
	// Prefix is where the project is in its repository, with slashes, for the
	// formats that a code host reads (sarif, github, gitlab and junit): those name files
	// from the top of the repository.
	Prefix string
	// ToolVersion is segue's version, for the tool component of SARIF.
	ToolVersion string
	// Describe returns what is known of a code, for the rules of SARIF. Nil, or
	// an empty field, falls back on the code's own words.
	Describe func(code string) Rule
}

// A Rule describes the findings of one code.
type Rule struct {
	// Summary says in one sentence what the code stands for.
	Summary string
	// Help says what to do, in plain text.
	Help string
	// URL is a page about the code.
	URL string
}

// file is a finding's file as code hosts want it.
func (o Options) file(name string) string {
	if name == "" || o.Prefix == "" {
		return name
	}
	return path.Join(o.Prefix, name)
}

// formats are the formats of Write, the default first.
var formats = []struct {
	name  string
	write func(io.Writer, List, Options) error
}{
	{"text", WriteText},
	{"json", func(w io.Writer, l List, _ Options) error { return WriteJSON(w, l) }},
	{"sarif", WriteSARIF},
	{"github", WriteGitHub},
	{"gitlab", WriteGitLab},
	{"junit", WriteJUnit},
}

// Formats returns the names of the formats that [Write] knows, the default first.
func Formats() []string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.name
	}
	return names
}

// Write writes the findings in the named format. The list should be sorted.
//
// Whatever a finding holds, what is written is valid UTF-8 and valid in its
// format, and has no control character but line ends.
func Write(w io.Writer, format string, l List, opts Options) error {
	for _, f := range formats {
		if f.name == format {
			return f.write(w, l, opts)
		}
	}
	return fmt.Errorf("unknown format %q; the formats are %s", format, strings.Join(Formats(), ", "))
}

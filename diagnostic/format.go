package diagnostic

import (
	"fmt"
	"io"
	"path"
	"strings"
)

// Options says how findings are written. Each format uses the options that apply to it. The zero value is valid
// for all formats.
type Options struct {
	// Color enables terminal colors, in the text format.
	Color bool
	// Width is the terminal's width in columns, for the text format. Zero means unknown: lines are then not
	// wrapped.
	Width int
	// Max is the maximum number of findings that the text format prints; the others are counted. Zero prints
	// all.
	Max int
	// Source returns a file's content, to show lines and convert byte columns. If it is nil or returns an
	// error, lines are left out and columns are not converted.
	Source func(file string) ([]byte, error)
	// Prefix is the project's path in its repository, with slashes. The formats for code hosts (sarif, github,
	// gitlab and junit) use it to name files from the top of the repository.
	Prefix string
	// ToolVersion is segue's version, for the tool component of SARIF.
	ToolVersion string
	// Describe returns the description of a code, for the rules of SARIF. If it is nil, or a field is empty,
	// the code itself is used.
	Describe func(code string) Rule
}

// A Rule describes the findings of one code.
type Rule struct {
	// Summary gives the meaning of the code in one sentence.
	Summary string
	// Help describes the remedy, in plain text.
	Help string
	// URL is a page about the code.
	URL string
}

// file returns a finding's file in the form for code hosts.
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
// The output is valid UTF-8 and valid in its format, and contains no control characters except line ends,
// whatever the findings contain.
func Write(w io.Writer, format string, l List, opts Options) error {
	for _, f := range formats {
		if f.name == format {
			return f.write(w, l, opts)
		}
	}
	return fmt.Errorf("unknown format %q; the formats are %s", format, strings.Join(Formats(), ", "))
}

package diagnostic

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// WriteGitHub writes each finding as a workflow command of GitHub Actions. GitHub shows it next to its line. It
// keeps the first ten errors and ten warnings of a step and drops the others; the log has all of them.
//
// Columns count UTF-16 code units. They are left out of a range of several lines, because GitHub does not
// accept them there.
//
// https://docs.github.com/actions/reference/workflow-commands-for-github-actions
func WriteGitHub(w io.Writer, l List, opts Options) error {
	var out bytes.Buffer
	sources := newSources(opts.Source)
	for _, d := range l {
		command := "warning"
		if d.Severity == Error {
			command = "error"
		}
		out.WriteString("::" + command + " ")
		if d.File != "" {
			fmt.Fprintf(&out, "file=%s,", gitHubProperty.Replace(Printable(opts.file(d.File))))
			writeGitHubRange(&out, sources, d)
		}
		lines := []string{Printable(d.Message)}
		for _, r := range d.Related {
			lines = append(lines, fmt.Sprintf("see: %s: %s", placeOf(opts.file(r.File), r.Range), Printable(r.Message)))
		}
		if d.Help != "" {
			lines = append(lines, "help: "+Printable(d.Help))
		}
		fmt.Fprintf(&out, "title=%s::%s\n", gitHubProperty.Replace(Printable(d.Code)), gitHubData.Replace(strings.Join(lines, "\n")))
	}
	_, err := w.Write(out.Bytes())
	return err
}

func writeGitHubRange(out *bytes.Buffer, sources *sources, d Diagnostic) {
	start, end := d.Range.Start, d.Range.End
	if start.Line < 1 {
		return
	}
	fmt.Fprintf(out, "line=%d,", start.Line)
	if end.Line > start.Line {
		fmt.Fprintf(out, "endLine=%d,", end.Line)
		return
	}
	if start.Column < 1 {
		return
	}
	fmt.Fprintf(out, "col=%d,", sources.column(d.File, start))
	if end.Line == start.Line && end.Column > start.Column {
		fmt.Fprintf(out, "endLine=%d,endColumn=%d,", end.Line, sources.column(d.File, end))
	}
}

// The escapes of the runner's own toolkit, for the message and for a property.
var (
	gitHubData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	gitHubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

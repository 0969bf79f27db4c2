package diagnostic

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// WriteGitLab writes the findings as a code quality report of GitLab, which shows them in the
// merge request and beside the lines that they are about. An error is of the severity major, a
// warning minor.
//
// GitLab takes findings with the same fingerprint for one, also from one pipeline to the next.
// The fingerprint is made of the file, the code and the message, without the line, so that a
// finding that moved is not reported as new; a repeated one is numbered. A finding must have a
// file: what is about none is shown at the top of the project file.
//
// https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
func WriteGitLab(w io.Writer, l List, opts Options) error {
	issues, repeats := make([]gitLabIssue, 0, len(l)), map[[3]string]int{}
	for _, d := range l {
		issue := gitLabIssue{Description: gitLabDescription(d), CheckName: Printable(d.Code), Severity: "minor"}
		if d.Severity == Error {
			issue.Severity = "major"
		}
		file, start, end := d.File, max(d.Range.Start.Line, 1), d.Range.End.Line
		if file == "" {
			file, start, end = "segue.cue", 1, 1
		}
		issue.Location = gitLabLocation{Path: Printable(opts.file(file)), Lines: gitLabLines{start, max(start, end)}}
		key := [3]string{issue.Location.Path, d.Code, d.Message}
		repeats[key]++
		sum := sha256.Sum256(fmt.Appendf(nil, "%q %d", key, repeats[key]))
		issue.Fingerprint = hex.EncodeToString(sum[:])
		issues = append(issues, issue)
	}
	return EncodeJSON(w, issues)
}

// gitLabDescription is one line: GitLab shows no more.
func gitLabDescription(d Diagnostic) string {
	text := Printable(d.Message)
	if d.Help != "" {
		text += " (" + Printable(d.Help) + ")"
	}
	return strings.Join(strings.Fields(text), " ")
}

type gitLabIssue struct {
	Description string         `json:"description"`
	CheckName   string         `json:"check_name"`
	Fingerprint string         `json:"fingerprint"`
	Severity    string         `json:"severity"`
	Location    gitLabLocation `json:"location"`
}

type gitLabLocation struct {
	Path  string      `json:"path"`
	Lines gitLabLines `json:"lines"`
}

type gitLabLines struct {
	Begin int `json:"begin"`
	End   int `json:"end"`
}

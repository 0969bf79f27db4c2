package finding

import (
	"embed"
	"path"
	"strings"

	"golang.org/x/tools/txtar"
)

// explanationFiles has an explanation for each code: a txtar archive whose comment is the title and the reason,
// and whose files are the examples.
//
//go:embed codes/*.txtar
var explanationFiles embed.FS

// An Explanation explains the meaning of a code, the reason for it and the remedy.
type Explanation struct {
	Code
	// Title describes the mistake in a sentence.
	Title string
	// Why describes its consequences in one paragraph.
	Why string
	// Wrong is an example with exactly this code, Right is the corrected one. Both are empty for the few codes
	// that files can't show.
	Wrong, Right []ExampleFile
}

// An ExampleFile is a file of an example project. segue.cue is left out if it is not relevant.
type ExampleFile struct {
	Name, Content string
}

// Explain returns the explanation of a code.
func Explain(name string) (Explanation, bool) {
	code, ok := CodeOf(name)
	if !ok {
		return Explanation{}, false
	}
	content, err := explanationFiles.ReadFile(path.Join("codes", name+".txtar"))
	if err != nil {
		return Explanation{}, false
	}
	archive := txtar.Parse(content)
	title, why, _ := strings.Cut(string(archive.Comment), "\n\n")
	e := Explanation{Code: code, Title: strings.TrimSpace(title), Why: strings.Join(strings.Fields(why), " ")}
	for _, f := range archive.Files {
		if name, ok := strings.CutPrefix(f.Name, "wrong/"); ok {
			e.Wrong = append(e.Wrong, ExampleFile{name, string(f.Data)})
		}
		if name, ok := strings.CutPrefix(f.Name, "right/"); ok {
			e.Right = append(e.Right, ExampleFile{name, string(f.Data)})
		}
	}
	return e, true
}

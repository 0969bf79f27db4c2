package review

import (
	"crypto/sha256"
	_ "embed" // the page's parts
	"encoding/base64"
	"html/template"
	"io"
	"maps"
	"slices"

	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

//go:embed page.html
var pageTemplate string

//go:embed page.css
var pageStyle string

//go:embed page.js
var pageScript string

var page = template.Must(template.New("plan").Funcs(template.FuncMap{"rows": rows, "or": or}).Parse(pageTemplate))

// HTML writes a plan as one self-contained page: it loads nothing, and the content of the
// plan can't make it load anything. The page can be read without its script, which
// searches, filters and handles keys.
func HTML(w io.Writer, p *sync.Plan) error {
	r := New(p)
	folders, triggers := map[string]bool{}, map[string]bool{}
	for _, c := range r.Changes {
		folders[c.Folder] = true
		if c.Trigger != "" {
			triggers[c.Trigger] = true
		}
	}
	var secrets []Fact
	for _, s := range p.Secrets {
		secrets = append(secrets, Fact{string(s.Action) + " secret " + diagnostic.Printable(s.Name), diagnostic.Printable(usedBy(s))})
	}
	return page.Execute(w, struct {
		Project, Target, Summary, Nothing string
		Changes                           []Change
		Notices                           []string
		Secrets                           []Fact
		Folders, Triggers                 []string
		Actions                           []Fact
		Style                             template.CSS
		Script                            template.JS
		StyleHash, ScriptHash             string
	}{
		Project: diagnostic.Printable(p.Project), Target: diagnostic.Printable(p.Target), Summary: summary(p), Nothing: nothing(p),
		Changes: r.Changes, Notices: noticesOf(p, TextOptions{Full: true}), Secrets: secrets,
		Folders: slices.Sorted(maps.Keys(folders)), Triggers: slices.Sorted(maps.Keys(triggers)),
		// Both are part of segue.
		Style: template.CSS(pageStyle), Script: template.JS(pageScript), StyleHash: sourceHash(pageStyle), ScriptHash: sourceHash(pageScript),
	})
}

func nothing(p *sync.Plan) string {
	if !p.Empty() {
		return ""
	}
	return diagnostic.Printable(nothingToDo(p))
}

// sourceHash returns the hash of a script or style for the content security
// policy.
func sourceHash(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// A Row is a line before, and the line after beside it; nil for none.
type Row struct{ Before, After *Line }

// rows arranges the lines of a comparison side by side.
func rows(lines []Line) []Row {
	var out []Row
	for i := 0; i < len(lines); {
		if s := lines[i].Sign; s == Same || s == Skip {
			out = append(out, Row{&lines[i], &lines[i]})
			i++
			continue
		}
		var before, after []*Line
		for ; i < len(lines) && (lines[i].Sign == Minus || lines[i].Sign == Plus); i++ {
			if lines[i].Sign == Minus && len(after) > len(before) {
				break // the next pair
			}
			if lines[i].Sign == Minus {
				before = append(before, &lines[i])
			} else {
				after = append(after, &lines[i])
			}
		}
		for j := range max(len(before), len(after)) {
			var r Row
			if j < len(before) {
				r.Before = before[j]
			}
			if j < len(after) {
				r.After = after[j]
			}
			out = append(out, r)
		}
	}
	return out
}

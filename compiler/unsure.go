package compiler

import (
	"encoding/json"
	"slices"
	"strings"

	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// An unsure says what is not known of a project whose segue.cue has errors. Its
// packages are checked all the same: what depends on a part that is not known is
// taken to be right. nil stands for a project of which all is known.
type unsure struct {
	// raw is what segue.cue holds, nil if that can't be told.
	raw map[string]any
	// findings are those about segue.cue.
	findings diagnostic.List
	// text is what is written there, "" if it can't be read.
	text string
}

// knows reports whether a part of segue.cue, a field at its top, can be relied
// on: nothing is wrong in it, nor does something else stand for it.
func (u *unsure) knows(part string) bool {
	if u == nil {
		return true
	}
	if len(u.raw) == 0 {
		return false // it does not parse, or is yet to be written
	}
	_, given := u.raw[part]
	for _, d := range u.findings {
		top, _, _ := strings.Cut(strings.TrimPrefix(d.Path, `"`), ".")
		top, _, _ = strings.Cut(top, "[")
		misspelt := d.Code == "unknown-field" && d.Path == top
		if d.Severity == diagnostic.Error && (top == part || misspelt && (!given || d.Suggestion == part)) {
			return false
		}
	}
	return true
}

// mayDefine reports whether segue.cue may define a placeholder of that name.
func (u *unsure) mayDefine(name string) bool {
	return !u.knows("placeholders") && (u.text == "" || strings.Contains(plainName(u.text), plainName(name)))
}

// untold leaves the findings about a package of which those about segue.cue do
// not tell: they are about packages that it imports, too.
func (u *unsure) untold(found diagnostic.List) diagnostic.List {
	if u == nil {
		return found
	}
	told := map[string]bool{}
	for _, d := range u.findings {
		told[d.File] = told[d.File] || d.Severity == diagnostic.Error
	}
	return slices.DeleteFunc(found, func(d diagnostic.Diagnostic) bool { return told[d.File] })
}

// unsureProject is what can be told of a project whose segue.cue has errors, from
// what the file holds; nil if that can't be told.
func unsureProject(disk *workspace, raw map[string]any, findings diagnostic.List) (*Project, error) {
	l := newLoader(disk, schema.Files())
	u := &unsure{raw: raw, findings: findings}
	p := &Project{Dir: disk.dir, triggers: loadTriggers(disk), unsure: u}
	var err error
	if p.Catalog, err = builtinCatalog(cuecontext.New(), l); err != nil {
		return nil, err
	}
	content, _ := disk.read(projectFile) // what can't be read has its finding
	u.text = string(content)
	own, _ := raw["placeholders"].(map[string]any)
	for name, v := range own {
		delete(p.Catalog, name)
		if placeholder, ok := placeholderOf(v); ok && automation.ValidName(name) {
			p.Catalog[name] = placeholder
		}
	}
	if sources, ok := raw["sources"].(map[string]any); ok && u.knows("sources") {
		p.Sources = map[string]Source{}
		for name, v := range sources {
			source := Source{Region: "us"}
			if !reread(v, &source) {
				return p, nil // segue.cue is not as it seems
			}
			p.Sources[name] = source
		}
	}
	return p, nil
}

// placeholderOf reads a placeholder of the project's own, unless something is
// wrong with it.
func placeholderOf(v any) (automation.Placeholder, bool) {
	p := automation.Placeholder{Type: automation.StringValue, MaxLength: 255,
		Triggers: []automation.TriggerKind{automation.Pattern, automation.Journey}}
	c := &checker{}
	c.value(v, shapeOf("placeholder.#Placeholder"), nil)
	ok := len(c.found) == 0 && reread(v, &p)
	if entry, _ := v.(map[string]any); ok && p.Type == automation.StringValue {
		p.Type = typeOfSample(entry["sample"]) // there is a finding that the type is missing
	}
	return p, ok
}

// reread reads decoded JSON into something else. It reports whether all of v is
// there and fits.
func reread(v, out any) bool {
	b, err := json.Marshal(v)
	return err == nil && json.Unmarshal(b, out) == nil
}

// noSource is the finding about a project without a source for its messages.
func noSource(disk *workspace) (diagnostic.Diagnostic, error) {
	f := finding{path: valuePath{"sources"}, spot: atLabel, Diagnostic: diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "unknown-source",
		Message: "the project has no source that could receive its messages",
		Help:    `add one: sources: segment: writeKey: secret: "SEGMENT_WRITE_KEY"`}}
	p, err := newExplainer(disk, nil, nil).open(".", "", []string{projectFile})
	if err != nil {
		return f.Diagnostic, err
	}
	return p.index.place(f, token.NoPos), nil
}

package project

import (
	"encoding/json"
	"strconv"

	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/check"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/resolve"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// unsureProject is what can be told of a project whose segue.cue has errors, from
// what the file holds; nil if that can't be told.
func unsureProject(disk *workspace.Disk, raw map[string]any, findings diagnostic.List) (*config.Project, error) {
	l := workspace.NewLoader(disk, schema.Files())
	u := &config.Gaps{Raw: raw, Findings: findings}
	p := &config.Project{Dir: disk.Dir, Triggers: loadTriggers(disk), Gaps: u}
	var err error
	if p.Catalog, err = builtinCatalog(cuecontext.New(), l); err != nil {
		return nil, err
	}
	content, _ := disk.Read(config.ProjectFile) // what can't be read has its finding
	u.Text = string(content)
	own, _ := raw["placeholders"].(map[string]any)
	for name, v := range own {
		delete(p.Catalog, name)
		if placeholder, ok := placeholderOf(v); ok && automation.ValidName(name) {
			p.Catalog[name] = placeholder
		}
	}
	if sources, ok := raw["sources"].(map[string]any); ok && u.Knows("sources") {
		p.Sources = map[string]config.Source{}
		for name, v := range sources {
			source := config.Source{Region: "us"}
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
	ok := len(check.Rules{}.Value(v, shape.Of("placeholder.#Placeholder"), nil)) == 0 && reread(v, &p)
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

// NoSource is the finding about a project without a source for its messages.
func NoSource(disk *workspace.Disk) (diagnostic.Diagnostic, error) {
	f := finding.New("unknown-source", finding.Path{"sources"}, finding.AtLabel,
		"the project has no source that could receive its messages",
		`add one: sources: segment: writeKey: secret: "SEGMENT_WRITE_KEY"`)
	found, err := placed(disk, f)
	if err != nil {
		return f.Diagnostic, err
	}
	return found[0], nil
}

// UnusedSecrets are the findings about secrets of segue.cue that nothing uses.
func UnusedSecrets(disk *workspace.Disk, names []string) (diagnostic.List, error) {
	var found []finding.Finding
	for _, name := range names {
		found = append(found, finding.New("unused-secret", finding.Path{"secrets", name}, finding.AtLabel,
			"nothing uses the secret "+name, "remove it, or use it, as in token: secret: "+strconv.Quote(name)))
	}
	return placed(disk, found...)
}

// placed finds the places of findings in segue.cue.
func placed(disk *workspace.Disk, found ...finding.Finding) (diagnostic.List, error) {
	if len(found) == 0 {
		return nil, nil
	}
	p, err := resolve.NewReader(disk, nil, nil).Open(".", "", []string{config.ProjectFile})
	if err != nil {
		return nil, err
	}
	var out diagnostic.List
	for _, f := range found {
		out = append(out, p.Index.Place(f, token.NoPos))
	}
	return out, nil
}

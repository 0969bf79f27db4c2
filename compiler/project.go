package compiler

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// A Project is what segue.cue says, with defaults filled in.
type Project struct {
	// Dir is the project's root, an absolute path.
	Dir string `json:"-"`
	// Name marks what belongs to the project on a platform.
	Name string `json:"project"`
	// Sources are the Segment sources by name.
	Sources map[string]Source `json:"sources"`
	// Targets are the platforms by name.
	Targets map[string]Target `json:"targets"`
	// DefaultTarget is the name of the target that is used where none is asked
	// for, "" if there is none.
	DefaultTarget string `json:"defaultTarget"`
	// Secrets says where secrets come from that are not in the environment
	// variable of their name.
	Secrets map[string]SecretSource `json:"secrets"`
	// Catalog holds the placeholders that automations can use: the built-in
	// ones and the project's own.
	Catalog automation.Catalog `json:"placeholders"`
}

// A Source is a Segment HTTP API source.
type Source struct {
	// Region is "us" or "eu".
	Region string `json:"region"`
	// WriteKey is the secret that holds the source's write key.
	WriteKey SecretRef `json:"writeKey"`
	// Endpoint replaces Segment's own URL, up to the call's name. Empty for
	// the region's own.
	Endpoint string `json:"endpoint"`
}

// A SecretRef refers to a secret by its name.
type SecretRef struct {
	Name string `json:"secret"`
}

// A SecretSource is where a secret's value comes from: one of the fields is set.
type SecretSource struct {
	Env  string   `json:"env"`
	File string   `json:"file"`
	Exec []string `json:"exec"`
}

// A Target is an automation platform.
type Target struct {
	// Platform is the kind of platform: "embedded".
	Platform string `json:"platform"`
	// Data is the path of the embedded platform's file, relative to the project.
	Data string `json:"data"`
	// URL is where the platform runs; empty for one within segue.
	URL string `json:"url"`
	// Token is the secret that holds the platform's bearer token.
	Token SecretRef `json:"token"`
	// Sources override the project's, field by field.
	Sources map[string]Source `json:"sources"`
	// Parallelism is how many requests may be under way at once.
	Parallelism int `json:"parallelism"`
	// Timeout is how long one request may take.
	Timeout Duration `json:"timeout"`
	// Prune says whether automations that are gone from the code are deleted.
	Prune bool `json:"prune"`
}

// defaultData is where the embedded platform within segue keeps its data.
const defaultData = ".segue/platform.db"

// A Duration is a time.Duration that is written as a text: "30s".
type Duration time.Duration

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// Target returns a target by name, or the default one for "". The error is a
// diagnostic about segue.cue.
func (p *Project) Target(name string) (string, Target, error) {
	names := sorted(p.Targets)
	switch {
	case name == "" && p.DefaultTarget != "":
		name = p.DefaultTarget
	case name == "" && len(names) == 1:
		name = names[0]
	case name == "" && len(names) == 0:
		return "", Target{}, &ProjectError{diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "unknown-target",
			Message: "the project has no targets", File: projectFile, Path: "targets",
			Help: `add one to segue.cue: targets: local: platform: "embedded"`}}
	case name == "":
		return "", Target{}, &ProjectError{diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "unknown-target",
			Message: "the project has several targets and no default", File: projectFile, Path: "targets",
			Help: "name one with --target: " + oneOf(names) + "; or set defaultTarget in segue.cue"}}
	}
	if t, ok := p.Targets[name]; ok {
		return name, t, nil
	}
	d := diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "unknown-target", File: projectFile, Path: "targets",
		Message: fmt.Sprintf("segue.cue has no target %q", name), Help: "its targets are " + oneOf(names)}
	if len(names) == 0 {
		d.Help = `add it to segue.cue: targets: ` + labelSelector(name).String() + `: platform: "embedded"`
	}
	if near := nearest(name, names); near != "" {
		d.Suggestion, d.Help = near, didYouMean(near)
	}
	return "", Target{}, &ProjectError{d}
}

// A ProjectError is a finding about the project file that stops a command.
type ProjectError struct{ Diagnostic diagnostic.Diagnostic }

// Error returns the finding's message and remedy.
func (e *ProjectError) Error() string { return e.Diagnostic.Message + "; " + e.Diagnostic.Help }

// sources returns the sources as a target sees them; "" stands for no target.
func (p *Project) sources(target string) map[string]Source {
	out := maps.Clone(p.Sources)
	for name, over := range p.Targets[target].Sources {
		s, ok := out[name]
		if !ok {
			continue // a finding of its own
		}
		if over.Region != "" {
			s.Region = over.Region
		}
		if over.WriteKey.Name != "" {
			s.WriteKey = over.WriteKey
		}
		if over.Endpoint != "" {
			s.Endpoint = over.Endpoint
		}
		out[name] = s
	}
	return out
}

// LoadProject reads segue.cue in dir. The project is nil if there are errors
// among the findings.
func LoadProject(dir string) (*Project, diagnostic.List, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, nil, err
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, nil, fmt.Errorf("can't open the project: %w", err)
	}
	if _, err := os.Stat(filepath.Join(root, projectFile)); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
		return nil, diagnostic.List{noProject(root)}, nil
	}
	return loadProject(root)
}

// noProject is the finding about a folder without segue.cue.
func noProject(root string) diagnostic.Diagnostic {
	d := diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "no-project", File: projectFile,
		Message: "this folder is not a segue project: it has no segue.cue",
		Help:    "run segue init to make one, or name the project's folder: segue -C DIR COMMAND"}
	for dir := filepath.Dir(root); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, projectFile)); err == nil {
			rel, _ := filepath.Rel(root, dir)
			d.Help = "there is one above: segue -C " + filepath.ToSlash(rel) + " COMMAND"
			break
		}
	}
	return d
}

func loadProject(root string) (*Project, diagnostic.List, error) {
	strict, err := newLoader(root, schema.Files())
	if err != nil {
		return nil, nil, err
	}
	ctx := cuecontext.New()
	definition := ctx.BuildInstance(strict.schemaPackage("project")).LookupPath(cue.MakePath(cue.Def("#Project")))
	if err := definition.Err(); err != nil {
		return nil, nil, fmt.Errorf("the embedded schema is broken: %w", err)
	}
	var value cue.Value
	inst := strict.file(projectFile, nil)
	failure := error(inst.Err)
	if failure == nil {
		value = ctx.BuildInstance(inst).Unify(definition)
		failure = value.Validate(cue.Concrete(true))
	}
	var raw map[string]any
	if failure == nil {
		if failure = decode(value, &raw); failure != nil {
			return nil, nil, failure
		}
	}
	findings, err := explainProject(root, failure, raw)
	if err != nil {
		return nil, nil, err
	}
	if findings.HasErrors() {
		return nil, findings, nil
	}
	p := &Project{Dir: root}
	if err := decode(value, p); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", projectFile, err)
	}
	for name, t := range p.Targets {
		if t.Data == "" && t.URL == "" {
			t.Data = defaultData
			p.Targets[name] = t
		}
	}
	catalog, err := builtinCatalog(ctx, strict)
	if err != nil {
		return nil, nil, err
	}
	maps.Copy(catalog, p.Catalog)
	p.Catalog = catalog
	return p, findings, nil
}

// builtinCatalog reads the placeholders that the schema documents.
func builtinCatalog(ctx *cue.Context, l *loader) (automation.Catalog, error) {
	v := ctx.BuildInstance(l.schemaPackage("placeholder")).LookupPath(cue.MakePath(cue.Def("#Catalog")))
	catalog := automation.Catalog{}
	if err := decode(v, &catalog); err != nil {
		return nil, fmt.Errorf("the embedded catalog of placeholders is broken: %w", err)
	}
	return catalog, nil
}

// decode reads a concrete value through its JSON form.
func decode(v cue.Value, out any) error {
	b, err := v.MarshalJSON()
	if err != nil {
		return err
	}
	return unmarshalNumber(b, out)
}

// explainProject finds everything that is wrong with segue.cue. The value is
// given if CUE accepted the file.
func explainProject(root string, failure error, raw map[string]any) (diagnostic.List, error) {
	e, err := newExplainer(root, automation.Catalog{})
	if err != nil {
		return nil, err
	}
	pkg, err := e.open(".", "", []string{projectFile})
	if err != nil {
		return nil, err
	}
	c := &checker{}
	if failure != nil {
		value := pkg.evaluate()
		raw, _ = pkg.raw(value, nil).(map[string]any)
	}
	if raw != nil {
		c.value(raw, shapeOf("project.#Project"), nil)
		checkProject(c, raw)
	}
	for _, f := range c.found {
		pkg.add(f, token.NoPos)
	}
	if failure != nil && !pkg.found.HasErrors() {
		pkg.cueErrors(failure, nil)
	}
	pkg.found.Sort()
	return pkg.found, nil
}

// checkProject checks what a shape can't say: names that refer to others.
func checkProject(c *checker, raw map[string]any) {
	object := func(v any, k string) map[string]any {
		m, _ := v.(map[string]any)
		m, _ = m[k].(map[string]any)
		return m
	}
	sources, targets := object(raw, "sources"), object(raw, "targets")
	refer := func(name string, among map[string]any, what string, p valuePath, at spot) {
		if _, ok := among[name]; ok {
			return
		}
		w := c.report("unknown-"+what, p, at, "there is no %s %q", what, name)
		names := sorted(among)
		if near := nearest(name, names); near != "" {
			w.Suggestion, w.Help = near, didYouMean(near)
		} else if len(names) > 0 {
			w.Help = "the " + what + "s are " + oneOf(names)
		} else {
			w.Help = "add it under " + what + "s"
		}
	}
	if name, ok := raw["defaultTarget"].(string); ok {
		refer(name, targets, "target", valuePath{"defaultTarget"}, atValue)
	}
	for _, t := range sorted(targets) {
		at := valuePath{"targets", t}
		for s := range object(targets[t], "sources") {
			refer(s, sources, "source", at.with("sources", s), atLabel)
		}
		target, _ := targets[t].(map[string]any)
		if target == nil {
			continue
		}
		_, hasURL := target["url"]
		_, hasData := target["data"]
		_, hasToken := target["token"]
		switch {
		case hasURL && hasData:
			w := c.report("conflicting-fields", at, atLabel, "%s has url and data: it takes only one of them", at)
			w.Help = "keep url for a platform that runs by itself, data for one within segue"
		case hasURL && !hasToken:
			w := c.report("missing-field", at, atLabel, "%s is missing", at.with("token"))
			w.Help = "add token: secret: NAME, the secret that holds the platform's bearer token"
		}
	}
	for name, v := range object(raw, "placeholders") {
		at := valuePath{"placeholders", name}
		if !automation.ValidName(name) {
			w := c.report("invalid-value", at, atLabel, "%q can't be the name of a placeholder", name)
			w.Help = "use letters, digits, '_', '-' and '.', with a letter or '_' first"
		}
		checkSample(c, v, at)
	}
}

// checkSample checks that a placeholder's sample is of the placeholder's type.
func checkSample(c *checker, v any, at valuePath) {
	entry, _ := v.(map[string]any)
	if entry == nil {
		return
	}
	sample := at.with("sample")
	switch entry["type"] {
	case string(automation.NumberValue):
		if _, ok := entry["sample"].(json.Number); !ok {
			c.wrongType(entry["sample"], &shape{kind: numberShape}, sample)
		}
	case string(automation.BooleanValue):
		if _, ok := entry["sample"].(bool); !ok {
			c.wrongType(entry["sample"], &shape{kind: booleanShape}, sample)
		}
	case string(automation.TimeValue):
		c.value(entry["sample"], &shape{kind: timeShape}, sample)
	}
}

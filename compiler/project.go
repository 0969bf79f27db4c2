package compiler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/description"
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
	Secrets map[string]automation.SecretSource `json:"secrets"`
	// Catalog holds the placeholders that automations can use: the built-in
	// ones and the project's own.
	Catalog automation.Catalog `json:"placeholders"`
	// Moved holds former names.
	Moved Moved `json:"moved"`
	// Platforms are the platforms that segue.cue describes, by name.
	Platforms map[string]*description.Platform `json:"-"`
	// plan is the tracking plan, nil if the project has none.
	plan *trackingPlan
	// triggers are the names that were pulled from a platform, nil if none were.
	triggers triggerNames
	// unsure is what is not known of the project because segue.cue has errors, nil
	// if it has none.
	unsure *unsure
}

// Moved holds former names, under which things may still be on a platform.
type Moved struct {
	// Project is the project's former name, "" for none.
	Project string `json:"project"`
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

// A Target is an automation platform.
type Target struct {
	// Platform is the kind of platform: one of [PlatformKinds], or the name of a
	// description in [Project.Platforms].
	Platform string `json:"platform"`
	// Data is the path of the embedded platform's file, relative to the project.
	Data string `json:"data"`
	// URL is where the platform runs; empty for one within segue.
	URL string `json:"url"`
	// Token is the secret that holds the platform's bearer token.
	Token SecretRef `json:"token"`
	// APIKey is the secret that holds the platform's API key.
	APIKey SecretRef `json:"apiKey"`
	// Username is who segue logs in as where it does so with a password, in place
	// of a token; "" where it does not.
	Username string `json:"username"`
	// Password is the secret that holds the user's password.
	Password SecretRef `json:"password"`
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
	if near := Nearest(name, names); near != "" {
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

// LoadProject reads segue.cue in dir, within limits, and nothing that is outside of
// dir. The project is nil if there are errors among the findings.
func LoadProject(ctx context.Context, dir string, limits Limits) (*Project, diagnostic.List, error) {
	project, _, findings, err := openProject(ctx, dir, limits)
	if findings.HasErrors() {
		project = nil
	}
	return project, findings, err
}

// openProject reads segue.cue as LoadProject does. With errors among the
// findings, the project is what can be told of it, so that its packages can be
// checked; nil if that is nothing.
func openProject(ctx context.Context, dir string, most Limits) (*Project, *workspace, diagnostic.List, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, nil, nil, err
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, nil, nil, fmt.Errorf("can't open the project: %w", err)
	}
	disk, err := openWorkspace(ctx, root)
	if err != nil {
		return nil, nil, nil, err
	}
	if _, err := disk.root.Lstat(projectFile); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, nil, err
		}
		return nil, disk, diagnostic.List{noProject(root)}, nil
	}
	if d, unfit := disk.unfit(projectFile); unfit {
		project, err := unsureProject(disk, nil, nil)
		return project, disk, diagnostic.List{d}, err
	}
	if limit, gone := most.GivenUp[projectFile]; gone {
		project, err := unsureProject(disk, nil, nil)
		return project, disk, diagnostic.List{givenUp(projectFile, limit, projectFile)}, err
	}
	dog := newWatchdog(most)
	defer close(dog.stop)
	work := dog.begin([]string{projectFile}, 0)
	defer work.end()
	project, findings, err := loadProject(disk)
	if ctx.Err() != nil {
		return nil, nil, nil, context.Cause(ctx)
	}
	findings = append(findings, disk.findings()...)
	withinFiles(disk.read, findings)
	conceal(disk.read, findings)
	return project, disk, findings, err
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

func loadProject(disk *workspace) (*Project, diagnostic.List, error) {
	strict := newLoader(disk, schema.Files())
	ctx := cuecontext.New()
	if d := moduleFinding(disk); d != nil {
		return nil, diagnostic.List{*d}, nil
	}
	definition := ctx.BuildInstance(strict.schemaPackage("project")).LookupPath(cue.MakePath(cue.Def("#Project")))
	if err := definition.Err(); err != nil {
		return nil, nil, fmt.Errorf("the embedded schema is broken: %w", err)
	}
	var value cue.Value
	inst := strict.file(projectFile, func(name string, src any, cfg parser.Config) (*ast.File, error) {
		return parseProject(strict, name, src, cfg)
	})
	failure := error(inst.Err)
	if failure == nil {
		value = ctx.BuildInstance(inst).Unify(definition)
		failure = value.Validate(cue.Concrete(true))
	}
	var raw map[string]any
	if failure == nil {
		// What is hidden as a definition is not validated, and may fail here.
		failure = decode(value, &raw)
	}
	findings, known, err := explainProject(disk, failure, value, raw)
	if err != nil {
		return nil, nil, err
	}
	if findings.HasErrors() {
		p, err := unsureProject(disk, known.raw, findings)
		if err != nil {
			return nil, nil, err
		}
		if p.unsure.knows("trackingPlan") {
			p.plan = known.plan
		}
		return p, findings, nil
	}
	p := &Project{Dir: disk.dir, plan: known.plan, Platforms: known.platforms, triggers: loadTriggers(disk)}
	if err := decode(value, p); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", projectFile, err)
	}
	for name, t := range p.Targets {
		if t.Platform == embeddedKind && t.Data == "" && t.URL == "" {
			t.Data = defaultData
			p.Targets[name] = t
		}
	}
	catalog, err := builtinCatalog(ctx, strict)
	if err != nil {
		return nil, nil, err
	}
	for name, entry := range p.Catalog {
		length := value.LookupPath(cue.MakePath(cue.Str("placeholders"), cue.Str(name), cue.Str("maxLength")))
		_, isDefault := length.Default()
		entry.Declared = !isDefault // else it is the schema's
		catalog[name] = entry
	}
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

// openParts are the parts of segue.cue that are more than values.
type openParts struct {
	plan      *trackingPlan
	platforms map[string]*description.Platform
	// raw is all that is in the value, as far as CUE can tell; nil if it can't.
	raw map[string]any
}

// explainProject finds everything that is wrong with segue.cue. The value is
// given if CUE accepted the file. It returns the parts as well that are not in
// the value.
func explainProject(disk *workspace, failure error, value cue.Value, raw map[string]any) (diagnostic.List, openParts, error) {
	var parts openParts
	files, err := newExplainer(disk, automation.Catalog{}, nil).open(".", "", []string{projectFile})
	if err != nil {
		return nil, parts, err
	}
	pkg := newExplained(files)
	if pkg.unparsed || len(pkg.torn) > 0 {
		return pkg.found, parts, nil
	}
	checkPackageClause(pkg)
	c := &checker{partial: pkg.partials}
	if failure != nil {
		var hidden []string
		value, hidden = evaluateHidingPlan(pkg)
		if pkg.refused {
			return pkg.found, parts, nil
		}
		raw, _ = pkg.raw(value, nil).(map[string]any)
		for _, name := range hidden {
			if raw != nil {
				raw[name] = broken{}
			}
		}
	}
	parts.plan = readTrackingPlan(pkg, value)
	platforms, outline := readPlatforms(pkg, value, failure == nil)
	parts.platforms = platforms
	parts.raw = raw
	if raw != nil {
		c.value(raw, shapeOf("project.#Project"), nil)
		checkProject(c, raw, outline)
	}
	for _, f := range withoutEchoes(c.found) {
		pkg.add(f, token.NoPos)
	}
	if failure != nil && !pkg.found.HasErrors() {
		pkg.cueErrors(failure, nil)
		refineMappings(pkg, 0)
	}
	if failure != nil && !pkg.found.HasErrors() {
		pkg.found = append(pkg.found, disk.findings()...) // a module did not come
	}
	for i := range pkg.found {
		if strings.HasPrefix(pkg.found[i].File, "cue.mod/") {
			pkg.found[i].Fix = nil // somebody else's package
		}
	}
	pkg.found.Sort()
	return pkg.found, parts, nil
}

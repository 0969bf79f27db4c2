package project

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/check"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/credential"
	"github.com/seguehq/segue/compiler/explain"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/resolve"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/description"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// defaultData is where the embedded platform within segue keeps its data.
const defaultData = ".segue/platform.db"

// Open reads segue.cue. With errors among the findings, the project is what can be
// told of it, so that its packages can be checked; nil if that is nothing. The guard,
// unless it is nil, is asked before the file is evaluated: it returns a finding if that
// is not to be done.
func Open(
	ctx context.Context, disk *workspace.Disk, guard func() (*diagnostic.Diagnostic, error),
) (*config.Project, diagnostic.List, error) {
	if !disk.Exists(config.ProjectFile) {
		if _, err := disk.Root.Lstat(config.ProjectFile); !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
		return nil, diagnostic.List{NoProject(disk.Dir)}, nil
	}
	if d, unfit := disk.Unfit(config.ProjectFile); unfit {
		project, err := unsureProject(disk, nil, nil)
		return project, diagnostic.List{d}, err
	}
	if guard != nil {
		d, err := guard()
		if err != nil {
			return nil, nil, err
		}
		if d != nil {
			project, err := unsureProject(disk, nil, nil)
			return project, diagnostic.List{*d}, err
		}
	}
	if project, err := decidedProject(disk); err == nil && len(disk.Findings()) == 0 && ctx.Err() == nil {
		return project, nil, nil
	}
	project, findings, err := loadProject(disk)
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	findings = append(findings, disk.Findings()...)
	source.WithinFiles(disk.Read, findings)
	credential.Conceal(disk.Read, findings)
	return project, findings, err
}

// NoProject is the finding about a folder without segue.cue.
func NoProject(root string) diagnostic.Diagnostic {
	d := finding.Diagnose("no-project", diagnostic.Diagnostic{File: config.ProjectFile,
		Message: "this folder is not a segue project: it has no segue.cue",
		Help:    "run segue init to make one, or name the project's folder: segue -C DIR COMMAND"})
	for dir := filepath.Dir(root); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, config.ProjectFile)); err == nil {
			rel, _ := filepath.Rel(root, dir)
			d.Help = "there is one above: segue -C " + filepath.ToSlash(rel) + " COMMAND"
			break
		}
	}
	return d
}

func loadProject(disk *workspace.Disk) (*config.Project, diagnostic.List, error) {
	strict := workspace.NewLoader(disk, schema.Files())
	ctx := cuecontext.New()
	if d := moduleFinding(disk); d != nil {
		return nil, diagnostic.List{*d}, nil
	}
	definition := ctx.BuildInstance(strict.SchemaPackage("project")).LookupPath(cue.MakePath(cue.Def("#Project")))
	if err := definition.Err(); err != nil {
		return nil, nil, fmt.Errorf("the embedded schema is broken: %w", err)
	}
	var value cue.Value
	inst := strict.File(config.ProjectFile, func(name string, src any, cfg parser.Config) (*ast.File, error) {
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
		failure = source.Decode(value, &raw)
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
		if p.Gaps.Knows("trackingPlan") {
			p.Plan = known.plan
		}
		return p, findings, nil
	}
	p := &config.Project{Dir: disk.Dir, Plan: known.plan, Platforms: known.platforms, Triggers: loadTriggers(disk)}
	if err := source.Decode(value, p); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", config.ProjectFile, err)
	}
	withDefaultData(p)
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

// withDefaultData says of targets on the embedded platform within segue where its data is.
func withDefaultData(p *config.Project) {
	for name, t := range p.Targets {
		if t.Platform == config.Embedded && t.Data == "" && t.URL == "" {
			t.Data = defaultData
			p.Targets[name] = t
		}
	}
}

// builtinCatalog reads the placeholders that the schema documents.
func builtinCatalog(ctx *cue.Context, l *workspace.Loader) (automation.Catalog, error) {
	v := ctx.BuildInstance(l.SchemaPackage("placeholder")).LookupPath(cue.MakePath(cue.Def("#Catalog")))
	catalog := automation.Catalog{}
	if err := source.Decode(v, &catalog); err != nil {
		return nil, fmt.Errorf("the embedded catalog of placeholders is broken: %w", err)
	}
	return catalog, nil
}

// openParts are the parts of segue.cue that are more than values.
type openParts struct {
	plan      *config.TrackingPlan
	platforms map[string]*description.Platform
	// raw is all that is in the value, as far as CUE can tell; nil if it can't.
	raw map[string]any
}

// explainProject finds everything that is wrong with segue.cue. The value is
// given if CUE accepted the file. It returns the parts as well that are not in
// the value.
func explainProject(
	disk *workspace.Disk, failure error, value cue.Value, raw map[string]any,
) (found diagnostic.List, parts openParts, err error) {
	opened, err := resolve.NewReader(disk, automation.Catalog{}, nil).Open(".", "", []string{config.ProjectFile})
	if err != nil || opened.Unparsed || len(opened.Torn) > 0 {
		if err == nil {
			found = opened.Found
		}
		return found, parts, err
	}
	clause := checkPackageClause(opened)
	p := explain.Accepted(opened, value)
	var given explain.Raw
	if failure != nil {
		var hidden []string
		p, hidden = evaluateHidingPlan(opened)
		if p.Refused {
			return slices.Concat(p.Found, clause), parts, nil
		}
		given = p.Raw(p.Value, nil, false)
		raw, _ = given.Value.(map[string]any)
		for _, name := range hidden {
			if raw != nil {
				raw[name] = shape.Broken{}
			}
		}
	}
	plan, planFound := readTrackingPlan(p)
	described := readPlatforms(p, failure == nil)
	parts = openParts{plan: plan, platforms: described.platforms, raw: raw}
	found = slices.Concat(p.Found, clause, given.Found, planFound, described.found)
	if raw != nil {
		checked := check.Rules{Partial: given.Partial}.Value(raw, shape.Of("project.#Project"), nil)
		checked = finding.WithoutEchoes(append(checked, checkProject(raw, described.outline)...))
		found = append(found, p.Index.PlaceAll(checked, "", token.NoPos)...)
	}
	if failure != nil && !found.HasErrors() {
		found = append(found, p.Errors(failure)...)
		found = refineMappings(p, found)
	}
	if failure != nil && !found.HasErrors() {
		found = append(found, disk.Findings()...) // a module did not come
	}
	for i := range found {
		if strings.HasPrefix(found[i].File, "cue.mod/") {
			found[i].Fix = nil // somebody else's package
		}
	}
	found.Sort()
	return found, parts, nil
}

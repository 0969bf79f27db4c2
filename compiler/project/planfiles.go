package project

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/explain"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/trackingplan"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// readFiles reads the files of the plan that segue.cue names.
func (r *planReader) readFiles(names []string) {
	files := planFiles{disk: r.of.Loader.Disk}
	rules := files.read(names)
	r.plan.Files = files.names
	for _, p := range files.missing {
		at := finding.Path{explain.PlanField, "jsonSchema"}
		f := finding.New("broken-plan", at, finding.AtValue, p.Message, p.Help)
		r.found = append(r.found, r.of.Index.Place(f, token.NoPos))
	}
	r.found = append(r.found, files.found...)
	if rules != nil {
		r.plan.Rules = rules
		r.plan.AnyEvent = r.plan.AnyEvent && !rules.NamesEvents()
	}
}

// planFiles are the files of a tracking plan.
type planFiles struct {
	disk  *workspace.Disk
	names []string
	// missing are problems with what segue.cue says, found those in the files.
	missing []trackingplan.Problem
	found   diagnostic.List
}

// read reads the files of some patterns. It returns nil if there is something wrong.
func (f *planFiles) read(patterns []string) *trackingplan.Plan {
	var files []trackingplan.File
	for _, pattern := range patterns {
		for _, name := range f.match(pattern) {
			if slices.Contains(f.names, name) {
				continue
			}
			content, problem := readPlanFile(f.disk, name)
			if problem != "" {
				f.problem(f.nearest(name), "the tracking plan %q %s", name, problem)
				continue
			}
			f.names = append(f.names, name)
			files = append(files, trackingplan.File{Name: name, Content: content})
		}
	}
	if f.missing != nil {
		return nil
	}
	plan, problems := trackingplan.Read(files, func(name string) ([]byte, error) {
		content, problem := readPlanFile(f.disk, name)
		if problem != "" {
			return nil, fmt.Errorf("%s %s", name, problem)
		}
		if !slices.Contains(f.names, name) {
			f.names = append(f.names, name)
		}
		return content, nil
	})
	for _, p := range append(problems, plan.Verify()...) {
		f.found = append(f.found, finding.Diagnose("broken-plan", diagnostic.Diagnostic{File: p.File, Range: p.Range,
			Message: "the tracking plan can't be read: " + p.Message, Help: p.Help}))
	}
	return plan
}

func (f *planFiles) problem(help, format string, args ...any) {
	f.missing = append(f.missing, trackingplan.Problem{Message: fmt.Sprintf(format, args...), Help: help})
}

// match lists the files that a pattern matches, in order. A name without an asterisk is
// that of one file.
func (f *planFiles) match(pattern string) []string {
	if !strings.ContainsAny(pattern, "*?[") || !filepath.IsLocal(filepath.FromSlash(pattern)) || f.disk.Exists(pattern) {
		return []string{path.Clean(pattern)}
	}
	if _, err := path.Match(pattern, ""); err != nil {
		f.problem(`write an asterisk for any name, as in "plans/*.json"`,
			"the pattern %q of the tracking plan is broken", pattern)
		return nil
	}
	dirs := []string{"."}
	var files []string
	steps := strings.Split(path.Clean(pattern), "/")
	for i, step := range steps {
		var next []string
		for _, dir := range dirs {
			entries, err := f.disk.ReadDir(dir)
			if err != nil {
				continue
			}
			for _, e := range entries {
				if ok, _ := path.Match(step, e.Name()); ok && (i < len(steps)-1 || !e.IsDir()) {
					next = append(next, path.Join(dir, e.Name()))
				}
			}
		}
		dirs, files = next, next
	}
	slices.Sort(files)
	if len(files) == 0 {
		f.problem("write a pattern that matches the files of the plan",
			"no file matches %q, which the tracking plan names", pattern)
	}
	return files
}

// nearest is the help about a file that can't be read.
func (f *planFiles) nearest(name string) string {
	var names []string
	if filepath.IsLocal(filepath.FromSlash(name)) {
		entries, err := f.disk.ReadDir(path.Dir(name))
		for _, e := range entries {
			if err == nil && slices.Contains([]string{".json", ".yaml", ".yml", ".tf", ".hcl"}, path.Ext(e.Name())) {
				names = append(names, e.Name())
			}
		}
	}
	if near := finding.Nearest(path.Base(name), names); near != "" {
		return finding.DidYouMean(path.Join(path.Dir(name), near))
	}
	return "write a path that is relative to the project's folder, and in it"
}

// readPlanFile reads a file, or says what is wrong with it.
func readPlanFile(disk *workspace.Disk, name string) (content []byte, problem string) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return nil, "is outside of the project, and nothing there is read"
	}
	content, err := disk.Read(name)
	switch {
	case err == nil:
		return content, ""
	case !disk.Exists(name) && errors.Is(err, fs.ErrNotExist):
		return nil, "does not exist"
	}
	return nil, "can't be read: " + workspace.RefusalOf(err).Message
}

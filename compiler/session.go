package compiler

import (
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"path"
	"regexp"
	"runtime"
	"slices"
	"sync"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/evaluate"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/project"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// A Session works on one project again and again: for a command that reads segue.cue
// first and compiles later, for one that watches, for an editor with text that is not
// saved. Segue.cue is evaluated once until something changes.
//
// Its methods may be called from several goroutines; they work one after the other.
type Session struct {
	opts Options

	mu      sync.Mutex
	unsaved map[string][]byte
	opened  *opened // nil until it is needed, and after a change
	kept    kept
	again   bool
}

// opened is a project as it was read.
type opened struct {
	disk     *workspace.Disk
	project  *config.Project // nil if nothing can be told of it
	findings diagnostic.List
	// told are those of the disk's findings that are among findings.
	told map[string]bool
	// settings is what segue.cue held before it was read.
	settings string
}

// NewSession returns a session on the project in opts.Dir. Nothing is read yet.
func NewSession(opts Options) *Session {
	if opts.Dir == "" {
		opts.Dir = "."
	}
	return &Session{opts: opts, unsaved: map[string][]byte{}}
}

// Again says that the project will be compiled more than once, so that it is worth the
// time to keep the results of packages in memory.
func (s *Session) Again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again = true
}

// Set puts a text in the place of a file's content on the disk. The name is relative
// to the project, with slashes; there need be no such file.
func (s *Session) Set(name string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsaved[name] = content
	s.opened = nil
}

// Unset goes back to what is on the disk.
func (s *Session) Unset(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.unsaved, name)
	s.opened = nil
}

// Forget makes the session read the disk again: something has changed there.
func (s *Session) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = nil
}

// Project returns what segue.cue says. The project is nil if there are errors among
// the findings.
func (s *Session) Project(ctx context.Context) (*config.Project, diagnostic.List, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.open(ctx)
	if err != nil || o.findings.HasErrors() {
		return nil, o.findingsOf(), err
	}
	return o.project, o.findings, nil
}

func (o *opened) findingsOf() diagnostic.List {
	if o == nil {
		return nil
	}
	return o.findings
}

// open reads segue.cue, unless that was done.
func (s *Session) open(ctx context.Context) (*opened, error) {
	if s.opened != nil {
		return s.opened, nil
	}
	disk, err := workspace.OpenProject(ctx, s.opts.Dir, maps.Clone(s.unsaved))
	if err != nil {
		return nil, err
	}
	o := &opened{disk: disk, settings: settings(disk)}
	guard := func() (*diagnostic.Diagnostic, error) { return s.opts.projectOverrun(ctx, disk, s.unsaved) }
	if o.project, o.findings, err = project.Open(ctx, disk, guard); err != nil {
		return nil, err
	}
	if o.project != nil && len(s.opts.Inputs) > 0 {
		o.project.Given = s.opts.Inputs
		if err := o.project.CheckGiven(); err != nil && o.project.Gaps.Knows("inputs") {
			return nil, err
		}
	}
	o.told = disk.Told()
	s.opened = o
	return o, nil
}

// Compile compiles the project. An empty target stands for the sources as the project
// gives them; no patterns stand for all packages.
func (s *Session) Compile(ctx context.Context, target string, patterns []string) (*Result, error) {
	return s.compile(ctx, target, patterns, nil)
}

// CompileTouched compiles the packages that depend on one of some files, whose names are
// relative to the project: those of their folders and of the folders below, and those
// that import them. It returns their folders, in order, and no result if there are none.
// A change of segue.cue touches all packages.
func (s *Session) CompileTouched(ctx context.Context, target string, names ...string) (*Result, []string, error) {
	dirs, err := s.touched(ctx, names)
	if err != nil || len(dirs) == 0 {
		return nil, nil, err
	}
	result, err := s.Compile(ctx, target, dirs)
	return result, dirs, err
}

// touched lists the folders whose packages depend on one of some files.
func (s *Session) touched(ctx context.Context, names []string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.open(ctx)
	if err != nil || o.project == nil {
		return nil, err
	}
	defer o.disk.Rest()
	e, err := evaluate.New(o.disk, o.project, "", nil, nil)
	if err != nil || slices.Contains(names, config.ProjectFile) {
		return e.Dirs, err
	}
	in := newInputs(e)
	return slices.DeleteFunc(slices.Clone(e.Dirs), func(dir string) bool {
		read, clear := in.closure(sha256.New(), []string{dir}, nil)
		return clear && !slices.ContainsFunc(names, func(name string) bool {
			return slices.Contains(read, path.Clean(name)) || path.Dir(path.Clean(name)) == dir
		})
	}), nil
}

// compile compiles the project and, unless tests is nil, runs its tests. When ctx is
// done, what could not be had is not a finding.
func (s *Session) compile(
	ctx context.Context, target string, patterns []string, tests *evaluate.TestRun,
) (*Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	result, err := s.compileAll(ctx, target, patterns, tests)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return result, err
}

func (s *Session) compileAll(
	ctx context.Context, target string, patterns []string, tests *evaluate.TestRun,
) (*Result, error) {
	o, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	o.disk.TellAgain(o.told)
	o.disk.Remember(rememberedBytes)
	defer o.disk.Rest()
	result := &Result{Diagnostics: append(diagnostic.List(nil), o.findings...)}
	if o.project == nil {
		return result, nil
	}
	if o.project.Gaps != nil {
		// Its packages are checked nevertheless, but nothing comes out.
		target, tests = "", nil
		defer func() { result.Document = automation.Document{} }()
	} else {
		result.Project = o.project
	}
	result.Document.Project = o.project.Name
	if target != "" {
		if _, ok := o.project.Targets[target]; !ok {
			_, _, err := o.project.Target(target)
			return nil, err
		}
	}
	c, err := s.compilation(o, target, patterns, tests)
	if err != nil {
		return nil, err
	}
	if c.Loader.VendoredDiffers() {
		d := finding.Diagnose("schema-version", diagnostic.Diagnostic{File: schema.VendorDir,
			Message: "the vendored schema is not the one of this segue: editors and cue check against another version",
			Help:    "run segue init to renew it"})
		result.Diagnostics = append(result.Diagnostics, d)
	}
	if result.packages, err = c.run(ctx); err != nil {
		return nil, err
	}
	return result, c.join(result, len(patterns) > 0)
}

// compilation prepares a run over the packages that patterns name.
func (s *Session) compilation(
	o *opened, target string, patterns []string, tests *evaluate.TestRun,
) (*compilation, error) {
	e, err := evaluate.New(o.disk, o.project, target, patterns, tests)
	if err != nil {
		return nil, err
	}
	return &compilation{Evaluation: e, opts: s.opts, patterns: patterns, unsaved: s.unsaved, settings: o.settings,
		kept: &s.kept, again: s.again, inputs: sync.OnceValue(func() *inputs { return newInputs(e) })}, nil
}

// rememberedBytes is how much of the files is kept in memory while a project is compiled.
const rememberedBytes = 8 << 20

// workers is how many packages are evaluated at once.
func (o Options) workers() int {
	if o.Workers > 0 {
		return o.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// errNoProject is the error of a child that is to evaluate a project without one.
var errNoProject = errors.New("nothing can be told of the project")

// regexpOf compiles an expression that was compiled before; nil for "".
func regexpOf(text string) *regexp.Regexp {
	if text == "" {
		return nil
	}
	return regexp.MustCompile(text)
}

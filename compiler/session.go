package compiler

import (
	"cmp"
	"context"
	"crypto/rand"
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

// A Session works on one project repeatedly: for a command that first reads segue.cue and later compiles, for
// watching, for an editor with unsaved text. It evaluates segue.cue once until a file changes.
//
// After [Session.Again], it also lists the folders and looks at the files once until [Session.Forget]: the caller
// announces changes on disk.
//
// Its methods may be called from several goroutines; they run one after the other.
type Session struct {
	opts Options

	mu      sync.Mutex
	unsaved map[string][]byte
	opened  *opened // nil until it is needed, and after a change
	kept    kept
	again   bool
}

// opened is a project as read.
type opened struct {
	disk     *workspace.Disk
	project  *config.Project // nil if it is unknown
	findings diagnostic.List
	// told has the names of those of the disk's findings that are in findings.
	told map[string]bool
	// settings is the content of segue.cue before it was read.
	settings string
	// seen has what is known of the files; only with again, otherwise each run looks at them again.
	seen *seen
	// lineage identifies the files of this project, apart from contents given to with; "" without seen.
	lineage string
	// reads has the files that segue.cue depends on; nil if they are not known.
	reads []string
	// results has those of the packages of folders, by target and folder.
	results map[[2]string][]evaluate.Package
}

// NewSession returns a session on the project in opts.Dir. It does not read files yet.
func NewSession(opts Options) *Session {
	if opts.Dir == "" {
		opts.Dir = "."
	}
	return &Session{opts: opts, unsaved: map[string][]byte{}}
}

// Again announces that the project will be compiled more than once, so that it pays to keep the results of
// packages in memory.
func (s *Session) Again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again = true
	s.opened = nil
}

// Set replaces a file's content on disk. The name is relative to the project, with slashes; the file
// need not exist.
func (s *Session) Set(name string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = s.opened.with(name, content)
	s.unsaved[name] = content
}

// with returns the project with another unsaved content of a file; nil if the project must be read again.
func (o *opened) with(name string, content []byte) *opened {
	if o == nil || o.seen == nil || o.reads == nil || slices.Contains(o.reads, name) {
		return nil
	}
	disk := o.disk.With(name, content)
	if disk == nil {
		return nil
	}
	next := *o
	next.disk, next.seen, next.results = disk, o.seen.without(name), map[[2]string][]evaluate.Package{}
	return &next
}

// keep keeps what is listed and read for later runs.
func (o *opened) keep(lineage string) {
	o.lineage, o.seen, o.results = lineage, newSeen(), map[[2]string][]evaluate.Package{}
	o.disk.KeepListing()
	o.follow()
}

// follow finds out what segue.cue depends on.
func (o *opened) follow() {
	e, err := evaluate.New(o.disk, o.project, "", nil, nil)
	if err != nil {
		return
	}
	names := []string{config.ProjectFile}
	if o.project.Plan != nil {
		names = append(names, o.project.Plan.Files...)
	}
	if read, clear := newInputs(e, o.seen).closure(sha256.New(), nil, names); clear {
		o.reads = append(read, config.TriggersFile)
	}
}

// Unset restores the content on disk.
func (s *Session) Unset(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.unsaved, name)
	s.opened = nil
}

// Forget makes the session read the disk again after a change.
func (s *Session) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = nil
}

// Project returns the content of segue.cue. The project is nil if the findings include errors.
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

// open reads segue.cue, unless it was already read.
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
	if s.again && o.project != nil {
		o.keep(rand.Text())
	}
	o.told = disk.Told()
	s.opened = o
	return o, nil
}

// Compile compiles the project. An empty target means the project's sources without overrides; no patterns mean
// all packages.
func (s *Session) Compile(ctx context.Context, target string, patterns []string) (*Result, error) {
	return s.compile(ctx, target, patterns, nil)
}

// CompileTouched compiles the packages that depend on one of the given files: those in their folders and the
// folders below, and those that import them. File names are relative to the project. It returns the folders in
// order, and no result if there are none. A change of segue.cue touches all packages.
func (s *Session) CompileTouched(ctx context.Context, target string, names ...string) (*Result, []string, error) {
	dirs, err := s.touched(ctx, names)
	if err != nil || len(dirs) == 0 {
		return nil, nil, err
	}
	result, err := s.Compile(ctx, target, dirs)
	return result, dirs, err
}

// touched lists the folders whose packages depend on one of the given files.
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
	in := newInputs(e, cmp.Or(o.seen, newSeen()))
	return slices.DeleteFunc(slices.Clone(e.Dirs), func(dir string) bool {
		read, clear := in.closure(sha256.New(), []string{dir}, nil)
		return clear && !slices.ContainsFunc(names, func(name string) bool {
			return slices.Contains(read, path.Clean(name)) || path.Dir(path.Clean(name)) == dir
		})
	}), nil
}

// compile compiles the project and, unless tests is nil, runs its tests. If ctx is done, it returns the cause
// instead of findings.
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
		// The packages are checked anyway, but the document stays empty.
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
			Message: "the vendored schema differs from this version of segue, so editors and cue check against another version",
			Help:    "run segue init to update it"})
		result.Diagnostics = append(result.Diagnostics, d)
	}
	if result.packages, err = c.run(ctx); err != nil {
		return nil, err
	}
	return result, c.join(result, len(patterns) > 0)
}

// compilation prepares a run over the packages that match the patterns.
func (s *Session) compilation(
	o *opened, target string, patterns []string, tests *evaluate.TestRun,
) (*compilation, error) {
	e, err := evaluate.New(o.disk, o.project, target, patterns, tests)
	if err != nil {
		return nil, err
	}
	return &compilation{Evaluation: e, opts: s.opts, patterns: patterns, unsaved: s.unsaved, settings: o.settings,
		kept: &s.kept, again: s.again, same: o.results, lineage: o.lineage,
		inputs: sync.OnceValue(func() *inputs { return newInputs(e, cmp.Or(o.seen, newSeen())) })}, nil
}

// rememberedBytes is the size of the file contents that are kept in memory while a project is compiled, in
// bytes.
const rememberedBytes = 8 << 20

// workers returns the number of packages that are evaluated at once.
func (o Options) workers() int {
	if o.Workers > 0 {
		return o.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// errNoProject is the error of a child whose project has no valid segue.cue.
var errNoProject = errors.New("the project is unknown")

// regexpOf compiles an expression that is known to be valid; nil for "".
func regexpOf(text string) *regexp.Regexp {
	if text == "" {
		return nil
	}
	return regexp.MustCompile(text)
}

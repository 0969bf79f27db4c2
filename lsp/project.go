package lsp

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// A project is a folder with a segue.cue. One goroutine checks its newest texts, as long as there are newer ones.
//
// A check has three steps: the folders of the changed files, then the packages that depend on them, then all
// packages, whose automations are compared. Each publishes its findings. The first step is never given up, so that
// somebody who types without a pause sees findings too; the others end when something changes.
type project struct {
	dir     string
	session *compiler.Session
	publish func(publishParams)
	// failed is called with the error of a check: the files can't be read.
	failed func(error)

	mu   sync.Mutex
	open map[string]*document // by name
	// dirty has the names of the files that changed since the last complete check, and fresh those among them that no
	// check has begun with.
	dirty, fresh map[string]bool
	// reread means that files on disk have changed.
	reread bool
	// cancel ends the later steps of a check.
	cancel context.CancelCauseFunc
	// waiting is closed when all is checked, and taking when a check has begun with the newest texts.
	waiting, taking []chan struct{}
	wake            chan struct{}
	ended           chan struct{} // closed by stop
	view            *view
	// published has what the editor shows, by name.
	published map[string]publishParams
}

// A view is the outcome of a check. It never changes.
type view struct {
	dir string
	// settings is the content of segue.cue, as of the last time that it had no errors; nil if it never had.
	settings *config.Project
	// result is that of the last complete check, nil before.
	result *compiler.Result
	// texts are those that were checked, and findings what was found in them, by name.
	texts    textSource
	findings map[string]diagnostic.List
	byKey    func() map[string]int // into result.Document.Automations
}

// errNewer ends a check because there is a newer text.
var errNewer = errors.New("the files have changed")

func newProject(dir string, options compiler.Options, publish func(publishParams), failed func(error)) *project {
	options.Dir = dir
	p := &project{dir: dir, session: compiler.NewSession(options), publish: publish, failed: failed,
		open: map[string]*document{}, dirty: map[string]bool{}, fresh: map[string]bool{}, wake: make(chan struct{}, 1), ended: make(chan struct{}),
		published: map[string]publishParams{}}
	p.session.Again()
	return p
}

// set gives the project the text of a file; nil for the one on disk.
func (p *project) set(name string, doc *document) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if doc == nil {
		delete(p.open, name)
	} else {
		p.open[name] = doc
	}
	p.changed(name)
}

// forget announces that files on disk may have changed; without names, any of them.
func (p *project) forget(names ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reread = true
	if len(names) == 0 {
		names = []string{config.ProjectFile}
	}
	p.changed(names...)
}

// changed makes the project check again. The caller holds the lock.
func (p *project) changed(names ...string) {
	for _, name := range names {
		p.dirty[name], p.fresh[name] = true, true
	}
	if p.cancel != nil {
		p.cancel(errNewer)
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// stop ends the checks of a project that is gone, and removes its findings from the editor.
func (p *project) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.ended)
	if p.cancel != nil {
		p.cancel(errNewer)
	}
	for _, name := range slices.Sorted(maps.Keys(p.published)) {
		p.publish(publishParams{URI: p.published[name].URI, Diagnostics: []lspDiagnostic{}})
	}
	p.publish = func(publishParams) {}
}

// drop takes a document back that belongs to another project now.
func (p *project) drop(doc *document) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if name := nameIn(p.dir, doc.path); p.open[name] != nil {
		delete(p.open, name)
		p.changed(name)
	}
}

// settled returns when all texts that the project has now are checked.
func (p *project) settled(ctx context.Context) error { return p.wait(ctx, &p.waiting) }

// taken returns when the session has all texts that the project has now.
func (p *project) taken(ctx context.Context) error {
	p.mu.Lock()
	done := len(p.fresh) == 0 && !p.reread
	p.mu.Unlock()
	if done {
		return nil
	}
	return p.wait(ctx, &p.taking)
}

func (p *project) wait(ctx context.Context, list *[]chan struct{}) error {
	done := make(chan struct{})
	p.mu.Lock()
	*list = append(*list, done)
	select {
	case p.wake <- struct{}{}:
	default:
	}
	p.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// current returns the last view, nil before the first.
func (p *project) current() *view {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.view
}

// run checks until ctx is done.
func (p *project) run(ctx context.Context) {
	unsaved := map[string]*document{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.ended:
			return
		case <-p.wake:
		}
		p.check(ctx, unsaved)
		p.mu.Lock()
		if len(p.dirty) == 0 && !p.reread {
			release(&p.waiting)
		}
		p.mu.Unlock()
	}
}

// release lets all go on that wait.
func release(list *[]chan struct{}) {
	for _, done := range *list {
		close(done)
	}
	*list = nil
}

// A round is one check of a project.
type round struct {
	*project
	texts textSource
	// fresh and dirty are the names of changed files.
	fresh, dirty []string
	// later is done when the files change.
	later context.Context
}

// begin takes the newest texts over into the session. unsaved has those that it has.
func (p *project) begin(ctx context.Context, unsaved map[string]*document) (round, context.CancelCauseFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	later, cancel := context.WithCancelCause(ctx)
	p.cancel = cancel
	r := round{project: p, texts: textSource{p.dir, maps.Clone(p.open)}, later: later,
		fresh: slices.Sorted(maps.Keys(p.fresh)), dirty: slices.Sorted(maps.Keys(p.dirty))}
	p.fresh = map[string]bool{}
	if p.reread {
		p.session.Forget()
		p.reread = false
	}
	for name := range unsaved {
		if p.open[name] == nil {
			p.session.Unset(name)
			delete(unsaved, name)
		}
	}
	for name, doc := range p.open {
		if old := unsaved[name]; old == nil || old.text != doc.text {
			p.session.Set(name, []byte(doc.text))
		}
		unsaved[name] = doc
	}
	release(&p.taking)
	return r, cancel
}

// check checks the newest texts.
func (p *project) check(ctx context.Context, unsaved map[string]*document) {
	r, cancel := p.begin(ctx, unsaved)
	defer cancel(nil)
	if len(r.dirty) == 0 && p.current() != nil {
		return
	}
	err := r.steps(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancel = nil
	switch {
	case r.later.Err() != nil:
		return // the next check has all that is dirty
	case err != nil:
		p.failed(err)
	}
	for _, name := range r.dirty {
		if !p.fresh[name] {
			delete(p.dirty, name)
		}
	}
}

// steps are those of a check.
func (r round) steps(ctx context.Context) error {
	if _, _, err := r.session.Project(ctx); err != nil { // what it opens is used by later checks, too
		return err
	}
	if dirs := r.folders(); len(dirs) > 0 {
		if err := r.touched(ctx, dirs); err != nil {
			return err
		}
	}
	if v := r.current(); v != nil && v.result != nil && len(v.result.Document.Automations) > manyAutomations && !r.rest() {
		return nil
	}
	result, err := r.session.Compile(r.later, "", nil)
	if err != nil {
		return err
	}
	if err := r.testFiles(result); err != nil {
		return err
	}
	r.show(result, nil)
	return nil
}

// manyAutomations is the number of automations from which comparing them all is large work.
const manyAutomations = 1000

// touched does the first two steps: the folders of the changed files, and the packages that depend on them.
func (r round) touched(ctx context.Context, dirs []string) error {
	in := func(name string) bool { return slices.Contains(dirs, path.Dir(name)) }
	if r.narrowed(ctx) {
		if !r.rest() {
			return nil
		}
		ctx = r.later
	}
	result, err := r.session.Compile(ctx, "", dirs)
	if err != nil {
		return nil // a folder has no package any more; the last step checks the others
	}
	r.show(result, in)
	if result, dirs, err = r.session.CompileTouched(r.later, "", r.dirty...); err != nil || result == nil {
		return err
	}
	r.show(result, in)
	return nil
}

// folders returns the folders of the changed packages that are known to a complete check; none if all are to be
// checked: at first, and after a change of segue.cue or of a file that is not CUE.
func (r round) folders() []string {
	v := r.current()
	if v == nil || v.result == nil || v.settings == nil {
		return nil
	}
	var dirs []string
	for _, name := range r.fresh {
		if name == config.ProjectFile || !workspace.IsSource(name) {
			return nil
		}
		if dir := path.Dir(name); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// testFiles adds the findings of the test files that are open. Vet does not read them.
func (r round) testFiles(result *compiler.Result) error {
	var dirs []string
	for name := range r.texts.open {
		if dir := path.Dir(name); workspace.IsTestFile(name) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) == 0 {
		return nil
	}
	slices.Sort(dirs)
	report, err := r.session.Test(r.later, "", dirs, nil)
	if err != nil {
		return err
	}
	for _, d := range report.Diagnostics {
		if workspace.IsTestFile(path.Base(d.File)) {
			result.Diagnostics = append(result.Diagnostics, d)
		}
	}
	return nil
}

// show makes the result of a step the current view and publishes its findings. only selects the files that it is
// about; nil means all.
func (r round) show(result *compiler.Result, only func(name string) bool) {
	p := r.project
	p.mu.Lock()
	defer p.mu.Unlock()
	next := &view{dir: p.dir, texts: r.texts, settings: result.Project, findings: map[string]diagnostic.List{}}
	found := byFile(result.Diagnostics, func(name string) bool {
		if r.texts.open[name] != nil {
			return true
		}
		info, err := os.Stat(filepath.Join(p.dir, filepath.FromSlash(name)))
		return err == nil && info.Mode().IsRegular()
	})
	if last := p.view; last != nil {
		next.result = last.result
		if next.settings == nil {
			next.settings = last.settings
		}
		if only != nil {
			for name, list := range last.findings {
				if !only(name) {
					next.findings[name] = list
				}
			}
		}
	}
	for name, list := range found {
		if only == nil || only(name) || len(next.findings[name]) == 0 {
			next.findings[name] = list
		}
	}
	if only == nil {
		next.result = result
	}
	next.byKey = sync.OnceValue(next.index)
	p.view = next
	p.publishAll(next, only)
}

// publishAll publishes the findings that differ from those that the editor shows.
func (p *project) publishAll(v *view, only func(name string) bool) {
	names := maps.Clone(p.published)
	for name := range v.findings {
		names[name] = publishParams{}
	}
	for name := range v.texts.open {
		names[name] = publishParams{}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if only != nil && !only(name) {
			continue
		}
		doc := v.texts.document(name)
		params := publishParams{URI: doc.uri, Diagnostics: v.texts.shown(doc, v.findings[name])}
		if v.texts.open[name] != nil {
			params.Version = &doc.version
		}
		last, known := p.published[name]
		if known && reflect.DeepEqual(last, params) || !known && params.Version == nil && len(params.Diagnostics) == 0 {
			continue
		}
		if p.published[name] = params; params.Version == nil && len(params.Diagnostics) == 0 {
			delete(p.published, name)
		}
		p.publish(params)
	}
}

func (v *view) index() map[string]int {
	out := map[string]int{}
	if v.result != nil {
		for i, a := range v.result.Document.Automations {
			out[a.Key] = i
		}
	}
	return out
}

// callOf returns the call that an automation made at the last complete check, "" if it is unknown.
func (v *view) callOf(key string) string {
	i, ok := v.byKey()[key]
	if !ok {
		return ""
	}
	a, err := v.result.Document.Automations[i].Decode()
	if err != nil {
		return ""
	}
	call := path.Base(a.Action.URL)
	if _, ok := schema.Calls[call]; ok && isMessage(a.Action.Payload) {
		return call
	}
	return "http"
}

// isMessage reports whether a payload is one of a call.
func isMessage(payload json.RawMessage) bool {
	var m map[string]json.RawMessage
	return json.Unmarshal(payload, &m) == nil && (m["userId"] != nil || m["anonymousId"] != nil)
}

// rootOf returns the folder of the project that a file belongs to: the nearest one above it that has a segue.cue;
// "" if there is none. unsaved reports whether a file is open that is not on disk yet.
func rootOf(file string, unsaved func(path string) bool) string {
	for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
		settings := filepath.Join(dir, config.ProjectFile)
		if info, err := os.Stat(settings); err == nil && info.Mode().IsRegular() || unsaved(settings) {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// nameIn returns the name of a file in a project, with slashes.
func nameIn(dir, file string) string {
	name, err := filepath.Rel(dir, file)
	if err != nil {
		return ""
	}
	return filepath.ToSlash(name)
}

// isCUE reports whether a file is CUE.
func isCUE(name string) bool { return strings.HasSuffix(name, ".cue") }

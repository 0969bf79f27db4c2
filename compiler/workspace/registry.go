package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/mod/modconfig"
	"cuelang.org/go/mod/modfile"
	"cuelang.org/go/mod/modregistry"
	"cuelang.org/go/mod/module"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// How long a run waits for a module registry that says nothing, and how long for all
// modules.
var (
	RegistrySilence  = 20 * time.Second
	registryPatience = 5 * time.Minute
)

// A registry is where CUE finds the packages of other modules: in CUE's cache, or
// else at a module registry, whose address is the environment's and not the
// project's. It waits for a bounded time, and not after its context is done. When
// it has failed once, it fails at once.
type registry struct {
	// ctx is kept, for CUE's loader passes none on.
	ctx    context.Context
	client modconfig.LazyRegistry
	// patient is done when the waiting is over; it starts with the first question.
	patient func() context.Context

	mu sync.Mutex
	// failed is the first failure of the registry itself.
	failed *registryFailure
}

// A registryFailure is a module that did not come.
type registryFailure struct {
	module string
	err    error
}

func newRegistry(ctx context.Context) *registry {
	r := &registry{ctx: ctx}
	r.client.New = func() (modconfig.CachedRegistry, error) {
		return modconfig.NewRegistry(&modconfig.Config{Transport: registryTransport()})
	}
	r.patient = sync.OnceValue(func() context.Context {
		late := fmt.Errorf("it was not done within %v", registryPatience)
		patient, cancel := context.WithTimeoutCause(ctx, registryPatience, late)
		context.AfterFunc(patient, cancel)
		return patient
	})
	return r
}

// registryTransport is Go's own, which does not wait for ever.
func registryTransport() http.RoundTripper {
	dialer := &net.Dialer{Timeout: RegistrySilence}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return impatientConn{conn}, nil
	}
	return t
}

// An impatientConn gives up when nothing comes for a while.
type impatientConn struct{ net.Conn }

func (c impatientConn) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(RegistrySilence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c impatientConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(RegistrySilence)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// ModFile returns the module file of a module.
func (r *registry) ModFile(_ context.Context, m module.Version) (*modfile.File, error) {
	return ask(r, m.String(), func(ctx context.Context) (*modfile.File, error) { return r.client.ModFile(ctx, m) })
}

// Fetch returns where the files of a module are, and gets them if they are not
// there.
func (r *registry) Fetch(_ context.Context, m module.Version) (module.SourceLoc, error) {
	return ask(r, m.String(), func(ctx context.Context) (module.SourceLoc, error) { return r.client.Fetch(ctx, m) })
}

// FetchFromCache returns where the files of a module are, if they are there.
func (r *registry) FetchFromCache(m module.Version) (module.SourceLoc, error) {
	return r.client.FetchFromCache(m)
}

// ModuleVersions lists the versions of a module.
func (r *registry) ModuleVersions(_ context.Context, path string) ([]string, error) {
	return ask(r, path, func(ctx context.Context) ([]string, error) { return r.client.ModuleVersions(ctx, path) })
}

// ask puts a question to the registry. Who waits for another process's lock on the
// cache is left behind when the time is over.
func ask[T any](r *registry, about string, question func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if err := r.Failure(); err != nil {
		return none, err
	}
	ctx := r.patient()
	done := make(chan answer, 1)
	go func() {
		value, err := question(ctx)
		done <- answer{value, err}
	}()
	var a answer
	select {
	case a = <-done:
	case <-ctx.Done():
		a.err = context.Cause(ctx)
	}
	if a.err != nil && ctx.Err() != nil {
		a.err = context.Cause(ctx) // and not that a request was cancelled
	}
	if timeout := net.Error(nil); errors.As(a.err, &timeout) && timeout.Timeout() {
		a.err = fmt.Errorf("it did not answer within %v", RegistrySilence)
	}
	if errors.Is(a.err, modregistry.ErrNotFound) {
		a.err = errors.New("it has no such module")
	}
	if a.err != nil {
		r.fail(about, a.err)
	}
	return a.value, a.err
}

func (r *registry) Failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		return nil
	}
	return r.failed.err
}

// fail remembers that a module did not come.
func (r *registry) fail(about string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = &registryFailure{module: about, err: err}
	}
}

// Causes reports whether CUE's error is that a module did not come.
func (r *registry) Causes(err error) bool {
	failure := r.Failure()
	return failure != nil && slices.ContainsFunc(cueerrors.Errors(err), func(e cueerrors.Error) bool {
		return strings.Contains(e.Error(), failure.Error())
	})
}

// finding says that a module did not come, nil if all did that were asked for.
func (r *registry) finding(w *Disk) *diagnostic.Diagnostic {
	r.mu.Lock()
	failed := r.failed
	r.mu.Unlock()
	if failed == nil {
		return nil
	}
	why := strings.TrimPrefix(failed.err.Error(), "module "+failed.module+": ")
	d := finding.Diagnose("module-unavailable", diagnostic.Diagnostic{File: ModuleFileName,
		Message: fmt.Sprintf("the module registry does not provide %s: %s", failed.module, why),
		Help: "see that the registry can be reached (CUE_REGISTRY names it), " +
			"or remove the module from deps if nothing imports it"})
	modulePath, _, _ := strings.Cut(failed.module, "@")
	if file, r, ok := importOf(w, ".", modulePath); ok {
		d.File, d.Range = file, r
		d.Help = "see that the registry can be reached (CUE_REGISTRY names it)"
		return &d
	}
	if content, err := w.Read(ModuleFileName); err == nil {
		if at := bytes.Index(content, []byte(modulePath)); at >= 0 {
			d.Range = source.ContentRange(content, at, at+len(modulePath))
		}
	}
	return &d
}

// importOf finds the first import of a module's package in the files of a folder and of
// those below.
func importOf(w *Disk, dir, module string) (file string, r diagnostic.Range, ok bool) {
	entries, err := w.ReadDir(dir)
	if err != nil {
		return "", r, false
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case ignoredName(e.Name()) || e.Name() == "cue.mod":
		case e.IsDir():
			if file, r, ok = importOf(w, name, module); ok {
				return file, r, true
			}
		case strings.HasSuffix(e.Name(), ".cue"):
			if r, ok = importIn(w, name, module); ok {
				return name, r, true
			}
		}
	}
	return "", r, false
}

func importIn(w *Disk, name, module string) (r diagnostic.Range, ok bool) {
	content, err := w.Read(name)
	if err != nil || !bytes.Contains(content, []byte(module)) {
		return r, false
	}
	f, _ := parser.ParseFile(name, content, parser.ImportsOnly)
	if f == nil {
		return r, false
	}
	for spec := range f.ImportSpecs() {
		imported, err := literal.Unquote(spec.Path.Value)
		rest, below := strings.CutPrefix(imported, module)
		if err == nil && below && (rest == "" || strings.ContainsAny(rest[:1], "/@:")) {
			return source.RangeOf(spec.Path.Pos(), spec.Path.End()), true
		}
	}
	return r, false
}

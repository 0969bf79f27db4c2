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

// RegistrySilence is how long a run waits for a module registry that does not respond, registryPatience for all
// modules.
var (
	RegistrySilence  = 20 * time.Second
	registryPatience = 5 * time.Minute
)

// A registry gives CUE the packages of other modules, from CUE's cache or else from a module registry. Its
// address comes from the environment, not from the project. It waits for a bounded time, and at most until its
// context is done. After the first failure, it fails immediately.
type registry struct {
	// ctx is stored because CUE's loader does not pass one on.
	ctx    context.Context
	client modconfig.LazyRegistry
	// patient is done when waiting ends. Its time starts with the first request.
	patient func() context.Context

	mu sync.Mutex
	// failed is the first failure of the registry itself.
	failed *registryFailure
}

// A registryFailure is a module that could not be fetched.
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
		late := fmt.Errorf("it did not finish within %v", registryPatience)
		patient, cancel := context.WithTimeoutCause(ctx, registryPatience, late)
		context.AfterFunc(patient, cancel)
		return patient
	})
	return r
}

// registryTransport returns Go's default transport with timeouts.
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

// An impatientConn gives up when the other side does not respond for a while.
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

// Fetch returns the location of a module's files, and downloads them if necessary.
func (r *registry) Fetch(_ context.Context, m module.Version) (module.SourceLoc, error) {
	return ask(r, m.String(), func(ctx context.Context) (module.SourceLoc, error) { return r.client.Fetch(ctx, m) })
}

// FetchFromCache returns the location of a module's files if they are in the cache.
func (r *registry) FetchFromCache(m module.Version) (module.SourceLoc, error) {
	return r.client.FetchFromCache(m)
}

// ModuleVersions lists the versions of a module.
func (r *registry) ModuleVersions(_ context.Context, path string) ([]string, error) {
	return ask(r, path, func(ctx context.Context) ([]string, error) { return r.client.ModuleVersions(ctx, path) })
}

// ask sends a request to the registry. When the time is over, it stops waiting, even for another process's lock
// on the cache.
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
		a.err = context.Cause(ctx) // rather than "request cancelled"
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

// fail remembers that a module could not be fetched.
func (r *registry) fail(about string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = &registryFailure{module: about, err: err}
	}
}

// Causes reports whether an error from CUE is about a module that could not be fetched.
func (r *registry) Causes(err error) bool {
	failure := r.Failure()
	return failure != nil && slices.ContainsFunc(cueerrors.Errors(err), func(e cueerrors.Error) bool {
		return strings.Contains(e.Error(), failure.Error())
	})
}

// finding returns the finding about a module that could not be fetched, nil if there is none.
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
		Help: "make sure that the registry is reachable (CUE_REGISTRY names it), " +
			"or remove the module from deps if nothing imports it"})
	help := "see that the registry can be reached (CUE_REGISTRY names it)"
	if strings.Contains(why, "system cache directory") { // the registry was not asked
		d.Message = fmt.Sprintf("CUE has no folder to keep the module %s in: neither HOME nor XDG_CACHE_HOME is set",
			failed.module)
		help = "set HOME, or CUE_CACHE_DIR to a folder"
		d.Help = help
	}
	modulePath, _, _ := strings.Cut(failed.module, "@")
	if file, r, ok := importOf(w, ".", modulePath); ok {
		d.File, d.Range, d.Help = file, r, help
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

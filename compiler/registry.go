package compiler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/mod/modconfig"
	"cuelang.org/go/mod/modfile"
	"cuelang.org/go/mod/modregistry"
	"cuelang.org/go/mod/module"

	"github.com/seguehq/segue/diagnostic"
)

// registryPatience is how long a run waits for a module registry, all in all.
var registryPatience = 30 * time.Second

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
	// folders are where the modules are that were fetched.
	folders []string
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
		patient, cancel := context.WithTimeoutCause(ctx, registryPatience, fmt.Errorf("it did not answer within %v", registryPatience))
		context.AfterFunc(patient, cancel)
		return patient
	})
	return r
}

// registryTransport is Go's own, which does not wait for ever for a connection.
func registryTransport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: registryPatience / 3}).DialContext
	return t
}

// ModFile returns the module file of a module.
func (r *registry) ModFile(_ context.Context, m module.Version) (*modfile.File, error) {
	return ask(r, m.String(), func(ctx context.Context) (*modfile.File, error) { return r.client.ModFile(ctx, m) })
}

// Fetch returns where the files of a module are, and gets them if they are not
// there.
func (r *registry) Fetch(_ context.Context, m module.Version) (module.SourceLoc, error) {
	loc, err := ask(r, m.String(), func(ctx context.Context) (module.SourceLoc, error) { return r.client.Fetch(ctx, m) })
	r.keep(loc)
	return loc, err
}

// FetchFromCache returns where the files of a module are, if they are there.
func (r *registry) FetchFromCache(m module.Version) (module.SourceLoc, error) {
	loc, err := r.client.FetchFromCache(m)
	r.keep(loc)
	return loc, err
}

// ModuleVersions lists the versions of a module.
func (r *registry) ModuleVersions(_ context.Context, path string) ([]string, error) {
	return ask(r, path, func(ctx context.Context) ([]string, error) { return r.client.ModuleVersions(ctx, path) })
}

// keep remembers where a module is.
func (r *registry) keep(loc module.SourceLoc) {
	fsys, ok := loc.FS.(module.OSRootFS)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.folders = append(r.folders, fsys.OSRoot())
}

// holds reports whether a full path is in a module that was fetched.
func (r *registry) holds(full string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, dir := range r.folders {
		if full == dir || strings.HasPrefix(full, dir+string(os.PathSeparator)) {
			return true
		}
	}
	return false
}

// ask puts a question to the registry. Who waits for another process's lock on the
// cache is left behind when the time is over.
func ask[T any](r *registry, about string, question func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if err := r.failure(); err != nil {
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
	if a.err != nil {
		r.fail(about, a.err)
	}
	return a.value, a.err
}

func (r *registry) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		return nil
	}
	return r.failed.err
}

// fail remembers that the registry is of no use. That it does not have a module
// is an answer.
func (r *registry) fail(about string, err error) {
	if errors.Is(err, modregistry.ErrNotFound) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = &registryFailure{module: about, err: err}
	}
}

// causes reports whether CUE's error is that a module did not come.
func (r *registry) causes(err error) bool {
	failure := r.failure()
	return failure != nil && slices.ContainsFunc(cueerrors.Errors(err), func(e cueerrors.Error) bool {
		return strings.Contains(e.Error(), failure.Error())
	})
}

// finding says that a module did not come, nil if all did that were asked for.
func (r *registry) finding(w *workspace) *diagnostic.Diagnostic {
	r.mu.Lock()
	failed := r.failed
	r.mu.Unlock()
	if failed == nil {
		return nil
	}
	d := &diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "module-unavailable", File: moduleFile,
		Message: fmt.Sprintf("the module %s can't be had from the module registry: %v", failed.module, failed.err),
		Help:    "see that the registry can be reached (CUE_REGISTRY names it), or remove the module from deps if nothing imports it"}
	path, _, _ := strings.Cut(failed.module, "@")
	if content, err := w.read(moduleFile); err == nil {
		if at := bytes.Index(content, []byte(path)); at >= 0 {
			d.Range = contentRange(content, at, at+len(path))
		}
	}
	return d
}

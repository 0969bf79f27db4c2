package sync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/trust"
)

// DefaultSecretTimeout is the time that a file or a command may take to provide a
// secret.
const DefaultSecretTimeout = 30 * time.Second

// secretParallelism is the number of secrets fetched at a time.
const secretParallelism = 4

// secretLimit is the maximum size of a secret's text, in bytes.
const secretLimit = 64 << 10

// A SecretUse is one place that refers to a secret.
type SecretUse struct {
	// Secret is the secret's name.
	Secret string
	// Where is the place, for people: "growth/account-activated, header
	// Authorization".
	Where string
	// BasicUser is true if it is the user name of Basic credentials, which must
	// not contain a colon (RFC 7617).
	BasicUser bool
	// PrivateKey says that it is one, in PEM, and nothing else.
	PrivateKey bool
}

// SecretUses returns every reference to a secret in the automations, in their
// order and by name of header.
func SecretUses(automations []automation.Automation) []SecretUse {
	var uses []SecretUse
	for _, a := range automations {
		for _, header := range slices.Sorted(maps.Keys(a.Action.Headers)) {
			h := a.Action.Headers[header]
			for _, name := range h.SecretNames() {
				uses = append(uses, SecretUse{Secret: name, Where: a.Key + ", header " + header, BasicUser: name == h.Username.Secret})
			}
		}
	}
	return uses
}

// A SecretResolver finds the values of secrets.
type SecretResolver struct {
	// Dir is the project's directory.
	Dir string
	// Sources names another place than the environment for some secrets.
	Sources map[string]automation.SecretSource
	// LookupEnv reads an environment variable, [os.LookupEnv] if it is nil.
	LookupEnv func(string) (string, bool)
	// Trusted reports whether the command of a secret may run, or its file may
	// be outside of the project. Nil trusts none.
	Trusted func(name string) bool
	// Mask has secrets that are known already: no error shows them. It may be nil.
	Mask *automation.Mask
	// Timeout bounds each file and command, [DefaultSecretTimeout] if it is zero.
	Timeout time.Duration
}

// Resolve returns the value of every secret that is used, each fetched once and
// read by [automation.ParseSecret], or [automation.ParsePrivateKey] for a private key. Those that can't be had or used are reported
// together in a [*MissingSecretsError].
func (r SecretResolver) Resolve(ctx context.Context, uses []SecretUse) (map[string]automation.Secret, error) {
	where := map[string][]string{}
	forms := map[string]secretForm{}
	for _, u := range uses {
		where[u.Secret] = append(where[u.Secret], u.Where)
		f, several := forms[u.Secret]
		forms[u.Secret] = secretForm{basicUser: f.basicUser || u.BasicUser, privateKey: u.PrivateKey && (f.privateKey || !several)}
	}
	names := slices.Sorted(maps.Keys(where))
	values := make([]automation.Secret, len(names))
	errs := make([]error, len(names))
	var g errgroup.Group
	g.SetLimit(secretParallelism)
	for i, name := range names {
		g.Go(func() error {
			values[i], errs[i] = r.fetch(ctx, name, forms[name])
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs

	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("resolve secrets: %w", context.Cause(ctx))
	}
	secrets := make(map[string]automation.Secret, len(names))
	var missing []MissingSecret
	for i, name := range names {
		if errs[i] != nil {
			missing = append(missing, MissingSecret{Name: name, Uses: where[name], Source: r.Sources[name], Err: errs[i]})
			continue
		}
		secrets[name] = values[i]
	}
	if len(missing) > 0 {
		return nil, &MissingSecretsError{missing}
	}
	return secrets, nil
}

// A secretForm says what the value of a secret has to be like.
type secretForm struct{ basicUser, privateKey bool }

func (f secretForm) parse(text string) (automation.Secret, error) {
	if f.privateKey {
		return automation.ParsePrivateKey(text)
	}
	return automation.ParseSecret(text)
}

// fetch returns one value. Its errors hold no value that a source has given.
func (r SecretResolver) fetch(ctx context.Context, name string, form secretForm) (automation.Secret, error) {
	timeout := r.Timeout
	if timeout <= 0 {
		timeout = DefaultSecretTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("took longer than %v", timeout))
	defer cancel()
	source := r.Sources[name]
	trusted := r.Trusted != nil && r.Trusted(name)
	var text, from string
	var err error
	switch {
	case len(source.Exec) > 0:
		from = "what the command " + source.Exec[0] + " prints"
		if !trusted {
			return automation.Secret{}, fmt.Errorf("the command %s may not run: nobody has allowed it", source.Exec[0])
		}
		text, err = r.output(ctx, source.Exec)
	case source.File != "":
		from = "the file " + source.File
		text, err = r.read(ctx, source.File, trusted)
	default:
		from = "the environment variable " + variable(source, name)
		text, err = r.environment(variable(source, name))
	}
	if err != nil {
		return automation.Secret{}, err
	}
	value, err := form.parse(text)
	switch {
	case err != nil && strings.TrimSpace(text) == "":
		return value, fmt.Errorf("%s %w", from, err)
	case err != nil:
		return value, &unusableError{fmt.Errorf("%s %w", from, err)}
	case form.basicUser && strings.Contains(value.Reveal(), ":"):
		return automation.Secret{}, &unusableError{fmt.Errorf("%s contains a colon, which the user name of Basic credentials can't have", from)}
	}
	return value, nil
}

// environment reads an environment variable.
func (r SecretResolver) environment(name string) (string, error) {
	lookup := r.LookupEnv
	if lookup == nil {
		lookup = os.LookupEnv
	}
	text, ok := lookup(name)
	if !ok {
		return "", fmt.Errorf("the environment variable %s is not set", name)
	}
	return text, nil
}

// read reads a file. A pipe is one too, such as /dev/fd/63 of a shell's <(...);
// a device, which may never end, is not. One outside of the project must be
// trusted.
func (r SecretResolver) read(ctx context.Context, file string, trusted bool) (string, error) {
	path := file
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.Dir, path)
	}
	open := func() (*os.File, error) { return os.Open(path) }
	inside, ok := trust.Inside(r.Dir, file)
	switch {
	case !ok && !trusted:
		return "", fmt.Errorf("the file %s may not be read: it is outside of the project, and nobody has allowed it", file)
	case ok:
		// Should a link lead out by now, it is not followed.
		open = func() (*os.File, error) { return os.OpenInRoot(r.Dir, inside) }
	}
	stat, err := os.Stat(path)
	if err == nil && stat.Mode()&fs.ModeType&^fs.ModeNamedPipe != 0 {
		return "", fmt.Errorf("%s is not a file", file)
	}
	type content struct {
		text []byte
		err  error
	}
	done := make(chan content, 1)
	// Nothing ends the wait for a pipe that nobody writes to: then the goroutine
	// is left behind.
	go func() {
		var c content
		if c.err = err; c.err == nil {
			c.text, c.err = readStart(open)
		}
		done <- c
	}()
	select {
	case <-ctx.Done():
		return "", fmt.Errorf("reading the file %s %w", file, context.Cause(ctx))
	case c := <-done:
		var pathErr *fs.PathError
		if errors.As(c.err, &pathErr) {
			c.err = pathErr.Err
		}
		switch {
		case c.err != nil:
			return "", fmt.Errorf("the file %s can't be read: %w", file, c.err)
		case len(c.text) > secretLimit:
			return "", fmt.Errorf("the file %s is too long for a secret: over %d KB", file, secretLimit>>10)
		}
		return string(c.text), nil
	}
}

// readStart reads a file, or of one that is too long, enough to tell.
func readStart(open func() (*os.File, error)) ([]byte, error) {
	f, err := open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, secretLimit+1))
}

// variable returns the environment variable that the source of a secret reads.
func variable(s automation.SecretSource, secret string) string {
	return cmp.Or(s.Env, secret)
}

// An unusableError is the error of an unusable value.
type unusableError struct{ error }

func (e *unusableError) Unwrap() error { return e.error }

// A MissingSecret is a secret that has no value, or none that can be used.
type MissingSecret struct {
	Name string
	// Uses are the places that refer to it.
	Uses []string
	// Source is its source in the project.
	Source automation.SecretSource
	// Err is the error of the source.
	Err error
}

// A MissingSecretsError names every secret that has no value to use.
type MissingSecretsError struct{ Missing []MissingSecret }

// unusable reports whether there is a value.
func (m MissingSecret) unusable() bool {
	var e *unusableError
	return errors.As(m.Err, &e)
}

// Error gives for each secret the problem, its uses and how to provide it. It
// has several lines.
func (e *MissingSecretsError) Error() string {
	var b strings.Builder
	unusable := 0
	for _, m := range e.Missing {
		if m.unusable() {
			unusable++
		}
	}
	what := "missing"
	switch unusable {
	case 0:
	case len(e.Missing):
		what = "not usable"
	default:
		what += " or not usable"
	}
	if len(e.Missing) == 1 {
		fmt.Fprintf(&b, "a secret is %s:", what)
	} else {
		fmt.Fprintf(&b, "%d secrets are %s:", len(e.Missing), what)
	}
	for _, m := range e.Missing {
		fmt.Fprintf(&b, "\n  %s: %v", m.Name, m.Err)
		if len(m.Uses) > 0 {
			fmt.Fprintf(&b, "\n    used by %s", m.Uses[0])
			if n := len(m.Uses) - 1; n > 0 {
				fmt.Fprintf(&b, ", and %d more", n)
			}
		}
		switch inCode := len(m.Source.Exec) > 0 || m.Source.File != ""; {
		case inCode && m.unusable():
			fmt.Fprintf(&b, "\n    it must be the value alone; mend the source, or its entry under `secrets:` in segue.cue")
		case inCode:
			fmt.Fprintf(&b, "\n    mend its entry under `secrets:` in segue.cue")
		default:
			fmt.Fprintf(&b, "\n    provide it with `export %s=...`, or name another place for it under `secrets:` in segue.cue", variable(m.Source, m.Name))
		}
	}
	return b.String()
}

// Unwrap returns the error of each secret.
func (e *MissingSecretsError) Unwrap() []error {
	errs := make([]error, len(e.Missing))
	for i, m := range e.Missing {
		errs[i] = m.Err
	}
	return errs
}

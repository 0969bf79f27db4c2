package sync

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seguehq/segue/automation"
)

// DefaultExecTimeout is how long a command may take to print a secret.
const DefaultExecTimeout = 30 * time.Second

// execParallelism is how many secrets are fetched at a time.
const execParallelism = 4

// A SecretUse is one place that refers to a secret.
type SecretUse struct {
	// Secret is the secret's name.
	Secret string
	// Where is the place, for people: "growth/account-activated, header
	// Authorization".
	Where string
}

// SecretUses returns every reference to a secret in the automations, in their
// order and by name of header.
func SecretUses(automations []automation.Automation) []SecretUse {
	var uses []SecretUse
	for _, a := range automations {
		for _, header := range slices.Sorted(maps.Keys(a.Action.Headers)) {
			for _, name := range a.Action.Headers[header].SecretNames() {
				uses = append(uses, SecretUse{Secret: name, Where: a.Key + ", header " + header})
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
	// ExecTimeout bounds each command, [DefaultExecTimeout] if it is zero.
	ExecTimeout time.Duration
}

// Resolve returns the value of every secret that is used, each fetched once.
// Those that can't be had, or are empty, are reported together in a
// [*MissingSecretsError].
func (r SecretResolver) Resolve(ctx context.Context, uses []SecretUse) (map[string]automation.Secret, error) {
	where := map[string][]string{}
	for _, u := range uses {
		where[u.Secret] = append(where[u.Secret], u.Where)
	}
	names := slices.Sorted(maps.Keys(where))
	values := make([]string, len(names))
	errs := make([]error, len(names))
	var g errgroup.Group
	g.SetLimit(execParallelism)
	for i, name := range names {
		g.Go(func() error {
			values[i], errs[i] = r.fetch(ctx, name)
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
		secrets[name] = automation.NewSecret(values[i])
	}
	if len(missing) > 0 {
		return nil, &MissingSecretsError{missing}
	}
	return secrets, nil
}

// fetch returns one value. Its errors hold nothing that a source has given.
func (r SecretResolver) fetch(ctx context.Context, name string) (string, error) {
	source := r.Sources[name]
	var value string
	switch {
	case len(source.Exec) > 0:
		out, err := r.output(ctx, source.Exec)
		if err != nil {
			return "", err
		}
		if value = trimNewline(out); value == "" {
			return "", fmt.Errorf("the command %s prints nothing", source.Exec[0])
		}
	case source.File != "":
		path := source.File
		if !filepath.IsAbs(path) {
			path = filepath.Join(r.Dir, path)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			var pathErr *fs.PathError
			if errors.As(err, &pathErr) {
				err = pathErr.Err
			}
			return "", fmt.Errorf("the file %s can't be read: %w", source.File, err)
		}
		if value = trimNewline(string(b)); value == "" {
			return "", fmt.Errorf("the file %s is empty", source.File)
		}
	default:
		from := variable(source, name)
		lookup := r.LookupEnv
		if lookup == nil {
			lookup = os.LookupEnv
		}
		var ok bool
		if value, ok = lookup(from); !ok {
			return "", fmt.Errorf("the environment variable %s is not set", from)
		}
		if value == "" {
			return "", fmt.Errorf("the environment variable %s is empty", from)
		}
	}
	return value, nil
}

// output runs a command and returns what it prints. What it prints on a
// failure may be the secret, or a part of it, and is dropped.
func (r SecretResolver) output(ctx context.Context, command []string) (string, error) {
	timeout := r.ExecTimeout
	if timeout <= 0 {
		timeout = DefaultExecTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Stdout = r.Dir, &out
	// A child that lives on with the pipe open must not hold us up.
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return out.String(), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("the command %s took longer than %v", command[0], timeout)
	case errors.As(err, &exit):
		return "", fmt.Errorf("the command %s failed: %v", command[0], exit.ProcessState)
	default:
		return "", fmt.Errorf("the command can't be run: %w", err)
	}
}

// variable returns the environment variable that the source of a secret reads.
func variable(s automation.SecretSource, secret string) string {
	return cmp.Or(s.Env, secret)
}

// trimNewline removes one line break from the end.
func trimNewline(s string) string {
	return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
}

// A MissingSecret is a secret that has no value.
type MissingSecret struct {
	Name string
	// Uses are the places that refer to it.
	Uses []string
	// Source is where the project says it comes from.
	Source automation.SecretSource
	// Err says what is wrong with the source.
	Err error
}

// A MissingSecretsError names every secret that has no value.
type MissingSecretsError struct{ Missing []MissingSecret }

// Error says of each secret what is wrong, where it is used and how to provide
// it. It is several lines long.
func (e *MissingSecretsError) Error() string {
	var b strings.Builder
	if len(e.Missing) == 1 {
		b.WriteString("a secret is missing:")
	} else {
		fmt.Fprintf(&b, "%d secrets are missing:", len(e.Missing))
	}
	for _, m := range e.Missing {
		fmt.Fprintf(&b, "\n  %s: %v", m.Name, m.Err)
		if len(m.Uses) > 0 {
			fmt.Fprintf(&b, "\n    used by %s", m.Uses[0])
			if n := len(m.Uses) - 1; n > 0 {
				fmt.Fprintf(&b, ", and %d more", n)
			}
		}
		if len(m.Source.Exec) > 0 || m.Source.File != "" {
			fmt.Fprintf(&b, "\n    mend its entry under `secrets:` in segue.cue")
		} else {
			fmt.Fprintf(&b, "\n    provide it with `export %s=...`, or name another place for it under `secrets:` in segue.cue", variable(m.Source, m.Name))
		}
	}
	return b.String()
}

// Unwrap returns what is wrong with each secret.
func (e *MissingSecretsError) Unwrap() []error {
	errs := make([]error, len(e.Missing))
	for i, m := range e.Missing {
		errs[i] = m.Err
	}
	return errs
}

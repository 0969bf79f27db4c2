package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
	"github.com/seguehq/segue/trust"
)

// The variables with the same meanings as the flags of trustFlags.
const (
	trustVariable = "SEGUE_TRUST_EXEC"
	allowVariable = "SEGUE_ALLOW_ENV"
)

// trustFlags are the flags of every command that reads secrets: they allow the
// project to use commands, files and variables of the machine.
func trustFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "trust-exec", EnvVars: []string{trustVariable},
			Usage: "without asking, run the commands and read the files outside of the project that segue.cue names for its secrets"},
		&cli.StringSliceFlag{Name: "allow-env", EnvVars: []string{allowVariable},
			Usage: "let the project use the environment variable `NAME` as a secret, although it belongs to the machine"},
	}
}

// secrets reads the used secrets. If the project requests something of the
// machine that is not allowed, it fails before anything is run or sent.
func (t *terminal) secrets(c *cli.Context, project *config.Project, uses []sync.SecretUse) (map[string]automation.Secret, error) {
	return t.secretsOf(c, project, uses, asking{trust.Asks, t.command("plan")})
}

// An asking controls how the user is asked about the sources of secrets.
type asking struct {
	// asks returns the requests that need approval: [trust.Asks], or
	// [trust.AsksFrom].
	asks func(dir string, sources map[string]automation.SecretSource, names []string) ([]trust.Ask, error)
	// again is the command that asks on a terminal.
	again string
}

// secretsOf is secrets with another rule for asking.
func (t *terminal) secretsOf(c *cli.Context, project *config.Project, uses []sync.SecretUse, how asking) (map[string]automation.Secret, error) {
	if err := refuseMachineVariables(project, uses, c.StringSlice("allow-env")); err != nil {
		return nil, err
	}
	if !c.Bool("trust-exec") {
		if err := t.askForTrust(c.Context, project, uses, how); err != nil {
			return nil, err
		}
	}
	resolver := sync.SecretResolver{Mask: t.mask, Dir: project.Dir, Sources: project.Secrets, Trusted: func(string) bool { return true }}
	secrets, err := resolver.Resolve(c.Context, uses)
	for _, s := range secrets {
		t.mask.Add(s)
	}
	return secrets, err
}

// usesOf are the places of the uses by the secrets' names.
func usesOf(uses []sync.SecretUse) map[string][]string {
	where := map[string][]string{}
	for _, u := range uses {
		where[u.Secret] = append(where[u.Secret], u.Where)
	}
	return where
}

// usedAt returns the first of several places, and the number of others.
func usedAt(where []string) string {
	text := "used by " + where[0]
	if n := len(where) - 1; n > 0 {
		text += fmt.Sprintf(", and %d more", n)
	}
	return text
}

// variableOf is the environment variable that a secret comes from, "" for one
// that has another source.
func variableOf(project *config.Project, secret string) string {
	source := project.Secrets[secret]
	switch {
	case len(source.Exec) > 0 || source.File != "":
		return ""
	case source.Env != "":
		return source.Env
	default:
		return secret
	}
}

// refuseMachineVariables returns the error of a project that requests variables
// of the machine.
func refuseMachineVariables(project *config.Project, uses []sync.SecretUse, allowed []string) error {
	where := usesOf(uses)
	var lines, names []string
	for _, secret := range slices.Sorted(maps.Keys(where)) {
		name := variableOf(project, secret)
		if name == "" || !trust.IsMachineVariable(name) || slices.Contains(allowed, name) {
			continue
		}
		line := name
		if name != secret {
			line += ", as the secret " + secret
		}
		lines, names = append(lines, "\n  "+line+"\n    "+usedAt(where[secret])), append(names, name)
	}
	if len(lines) == 0 {
		return nil
	}
	slices.Sort(names)
	names = slices.Compact(names)
	what := "an environment variable that belongs to this machine"
	if len(names) > 1 {
		what = "environment variables that belong to this machine"
	}
	return fmt.Errorf("the project asks for %s, and would send it elsewhere:%s\n  give the secret a name of its own; or, if you know the project, allow it: --allow-env %s, or %s=%s",
		what, strings.Join(lines, ""), strings.Join(names, " --allow-env "), allowVariable, strings.Join(names, ","))
}

// askForTrust asks at the terminal about each command, and each file outside of
// the project, that nobody has allowed yet. Without a terminal, these are an
// error.
func (t *terminal) askForTrust(ctx context.Context, project *config.Project, uses []sync.SecretUse, how asking) error {
	where := usesOf(uses)
	asks, err := how.asks(project.Dir, project.Secrets, slices.Sorted(maps.Keys(where)))
	if err != nil {
		return fmt.Errorf("can't determine the requests of the project: %w", cause(err))
	}
	if len(asks) == 0 {
		return nil
	}
	grants, grantsErr := trust.UserGrants()
	asks = slices.DeleteFunc(asks, func(a trust.Ask) bool { return grantsErr == nil && grants.Has(a) })
	if len(asks) > 0 && !(interactive(t.stdin) && interactive(t.stderr)) {
		return untrusted(asks, where, how.again)
	}
	for _, a := range asks {
		does, question := "wants to run a command on this machine", "Run it, now and whenever this project asks for exactly this?"
		if a.File != "" {
			does, question = "wants to read a file outside of its folder", "Let it, now and whenever this project asks for exactly this?"
		}
		fmt.Fprintf(t.stderr, "The project in %s %s, for the secret %s:\n\n  %s\n\n%s.\n",
			diagnostic.Printable(a.Project), does, a.Secret, a, diagnostic.Printable(usedAt(where[a.Secret])))
		yes, err := t.confirm(ctx, question)
		if err != nil {
			return err
		}
		if !yes {
			return errors.New("nothing was run, read or sent; segue needs the secret " + a.Secret)
		}
		if err := errors.Join(grantsErr, grants.Add(a)); err != nil {
			fmt.Fprintf(t.stderr, "segue can't remember that: %s\n", diagnostic.Printable(err.Error()))
		}
	}
	return nil
}

// untrusted returns the error of a project that requests more than is allowed,
// without a terminal.
func untrusted(asks []trust.Ask, where map[string][]string, again string) error {
	var b strings.Builder
	b.WriteString("the project wants this for its secrets, and nobody has allowed it:")
	for _, a := range asks {
		does := "run"
		if a.File != "" {
			does = "read, outside of the project,"
		}
		fmt.Fprintf(&b, "\n  %s: %s %s\n    %s", a.Secret, does, a, usedAt(where[a.Secret]))
	}
	fmt.Fprintf(&b, "\n  look at it; then run `%s` on a terminal and answer yes, which is remembered, or allow all of it: --trust-exec, or %s=1",
		again, trustVariable)
	return errors.New(b.String())
}

// noneGiven reports whether no use has a value: all come from environment
// variables that are unset or empty, as in a pull request from a fork.
func noneGiven(project *config.Project, uses []sync.SecretUse) bool {
	for _, u := range uses {
		if name := variableOf(project, u.Secret); name == "" || os.Getenv(name) != "" {
			return false
		}
	}
	return len(uses) > 0
}

// checkSecrecy refuses to send credentials to a target over an unencrypted
// connection.
func checkSecrecy(name string, target config.Target, secrets map[string]automation.Secret) error {
	if len(secrets) == 0 || !automation.ReadableOnTheWay(target.URL) {
		return nil
	}
	what := "secrets"
	if ref := platformCredential(target); ref.Name != "" {
		what = "the secret " + ref.Name
	}
	return fmt.Errorf("the target %s is reached over plain HTTP, and others could read %s on the way: %s; write https:// in its url "+
		"(plain HTTP is for localhost alone). Nothing was sent", name, what, target.URL)
}

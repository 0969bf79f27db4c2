package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
	"github.com/seguehq/segue/trust"
)

// mostPlanFile is the maximum size of a plan file, in bytes.
const mostPlanFile = 1 << 30

// A reaching says in a plan file how its target is reached.
type reaching struct {
	// Target is the target in segue.cue, without its sources.
	Target config.Target `json:"target"`
	// Files are those that describe the target's platform, by their names in the
	// project; none for a platform that segue knows.
	Files map[string]string `json:"files,omitempty"`
	// Certificates are the contents of the files that the target names.
	Certificates certificates `json:"certificates"`
}

// writePlanFile writes the plan to a file, for apply, and says so.
func (t *terminal) writePlanFile(c *cli.Context, s *session, plan *sync.Plan, notes io.Writer) error {
	name := c.String("out")
	r := reaching{Target: s.target}
	r.Target.Sources = nil
	var err error
	if r.Certificates, err = certificatesOf(s.project, plan.Target, s.target); err != nil {
		return err
	}
	if s.project.Platforms[s.target.Platform] != nil {
		if r.Files, err = t.project().ProjectFiles(c.Context); err != nil {
			return fmt.Errorf("the plan can't be written to a file, which has to hold the description of the platform %s: %w",
				s.target.Platform, err)
		}
	}
	b, err := encodeReach(r)
	if err != nil {
		return err
	}
	f := sync.PlanFile{Segue: version(), Reach: b, Plan: plan, Secrets: map[string]automation.SecretSource{}}
	for _, use := range append(plan.SecretUses(), credentialUse(plan.Target, s.target)...) {
		if source, ok := s.project.Secrets[use.Secret]; ok {
			f.Secrets[use.Secret] = source
		}
	}
	content, err := f.Encode(s.desired.Secrets)
	if err != nil {
		return err
	}
	if err := writeFile(c.Context, "", name, content); err != nil {
		return err
	}
	fmt.Fprintf(notes, "Wrote the plan to %s; segue apply %s makes these changes and no others. Its digest is %s.\n",
		diagnostic.Printable(name), shellWord(name), f.Digest)
	return nil
}

// encodeReach writes a reaching without the fields that are empty.
func encodeReach(r reaching) (json.RawMessage, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, err
	}
	return json.Marshal(withoutEmpty(fields))
}

// withoutEmpty leaves out of a JSON object the fields that are null, false, 0, "" or an
// empty object.
func withoutEmpty(fields map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range fields {
		if inner, ok := v.(map[string]any); ok {
			if inner = withoutEmpty(inner); len(inner) > 0 {
				out[name] = inner
			}
		} else if v != nil && !reflect.ValueOf(v).IsZero() {
			out[name] = v
		}
	}
	return out
}

// namesPlanFile reports whether an argument of apply is a plan file, and not a pattern for
// folders: a file that is there, the standard input, or a name that ends in .json.
func namesPlanFile(name string) bool {
	if name == "-" || strings.EqualFold(path.Ext(name), ".json") {
		return true
	}
	stat, err := os.Stat(name)
	return err == nil && !stat.IsDir()
}

// A planned is a plan file that is to be applied.
type planned struct {
	name string // as messages have it
	file *sync.PlanFile
	reaching
	// project is the project of the file, or the project in the current folder if that
	// has the same configuration.
	project *config.Project
	// own is true in the latter case.
	own bool
}

// applyFile carries out the plan in a file, and does nothing else.
func (t *terminal) applyFile(c *cli.Context) error {
	p, err := t.readPlanFile(c)
	if err != nil {
		return err
	}
	if err := t.compareWithProject(c.Context, p); err != nil {
		return err
	}
	plan := p.file.Plan
	t.showPlan(plan)
	t.printf("%s\n", diagnostic.Printable(p.destination()))
	if err := blocked(plan); err != nil {
		return err
	}
	if plan.Empty() {
		t.result = plan.NothingDone()
		return nil
	}
	if err := t.decide(c, p); err != nil {
		return err
	}
	s, err := t.openPlanned(c, p)
	if err != nil {
		return beforeChanges(c.Context, err)
	}
	defer s.platform.Close()
	s.digest = p.file.Digest
	s.approve = func(*sync.Plan) error { return nil } // already approved
	s.again = func(plan *sync.Plan) (*sync.Plan, error) {
		return plan, beforeChanges(c.Context, sync.Verify(c.Context, s.platform, plan, s.desired.Secrets, s.readCalls()))
	}
	return t.carryOut(c, s, plan)
}

// showPlanFile prints the plan in a file.
func (t *terminal) showPlanFile(c *cli.Context, format string) error {
	for _, name := range []string{"out", "refresh-only", "no-secrets"} {
		if c.IsSet(name) {
			return fmt.Errorf("--%s is for making a plan, and the file holds one that is made", name)
		}
	}
	p, err := t.readPlanFile(c)
	if err != nil {
		return err
	}
	if err := t.writePlan(p.file.Plan, format); err != nil {
		return err
	}
	if c.Bool("detailed-exitcode") && !p.file.Plan.Empty() {
		return statusError(statusChanges)
	}
	return nil
}

// readPlanFile reads the file that the command line names.
func (t *terminal) readPlanFile(c *cli.Context) (*planned, error) {
	if c.NArg() > 1 {
		return nil, fmt.Errorf("name one plan file, not %d; see segue %s --help", c.NArg(), c.Command.Name)
	}
	for _, f := range append(planFlags(), &cli.BoolFlag{Name: "all-targets"}) {
		if name := f.Names()[0]; c.IsSet(name) {
			return nil, fmt.Errorf("--%s is for making a plan, but the file has a finished one; use it with segue plan --out", name)
		}
	}
	p := &planned{name: inputName(c.Args().First())}
	content, err := interruptible(c.Context, func() ([]byte, error) { return readLimited(t.stdin, c.Args().First(), mostPlanFile) })
	if err != nil {
		return nil, fmt.Errorf("can't read the plan file %s: %w", p.name, cause(err))
	}
	if p.file, err = sync.ReadPlanFile(content); err == nil {
		err = json.Unmarshal(p.file.Reach, &p.reaching)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %w", p.name, err)
	}
	if want := c.String("digest"); want != "" && want != p.file.Digest {
		return nil, fmt.Errorf("%s is not the plan that was asked for: its digest is %s, not %s", p.name, p.file.Digest, want)
	}
	if want := c.String("target"); want != "" && want != p.file.Plan.Target {
		return nil, fmt.Errorf("%s is a plan for the target %s, not for %s", p.name, p.file.Plan.Target, want)
	}
	return p, nil
}

// readLimited reads a file, or the standard input for "-".
func readLimited(stdin io.Reader, name string, most int64) ([]byte, error) {
	from := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	content, err := io.ReadAll(io.LimitReader(from, most+1))
	if err == nil && int64(len(content)) > most {
		err = fmt.Errorf("there are more than %d MB", most>>20)
	}
	return content, err
}

// compareWithProject compares the file with the project in the current folder, if there
// is one. It refuses a plan of another project, or with another configuration of the
// target.
func (t *terminal) compareWithProject(ctx context.Context, p *planned) error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	plan := p.file.Plan
	p.project = &config.Project{Dir: dir, Name: plan.Project, Secrets: p.file.Secrets}
	if _, err := os.Lstat(config.ProjectFile); err != nil {
		return nil // it is applied elsewhere
	}
	project, findings, err := t.project().Project(ctx)
	switch {
	case err != nil:
		return err
	case project == nil:
		return t.findings(t.stderr, findings)
	case project.Name != plan.Project:
		return fmt.Errorf("%s is a plan of the project %s, but this folder is the project %s", p.name, plan.Project, project.Name)
	}
	here, ok := project.Targets[plan.Target]
	if !ok {
		return fmt.Errorf("%s is a plan for the target %s, but the project in this folder does not have it", p.name, plan.Target)
	}
	if field := differentField(here, p.Target); field != "" {
		return fmt.Errorf("%s is a plan for another target: the target %s now has another %s in segue.cue; plan again",
			p.name, plan.Target, field)
	}
	if certs, err := certificatesOf(project, plan.Target, here); err != nil || certs != p.Certificates {
		return fmt.Errorf("%s was made with other certificates for the target %s than the project has by now; plan again", p.name, plan.Target)
	}
	for _, name := range p.secretNames() {
		if !reflect.DeepEqual(project.Secrets[name], p.file.Secrets[name]) {
			return fmt.Errorf("%s has another source of the secret %s than segue.cue now has; plan again", p.name, name)
		}
	}
	if project.Platforms[p.Target.Platform] != nil {
		files, err := t.project().ProjectFiles(ctx)
		if err != nil || !maps.Equal(files, p.Files) {
			return fmt.Errorf("%s was made with another description of the platform %s than the project now has; plan again",
				p.name, p.Target.Platform)
		}
	}
	p.project, p.own = project, true
	return nil
}

// differentField returns the name of a field that makes two targets differ in place
// or access; "" if there is none.
func differentField(a, b config.Target) string {
	for _, field := range []struct {
		name string
		a, b any
	}{
		{"platform", a.Platform, b.Platform}, {"url", a.URL, b.URL}, {"data", a.Data, b.Data}, {"username", a.Username, b.Username},
		{"token", a.Token, b.Token}, {"apiKey", a.APIKey, b.APIKey}, {"password", a.Password, b.Password},
		{"ca", a.CA, b.CA}, {"clientCert", a.ClientCert, b.ClientCert}, {"clientKey", a.ClientKey, b.ClientKey},
	} {
		if field.a != field.b {
			return field.name
		}
	}
	return ""
}

// uses returns the references to the secrets that are needed to apply the plan.
func (p *planned) uses() []sync.SecretUse {
	return append(p.file.Plan.SecretUses(), credentialUse(p.file.Plan.Target, p.Target)...)
}

func (p *planned) secretNames() []string { return slices.Sorted(maps.Keys(usesOf(p.uses()))) }

// destination describes the target of the plan, and the secrets that are sent
// there.
func (p *planned) destination() string {
	text := fmt.Sprintf("It is for the project %s on %s: %s at %s.", p.file.Plan.Project, p.file.Plan.Target, p.Target.Platform,
		cmp.Or(p.Target.URL, "the file "+p.Target.Data))
	if names := p.secretNames(); len(names) > 0 {
		from := make([]string, len(names))
		for i, name := range names {
			from[i] = name + " from " + p.sourceOf(name)
		}
		text += " It takes " + diagnostic.Plural(len(names), "secret") + " there: " + strings.Join(from, ", ") + "."
	}
	return text
}

// sourceOf says where a secret comes from.
func (p *planned) sourceOf(secret string) string {
	switch source := p.file.Secrets[secret]; {
	case len(source.Exec) > 0:
		return "the command " + trust.Ask{Command: source.Exec}.String()
	case source.File != "":
		return "the file " + trust.Ask{File: source.File}.String()
	default:
		return "the environment"
	}
}

// decide gets approval for applying the plan and sending the secrets to its target.
// Without a question, approval means applying it in the project with the same
// configuration, or naming the digest of the reviewed plan.
func (t *terminal) decide(c *cli.Context, p *planned) error {
	if !c.Bool("auto-approve") {
		return t.approve(c.Context, p.file.Plan.Target)
	}
	_, inside := trust.Inside(p.project.Dir, p.Target.Data)
	needs := len(p.uses()) > 0 || p.Target.URL == "" && !inside
	if !needs || p.own || c.String("digest") != "" {
		return nil
	}
	return fmt.Errorf("%s itself says where secrets come from and where they go, and nobody has approved that. "+
		"Nothing was read or sent. Apply it in the folder of the project %s, with the same settings in segue.cue; "+
		"or review it and name the plan that you have seen: --digest %s",
		p.name, p.file.Plan.Project, p.file.Digest)
}

// openPlanned finds the secrets that the plan needs, and connects to its target. The
// platform must be closed.
func (t *terminal) openPlanned(c *cli.Context, p *planned) (*session, error) {
	if err := t.describedPlatform(c.Context, p); err != nil {
		return nil, err
	}
	how := asking{trust.AsksFrom, t.command("apply", c.Args().First())}
	if p.own {
		how.asks = trust.Asks
	}
	secrets, err := t.secretsOf(c, p.project, p.uses(), how)
	if err != nil {
		return nil, err
	}
	target := p.file.Plan.Target
	platform, err := t.connect(c.Context, connecting{project: p.project, name: target, target: p.Target, secrets: secrets, use: toWrite, certs: &p.Certificates})
	if err != nil {
		return nil, err
	}
	return &session{project: p.project, desired: p.file.Plan.Desired(secrets), target: p.Target, platform: platform}, nil
}

// describedPlatform reads the description of the platform that is in the file.
func (t *terminal) describedPlatform(ctx context.Context, p *planned) error {
	if p.own || slices.Contains(config.PlatformKinds, p.Target.Platform) {
		return nil
	}
	dir, err := os.MkdirTemp("", "segue-plan-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := writeWithin(dir, p.Files); err != nil {
		return fmt.Errorf("%s: can't put the description of the platform %s down: %w", p.name, p.Target.Platform, cause(err))
	}
	described := compiler.NewSession(compiler.Options{Dir: dir, Children: t.children, Limits: t.limits, Version: buildVersion()})
	project, findings, err := described.Project(ctx)
	switch {
	case err != nil:
		return err
	case project == nil && len(findings) > 0:
		return fmt.Errorf("%s describes the platform %s in a way that this segue can't work with: %s; plan again",
			p.name, p.Target.Platform, findings[0].Message)
	case project == nil || project.Platforms[p.Target.Platform] == nil:
		return errors.New(p.name + " does not describe the platform " + p.Target.Platform)
	}
	p.project.Platforms = project.Platforms
	return nil
}

// writeWithin writes files by their names with slashes into a folder, and nothing outside
// of it.
func writeWithin(dir string, files map[string]string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
			return err
		}
		if err := root.WriteFile(name, []byte(files[name]), 0o600); err != nil {
			return err
		}
	}
	return nil
}

package config

import (
	"fmt"
	"maps"
	"time"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/limits"
	"github.com/seguehq/segue/description"
	"github.com/seguehq/segue/diagnostic"
)

// ProjectFile is the name of the project file, at the project's root.
const ProjectFile = "segue.cue"

// PlatformKinds are the platforms that segue supports without a description, by their names in targets.
// cmd/segue connects to each.
var PlatformKinds = []string{Embedded, N8n, NodeRED}

// The names of [PlatformKinds].
const (
	Embedded = "embedded" // a part of segue
	N8n      = "n8n"
	NodeRED  = "nodered"
)

// A Project is the content of segue.cue, with defaults filled in.
type Project struct {
	// Dir is the project's root, an absolute path.
	Dir string `json:"-"`
	// Name marks the project's automations on a platform.
	Name string `json:"project"`
	// Sources are the Segment sources by name.
	Sources map[string]Source `json:"sources"`
	// Targets are the platforms by name.
	Targets map[string]Target `json:"targets"`
	// Inputs has the values that @tag gives to fields of packages, by name: strings, numbers and booleans.
	Inputs map[string]any `json:"inputs"`
	// Given has the inputs that were given for one run, by name. They override Inputs and those of targets.
	Given map[string]string `json:"-"`
	// DefaultTarget is the name of the target that is used if none is given, "" if there is none.
	DefaultTarget string `json:"defaultTarget"`
	// Secrets has the sources of secrets that are not in the environment variable of their name.
	Secrets map[string]automation.SecretSource `json:"secrets"`
	// Catalog has the placeholders for automations: the built-in ones and the project's own.
	Catalog automation.Catalog `json:"placeholders"`
	// Moved has former names.
	Moved Moved `json:"moved"`
	// Limits is how much the evaluation of a package may use.
	Limits Limits `json:"limits"`
	// Strict makes errors of all warnings.
	Strict bool `json:"strict"`
	// Platforms has the platforms that segue.cue describes, by name.
	Platforms map[string]*description.Platform `json:"-"`
	// Plan is the tracking plan, nil if the project has none.
	Plan *TrackingPlan `json:"-"`
	// Triggers has the names that were pulled from a platform, nil if none were.
	Triggers TriggerNames `json:"-"`
	// Gaps says which parts are unknown because segue.cue has errors, nil if it has none.
	Gaps *Gaps `json:"-"`
}

// UsedSecrets returns the names of the secrets that segue.cue itself uses: those of sources and targets.
func (p *Project) UsedSecrets() map[string]bool {
	used := map[string]bool{}
	sources := func(of map[string]Source) {
		for _, s := range of {
			used[s.WriteKey.Name] = true
		}
	}
	sources(p.Sources)
	for _, t := range p.Targets {
		sources(t.Sources)
		for _, ref := range []SecretRef{t.Token, t.APIKey, t.Password, t.ClientKey} {
			used[ref.Name] = true
		}
	}
	return used
}

// Limits is how much the evaluation of a package may use, as written: "30s", "2GB". "" means a default that
// depends on the size of the package.
type Limits struct {
	Time   string `json:"time"`
	Memory string `json:"memory"`
}

// EvaluationLimits returns the limits as values, zero for those that are not set.
func (p *Project) EvaluationLimits() limits.Limits {
	var out limits.Limits
	out.Time, _ = limits.ParseTime(p.Limits.Time) // errors have findings
	out.Memory, _ = limits.ParseMemory(p.Limits.Memory)
	return out
}

// Moved has former names, which may still be in use on a platform: the project's under "project", and the
// current keys of automations by their former ones.
type Moved map[string]string

// Project returns the project's former name, "" if there is none.
func (m Moved) Project() string { return m["project"] }

// Keys returns the current keys of automations by their former ones.
func (m Moved) Keys() map[string]string {
	keys := maps.Clone(m)
	delete(keys, "project")
	return keys
}

// A Source is a Segment HTTP API source.
type Source struct {
	// Region is "us" or "eu".
	Region string `json:"region"`
	// WriteKey is the secret that holds the source's write key.
	WriteKey SecretRef `json:"writeKey"`
	// Endpoint replaces Segment's own URL, up to the call's name. Empty for the URL of the region.
	Endpoint string `json:"endpoint"`
}

// A SecretRef refers to a secret by its name.
type SecretRef struct {
	Name string `json:"secret"`
}

// A Target is an automation platform.
type Target struct {
	// Platform is the kind of platform: one of [PlatformKinds], or the name of a
	// description in [Project.Platforms].
	Platform string `json:"platform"`
	// Data is the path of the embedded platform's file, relative to the project.
	Data string `json:"data"`
	// URL is the address of the platform; empty for one within segue.
	URL string `json:"url"`
	// Token is the secret that holds the platform's bearer token.
	Token SecretRef `json:"token"`
	// APIKey is the secret that holds the platform's API key.
	APIKey SecretRef `json:"apiKey"`
	// Username is the user for a login with a password instead of a token; "" if there is no such login.
	Username string `json:"username"`
	// Password is the secret that holds the user's password.
	Password SecretRef `json:"password"`
	// CA is the path of a file, relative to the project, with the certificates of the
	// authorities that the platform's certificate is signed by; "" for the system's.
	CA string `json:"ca"`
	// ClientCert is the path of the file with segue's own certificate, "" for none, and
	// ClientKey the secret that holds its private key.
	ClientCert string    `json:"clientCert"`
	ClientKey  SecretRef `json:"clientKey"`
	// Sources override the project's, field by field.
	Sources map[string]Source `json:"sources"`
	// Inputs override the project's, by name.
	Inputs map[string]any `json:"inputs"`
	// Parallelism is the maximum number of concurrent requests.
	Parallelism int `json:"parallelism"`
	// Timeout is the maximum duration of one request.
	Timeout Duration `json:"timeout"`
	// Prune means that automations that were removed from the code are deleted.
	Prune bool `json:"prune"`
}

// A Duration is a time.Duration that is written as a string: "30s".
type Duration time.Duration

// MarshalText encodes the duration for UnmarshalText.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText parses a duration like time.ParseDuration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// Target returns a target by name, or the default one for "". The error is a
// diagnostic about segue.cue.
func (p *Project) Target(name string) (string, Target, error) {
	names := finding.SortedKeys(p.Targets)
	switch {
	case name == "" && p.DefaultTarget != "":
		name = p.DefaultTarget
	case name == "" && len(names) == 1:
		name = names[0]
	case name == "" && len(names) == 0:
		return "", Target{}, &ProjectError{finding.Diagnose("unknown-target", diagnostic.Diagnostic{
			Message: "the project has no targets", File: ProjectFile, Path: "targets",
			Help: `add one to segue.cue: targets: local: platform: "embedded"`})}
	case name == "":
		return "", Target{}, &ProjectError{finding.Diagnose("unknown-target", diagnostic.Diagnostic{
			Message: "the project has several targets and no default", File: ProjectFile, Path: "targets",
			Help: "choose one with --target: " + finding.OneOf(names) + "; or set defaultTarget in segue.cue"})}
	}
	if t, ok := p.Targets[name]; ok {
		return name, t, nil
	}
	d := finding.Diagnose("unknown-target", diagnostic.Diagnostic{File: ProjectFile, Path: "targets",
		Message: fmt.Sprintf("segue.cue has no target %q", name), Help: "its targets are " + finding.OneOf(names)})
	if len(names) == 0 {
		d.Help = `add it to segue.cue: targets: ` + finding.Selector(name).String() + `: platform: "embedded"`
	}
	if near := finding.Nearest(name, names); near != "" {
		d.Suggestion, d.Help = near, finding.DidYouMean(near)
	}
	return "", Target{}, &ProjectError{d}
}

// A ProjectError is a finding about the project file that stops a command.
type ProjectError struct{ Diagnostic diagnostic.Diagnostic }

// Error returns the finding's message and remedy.
func (e *ProjectError) Error() string { return e.Diagnostic.Message + "; " + e.Diagnostic.Help }

// SourcesOf returns the sources with the overrides of a target; "" means no target.
func (p *Project) SourcesOf(target string) map[string]Source {
	out := maps.Clone(p.Sources)
	for name, over := range p.Targets[target].Sources {
		s, ok := out[name]
		if !ok {
			continue // this has a finding
		}
		if over.Region != "" {
			s.Region = over.Region
		}
		if over.WriteKey.Name != "" {
			s.WriteKey = over.WriteKey
		}
		if over.Endpoint != "" {
			s.Endpoint = over.Endpoint
		}
		out[name] = s
	}
	return out
}

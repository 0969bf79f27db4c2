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

// PlatformKinds are the platforms that segue knows without a description, by the names
// that targets have for them. cmd/segue connects to each.
var PlatformKinds = []string{Embedded, N8n, NodeRED}

// The names of [PlatformKinds].
const (
	Embedded = "embedded" // is part of segue
	N8n      = "n8n"
	NodeRED  = "nodered"
)

// A Project is what segue.cue says, with defaults filled in.
type Project struct {
	// Dir is the project's root, an absolute path.
	Dir string `json:"-"`
	// Name marks what belongs to the project on a platform.
	Name string `json:"project"`
	// Sources are the Segment sources by name.
	Sources map[string]Source `json:"sources"`
	// Targets are the platforms by name.
	Targets map[string]Target `json:"targets"`
	// DefaultTarget is the name of the target that is used where none is asked
	// for, "" if there is none.
	DefaultTarget string `json:"defaultTarget"`
	// Secrets says where secrets come from that are not in the environment
	// variable of their name.
	Secrets map[string]automation.SecretSource `json:"secrets"`
	// Catalog holds the placeholders that automations can use: the built-in
	// ones and the project's own.
	Catalog automation.Catalog `json:"placeholders"`
	// Moved holds former names.
	Moved Moved `json:"moved"`
	// Limits are what the evaluation of a package may take.
	Limits Limits `json:"limits"`
	// Strict makes errors of all warnings.
	Strict bool `json:"strict"`
	// Platforms are the platforms that segue.cue describes, by name.
	Platforms map[string]*description.Platform `json:"-"`
	// Plan is the tracking plan, nil if the project has none.
	Plan *TrackingPlan `json:"-"`
	// Triggers are the names that were pulled from a platform, nil if none were.
	Triggers TriggerNames `json:"-"`
	// Gaps is what is not known of the project because segue.cue has errors, nil
	// if it has none.
	Gaps *Gaps `json:"-"`
}

// Limits are what the evaluation of a package may take, as they are written: "30s",
// "2GB". "" stands for what goes by the size of the package.
type Limits struct {
	Time   string `json:"time"`
	Memory string `json:"memory"`
}

// EvaluationLimits are the Limits as values, zero for those that are not given.
func (p *Project) EvaluationLimits() limits.Limits {
	var out limits.Limits
	out.Time, _ = limits.ParseTime(p.Limits.Time) // what is wrong has a finding
	out.Memory, _ = limits.ParseMemory(p.Limits.Memory)
	return out
}

// Moved holds former names, under which things may still be on a platform: the
// project's under "project", and present keys of automations by their former ones.
type Moved map[string]string

// Project is the project's former name, "" for none.
func (m Moved) Project() string { return m["project"] }

// Keys has the present keys of automations by their former ones.
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
	// Endpoint replaces Segment's own URL, up to the call's name. Empty for
	// the region's own.
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
	// URL is where the platform runs; empty for one within segue.
	URL string `json:"url"`
	// Token is the secret that holds the platform's bearer token.
	Token SecretRef `json:"token"`
	// APIKey is the secret that holds the platform's API key.
	APIKey SecretRef `json:"apiKey"`
	// Username is who segue logs in as where it does so with a password, in place
	// of a token; "" where it does not.
	Username string `json:"username"`
	// Password is the secret that holds the user's password.
	Password SecretRef `json:"password"`
	// Sources override the project's, field by field.
	Sources map[string]Source `json:"sources"`
	// Parallelism is how many requests may be under way at once.
	Parallelism int `json:"parallelism"`
	// Timeout is how long one request may take.
	Timeout Duration `json:"timeout"`
	// Prune says whether automations that are gone from the code are deleted.
	Prune bool `json:"prune"`
}

// A Duration is a time.Duration that is written as a text: "30s".
type Duration time.Duration

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
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
			Help: "name one with --target: " + finding.OneOf(names) + "; or set defaultTarget in segue.cue"})}
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

// SourcesOf returns the sources as a target sees them; "" stands for no target.
func (p *Project) SourcesOf(target string) map[string]Source {
	out := maps.Clone(p.Sources)
	for name, over := range p.Targets[target].Sources {
		s, ok := out[name]
		if !ok {
			continue // a finding of its own
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

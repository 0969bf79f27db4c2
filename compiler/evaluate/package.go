package evaluate

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/message"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// A Package is the result of evaluating one package, without values of CUE. It is sent between processes and
// cached: see [Encode].
type Package struct {
	// Dir is the folder, relative to the project, and Name the package's name.
	Dir  string
	Name string
	// Automations has those without errors, in the order of the files.
	Automations []Compiled
	// Found are the findings.
	Found Findings
	// Withheld has the findings of a package that CUE refuses and that has no error of its own. They apply
	// unless a package in one of the folders in Awaits has an error.
	Withheld Findings
	Awaits   []string
	// Unexplained is CUE's error about a package without another explanation: it fails the compilation. "" if
	// there is none.
	Unexplained string
	// Sourceless means that an automation needs a source, but the project has none.
	Sourceless bool
	// Volatile means that the result depends on more than the package's files, those of its imports, and
	// segue.cue.
	Volatile bool
	// Tests has the results of the tests of each automation without errors.
	Tests []AutomationTests
}

// An AutomationTests is the test results of one automation, samples first.
type AutomationTests struct {
	Key     string       `json:"key"`
	Name    string       `json:"name"`
	Results []TestResult `json:"results,omitempty"`
}

// A Compiled automation is a canonical one with its origin.
type Compiled struct {
	Automation automation.Encoded
	// Name is the automation's name in its package.
	Name  string
	Place place
	Facts message.Facts
	// Work is a hash of the trigger and the request: equal for automations that do the same. It is zero if the
	// automation is switched off.
	Work [16]byte
	// Of is the package, set when several packages are combined.
	Of *Package
}

// add adds automations. of has the place and facts of each.
func (p *Package) add(all []automation.Automation, of []Compiled) error {
	encoded, err := automation.Encode(all)
	if err != nil {
		return err
	}
	for i := range of {
		of[i].Automation, of[i].Work = encoded[i], workOf(&all[i])
	}
	p.Automations = append(p.Automations, of...)
	return nil
}

// workOf computes [Compiled.Work].
func workOf(a *automation.Automation) (work [16]byte) {
	if !a.Enabled {
		return work
	}
	h := sha256.New()
	put := func(texts ...string) {
		for _, text := range texts {
			fmt.Fprintf(h, "%d %s", len(text), text)
		}
	}
	put(string(a.Trigger.Kind), a.Trigger.Name, a.Action.Method, a.Action.URL, string(a.Action.Payload))
	for _, name := range finding.SortedKeys(a.Action.Headers) {
		v := a.Action.Headers[name]
		put(name, string(v.Scheme))
		for _, c := range []automation.Credential{v.Value, v.Username, v.Password} {
			put(c.Text, c.Secret)
		}
	}
	copy(work[:], h.Sum(nil))
	return work
}

// A place is an offset in a file, in bytes.
type place struct {
	File   string
	Offset int
}

// placeOf converts a position of CUE, to the zero place if it is invalid.
func placeOf(l *workspace.Loader, p token.Pos) place {
	if !p.IsValid() {
		return place{}
	}
	return place{File: l.Relative(p.Filename()), Offset: p.Offset()}
}

// Position converts the place for CUE.
func (p place) Position(l *workspace.Loader) token.Pos {
	if p.File == "" {
		return token.NoPos
	}
	return token.NewFile(l.Full(p.File), -1, p.Offset+1).Pos(p.Offset, token.NoRelPos)
}

// Findings is a list of diagnostics that is encoded with its internal fields.
type Findings diagnostic.List

// A storedFinding is a diagnostic with its internal fields.
type storedFinding struct {
	diagnostic.Diagnostic
	Confidential bool `json:"confidential,omitempty"`
}

// MarshalJSON implements [json.Marshaler].
func (f Findings) MarshalJSON() ([]byte, error) {
	stored := make([]storedFinding, len(f))
	for i, d := range f {
		stored[i] = storedFinding{d, d.Confidential}
	}
	return json.Marshal(stored)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (f *Findings) UnmarshalJSON(b []byte) error {
	var stored []storedFinding
	if err := json.Unmarshal(b, &stored); err != nil {
		return err
	}
	*f = nil
	for _, s := range stored {
		s.Diagnostic.Confidential = s.Confidential
		*f = append(*f, s.Diagnostic)
	}
	return nil
}

// HasErrors reports whether any of the findings is an error.
func (f Findings) HasErrors() bool { return diagnostic.List(f).HasErrors() }

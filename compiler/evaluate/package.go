package evaluate

import (
	"encoding/json"

	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/message"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// A Package is what the evaluation of one package gives: a value, of which nothing of CUE
// is a part, that is written as JSON from one process to another and into the cache.
type Package struct {
	// Dir is the folder, relative to the project, and Name the package's name.
	Dir  string `json:"dir"`
	Name string `json:"name"`
	// Automations are those without errors, in the order of the files.
	Automations []Compiled `json:"automations,omitempty"`
	// Found are the findings.
	Found Findings `json:"found,omitempty"`
	// Withheld are the findings of a package that CUE refuses and that has no error of
	// its own. They hold unless a package in one of the folders in Awaits has one.
	Withheld Findings `json:"withheld,omitempty"`
	Awaits   []string `json:"awaits,omitempty"`
	// Unexplained is what CUE says of a package of which nothing else can be told: it
	// fails the compilation. "" for nothing.
	Unexplained string `json:"unexplained,omitempty"`
	// Sourceless says that an automation needs a source, and the project has none.
	Sourceless bool `json:"sourceless,omitempty"`
	// Volatile says that the result depends on more than the package's files, those of
	// the packages that it imports, and segue.cue.
	Volatile bool `json:"volatile,omitempty"`
	// Tests are what came of the tests of each automation without errors.
	Tests []AutomationTests `json:"tests,omitempty"`
}

// An AutomationTests is the tests of one automation and what came of them, the
// samples first.
type AutomationTests struct {
	Key     string       `json:"key"`
	Name    string       `json:"name"`
	Results []TestResult `json:"results,omitempty"`
}

// A Compiled automation still knows where it comes from.
type Compiled struct {
	Automation automation.Automation `json:"automation"`
	// Name is the automation's in its package.
	Name  string        `json:"name"`
	Place place         `json:"place"`
	Facts message.Facts `json:"facts"`
	// Of is the package, once it is among others.
	Of *Package `json:"-"`
}

// A place is where something starts in a file. Offset counts bytes.
type place struct {
	File   string `json:"file,omitempty"`
	Offset int    `json:"offset,omitempty"`
}

// placeOf is where a position of CUE's is, the zero place for none.
func placeOf(l *workspace.Loader, p token.Pos) place {
	if !p.IsValid() {
		return place{}
	}
	return place{File: l.Relative(p.Filename()), Offset: p.Offset()}
}

// Position is the place for CUE.
func (p place) Position(l *workspace.Loader) token.Pos {
	if p.File == "" {
		return token.NoPos
	}
	return token.NewFile(l.Full(p.File), -1, p.Offset+1).Pos(p.Offset, token.NoRelPos)
}

// Findings are diagnostics that keep what people don't get to see.
type Findings diagnostic.List

// A storedFinding is a diagnostic with all that it has.
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

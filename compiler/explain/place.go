package explain

import (
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/finding"
)

// AddAll places the findings of an automation.
func (p *Package) AddAll(found []finding.Finding, key string, position token.Pos) {
	for _, f := range found {
		f.Key = key
		p.Add(f, position)
	}
}

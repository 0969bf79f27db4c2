package config

import (
	"fmt"
	"maps"

	"github.com/seguehq/segue/compiler/finding"
)

// InputsOf are the inputs as a target sees them, by name: as text, which is what @tag
// takes. "" stands for no target.
func (p *Project) InputsOf(target string) map[string]string {
	out := map[string]string{}
	for _, inputs := range []map[string]any{p.Inputs, p.Targets[target].Inputs} {
		for name, v := range inputs {
			out[name] = fmt.Sprint(v)
		}
	}
	maps.Copy(out, p.Given)
	return out
}

// DifferentInputs are the inputs of a target that are not as segue.cue has them for all,
// in order of their names, as name=value.
func (p *Project) DifferentInputs(target string) []string {
	all, own := (&Project{Inputs: p.Inputs}).InputsOf(""), p.InputsOf(target)
	var out []string
	for _, name := range finding.SortedKeys(own) {
		if usual, ok := all[name]; !ok || usual != own[name] {
			out = append(out, name+"="+own[name])
		}
	}
	return out
}

// CheckGiven returns an error if an input is given that segue.cue does not have.
func (p *Project) CheckGiven() error {
	known := finding.SortedKeys(p.Inputs)
	for _, name := range finding.SortedKeys(p.Given) {
		if _, ok := p.Inputs[name]; ok {
			continue
		}
		if near := finding.Nearest(name, known); near != "" {
			return fmt.Errorf("segue.cue has no input %q; did you mean %s?", name, near)
		}
		return fmt.Errorf("segue.cue has no input %q; add it: inputs: %s: \"...\"", name, finding.Selector(name))
	}
	return nil
}

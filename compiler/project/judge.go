package project

import (
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"

	"github.com/seguehq/segue/compiler/config"
)

// A judge asks CUE about a tracking plan.
type judge struct {
	// A cue.Context is not for concurrent use, and the packages are checked
	// concurrently. fits remembers its answers, so that most checks do not even
	// take the time of one evaluation.
	mu      sync.Mutex
	context *cue.Context
	fits    map[planQuestion]bool
	// values are the plan's own.
	values map[*config.PlanValue]cue.Value
}

// A planQuestion is whether a value, as CUE text, fits what is planned.
type planQuestion struct {
	planned *config.PlanValue
	value   string
}

func newJudge() *judge {
	return &judge{context: cuecontext.New(), fits: map[planQuestion]bool{}, values: map[*config.PlanValue]cue.Value{}}
}

// AllowsField implements [config.Judge].
func (j *judge) AllowsField(p *config.PlanValue, name string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.values[p].Allows(cue.Str(name))
}

// Accepts implements [config.Judge].
func (j *judge) Accepts(p *config.PlanValue, value string, known bool) bool {
	q := planQuestion{p, value}
	j.mu.Lock()
	defer j.mu.Unlock()
	fits, asked := j.fits[q]
	if !asked {
		fits = j.values[p].Unify(j.context.CompileString(value)).Validate(cue.Concrete(known)) == nil
		j.fits[q] = fits
	}
	return fits
}

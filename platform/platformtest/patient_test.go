package platformtest

import (
	"context"
	"errors"
	"testing"

	"github.com/seguehq/segue/sync"
)

// answers is a platform that returns these errors from successive calls of
// Find.
type answers struct {
	sync.Platform
	errs []error
}

func (a *answers) Find(context.Context, string, string) ([]sync.Stored, error) {
	err := a.errs[0]
	a.errs = a.errs[1:]
	return nil, err
}

func TestPatientPlatform(t *testing.T) {
	busy, conflict := &sync.Error{Kind: sync.Temporary, Status: 503, Message: "busy"}, &sync.Error{Kind: sync.Conflict}
	for name, test := range map[string]struct {
		errs []error
		want error
	}{
		"busy for a while":       {[]error{busy, busy, nil}, nil},
		"an answer is an answer": {[]error{busy, conflict, nil}, conflict},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := patientPlatform{t, &answers{errs: test.errs}}.Find(t.Context(), "p", "k")
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

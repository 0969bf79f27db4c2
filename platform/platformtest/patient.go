package platformtest

import (
	"context"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// quick configures calls with many attempts and short pauses.
var quick = sync.Calls{Tries: 60, BackOff: func() backoff.BackOff {
	return &backoff.ExponentialBackOff{InitialInterval: 10 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: time.Second}
}}

// A patientPlatform repeats calls that fail with [sync.Temporary], which is
// always allowed: no check may fail because of it. Unlike the engine it does
// not check whether the work was done nevertheless; if a check fails because of
// that, its log shows the error.
type patientPlatform struct {
	t        testing.TB
	platform sync.Platform
}

var _ sync.Platform = patientPlatform{}

// patiently repeats a call until it succeeds, fails permanently, or reaches the
// limit of quick.
func patiently[T any](ctx context.Context, t testing.TB, call func() (T, error)) (T, error) {
	t.Helper()
	return backoff.Retry(ctx, func() (T, error) {
		v, err := call()
		if err != nil && sync.KindOf(err) != sync.Temporary {
			err = backoff.Permanent(err)
		}
		return v, err
	},
		backoff.WithBackOff(quick.BackOff()),
		backoff.WithMaxTries(uint(quick.Tries)),
		backoff.WithNotify(func(err error, _ time.Duration) { t.Logf("called again after: %v", err) }),
	)
}

// done adapts calls that only return an error.
func done(err error) (struct{}, error) { return struct{}{}, err }

func (p patientPlatform) List(ctx context.Context, project string) ([]sync.Stored, error) {
	return patiently(ctx, p.t, func() ([]sync.Stored, error) { return p.platform.List(ctx, project) })
}

func (p patientPlatform) Find(ctx context.Context, project, key string) ([]sync.Stored, error) {
	return patiently(ctx, p.t, func() ([]sync.Stored, error) { return p.platform.Find(ctx, project, key) })
}

func (p patientPlatform) Create(ctx context.Context, project string, a automation.Automation) (sync.Stored, error) {
	return patiently(ctx, p.t, func() (sync.Stored, error) { return p.platform.Create(ctx, project, a) })
}

func (p patientPlatform) Update(ctx context.Context, old sync.Stored, next sync.Marker, a automation.Automation) (sync.Stored, error) {
	return patiently(ctx, p.t, func() (sync.Stored, error) { return p.platform.Update(ctx, old, next, a) })
}

func (p patientPlatform) Delete(ctx context.Context, old sync.Stored) error {
	_, err := patiently(ctx, p.t, func() (struct{}, error) { return done(p.platform.Delete(ctx, old)) })
	return err
}

func (p patientPlatform) Secrets(ctx context.Context, project string, want map[string]automation.Secret) (map[string]sync.SecretState, error) {
	return patiently(ctx, p.t, func() (map[string]sync.SecretState, error) { return p.platform.Secrets(ctx, project, want) })
}

func (p patientPlatform) PutSecret(ctx context.Context, project, name string, value automation.Secret) error {
	_, err := patiently(ctx, p.t, func() (struct{}, error) { return done(p.platform.PutSecret(ctx, project, name, value)) })
	return err
}

func (p patientPlatform) DeleteSecret(ctx context.Context, project, name string) error {
	_, err := patiently(ctx, p.t, func() (struct{}, error) { return done(p.platform.DeleteSecret(ctx, project, name)) })
	return err
}

package platformtest

import (
	"context"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// quick are calls that give a platform its time, without long pauses.
var quick = sync.Calls{Tries: 60, BackOff: func() backoff.BackOff {
	return &backoff.ExponentialBackOff{InitialInterval: 10 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: time.Second}
}}

// A patientPlatform calls a platform again that has answered [sync.Temporary],
// as it may at any time: no check is about that, and none may fail of it.
// Unlike the engine it does not look whether the work was done all the same; if
// a check fails of that, its log has the answer.
type patientPlatform struct {
	t        testing.TB
	platform sync.Platform
}

var _ sync.Platform = patientPlatform{}

// patiently makes a call until it succeeds, fails for good, or was made as
// often as quick allows.
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

// done is for calls that return nothing but an error.
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

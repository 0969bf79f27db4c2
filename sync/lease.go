package sync

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// DefaultLease is the default length of a lease.
const DefaultLease = 2 * time.Minute

// LeaseOptions controls how a lease is taken.
type LeaseOptions struct {
	// Holder is the name of the holder, for people.
	Holder string
	// Length is the time after which it expires unless renewed; 0 means
	// [DefaultLease]. It is renewed three times in that time.
	Length time.Duration
	// Wait is the time to wait for another holder; 0 means not to wait.
	Wait time.Duration
	// Pause is the time between attempts; 0 means 2 seconds.
	Pause time.Duration
	// Waiting, if not nil, is called for every attempt while somebody else
	// holds the lease.
	Waiting func(*HeldError)
	// Calls says how the platform is called.
	Calls
}

// A Holding is a lease that is held.
type Holding struct {
	cancel  context.CancelCauseFunc
	ended   chan struct{}
	release func() error
}

// TakeLease takes the lease of a project on a platform that can hold one, and keeps
// it until [Holding.Release]. The context that it returns ends if the lease is lost.
// On any other platform it does nothing.
//
// It fails with a [*HeldError] if somebody else has the lease for longer than the
// options wait.
func TakeLease(ctx context.Context, p Platform, project string, o LeaseOptions) (context.Context, *Holding, error) {
	locker, ok := p.(Locker)
	if !ok {
		return ctx, &Holding{}, nil
	}
	o.Calls = o.Calls.withDefaults()
	if o.Length <= 0 {
		o.Length = DefaultLease
	}
	if o.Pause <= 0 {
		o.Pause = 2 * time.Second
	}
	l := Lease{ID: rand.Text(), Holder: o.Holder, Since: time.Now().UTC()}
	lock := func(ctx context.Context) error {
		_, err := read(ctx, ctx, o.Calls, reading{timeout: o.Timeout, again: temporary}, func(ctx context.Context) (struct{}, error) {
			l.Until = time.Now().UTC().Add(o.Length)
			return struct{}{}, locker.Lock(ctx, project, l)
		})
		return err
	}
	if err := waitFor(ctx, o, lock); err != nil {
		return ctx, nil, err
	}
	held, cancel := context.WithCancelCause(ctx)
	h := &Holding{cancel: cancel, ended: make(chan struct{}), release: func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Timeout)
		defer cancel()
		return locker.Unlock(ctx, project, l)
	}}
	go func() {
		defer close(h.ended)
		ticker := time.NewTicker(o.Length / 3)
		defer ticker.Stop()
		for {
			select {
			case <-held.Done():
				return
			case <-ticker.C:
			}
			var lost *HeldError
			if err := lock(held); errors.As(err, &lost) {
				cancel(fmt.Errorf("the lease was lost: %w", lost))
			}
		}
	}()
	return held, h, nil
}

// waitFor tries to take a lease until nobody else holds it.
func waitFor(ctx context.Context, o LeaseOptions, lock func(context.Context) error) error {
	for waited := time.Duration(0); ; waited += o.Pause {
		err := lock(ctx)
		var held *HeldError
		if !errors.As(err, &held) {
			return err
		}
		if waited+o.Pause > o.Wait {
			return held
		}
		if o.Waiting != nil {
			o.Waiting(held)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(o.Pause):
		}
	}
}

// Release releases the lease. If it returns an error, the lease expires by itself.
func (h *Holding) Release() error {
	if h.cancel == nil {
		return nil
	}
	h.cancel(nil)
	<-h.ended
	return h.release()
}

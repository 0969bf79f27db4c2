package sync

import (
	"context"
	"errors"
	"strings"
	stdsync "sync"
	"testing"
	"time"
)

// locking is a memory that holds a lease for as long as it is told to.
type locking struct {
	*memory
	mu    stdsync.Mutex
	held  *Lease
	taken int // how often the lease was taken or renewed
	ticks chan struct{}
}

func (l *locking) Lock(_ context.Context, _ string, lease Lease) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held != nil && l.held.ID != lease.ID {
		return &HeldError{*l.held}
	}
	l.held = &lease
	l.taken++
	select {
	case l.ticks <- struct{}{}:
	default:
	}
	return nil
}

func (l *locking) Unlock(_ context.Context, _ string, lease Lease) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held != nil && l.held.ID == lease.ID {
		l.held = nil
	}
	return nil
}

func (l *locking) holder(lease *Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = lease
}

func TestALeaseIsHeldRenewedAndGivenUp(t *testing.T) {
	p := &locking{memory: newMemory(), ticks: make(chan struct{}, 1)}
	ctx, holding, err := TakeLease(t.Context(), p, "growth", LeaseOptions{Holder: "ada@laptop", Length: 3 * time.Millisecond, Calls: quick})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		<-p.ticks // it hangs if the lease is not renewed
	}
	if _, _, err := TakeLease(t.Context(), p, "growth", LeaseOptions{Holder: "bob", Calls: quick}); err == nil || !strings.Contains(err.Error(), "ada@laptop is applying") {
		t.Errorf("a second one: %v", err)
	}
	if err := holding.Release(); err != nil || p.held != nil {
		t.Errorf("after the release: %+v, %v", p.held, err)
	}
	if ctx.Err() == nil {
		t.Error("the context goes on")
	}
}

func TestALeaseIsWaitedFor(t *testing.T) {
	p := &locking{memory: newMemory(), held: &Lease{ID: "theirs", Holder: "bob"}}
	var told *HeldError
	options := LeaseOptions{Wait: time.Minute, Pause: time.Millisecond, Calls: quick, Waiting: func(e *HeldError) {
		told = e
		p.holder(nil) // bob is done
	}}
	_, holding, err := TakeLease(t.Context(), p, "growth", options)
	if err != nil || told == nil || told.Lease.Holder != "bob" {
		t.Fatalf("told %v, error %v", told, err)
	}
	if err := holding.Release(); err != nil {
		t.Error(err)
	}
}

func TestALostLeaseEndsTheApply(t *testing.T) {
	p := &locking{memory: newMemory(), ticks: make(chan struct{}, 1)}
	ctx, holding, err := TakeLease(t.Context(), p, "growth", LeaseOptions{Length: 3 * time.Millisecond, Calls: quick})
	if err != nil {
		t.Fatal(err)
	}
	p.holder(&Lease{ID: "theirs", Holder: "bob"})
	<-ctx.Done()
	var held *HeldError
	if !errors.As(context.Cause(ctx), &held) || held.Lease.Holder != "bob" {
		t.Errorf("cause = %v", context.Cause(ctx))
	}
	if err := holding.Release(); err != nil || p.held == nil {
		t.Errorf("the other's lease is %+v after the release: %v", p.held, err)
	}
}

func TestAPlatformWithoutLeasesNeedsNone(t *testing.T) {
	_, holding, err := TakeLease(t.Context(), newMemory(), "growth", LeaseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := holding.Release(); err != nil {
		t.Error(err)
	}
}

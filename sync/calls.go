package sync

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// The defaults of [Calls].
const (
	DefaultTimeout = 30 * time.Second
	DefaultTries   = 8
	DefaultElapsed = 5 * time.Minute
)

// listTimeouts is the time that a List may take, in timeouts of one call: it
// may read many pages.
const listTimeouts = 10

// Calls controls how the methods of a [Platform] are called. The zero value is
// suitable for a command line.
type Calls struct {
	// Timeout bounds one call; 0 means [DefaultTimeout]. A List, which may read
	// many pages, gets ten times that.
	Timeout time.Duration
	// Tries is the maximum number of attempts of one call; 0 means
	// [DefaultTries].
	Tries int
	// Elapsed bounds the time from the first attempt to the start of the last;
	// 0 means [DefaultElapsed]. If the platform asks for a longer pause than is
	// left, the engine gives up at once.
	Elapsed time.Duration
	// BackOff makes the series of pauses between the tries of one call. The
	// default grows exponentially from half a second to half a minute, with
	// jitter. A platform's own RetryAfter takes precedence.
	BackOff func() backoff.BackOff
}

func (c Calls) withDefaults() Calls {
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Tries <= 0 {
		c.Tries = DefaultTries
	}
	if c.Elapsed <= 0 {
		c.Elapsed = DefaultElapsed
	}
	if c.BackOff == nil {
		c.BackOff = func() backoff.BackOff {
			b := backoff.NewExponentialBackOff()
			b.Multiplier, b.MaxInterval = 2, 30*time.Second
			return b
		}
	}
	return c
}

// repeat runs try until it succeeds, says that there is no point in going on,
// or the bounds of c are reached. It returns the last error of try itself,
// with a note of why it was the last. Try is told how many times it has been run, from 1
// on. Notify, if not nil, hears of every pause.
func (c Calls) repeat(ctx context.Context, notify backoff.Notify, try func(n int) (again bool, err error)) error {
	var (
		last  error
		again bool
		tries int
	)
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		tries++
		if again, last = try(tries); last == nil {
			return struct{}{}, nil
		}
		if !again {
			return struct{}{}, backoff.Permanent(errAgain)
		}
		if wait := retryAfter(last); wait > 0 {
			// Many calls may have been told the same moment; spread them.
			wait += rand.N(wait/10 + 1)
			return struct{}{}, &backoff.RetryAfterError{Duration: wait}
		}
		return struct{}{}, errAgain
	},
		backoff.WithBackOff(c.BackOff()),
		backoff.WithMaxTries(uint(c.Tries)),
		backoff.WithMaxElapsedTime(c.Elapsed),
		backoff.WithNotify(func(_ error, wait time.Duration) {
			if notify != nil {
				notify(last, wait)
			}
		}),
	)
	switch {
	case err == nil:
		return nil
	case !again:
		return last
	case ctx.Err() != nil:
		return fmt.Errorf("%w (interrupted before the next try)", last)
	case tries < c.Tries && retryAfter(last) > 0:
		return fmt.Errorf("%w (gave up: the platform asks to wait %v)", last, retryAfter(last))
	default:
		return fmt.Errorf("%w (gave up after %d tries)", last, tries)
	}
}

// errAgain asks for another try. The error of the last one is kept from the
// retrying library: a platform that uses the same library itself may have left
// its own signs in there.
var errAgain = errors.New("another try")

// retryAfter returns the pause that the platform asks for.
func retryAfter(err error) time.Duration {
	var e *Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}

// A reading controls how a method that changes nothing is called.
type reading struct {
	timeout time.Duration
	// again reports whether the method is called again after an error.
	again  func(error) bool
	notify backoff.Notify // nil for nobody
}

// read calls a method that changes nothing until it succeeds. Waiting ends with
// ctx; each call gets callCtx and a timeout.
func read[T any](ctx, callCtx context.Context, c Calls, how reading, call func(context.Context) (T, error)) (T, error) {
	var result T
	err := c.repeat(ctx, how.notify, func(n int) (bool, error) {
		callCtx, cancel := context.WithTimeout(withTry(callCtx, n), how.timeout)
		defer cancel()
		var err error
		result, err = call(callCtx)
		return how.again(err), err
	})
	return result, err
}

type tryKey struct{}

func withTry(ctx context.Context, n int) context.Context { return context.WithValue(ctx, tryKey{}, n) }

// TryOf returns how many times the engine has made a call of a [Platform], from 1 on, given
// the context of that call; 0 for a call that is not the engine's.
func TryOf(ctx context.Context) int {
	n, _ := ctx.Value(tryKey{}).(int)
	return n
}

func temporary(err error) bool { return KindOf(err) == Temporary }

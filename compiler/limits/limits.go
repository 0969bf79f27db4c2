// Package limits says what the evaluation of a package may take, and runs
// evaluations in child processes that are held to it.
//
// An evaluation can't be interrupted from within: it runs until it is done, and
// one that recurses without end takes its whole process along. So it runs in a
// child, which can be ended. The package knows nothing of what is evaluated: work
// and results are bytes.
//
// # Using a pool
//
// A [Pool] keeps up to Size children and starts one when it needs one:
//
//	pool := &limits.Pool{Command: limits.Self("evaluate-packages"), Version: version}
//	defer pool.Close()
//	err := pool.Do(ctx, limits.Task{Shared: settings, Items: []limits.Item{
//		{Payload: folder, Limits: limits.For(size)},
//	}}, func(item int, result []byte, err error) {
//		if over, ok := errors.AsType[*limits.Overrun](err); ok {
//			// The item was given up: over says at which limit.
//		}
//	})
//
// The command runs the same program in a mode in which all it does is to call
// [Serve] with the function that evaluates:
//
//	limits.Serve(version, func(work *limits.Work) error {
//		evaluator, err := newEvaluator(work.Shared)
//		if err != nil {
//			return err
//		}
//		for i, item := range work.Items {
//			work.Do(i, func() ([]byte, error) { return evaluator.evaluate(item.Payload) })
//		}
//		return nil
//	})
//
// The items of a [Task] share what the child makes of it, such as a context of the
// evaluator. They share no fate: when a child ends before its time, the items that
// it has done are kept, and those that it has not begun go to another child.
//
// # Verdicts
//
// The same input gets the same answer on a slow machine and on a fast one, alone
// or beside others. So no limit is one of the clock: a child counts the processor
// time that it used, and the memory that it holds. And only an item that is alone
// in a new child can be given up. Among others it may use a part of its time,
// and what it then goes over is a suspicion: the child may be full of what the
// others left behind. A suspect is tried again alone, with all of its limits.
//
// # Ends
//
// A child ends when its standard input does, also in the midst of an evaluation:
// none outlives the process that started it, however that ends. When the context
// of [Pool.Do] is done, the child is killed, and waited for. Children are in process
// groups of their own, so that Ctrl-C reaches the parent alone.
package limits

import (
	"cmp"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
)

// Limits are what one item may use.
type Limits struct {
	// Time is of the processors, by the whole child: two seconds on two
	// processors are four.
	Time time.Duration
	// Memory is what the child may hold, in bytes, with what it needs itself.
	Memory uint64
}

const (
	megabyte = 1000 * 1000
	gigabyte = 1000 * megabyte
)

// The limits of a package without a file, what each byte of its files adds to
// them, and the most that they can be.
var (
	smallest = Limits{Time: 10 * time.Second, Memory: 1 * gigabyte}
	perByte  = Limits{Time: 110 * time.Second / (2 * megabyte), Memory: 3 * gigabyte / (2 * megabyte)}
	largest  = Limits{Time: 10 * time.Minute, Memory: 8 * gigabyte}
)

// For returns the limits of a package whose files have so many bytes: 10 s and 1 GB
// for a small one, 120 s and 4 GB for one of 2 MB, in proportion in between and
// beyond, and at most 10 minutes and 8 GB.
func For(bytes int64) Limits {
	// More than this is beyond all limits, and could overflow.
	bytes = min(max(bytes, 0), gigabyte)
	return Limits{
		Time:   min(smallest.Time+time.Duration(bytes)*perByte.Time, largest.Time),
		Memory: min(smallest.Memory+uint64(bytes)*perByte.Memory, largest.Memory),
	}
}

// Or returns the limits, with other's in place of those that are zero.
func (l Limits) Or(other Limits) Limits {
	return Limits{Time: cmp.Or(l.Time, other.Time), Memory: cmp.Or(l.Memory, other.Memory)}
}

// What can be asked for. With less, not even an empty package would pass; with
// more, there is no limit to speak of.
const (
	leastTime   = 100 * time.Millisecond
	mostTime    = 24 * time.Hour
	leastMemory = 100 * megabyte
	mostMemory  = 1000 * gigabyte
)

// ParseTime reads a limit such as "30s" or "2m".
func ParseTime(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a time: write it like \"30s\" or \"2m\"", text)
	case d < leastTime || d > mostTime:
		return 0, fmt.Errorf("a limit of %s is out of range: it can be from 100ms to 24h", text)
	}
	return d, nil
}

// ParseMemory reads a limit such as "512MB" or "2GB", in bytes. Units are powers of
// 1000; "GiB" and its like are powers of 1024.
func ParseMemory(text string) (uint64, error) {
	n, err := humanize.ParseBytes(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not an amount of memory: write it like \"512MB\" or \"2GB\"", text)
	case n < leastMemory || n > mostMemory:
		return 0, fmt.Errorf("a limit of %s is out of range: it can be from 100MB to 1000GB", text)
	}
	return n, nil
}

// FormatTime writes an amount of time for people: "12.4s". Limits that go by the size
// of files are not round.
func FormatTime(d time.Duration) string {
	if d < time.Second {
		return d.String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// FormatMemory writes an amount of memory for people: "1.5 GB".
func FormatMemory(bytes uint64) string {
	return humanize.SIWithDigits(float64(bytes), 1, "B")
}

// A Limit is one that an item can go over.
type Limit string

// The limits.
const (
	Time   Limit = "time"   // the processor time of [Limits]
	Memory Limit = "memory" // the memory of [Limits]
	// Depth is how deep calls can be nested: 64 MB of a goroutine's stack.
	Depth Limit = "depth"
	// Crash is not a limit, but another way in which an item ends its child:
	// by a panic, say. Or somebody else has killed it: a system that is out of
	// memory does.
	Crash Limit = "crash"
)

// An Overrun is the error of an item that was given up.
type Overrun struct {
	Limit Limit
	// Allowed are the limits of the item.
	Allowed Limits
	// Detail is a line of the child's last words, or how it ended; empty when
	// the limit says it all. It is the same each time: there are no addresses
	// in it.
	Detail string
}

func (o *Overrun) Error() string {
	switch o.Limit {
	case Time:
		return fmt.Sprintf("took more than %s of processor time", FormatTime(o.Allowed.Time))
	case Memory:
		return fmt.Sprintf("took more than %s of memory", FormatMemory(o.Allowed.Memory))
	case Depth:
		return "is nested too deeply"
	default:
		return "ended the process that evaluated it: " + o.Detail
	}
}

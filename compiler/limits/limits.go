// Package limits defines how much an evaluation of a package may use, and runs evaluations in child processes
// that enforce these limits.
//
// An evaluation can't be interrupted from within: it runs until it is done, and endless recursion ends its
// whole process. So it runs in a child process, which can be killed. The package does not depend on the kind of
// evaluation: work and results are bytes.
//
// # Using a pool
//
// A [Pool] keeps up to Size children and starts them as needed:
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
// The command runs the same program in a mode that only calls [Serve] with the function that evaluates:
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
// The items of a [Task] share objects that the child makes for them, such as a context of the evaluator. They
// do not fail together: if a child ends early, its results so far are kept, and the items that it has not begun
// go to another child.
//
// # Verdicts
//
// The same input gets the same answer on a slow machine and on a fast one, alone or beside others. So no limit
// depends on the clock: a child counts the processor time that it used, and the memory that it holds. And an
// item is only given up when it was alone in a new child. With others in a child, it may use a part of its
// time. If it exceeds that, it is only suspect, because the others may have left the child full. A suspect item
// is tried again alone, with its full limits.
//
// # Ends
//
// A child ends when its standard input does, even during an evaluation. So no child outlives the process that
// started it, however that ends. When the context of [Pool.Do] is done, the child is killed, and waited for.
// Children are in process groups of their own, so that Ctrl-C only reaches the parent.
package limits

import (
	"cmp"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
)

// Limits is how much one item may use.
type Limits struct {
	// Time is processor time of the whole child: two seconds on two processors are four.
	Time time.Duration
	// Memory is how much memory the child may hold, in bytes, including its own overhead.
	Memory uint64
}

const (
	megabyte = 1000 * 1000
	gigabyte = 1000 * megabyte
)

// The limits of a package without files, the increase for each byte of its files, and the maximum.
var (
	smallest = Limits{Time: 10 * time.Second, Memory: 1 * gigabyte}
	perByte  = Limits{Time: 110 * time.Second / (2 * megabyte), Memory: 3 * gigabyte / (2 * megabyte)}
	largest  = Limits{Time: 10 * time.Minute, Memory: 8 * gigabyte}
)

// For returns the limits of a package with files of the given size in bytes: 10 s and 1 GB for a small one, 120
// s and 4 GB for 2 MB, in proportion in between and beyond, and at most 10 minutes and 8 GB.
func For(bytes int64) Limits {
	// Larger values exceed all limits, and could overflow.
	bytes = min(max(bytes, 0), gigabyte)
	return Limits{
		Time:   min(smallest.Time+time.Duration(bytes)*perByte.Time, largest.Time),
		Memory: min(smallest.Memory+uint64(bytes)*perByte.Memory, largest.Memory),
	}
}

// Or returns the limits, with those of other in the place of zeros.
func (l Limits) Or(other Limits) Limits {
	return Limits{Time: cmp.Or(l.Time, other.Time), Memory: cmp.Or(l.Memory, other.Memory)}
}

// The range of limits. With less, not even an empty package would pass. With more, there is hardly any limit.
const (
	leastTime   = 100 * time.Millisecond
	mostTime    = 24 * time.Hour
	leastMemory = 100 * megabyte
	mostMemory  = 1000 * gigabyte
)

// ParseTime parses a limit such as "30s" or "2m".
func ParseTime(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a duration: write it like \"30s\" or \"2m\"", text)
	case d < leastTime || d > mostTime:
		return 0, fmt.Errorf("a limit of %s is out of range: use 100ms to 24h", text)
	}
	return d, nil
}

// ParseMemory parses a limit such as "512MB" or "2GB" and returns it in bytes. Units are powers of 1000; "GiB"
// and similar units are powers of 1024.
func ParseMemory(text string) (uint64, error) {
	n, err := humanize.ParseBytes(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not an amount of memory: write it like \"512MB\" or \"2GB\"", text)
	case n < leastMemory || n > mostMemory:
		return 0, fmt.Errorf("a limit of %s is out of range: use 100MB to 1000GB", text)
	}
	return n, nil
}

// FormatTime formats a duration for people: "12.4s". It rounds, because limits that depend on the size of files
// are not round.
func FormatTime(d time.Duration) string {
	if d < time.Second {
		return d.String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// FormatMemory formats an amount of memory for people: "1.5 GB".
func FormatMemory(bytes uint64) string {
	return humanize.SIWithDigits(float64(bytes), 1, "B")
}

// A Limit is a limit that an item can exceed.
type Limit string

// The limits.
const (
	Time   Limit = "time"   // the processor time of [Limits]
	Memory Limit = "memory" // the memory of [Limits]
	// Depth is the depth of nested calls: 64 MB of a goroutine's stack.
	Depth Limit = "depth"
	// Crash is not a limit, but another way in which an item ends its child, such as a panic. Another process
	// may also have killed the child, for example a system that is out of memory.
	Crash Limit = "crash"
)

// An Overrun is the error of an item that was given up.
type Overrun struct {
	Limit Limit
	// Allowed has the limits of the item.
	Allowed Limits
	// Detail is a line of the child's last output, or how it ended; empty if the limit is the whole reason. It
	// is the same each time, without addresses.
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

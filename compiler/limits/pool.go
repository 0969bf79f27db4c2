package limits

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// A Task is work that is given to one child at once.
type Task struct {
	// Shared is data that the child needs for all items.
	Shared []byte
	Items  []Item
}

// An Item is a part of a task with a result of its own. It is given up alone.
type Item struct {
	Payload []byte
	// Limits is how much the item may use; zeros mean the limits of [For](0).
	Limits Limits
}

// companyShare is the divisor of an item's time in a child that also does other items. An item that takes more
// is tried again alone. A smaller divisor makes that rarer, but costs more for every item that never ends.
const companyShare = 5

// A Pool does tasks in child processes. Its fields must not change after its first use.
type Pool struct {
	// Command returns a command that calls [Serve]; see [Self]. The pool sets
	// its standard input, output and error.
	Command func() *exec.Cmd
	// Version is the version that children must pass to Serve. Another version is an error: the program on disk
	// was replaced.
	Version string
	// Size is the maximum number of children that work at once; GOMAXPROCS if it is zero.
	Size int
	// Processors is the GOMAXPROCS of each child; Go's default if it is zero.
	Processors int
	// RecycleAbove is the memory that a child may hold after a task, in bytes. A child that holds more is
	// replaced. Zero means no limit except those of the items.
	RecycleAbove uint64

	once  sync.Once
	slots chan struct{} // holds one value for each working child

	mu       sync.Mutex
	closed   bool
	children map[*child]bool // all running children
	idle     []*child        // those that wait for a task
}

// errClosed is the error of a pool that is used after Close.
var errClosed = errors.New("the pool of evaluations is closed")

func (p *Pool) init() {
	p.once.Do(func() {
		size := p.Size
		if size <= 0 {
			size = runtime.GOMAXPROCS(0)
		}
		p.slots = make(chan struct{}, size)
		p.children = map[*child]bool{}
	})
}

// Self returns a function for [Pool.Command] that runs the current program with the given arguments.
func Self(args ...string) func() *exec.Cmd {
	return func() *exec.Cmd {
		path, err := os.Executable()
		// The program on disk may be newer than the running one.
		if _, gone := os.Stat("/proc/self/exe"); runtime.GOOS == "linux" && gone == nil {
			path, err = "/proc/self/exe", nil
		}
		cmd := exec.Command(path, args...)
		if err != nil {
			cmd.Err = err
		}
		cmd.Args[0] = os.Args[0]
		return cmd
	}
}

// Warm starts a child before the first task, and does not wait for it. The child gets ready while the caller
// does something else. If it can't be started, the first task returns the error.
func (p *Pool) Warm() {
	p.init()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.children) > 0 {
		return
	}
	if c, err := p.start(); err == nil {
		p.idle = append(p.idle, c)
	}
}

// Do does a task. It waits for its turn, and returns when all items have ended. It calls done once for each
// item, in the order in which they end, one call at a time. The err of done is an [*Overrun] if the item was
// given up, or else the error of the evaluation.
//
// Do returns the cause of ctx, or the error of starting a child. In these cases it has called done for some
// items only. Do may be called from several goroutines, but not by done.
func (p *Pool) Do(ctx context.Context, task Task, done func(item int, result []byte, err error)) error {
	p.init()
	j := &job{pool: p, task: task, done: done}
	pending := make([]int, len(task.Items))
	for i := range task.Items {
		pending[i] = i
	}
	suspects, err := j.together(ctx, pending)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cap(p.slots))
	for _, i := range suspects {
		group.Go(func() error { return j.alone(ctx, i) })
	}
	return group.Wait()
}

// A job is a task that is in progress.
type job struct {
	pool *Pool
	task Task

	mu   sync.Mutex // one call of done at a time
	done func(item int, result []byte, err error)
}

func (j *job) report(item int, result []byte, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.done(item, result, err)
}

// request returns the request to a child for some items.
func (j *job) request(items []int, alone bool) request {
	r := request{Shared: j.task.Shared, Alone: alone}
	for _, i := range items {
		item := j.task.Items[i]
		item.Limits = item.Limits.Or(For(0))
		if !alone {
			item.Limits.Time /= companyShare
		}
		r.Items = append(r.Items, item)
	}
	return r
}

// together does items in shared children, and returns those that must be tried alone.
func (j *job) together(ctx context.Context, pending []int) (suspects []int, err error) {
	release, err := j.pool.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	fresh := false
	for len(pending) > 0 {
		items, ended := pending, map[int]bool{}
		fall, used, err := j.pool.do(ctx, j.request(items, false), fresh, func(i int, result []byte, err error) {
			ended[items[i]] = true
			j.report(items[i], result, err)
		})
		if err != nil {
			return nil, err
		}
		if fall == nil {
			return suspects, nil
		}
		moved := len(ended) > 0
		if fall.item != noItem {
			suspects = append(suspects, items[fall.item])
			ended[items[fall.item]] = true
		}
		pending = slices.DeleteFunc(slices.Clone(items), func(i int) bool { return ended[i] })
		// Between items, the reason is memory that the child held before, or an item that it was about to read.
		// Any item can be the cause.
		if fall.item == noItem && !moved && !used {
			return append(suspects, pending...), nil
		}
		fresh = true
	}
	return suspects, nil
}

// alone does one item in a new child.
func (j *job) alone(ctx context.Context, item int) error {
	release, err := j.pool.turn(ctx)
	if err != nil {
		return err
	}
	defer release()
	ended := false
	fall, _, err := j.pool.do(ctx, j.request([]int{item}, true), true, func(_ int, result []byte, err error) {
		ended = true
		j.report(item, result, err)
	})
	if err == nil && fall != nil && !ended {
		over := fall.over
		over.Allowed = j.task.Items[item].Limits.Or(For(0))
		j.report(item, nil, &over)
	}
	return err
}

// do has a child do the request, a new child if fresh is true. used means that the child has worked before.
func (p *Pool) do(ctx context.Context, r request, fresh bool, report reporter) (f *fall, used bool, err error) {
	c, err := p.take(fresh)
	if err != nil {
		return nil, false, err
	}
	used = c.used
	f, err = c.do(ctx, r, report)
	if closed := p.giveBack(c, f == nil && err == nil); closed && err == nil && f != nil {
		// The child ended because the pool was closed.
		err = errClosed
	}
	return f, used, err
}

// turn waits until fewer than Size children work. The caller must call release.
func (p *Pool) turn(ctx context.Context) (release func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// take returns an idle child, or a new one. There is at most one child for each turn: if a new one is needed
// and the maximum is reached, an idle one is ended.
func (p *Pool) take(fresh bool) (*child, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	i := len(p.idle) - 1
	if fresh {
		i = slices.IndexFunc(p.idle, func(c *child) bool { return !c.used })
	}
	if i >= 0 {
		c := p.idle[i]
		p.idle = slices.Delete(p.idle, i, i+1)
		return c, nil
	}
	if len(p.idle) > 0 && len(p.children) >= cap(p.slots) {
		c := p.idle[0]
		p.idle = p.idle[1:]
		delete(p.children, c)
		c.end()
	}
	return p.start()
}

// giveBack keeps a child for the next task, or ends it.
func (p *Pool) giveBack(c *child, sound bool) (closed bool) {
	p.mu.Lock()
	closed = p.closed
	keep := sound && !closed && (p.RecycleAbove == 0 || c.held <= p.RecycleAbove)
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if keep {
		return closed
	}
	c.end()
	p.mu.Lock()
	delete(p.children, c)
	p.mu.Unlock()
	return closed
}

// start starts a child. The caller holds mu.
func (p *Pool) start() (*child, error) {
	c, err := startChild(p.Command(), p.Version, p.Processors)
	if err != nil {
		return nil, err
	}
	p.children[c] = true
	return c, nil
}

// Close ends all children, and returns when they have ended. A running call of Do returns an error.
func (p *Pool) Close() {
	p.init()
	p.mu.Lock()
	p.closed = true
	var all []*child
	for c := range p.children {
		all = append(all, c)
	}
	p.idle = nil
	p.mu.Unlock()
	for _, c := range all {
		c.end()
	}
}

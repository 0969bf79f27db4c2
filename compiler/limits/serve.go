package limits

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// maxStack is the maximum size of a goroutine's stack, in bytes. It is enough for CUE to nest ten thousand
	// structs, and endless recursion reaches it soon. Go ends the process when a stack gets larger.
	maxStack = 64 << 20
	// watchInterval is how often a child compares its use with its limits. It only determines how far a limit
	// can be exceeded.
	watchInterval = 20 * time.Millisecond
	// overStatus is the exit status of a child that ends at a limit.
	overStatus = 3
)

// request is a task as it is sent to a child. Its items have the limits that the child must enforce. If there
// are several items, these are stricter than the items' own.
type request struct {
	Shared []byte
	Items  []Item
	// Alone means that everything the child does is for the one item.
	Alone bool
}

// Work is a task as a child sees it. The child must do each item by a call of Do.
type Work struct {
	// Shared is [Task.Shared].
	Shared []byte
	// Items are the items of [Task.Items] for this child, in their order.
	Items []Item

	server *server
	done   []bool
}

// A server is the child's side of the conversation.
type server struct {
	mu   sync.Mutex // held to write, or to read the fields below
	out  io.Writer
	task request
	// item is the current item, or noItem between items.
	item int
	// since is the processor time at its start, and budget how much it may use.
	since  time.Duration
	budget Limits
}

// Serve does the work that a [Pool] sends on standard input, until the input ends. Then it ends the process,
// and never returns. version must be that of the pool.
//
// It answers on standard output, and points os.Stdout to standard error, so that no other output gets between
// the answers. An error of do becomes the error of all items that it has not done.
func Serve(version string, do func(*Work) error) {
	s := &server{out: os.Stdout, item: noItem}
	os.Stdout = os.Stderr
	debug.SetMaxStack(maxStack)
	s.send(frame{kind: helloFrame, item: noItem, body: []byte(version)})

	tasks := make(chan request)
	go receive(tasks)
	for task := range tasks {
		s.serve(task, do)
	}
}

// receive reads tasks, and ends the process at the end of the input, even during a task: nobody waits for the
// result.
func receive(tasks chan<- request) {
	in := bufio.NewReader(os.Stdin)
	for {
		f, err := readFrame(in)
		if err == io.EOF {
			os.Exit(0)
		}
		var task request
		if err == nil && f.kind != taskFrame {
			err = errProtocol
		}
		if err == nil {
			err = json.Unmarshal(f.body, &task)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "fatal error: standard input:", err)
			os.Exit(1)
		}
		tasks <- task
	}
}

// serve does one task.
func (s *server) serve(task request, do func(*Work) error) {
	work := &Work{Shared: task.Shared, Items: task.Items, server: s, done: make([]bool, len(task.Items))}
	s.mu.Lock()
	s.task = task
	s.between(task.widest())
	s.mu.Unlock()
	stop := make(chan struct{})
	go s.watch(stop)

	err := do(work)
	if err == nil {
		err = errors.New("the evaluation skipped it")
	}
	for i, done := range work.done {
		if !done {
			s.send(failure(i, err))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	close(stop)
	s.write(frame{kind: finishedFrame, item: noItem, body: binary.BigEndian.AppendUint64(nil, memoryHeld())})
}

// widest returns the maximum that one of the items may use. It is the limit between items, when files are read
// and the evaluator is made.
func (r request) widest() Limits {
	var widest Limits
	for _, item := range r.Items {
		widest.Time = max(widest.Time, item.Limits.Time)
		widest.Memory = max(widest.Memory, item.Limits.Memory)
	}
	return widest
}

// Do does the i-th item: f returns its result. Everything used meanwhile counts for the item. Items can be done
// in any order, each once, one at a time. A panic in f is not caught: it ends the child, and is reported for
// the item.
func (w *Work) Do(i int, f func() ([]byte, error)) {
	if w.done[i] {
		panic(fmt.Sprintf("item %d is done already", i))
	}
	s := w.server
	s.mu.Lock()
	s.item = i
	if !s.task.Alone { // otherwise the whole task is for this item
		s.budgetFor(w.Items[i].Limits)
	}
	s.write(frame{kind: beginFrame, item: i})
	s.mu.Unlock()

	result, err := f()

	s.mu.Lock()
	defer s.mu.Unlock()
	w.done[i] = true
	switch {
	case err != nil:
		s.write(failure(i, err))
	case len(result) > maxBody:
		s.over(Memory)
	default:
		s.write(frame{kind: doneFrame, item: i, body: result})
	}
	if !s.task.Alone {
		s.between(s.task.widest())
	}
	s.item = noItem
}

// failure returns the frame of an error, with at most 64 KB of its text.
func failure(i int, err error) frame {
	text := err.Error()
	return frame{kind: failedFrame, item: i, body: []byte(text[:min(len(text), 64<<10)])}
}

// between begins the time between items. The caller holds mu.
func (s *server) between(l Limits) {
	s.item = noItem
	s.budgetFor(l)
}

// budgetFor restarts counting, with new limits. The caller holds mu.
func (s *server) budgetFor(l Limits) {
	s.since, s.budget = processorTime(), l
	// The garbage collector works harder near the limit: garbage alone must not exceed it.
	debug.SetMemoryLimit(int64(l.Memory / 10 * 9))
}

// watch ends the process when an item exceeds its limits.
func (s *server) watch(stop <-chan struct{}) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for range tick.C {
		s.mu.Lock()
		select {
		case <-stop:
			s.mu.Unlock()
			return
		default:
		}
		if processorTime()-s.since > s.budget.Time {
			s.over(Time)
		}
		if memoryHeld() > s.budget.Memory {
			s.over(Memory)
		}
		s.mu.Unlock()
	}
}

// over ends the process at a limit. The caller holds mu.
func (s *server) over(limit Limit) {
	s.write(frame{kind: overFrame, item: s.item, body: []byte(limit)})
	os.Exit(overStatus)
}

func (s *server) send(f frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(f)
}

// write writes a frame. The caller holds mu. If the parent does not read, it ends the process.
func (s *server) write(f frame) {
	if err := writeFrame(s.out, f); err != nil {
		os.Exit(1)
	}
}

// memoryHeld returns the memory that the process has from the operating system, in bytes.
func memoryHeld() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}

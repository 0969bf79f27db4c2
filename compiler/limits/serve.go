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
	// maxStack is how much stack a goroutine may have, in bytes: CUE nests ten thousand
	// structs within it, and one that recurses without end is soon there. Go ends the
	// process when one wants more.
	maxStack = 64 << 20
	// watchInterval is how often a child compares what it uses with its limits.
	// It bounds how far a limit is overshot, and decides nothing else.
	watchInterval = 20 * time.Millisecond
	// overStatus is the exit status of a child that ends at a limit.
	overStatus = 3
)

// request is a task on its way to a child. Its items have the limits that the child
// is to hold to, which are stricter than the items' own if there are several.
type request struct {
	Shared []byte
	Items  []Item
	// Alone says that all the child does is for the one item.
	Alone bool
}

// Work is a task, as a child sees it. All items are to be done, by a call of Do each.
type Work struct {
	// Shared is [Task.Shared].
	Shared []byte
	// Items are those of [Task.Items] that this child is to do, in their order.
	Items []Item

	server *server
	done   []bool
}

// A server is the child's side of the conversation.
type server struct {
	mu   sync.Mutex // held by whoever writes, or reads what follows
	out  io.Writer
	task request
	// item is what is being done, or noItem between the items.
	item int
	// since is the processor time when it was begun, and budget what it may use.
	since  time.Duration
	budget Limits
}

// Serve does the work that a [Pool] sends on standard input, until that ends; then it
// ends the process, and never returns. Version is to be that of the pool.
//
// It answers on standard output, and points os.Stdout to standard error, so that
// nothing else gets between the answers. An error that do returns is the error of all
// items that it has not done.
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

// receive reads tasks, and ends the process when there are no more, whatever it is
// doing then: nobody waits for the result.
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
		err = errors.New("the evaluation left it out")
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

// widest returns the most that one of the items may use. It holds between them,
// where files are read and the evaluator is made.
func (r request) widest() Limits {
	var widest Limits
	for _, item := range r.Items {
		widest.Time = max(widest.Time, item.Limits.Time)
		widest.Memory = max(widest.Memory, item.Limits.Memory)
	}
	return widest
}

// Do does the i-th item: f returns its result. What it uses meanwhile counts for the
// item. Items can be done in any order, each once, one at a time. A panic of f is not
// caught: it ends the child, and is reported for the item.
func (w *Work) Do(i int, f func() ([]byte, error)) {
	if w.done[i] {
		panic(fmt.Sprintf("item %d is done already", i))
	}
	s := w.server
	s.mu.Lock()
	s.item = i
	if !s.task.Alone { // else all that the task takes is for this item
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

// failure returns the frame of an error, of which it keeps the first 64 KB.
func failure(i int, err error) frame {
	text := err.Error()
	return frame{kind: failedFrame, item: i, body: []byte(text[:min(len(text), 64<<10)])}
}

// between begins what is done between items. The caller holds mu.
func (s *server) between(l Limits) {
	s.item = noItem
	s.budgetFor(l)
}

// budgetFor counts from now on, against the limits. The caller holds mu.
func (s *server) budgetFor(l Limits) {
	s.since, s.budget = processorTime(), l
	// The collector works harder near the limit: garbage alone must not go over it.
	debug.SetMemoryLimit(int64(l.Memory / 10 * 9))
}

// watch ends the process when an item goes over its limits.
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

// write writes a frame. The caller holds mu. When nobody reads, there is nothing
// left to do.
func (s *server) write(f frame) {
	if err := writeFrame(s.out, f); err != nil {
		os.Exit(1)
	}
}

// memoryHeld is what the process has from the operating system, in bytes.
func memoryHeld() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}

package limits

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// A child is the parent's view of a process that calls Serve.
type child struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	words   *tail // its output on standard error
	version string
	greeted bool
	// used means that it was given a task. held is the memory that it held after the last one, in bytes.
	used bool
	held uint64

	mu    sync.Mutex
	ended bool // after that, nothing may signal the process
}

// killedWait is how long the standard error of a child may stay open after the child ends. Only a process that
// the child has started could keep it open.
const killedWait = time.Second

// startChild starts a child. It does not wait until the child is ready.
func startChild(cmd *exec.Cmd, version string, processors int) (*child, error) {
	c := &child{cmd: cmd, version: version, words: &tail{}}
	cmd.Env = cmd.Environ()
	if processors > 0 {
		cmd.Env = append(cmd.Env, "GOMAXPROCS="+strconv.Itoa(processors))
	}
	// One trace is enough, without a core dump.
	cmd.Env = append(cmd.Env, "GOTRACEBACK=single")
	cmd.Stderr = c.words
	cmd.WaitDelay = killedWait
	ownGroup(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("can't start an evaluation: %w", err)
	}
	if c.in, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("can't start an evaluation: %w", err)
	}
	c.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("can't start an evaluation: %w", err)
	}
	return c, nil
}

// kill kills the child, unless it has ended.
func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		killGroup(c.cmd)
	}
}

// end kills the child if it still runs, and waits for it.
func (c *child) end() {
	c.kill()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.ended = true
		// ProcessState has the same information as the error.
		_ = c.cmd.Wait()
	}
}

// A reporter is called when an item of a request ends.
type reporter func(item int, result []byte, err error)

// A fall is the unexpected end of a child during a task.
type fall struct {
	// item is the current item, as an index into the request, or noItem.
	item int
	over Overrun
}

// do gives the child a task, and reports each item that ends. It returns an error if ctx is done, or if the
// child is unusable. After a fall or an error, the child has ended.
func (c *child) do(ctx context.Context, task request, report reporter) (*fall, error) {
	c.used = true
	body, err := json.Marshal(task)
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("an evaluation of %d bytes: %w", len(body), errTooLarge)
	}
	stop := context.AfterFunc(ctx, c.kill)
	defer stop()

	// A child that does not accept the task has ended. Reading returns the reason.
	go func() { _ = writeFrame(c.in, frame{kind: taskFrame, item: noItem, body: body}) }()
	talk := newConversation(c, task, report)
	stopWatching := c.watch(talk)
	err = talk.listen()
	overseen := stopWatching()
	if err == nil && ctx.Err() == nil {
		return nil, nil
	}
	c.end()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, errVersion):
		return nil, err
	case !c.greeted:
		return nil, fmt.Errorf("an evaluation can't be started: %s", c.lastWords().Detail)
	}
	f := &fall{item: talk.item}
	switch {
	case talk.over != "":
		f.over.Limit = talk.over
	case overseen != "":
		f.over.Limit = overseen
	case errors.Is(err, errProtocol):
		f.over = Overrun{Limit: Crash, Detail: "it wrote something of its own on standard output"}
	default:
		f.over = c.lastWords()
	}
	return f, nil
}

// A conversation is the child's messages about a task.
type conversation struct {
	child  *child
	task   request
	report reporter
	ended  []bool
	over   Limit // the limit that the child reports as exceeded

	mu   sync.Mutex // watch reads the fields below
	item int        // the current item, or noItem
	// spans counts the periods of work with limits of their own.
	spans int
}

func newConversation(c *child, task request, report reporter) *conversation {
	return &conversation{child: c, task: task, report: report, ended: make([]bool, len(task.Items)), item: noItem}
}

// errVersion is wrapped by the error about a child of another version.
var errVersion = errors.New("the program was replaced while it ran")

// listen returns nil when the task is done.
func (t *conversation) listen() error {
	for {
		f, err := readFrame(t.child.out)
		if err != nil {
			return err
		}
		if done, err := t.hear(f); done || err != nil {
			return err
		}
	}
}

// hear handles one frame.
func (t *conversation) hear(f frame) (done bool, err error) {
	if !t.child.greeted {
		if f.kind != helloFrame {
			return false, errProtocol
		}
		if version := string(f.body); version != t.child.version {
			return false, fmt.Errorf("%w: this is %s, but %q is on disk now", errVersion, t.child.version, version)
		}
		t.child.greeted = true
		return false, nil
	}
	if f.item != noItem && (f.item < 0 || f.item >= len(t.ended) || t.ended[f.item]) {
		return false, errProtocol
	}
	switch {
	case f.kind == beginFrame && f.item != noItem && t.item == noItem:
		t.turnTo(f.item)
	case f.kind == doneFrame && f.item != noItem && f.item == t.item:
		t.end(f.item, f.body, nil)
	case f.kind == failedFrame && f.item != noItem && (f.item == t.item || t.item == noItem):
		t.end(f.item, nil, errors.New(string(f.body)))
	case f.kind == overFrame && f.item == t.item:
		t.over = Limit(f.body)
		return false, errors.New("over a limit")
	case f.kind == finishedFrame && t.item == noItem && !slices.Contains(t.ended, false) && len(f.body) == 8:
		t.child.held = binary.BigEndian.Uint64(f.body)
		return true, nil
	default:
		return false, errProtocol
	}
	return false, nil
}

func (t *conversation) end(item int, result []byte, err error) {
	t.turnTo(noItem)
	t.ended[item] = true
	t.report(item, result, err)
}

// turnTo sets the child's current item.
func (t *conversation) turnTo(item int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.item = item
	if !t.task.Alone {
		t.spans++
	}
}

// now returns the child's current limits, and the number of the current period of work.
func (t *conversation) now() (Limits, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.item == noItem {
		return t.task.widest(), t.spans
	}
	return t.task.Items[t.item].Limits, t.spans
}

// A child measures its own use, and ends at a limit. On systems that report the use of other processes, the
// parent watches it as well, in case the child gets no chance to measure. The parent's limits are higher, so
// that it is never first otherwise.
const (
	overseeInterval = 500 * time.Millisecond
	overseeTime     = 2 * time.Second
	overseeMemory   = 250 * megabyte
)

// watch kills the child when it is far over its limits. The caller must call stop, which returns the limit if
// the child was killed.
func (c *child) watch(t *conversation) (stop func() Limit) {
	quit, over := make(chan struct{}), make(chan Limit, 1)
	go func() {
		defer close(over)
		tick := time.NewTicker(overseeInterval)
		defer tick.Stop()
		span, since := -1, time.Duration(0)
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			used, held, ok := usage(c.cmd.Process)
			if !ok {
				return
			}
			allowed, now := t.now()
			if now != span {
				span, since = now, used
			}
			switch {
			case used-since > allowed.Time*3/2+overseeTime:
				over <- Time
			case held > allowed.Memory/2*3+overseeMemory:
				over <- Memory
			default:
				continue
			}
			c.kill()
			return
		}
	}()
	return func() Limit {
		close(quit)
		return <-over
	}
}

// lastWords returns how the child ended. It must have ended.
func (c *child) lastWords() Overrun {
	for line := range strings.Lines(c.words.String()) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "runtime: goroutine stack exceeds"):
			return Overrun{Limit: Depth}
		case strings.HasPrefix(line, "fatal error: runtime: out of memory"),
			strings.HasPrefix(line, "fatal error: runtime: cannot allocate memory"):
			return Overrun{Limit: Memory}
		case strings.HasPrefix(line, "panic: "), strings.HasPrefix(line, "fatal error: "):
			return Overrun{Limit: Crash, Detail: plain(line)}
		}
	}
	return Overrun{Limit: Crash, Detail: c.cmd.ProcessState.String()}
}

var (
	// address matches the parts that differ each time, as in "panic: (*adt.Vertex) 0xc0000a4000".
	address = regexp.MustCompile(`0x[0-9a-f]+`)
	// longest is the number of runes of a line that are kept.
	longest = 200
)

// plain returns a line in a form that is safe to show: without addresses and control characters.
func plain(line string) string {
	line = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, address.ReplaceAllString(strings.ToValidUTF8(line, ""), "0x…"))
	if runes := []rune(line); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return line
}

// tailSize is how much of a child's standard error is kept, in bytes. It is the end, with the reason and one
// trace.
const tailSize = 64 << 10

// A tail keeps at least the last tailSize bytes that are written to it, and at most twice as many.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if len(t.text) > 2*tailSize {
		t.text = bytes.Clone(t.text[len(t.text)-tailSize:])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

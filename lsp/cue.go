package lsp

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"sync"

	"github.com/sourcegraph/jsonrpc2"
)

// A cueServer is cue lsp in a child process. Messages go to it in their order, from a queue, so that nobody waits
// for it but those that want its answer. If it ends, it is started again with the open documents.
//
// cue lsp is hidden and promises no interface, so go.mod pins its version, and the scripts of this package test what
// is used of it.
type cueServer struct {
	command func() *exec.Cmd
	log     func(string)
	ctx     context.Context
	done    chan struct{} // closed when no child runs any more

	mu     sync.Mutex
	more   chan struct{}
	queue  []cueMessage
	opened map[string]*document
	// greeting has the parameters of initialize, nil before the editor has sent it.
	greeting json.RawMessage
	// answered means that the child that runs has answered a request of the editor.
	answered bool
	// gone means that no child runs, and none will.
	gone bool
}

// A cueMessage is a notification, or a request if answer is set.
type cueMessage struct {
	method string
	params any
	// answer gets the result; nil if the child has ended.
	answer chan<- cueAnswer
	ctx    context.Context
}

type cueAnswer struct {
	result json.RawMessage
	err    error
}

// errNoCUE is the error of a request that only CUE's language server could answer.
var errNoCUE = errors.New("CUE's language server has ended")

func newCUE(ctx context.Context, command func() *exec.Cmd, log func(string)) *cueServer {
	return &cueServer{command: command, log: log, ctx: ctx, done: make(chan struct{}), more: make(chan struct{}, 1),
		opened: map[string]*document{}}
}

// start starts the child, with the parameters of the editor's initialize.
func (c *cueServer) start(raw json.RawMessage) {
	var params map[string]any
	if json.Unmarshal(raw, &params) != nil {
		return
	}
	delete(params, "initializationOptions")
	params["processId"] = os.Getpid()
	greeting, err := json.Marshal(params)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.greeting == nil {
		c.greeting = greeting
		go c.run()
	}
}

// wait returns when the child has ended.
func (c *cueServer) wait() {
	c.mu.Lock()
	started := c.greeting != nil
	c.mu.Unlock()
	if started {
		<-c.done
	}
}

// set gives the child the text of a document, nil for one that is closed.
func (c *cueServer) set(uri string, doc *document) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := map[string]any{"uri": uri}
	old := c.opened[uri]
	known := old != nil
	switch {
	case doc == nil && known:
		delete(c.opened, uri)
		c.push(cueMessage{method: "textDocument/didClose", params: map[string]any{"textDocument": id}})
	case doc == nil:
	case known:
		c.opened[uri] = doc
		id["version"] = doc.version
		part := changeOf(old.text, doc.text)
		at := old.span(part.from, part.oldTo)
		c.push(cueMessage{method: "textDocument/didChange", params: map[string]any{"textDocument": id,
			"contentChanges": []any{contentChange{&at, doc.text[part.from:part.to]}}}})
	default:
		c.opened[uri] = doc
		c.push(cueMessage{method: "textDocument/didOpen", params: opens(doc)})
	}
}

// opens has the parameters that open a document.
func opens(doc *document) any {
	return map[string]any{"textDocument": map[string]any{
		"uri": doc.uri, "languageId": "cue", "version": doc.version, "text": doc.text}}
}

// notify passes a notification on.
func (c *cueServer) notify(method string, raw json.RawMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.push(cueMessage{method: method, params: raw})
}

// push adds a message to the queue. The caller holds the lock.
func (c *cueServer) push(m cueMessage) {
	if c.greeting == nil || c.gone {
		if m.answer != nil {
			m.answer <- cueAnswer{err: errNoCUE}
		}
		return
	}
	c.queue = append(c.queue, m)
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// call asks the child, and waits for its answer.
func (c *cueServer) call(ctx context.Context, method string, params json.RawMessage) (json.RawMessage, error) {
	answer := make(chan cueAnswer, 1)
	c.mu.Lock()
	c.push(cueMessage{method: method, params: params, answer: answer, ctx: ctx})
	c.mu.Unlock()
	select {
	case a := <-answer:
		return a.result, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// mostFailures is the number of children in a row that may end before they answer anything.
const mostFailures = 3

// run keeps a child running.
func (c *cueServer) run() {
	defer close(c.done)
	for failures := 0; failures < mostFailures && c.ctx.Err() == nil; {
		err := c.serve()
		c.mu.Lock()
		if failures++; c.answered {
			failures = 0
		}
		c.answered = false
		c.mu.Unlock()
		if c.ctx.Err() == nil {
			c.log("CUE's language server has ended, and is started again: " + message(err))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	for _, m := range c.queue {
		if m.answer != nil {
			m.answer <- cueAnswer{err: errNoCUE}
		}
	}
	c.queue = nil
}

func message(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

// serve runs one child.
func (c *cueServer) serve() error {
	cmd := c.command()
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	conn := jsonrpc2.NewConn(c.ctx, jsonrpc2.NewBufferedStream(stream{out, in}, jsonrpc2.VSCodeObjectCodec{}),
		jsonrpc2.HandlerWithError(fromCUE), jsonrpc2.SetLogger(silent{}))
	defer func() {
		_ = conn.Close()       // it may be closed already
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // the status does not matter
	}()
	if err := conn.Call(c.ctx, "initialize", c.greeting, nil); err != nil {
		return err
	}
	if err := conn.Notify(c.ctx, "initialized", struct{}{}); err != nil {
		return err
	}
	c.mu.Lock()
	asked := slices.DeleteFunc(c.queue, func(m cueMessage) bool { return m.answer == nil })
	c.queue = nil
	for _, doc := range c.opened { // as they are now
		c.push(cueMessage{method: "textDocument/didOpen", params: opens(doc)})
	}
	c.queue = append(c.queue, asked...)
	c.mu.Unlock()
	return c.pump(conn)
}

// pump sends the queue to a child, until it ends.
func (c *cueServer) pump(conn *jsonrpc2.Conn) error {
	for {
		c.mu.Lock()
		queue := c.queue
		c.queue = nil
		c.mu.Unlock()
		for _, m := range queue {
			c.send(conn, m)
		}
		select {
		case <-conn.DisconnectNotify():
			return nil
		case <-c.ctx.Done():
			return nil
		case <-c.more:
		}
	}
}

func (c *cueServer) send(conn *jsonrpc2.Conn, m cueMessage) {
	if m.answer == nil {
		_ = conn.Notify(c.ctx, m.method, m.params) // the next child learns the rest
		return
	}
	if m.ctx.Err() != nil {
		return // nobody waits any more
	}
	waiter, err := conn.DispatchCall(c.ctx, m.method, m.params)
	if err != nil {
		m.answer <- cueAnswer{err: errNoCUE}
		return
	}
	go func() {
		var result json.RawMessage
		err := waiter.Wait(m.ctx, &result)
		if errors.Is(err, jsonrpc2.ErrClosed) {
			err = errNoCUE
		} else if err == nil {
			c.mu.Lock()
			c.answered = true
			c.mu.Unlock()
		}
		m.answer <- cueAnswer{result, err}
	}()
}

// fromCUE handles the messages of the child. Its diagnostics and messages are dropped.
func fromCUE(_ context.Context, _ *jsonrpc2.Conn, r *jsonrpc2.Request) (any, error) {
	switch r.Method {
	case "workspace/configuration":
		var params struct {
			Items []any `json:"items"`
		}
		if r.Params != nil {
			_ = json.Unmarshal(*r.Params, &params) // it wants one answer for each item
		}
		return make([]any, len(params.Items)), nil
	case "client/registerCapability", "client/unregisterCapability", "window/workDoneProgress/create":
		return nil, nil
	}
	return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeMethodNotFound, Message: r.Method}
}

// silent drops the library's messages about a connection that ends.
type silent struct{}

func (silent) Printf(string, ...any) {}

package lsp

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sourcegraph/jsonrpc2"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/limits"
)

// An editor is a client of a server under test. It checks what every editor relies on: that no findings are for an
// older version than those before.
type editor struct {
	t    testing.TB
	dir  string
	conn *jsonrpc2.Conn
	docs map[string]*document // by URI

	mu        sync.Mutex
	published map[string]publishParams // by URI
	watching  bool
	news      chan struct{} // after each publication
}

// startEditor starts a server, and an editor with the given roots, which are relative to dir.
func startEditor(t testing.TB, dir string, options Options, roots ...string) *editor {
	t.Helper()
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	toServer, fromEditor := io.Pipe()
	toEditor, fromServer := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- Serve(context.Background(), toServer, fromServer, options) }()
	e := &editor{t: t, dir: dir, docs: map[string]*document{}, published: map[string]publishParams{},
		news: make(chan struct{}, 1)}
	e.conn = jsonrpc2.NewConn(context.Background(), jsonrpc2.NewBufferedStream(stream{toEditor, fromEditor},
		jsonrpc2.VSCodeObjectCodec{}), jsonrpc2.HandlerWithError(e.handle), jsonrpc2.SetLogger(silent{}))
	t.Cleanup(func() {
		_ = e.conn.Close()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	var folders []workspaceFolder
	for _, root := range roots {
		folders = append(folders, workspaceFolder{URI: e.uri(root), Name: root})
	}
	e.call("initialize", map[string]any{"processId": os.Getpid(), "rootUri": nil, "workspaceFolders": folders,
		"capabilities": map[string]any{"workspace": map[string]any{
			"didChangeWatchedFiles": map[string]any{"dynamicRegistration": true}}}}, nil)
	e.notify("initialized", struct{}{})
	return e
}

// testOptions are the options of a server that is tested.
func testOptions(t testing.TB) Options {
	children := &limits.Pool{Command: self("evaluate-packages"), Version: "test"}
	t.Cleanup(children.Close)
	return Options{
		Compiler: compiler.Options{Children: children, Version: "test"}, Version: "test", CUE: self("cue-lsp"),
		Plan: func(string) *exec.Cmd { return self("plan")() },
		Request: func(a automation.Automation, r automation.Rendered) string {
			return r.Method + " " + r.URL + "\n" + string(automation.Indent(r.Body))
		},
		Log: func(message string) { t.Log(message) },
	}
}

func (e *editor) uri(name string) string {
	return uriOf(filepath.Join(e.dir, filepath.FromSlash(name)))
}

// name is a file as scripts write it.
func (e *editor) name(uri string) string {
	name, err := filepath.Rel(e.dir, pathOf(uri))
	if err != nil {
		return uri
	}
	return filepath.ToSlash(name)
}

func (e *editor) handle(_ context.Context, _ *jsonrpc2.Conn, r *jsonrpc2.Request) (any, error) {
	switch r.Method {
	case "textDocument/publishDiagnostics":
		var params publishParams
		if err := json.Unmarshal(*r.Params, &params); err != nil {
			return nil, err
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		last := e.published[params.URI]
		if last.Version != nil && params.Version != nil && *params.Version < *last.Version {
			e.t.Errorf("%s: findings of version %d after those of %d", params.URI, *params.Version, *last.Version)
		}
		e.published[params.URI] = params
		select {
		case e.news <- struct{}{}:
		default:
		}
	case "client/registerCapability":
		e.mu.Lock()
		defer e.mu.Unlock()
		e.watching = true
	}
	return nil, nil
}

// call asks the server, and fails the test on an error.
func (e *editor) call(method string, params, result any) {
	e.t.Helper()
	if err := e.try(method, params, result); err != nil {
		e.t.Fatalf("%s: %v", method, err)
	}
}

func (e *editor) try(method string, params, result any) error {
	return e.conn.Call(context.Background(), method, params, result)
}

func (e *editor) notify(method string, params any) {
	e.t.Helper()
	if err := e.conn.Notify(context.Background(), method, params); err != nil {
		e.t.Fatalf("%s: %v", method, err)
	}
}

// open opens a file with a text.
func (e *editor) open(name, text string) {
	e.t.Helper()
	uri := e.uri(name)
	e.docs[uri] = newDocument(uri, 1, text)
	e.notify("textDocument/didOpen", map[string]any{"textDocument": map[string]any{
		"uri": uri, "languageId": "cue", "version": 1, "text": text}})
}

// openFile opens a file as it is on disk.
func (e *editor) openFile(name string) {
	e.t.Helper()
	content, err := os.ReadFile(filepath.Join(e.dir, filepath.FromSlash(name)))
	if err != nil {
		e.t.Fatal(err)
	}
	e.open(name, string(content))
}

// edit replaces a part of an open document.
func (e *editor) edit(name string, at span, text string) {
	e.t.Helper()
	doc := e.docs[e.uri(name)]
	changes := []contentChange{{Range: &at, Text: text}}
	e.docs[doc.uri] = doc.edited(doc.version+1, changes)
	e.notify("textDocument/didChange", map[string]any{"contentChanges": changes,
		"textDocument": map[string]any{"uri": doc.uri, "version": doc.version + 1}})
}

func (e *editor) close(name string) {
	e.t.Helper()
	delete(e.docs, e.uri(name))
	e.notify("textDocument/didClose", map[string]any{"textDocument": map[string]any{"uri": e.uri(name)}})
}

// changed tells the server that files on disk have changed.
func (e *editor) changed(names ...string) {
	e.t.Helper()
	var changes []fileEvent
	for _, name := range names {
		changes = append(changes, fileEvent{URI: e.uri(name)})
	}
	e.notify("workspace/didChangeWatchedFiles", watchedParams{Changes: changes})
}

// settle waits until the project of a file is checked.
func (e *editor) settle(name string) {
	e.t.Helper()
	_ = e.try("workspace/executeCommand", map[string]any{"command": "segue.check",
		"arguments": []any{map[string]string{"uri": e.uri(name)}}}, nil) // a file may have no project
}

// await waits for the findings of a version of a document, or a later one.
func (e *editor) await(uri string, version int) {
	for {
		e.mu.Lock()
		last := e.published[uri].Version
		e.mu.Unlock()
		if last != nil && *last >= version {
			return
		}
		<-e.news
	}
}

// shown returns the findings that the editor shows, by name.
func (e *editor) shown() map[string][]lspDiagnostic {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := map[string][]lspDiagnostic{}
	for uri, p := range e.published {
		if len(p.Diagnostics) > 0 {
			out[e.name(uri)] = p.Diagnostics
		}
	}
	return out
}

// cursor returns the position of the ^ in a part of the document's text, which must be there.
func (e *editor) cursor(name, part string) position {
	e.t.Helper()
	doc := e.docs[e.uri(name)]
	before, after, ok := strings.Cut(part, "^")
	i := -1
	if doc != nil {
		i = strings.Index(doc.text, before+after)
	}
	if !ok || i < 0 {
		e.t.Fatalf("%s: there is no %s", name, part)
	}
	return doc.position(i + len(before))
}

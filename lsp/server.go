package lsp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"

	"github.com/sourcegraph/jsonrpc2"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/config"
)

// Options configure a server.
type Options struct {
	// Compiler has the options of all projects. Its Dir is ignored.
	Compiler compiler.Options
	// Version is the version of segue, for the editor.
	Version string
	// CUE returns a command that runs cue lsp on its standard input and output. Nil means that there is none: then
	// nothing is offered that is not segue's own.
	CUE func() *exec.Cmd
	// Plan returns a command that prints the plan of the project in a folder.
	Plan func(dir string) *exec.Cmd
	// Request describes a rendered request for people. It must not contain secrets.
	Request func(a automation.Automation, r automation.Rendered) string
	// Log gets messages about the server's own failures, nil for none.
	Log func(message string)
}

// Serve speaks the Language Server Protocol with one editor, and returns when the editor says so, closes the
// stream or ends, or when ctx is done.
func Serve(ctx context.Context, in io.ReadCloser, out io.WriteCloser, options Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &server{options: options, ctx: ctx, end: cancel, documents: map[string]*document{}, projects: map[string]*project{},
		calls: map[jsonrpc2.ID]context.CancelFunc{}, ready: make(chan struct{})}
	if options.CUE != nil {
		s.cue = newCUE(ctx, options.CUE, s.log)
		defer s.cue.wait()
	}
	s.conn = jsonrpc2.NewConn(ctx, jsonrpc2.NewBufferedStream(stream{in, out}, jsonrpc2.VSCodeObjectCodec{}), s)
	close(s.ready)
	select {
	case <-s.conn.DisconnectNotify():
	case <-ctx.Done():
	}
	cancel()
	_ = s.conn.Close() // it may be closed already
	s.work.Wait()
	return nil
}

// A stream is the standard input and output as one.
type stream struct {
	io.ReadCloser
	out io.WriteCloser
}

func (s stream) Write(b []byte) (int, error) { return s.out.Write(b) }
func (s stream) Close() error                { return errors.Join(s.ReadCloser.Close(), s.out.Close()) }

// A server serves one editor. Notifications are handled in their order, one after the other; requests
// concurrently, each with the snapshot of its moment.
type server struct {
	options Options
	conn    *jsonrpc2.Conn
	ready   chan struct{} // closed when conn is there
	ctx     context.Context
	end     context.CancelFunc
	cue     *cueServer // nil if there is none
	work    sync.WaitGroup

	mu        sync.Mutex
	documents map[string]*document // by URI
	projects  map[string]*project  // by folder
	calls     map[jsonrpc2.ID]context.CancelFunc
	settings  settings
	// refreshes says that the editor asks for code lenses again when it is told to.
	refreshes bool
	// watches says that the editor can report changes of files.
	watches bool
	folders []workspaceFolder
}

// settings are those that an editor may have. Its name for them is "segue".
type settings struct {
	// InlayHints shows casts and samples in the text.
	InlayHints bool `json:"inlayHints"`
}

// A snapshot is what an answer is made from: a document, and the last check of its project.
type snapshot struct {
	doc *document
	// project is nil for a document outside of a project, and name is the document's in the project.
	project *project
	name    string
	// view is nil before the first check.
	view     *view
	settings settings
}

// errNoDocument is the error of a request about a text that is not open.
var errNoDocument = &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: "the document is not open"}

// notifications are handled by method.
var notifications = map[string]func(*server, json.RawMessage) error{
	"initialized":                         func(s *server, _ json.RawMessage) error { return s.initialized() },
	"textDocument/didOpen":                handling((*server).didOpen),
	"textDocument/didChange":              handling((*server).didChange),
	"textDocument/didClose":               handling((*server).didClose),
	"textDocument/didSave":                handling((*server).didSave),
	"workspace/didChangeWatchedFiles":     handling((*server).didChangeFiles),
	"workspace/didChangeWorkspaceFolders": handling((*server).didChangeFolders),
	"workspace/didChangeConfiguration":    handling((*server).didChangeSettings),
}

// requests are answered by method, from a snapshot of the document that they are about.
var requests = map[string]func(*server, context.Context, json.RawMessage) (any, error){
	"textDocument/completion":    answering((*server).completion),
	"textDocument/hover":         answering((*server).hover),
	"textDocument/codeAction":    answering((*server).codeActions),
	"textDocument/codeLens":      answering((*server).codeLenses),
	"textDocument/inlayHint":     answering((*server).inlayHints),
	"textDocument/rename":        answering((*server).rename),
	"textDocument/prepareRename": answering((*server).prepareRename),
	"workspace/symbol":           answering((*server).symbols),
	"workspace/executeCommand":   answering((*server).execute),
}

// passedOn has the requests that cue lsp answers alone.
var passedOn = []string{
	"textDocument/definition", "textDocument/references", "textDocument/documentSymbol", "textDocument/formatting",
}

// alsoCUE has the notifications that cue lsp gets as they come. Texts go by [cueServer.set].
var alsoCUE = []string{
	"textDocument/didSave", "workspace/didChangeWatchedFiles", "workspace/didChangeWorkspaceFolders",
}

func handling[P any](f func(*server, P) error) func(*server, json.RawMessage) error {
	return func(s *server, raw json.RawMessage) error {
		var params P
		if err := json.Unmarshal(raw, &params); err != nil {
			return err
		}
		return f(s, params)
	}
}

func answering[P any](f func(*server, context.Context, P, json.RawMessage) (any, error)) func(*server, context.Context, json.RawMessage) (any, error) {
	return func(s *server, ctx context.Context, raw json.RawMessage) (any, error) {
		var params P
		if err := json.Unmarshal(raw, &params); err != nil {
			return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: err.Error()}
		}
		return f(s, ctx, params, raw)
	}
}

// Handle handles a message. The connection calls it for one after the other.
func (s *server) Handle(ctx context.Context, _ *jsonrpc2.Conn, r *jsonrpc2.Request) {
	<-s.ready // the connection reads while it is made
	var raw json.RawMessage
	if r.Params != nil {
		raw = *r.Params
	}
	if r.Notif {
		s.notified(r.Method, raw)
		return
	}
	switch r.Method {
	case "initialize":
		s.reply(ctx, r.ID, func() (any, error) { return s.initialize(raw) })
	case "shutdown":
		s.reply(ctx, r.ID, func() (any, error) { return nil, nil }) // exit follows
	default:
		s.request(ctx, r, raw)
	}
}

func (s *server) notified(method string, raw json.RawMessage) {
	switch handle, ok := notifications[method]; {
	case method == "exit":
		s.end()
	case method == "$/cancelRequest":
		s.cancelled(raw)
	case ok:
		if err := handle(s, raw); err != nil {
			s.log(fmt.Sprintf("%s: %v", method, err))
		}
	}
	if s.cue != nil && slices.Contains(alsoCUE, method) {
		s.cue.notify(method, raw)
	}
}

// cancelled ends a request that the editor does not wait for any more.
func (s *server) cancelled(raw json.RawMessage) {
	var params struct {
		ID jsonrpc2.ID `json:"id"`
	}
	if json.Unmarshal(raw, &params) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.calls[params.ID]; cancel != nil {
		cancel()
	}
}

// codeCancelled is the code of the answer to a cancelled request.
const codeCancelled = -32800

// request answers a request beside those that follow.
func (s *server) request(ctx context.Context, r *jsonrpc2.Request, raw json.RawMessage) {
	answer, ok := requests[r.Method]
	if !ok && s.cue != nil && slices.Contains(passedOn, r.Method) {
		answer, ok = func(s *server, ctx context.Context, raw json.RawMessage) (any, error) {
			return s.cue.call(ctx, r.Method, raw)
		}, true
	}
	ctx, cancel := context.WithCancel(s.snapshots(ctx, raw))
	s.mu.Lock()
	s.calls[r.ID] = cancel
	s.mu.Unlock()
	s.work.Go(func() {
		defer func() {
			cancel()
			s.mu.Lock()
			delete(s.calls, r.ID)
			s.mu.Unlock()
		}()
		s.reply(ctx, r.ID, func() (any, error) {
			if !ok {
				return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeMethodNotFound, Message: r.Method + " is not supported"}
			}
			return answer(s, ctx, raw)
		})
	})
}

// reply answers a request.
func (s *server) reply(ctx context.Context, id jsonrpc2.ID, answer func() (any, error)) {
	result, err := answer()
	if ctx.Err() != nil && s.ctx.Err() == nil {
		err = &jsonrpc2.Error{Code: codeCancelled, Message: "cancelled"}
	}
	if err == nil {
		_ = s.conn.Reply(s.ctx, id, result) // an editor that has ended needs no answer
		return
	}
	var known *jsonrpc2.Error
	if !errors.As(err, &known) {
		known = &jsonrpc2.Error{Code: jsonrpc2.CodeInternalError, Message: err.Error()}
	}
	_ = s.conn.ReplyWithError(s.ctx, id, known)
}

// snapshotKey is the key of a request's snapshot in its context.
type snapshotKey struct{}

// snapshots adds the snapshot of the document that a request is about.
func (s *server) snapshots(ctx context.Context, raw json.RawMessage) context.Context {
	var params documentParams
	if json.Unmarshal(raw, &params) != nil {
		return ctx
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	doc := s.documents[params.TextDocument.URI]
	if doc == nil {
		return ctx
	}
	snap := &snapshot{doc: doc, settings: s.settings}
	if snap.project = s.projectOf(doc.path); snap.project != nil {
		snap.name, snap.view = nameIn(snap.project.dir, doc.path), snap.project.current()
	}
	return context.WithValue(ctx, snapshotKey{}, snap)
}

// snapshotOf returns the snapshot of a request.
func snapshotOf(ctx context.Context) (*snapshot, error) {
	if s, ok := ctx.Value(snapshotKey{}).(*snapshot); ok {
		return s, nil
	}
	return nil, errNoDocument
}

// notify sends a notification to the editor.
func (s *server) notify(method string, params any) {
	_ = s.conn.Notify(s.ctx, method, params) // an editor that has ended needs none
}

// log reports a failure of the server itself.
func (s *server) log(message string) {
	if s.options.Log != nil {
		s.options.Log(message)
	}
}

// projectOf returns the project of a file, which it opens if necessary; nil if there is none. The caller holds the
// lock.
func (s *server) projectOf(file string) *project {
	if file == "" {
		return nil
	}
	dir := rootOf(file, func(path string) bool { return s.documents[uriOf(path)] != nil })
	if dir == "" {
		return nil
	}
	return s.openProject(dir)
}

// openProject returns the project in a folder. The caller holds the lock.
func (s *server) openProject(dir string) *project {
	if p := s.projects[dir]; p != nil {
		return p
	}
	p := newProject(dir, s.options.Compiler, func(params publishParams) {
		s.notify("textDocument/publishDiagnostics", params)
	}, func(err error) { s.log(fmt.Sprintf("%s: %v", dir, err)) })
	s.projects[dir] = p
	s.work.Go(func() { p.run(s.ctx) })
	p.forget()
	return p
}

// assign gives a document to its project; nil for one that is not open any more.
func (s *server) assign(uri string, doc *document) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if doc == nil {
		delete(s.documents, uri)
	} else {
		s.documents[uri] = doc
	}
	file := pathOf(uri)
	if s.cue != nil && isCUE(file) {
		s.cue.set(uri, doc)
	}
	if p := s.projectOf(file); p != nil {
		p.set(nameIn(p.dir, file), doc)
	}
	if filepath.Base(file) == config.ProjectFile {
		s.reassign()
	}
}

// reassign gives each document to the project that it belongs to now, and drops projects that are gone. The caller
// holds the lock.
func (s *server) reassign() {
	for dir, p := range s.projects {
		settings := filepath.Join(dir, config.ProjectFile)
		if rootOf(settings, func(path string) bool { return s.documents[uriOf(path)] != nil }) != dir {
			p.stop()
			delete(s.projects, dir)
		}
	}
	for _, uri := range slices.Sorted(maps.Keys(s.documents)) {
		doc := s.documents[uri]
		for _, p := range s.projects {
			p.drop(doc)
		}
		if p := s.projectOf(doc.path); p != nil {
			p.set(nameIn(p.dir, doc.path), doc)
		}
	}
}

func (s *server) didOpen(params documentParams) error {
	d := params.TextDocument
	s.assign(d.URI, newDocument(d.URI, d.Version, d.Text))
	return nil
}

func (s *server) didChange(params changeParams) error {
	s.mu.Lock()
	doc := s.documents[params.TextDocument.URI]
	s.mu.Unlock()
	if doc == nil {
		return errNoDocument
	}
	s.assign(doc.uri, doc.edited(params.TextDocument.Version, params.ContentChanges))
	return nil
}

func (s *server) didClose(params documentParams) error {
	s.assign(params.TextDocument.URI, nil)
	return nil
}

// didSave reads the disk again: other programs may run when a file is saved.
func (s *server) didSave(params documentParams) error {
	return s.didChangeFiles(watchedParams{Changes: []fileEvent{{URI: params.TextDocument.URI}}})
}

func (s *server) didChangeFiles(params watchedParams) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	settings := false
	for _, c := range params.Changes {
		file := pathOf(c.URI)
		settings = settings || filepath.Base(file) == config.ProjectFile
		if p := s.projectOf(file); p != nil {
			p.forget(nameIn(p.dir, file))
		}
	}
	if settings {
		s.reassign()
	}
	return nil
}

func (s *server) didChangeFolders(params foldersParams) error {
	for _, f := range params.Event.Added {
		s.discover(f)
	}
	return nil
}

func (s *server) didChangeSettings(params settingsParams) error {
	var given struct {
		Segue *settings `json:"segue"`
	}
	if err := json.Unmarshal(params.Settings, &given); err != nil || given.Segue == nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings = *given.Segue
	return nil
}

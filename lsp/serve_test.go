package lsp

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// The server ends when its editor closes the stream, and when the editor's process is gone.
func TestEndsWithItsEditor(t *testing.T) {
	dir := t.TempDir()
	writeWorkspace(t, dir, 1, 1)
	in, editor := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- Serve(context.Background(), in, unread{}, testOptions(t)) }()
	editor.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	gone := exec.Command(os.Args[0], "plan")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	if alive(gone.Process.Pid) || !alive(os.Getpid()) {
		t.Errorf("alive(%d) = true, or alive of this process = false", gone.Process.Pid)
	}
}

type unread struct{}

func (unread) Write(b []byte) (int, error) { return len(b), nil }
func (unread) Close() error                { return nil }

// If cue lsp ends, it is started again with the texts of that moment; the server's own answers go on.
func TestCUEIsStartedAgain(t *testing.T) {
	dir := t.TempDir()
	name := writeWorkspace(t, dir, 1, 1)
	options := testOptions(t)
	var mu sync.Mutex
	var children []*exec.Cmd
	options.CUE = func() *exec.Cmd {
		mu.Lock()
		defer mu.Unlock()
		children = append(children, self("cue-lsp")())
		return children[len(children)-1]
	}
	e := startEditor(t, dir, options, ".")
	e.openFile(name)
	symbols := func() int {
		var found []any
		for e.try("textDocument/documentSymbol", map[string]any{"textDocument": map[string]any{"uri": e.uri(name)}}, &found) != nil {
			// The child has ended just now.
		}
		return len(found)
	}
	if n := symbols(); n != 1 {
		t.Fatalf("%d symbols at first", n)
	}
	doc := e.docs[e.uri(name)]
	end := doc.position(len(doc.text))
	e.edit(name, span{end, end}, "x: 1\n")
	mu.Lock()
	first := children[0]
	mu.Unlock()
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for symbols() != 2 { // the killed one may still have answered
		e.settle(name)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(children) < 2 {
		t.Errorf("%d children were started", len(children))
	}
	if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
		t.Error(err)
	}
}

// A cue lsp that greets and then ends, as it may because of a document, is not started again without end.
func TestCUEIsGivenUp(t *testing.T) {
	dir := t.TempDir()
	name := writeWorkspace(t, dir, 1, 1)
	options := testOptions(t)
	var started atomic.Int32
	options.CUE = func() *exec.Cmd {
		started.Add(1)
		return self("greet-and-end")()
	}
	e := startEditor(t, dir, options, ".")
	e.openFile(name)
	params := map[string]any{"textDocument": map[string]any{"uri": e.uri(name)}}
	for n := 0; started.Load() < mostFailures || n < 10; n++ {
		var found []any
		if err := e.try("textDocument/documentSymbol", params, &found); err == nil {
			t.Fatalf("a child that has ended answered %v", found)
		}
	}
	if n := started.Load(); n != mostFailures {
		t.Errorf("it was started %d times, want %d", n, mostFailures)
	}
	e.settle(name)
}

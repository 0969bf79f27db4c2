//go:build unix

package workspace_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seguehq/segue/compiler/workspace"
)

// putFile makes a file, with the folders that it is in.
func putFile(t *testing.T, name, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func link(t *testing.T, target, name string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
	return name
}

func holds(t *testing.T, name, want string) {
	t.Helper()
	if got, err := os.ReadFile(name); err != nil || string(got) != want {
		t.Errorf("%s: %q, %v; want %q", name, got, err, want)
	}
}

func isLink(t *testing.T, name string) {
	t.Helper()
	if info, err := os.Lstat(name); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("%s is not a link any more: %v", name, err)
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	write := func(top, name string) error {
		return workspace.WriteFile(t.Context(), top, name, []byte("new"))
	}
	fresh := filepath.Join(dir, "fresh")
	if err := write("", fresh); err != nil {
		t.Error(err)
	}
	holds(t, fresh, "new")

	private := putFile(t, filepath.Join(dir, "private"), "old")
	if err := os.Chmod(private, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := write("", private); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(private); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	holds(t, private, "new")

	followed := link(t, "target", filepath.Join(dir, "link"))
	putFile(t, filepath.Join(dir, "target"), "old")
	if err := write("", followed); err != nil {
		t.Error(err)
	}
	isLink(t, followed)
	holds(t, filepath.Join(dir, "target"), "new")

	broken := link(t, "made", filepath.Join(dir, "broken"))
	if err := write("", broken); err != nil {
		t.Error(err)
	}
	isLink(t, broken)
	holds(t, filepath.Join(dir, "made"), "new")

	if err := write("", dir); err == nil {
		t.Error("a folder was replaced")
	}
	entries, err := filepath.Glob(filepath.Join(dir, ".segue-*"))
	if err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestWriteFileInFolder(t *testing.T) {
	dir := t.TempDir()
	top := filepath.Join(dir, "top")
	outside := putFile(t, filepath.Join(dir, "outside", "a.json"), "old")
	inside := putFile(t, filepath.Join(top, "real", "a.json"), "old")
	for name, want := range map[string]bool{
		"new/below/a.json": true,
		filepath.Base(link(t, inside, filepath.Join(top, "in.json"))):               true,
		filepath.Base(link(t, "real", filepath.Join(top, "in"))) + "/b/c.json":      true,
		filepath.Base(link(t, outside, filepath.Join(top, "out.json"))):             false,
		filepath.Base(link(t, "../outside", filepath.Join(top, "out"))) + "/a.json": false,
		"out/deep/b.json": false,
		filepath.Base(link(t, "../outside/new.json", filepath.Join(top, "nothing"))): false,
		"../outside/a.json": false,
	} {
		err := workspace.WriteFile(t.Context(), top, filepath.Join(top, name), []byte("new"))
		if (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
		if want {
			holds(t, filepath.Join(top, name), "new")
		} else if err != nil && !strings.Contains(err.Error(), "leads out of the folder") {
			t.Errorf("%s: %v", name, err)
		}
	}
	holds(t, outside, "old")
	if entries, err := os.ReadDir(filepath.Dir(outside)); err != nil || len(entries) != 1 {
		t.Errorf("outside there are %v, %v", entries, err)
	}
	// The folder itself may be a link: a person has named it.
	if err := workspace.WriteFile(t.Context(), link(t, top, filepath.Join(dir, "named")), filepath.Join(dir, "named", "x.json"), []byte("new")); err != nil {
		t.Error(err)
	}
}

// A file that is not regular is written to, and stays a device or pipe.
func TestWriteFileToStreams(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	got := make(chan string, 1)
	go func() {
		content, err := os.ReadFile(pipe)
		got <- string(content) + errorText(err)
	}()
	if err := workspace.WriteFile(t.Context(), "", link(t, pipe, filepath.Join(dir, "link")), []byte("new")); err != nil {
		t.Error(err)
	}
	if text := <-got; text != "new" {
		t.Errorf("the reader of the pipe got %q", text)
	}
	null := link(t, os.DevNull, filepath.Join(dir, "null"))
	if err := workspace.WriteFile(t.Context(), "", null, []byte("new")); err != nil {
		t.Error(err)
	}
	isLink(t, null)
	for _, name := range []string{pipe, os.DevNull} {
		if info, err := os.Lstat(name); err != nil || info.Mode().IsRegular() {
			t.Errorf("%s is %v now, %v", name, info.Mode(), err)
		}
	}
	// Nobody reads.
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	cancel(stopped)
	if err := workspace.WriteFile(ctx, "", pipe, []byte("new")); !errors.Is(err, stopped) {
		t.Errorf("without a reader: %v", err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

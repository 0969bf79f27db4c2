package editors

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/creack/pty"
)

// An emacs runs in a terminal, where keys are typed.
type emacs struct {
	t        *testing.T
	socket   string
	terminal *os.File
}

// TestEmacs edits a file in Emacs: findings of the unsaved text, a fix, completion, hover, fixes when saving.
func TestEmacs(t *testing.T) {
	home, dir := install(t, "emacs")
	write(t, filepath.Join(home, ".emacs.d/init.el"), pasted(t, "emacs", "emacs-save"))
	name := filepath.Join(dir, filepath.FromSlash(file))
	private := filepath.Join(home, "server")
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	e := emacs{t: t, socket: filepath.Join(private, "socket")}
	server := `(progn (require 'server) (setq server-socket-dir "` + private + `" server-name "socket") (server-start))`
	start(t, func(cmd *exec.Cmd) error {
		cmd.Env = append(os.Environ(), "TERM=xterm")
		terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 120})
		e.terminal = terminal
		return err
	}, "emacs", "-nw", "--eval", server, name)
	go func() { _, _ = io.Copy(io.Discard, e.terminal) }() // until Emacs ends
	await(t, "start", func() string {
		return e.try(`(with-current-buffer (find-buffer-visiting "` + name + `") (eglot-managed-p))`)
	}, "t")
	text := func() string { return e.eval("(buffer-string)") }
	findings := func() string { return e.eval("(mapconcat #'flymake-diagnostic-text (flymake-diagnostics) \";\")") }

	e.replace("{{userId}}", "{{userID}}")
	await(t, "findings", findings, "unknown placeholder {{userID}}")

	e.keys("\x1bxeglot-code-actions\r")
	await(t, "list of fixes", func() string { return e.eval("(minibuffer-prompt)") }, "action")
	e.keys("\r")
	await(t, "fix", text, `userId: \"{{userId}}\"`)
	await(t, "no findings", func() string { return findings() + "." }, `"".`)

	e.replace("{{accountName}}", "{{userN")
	e.keys("\x1b\t")
	await(t, "completion", text, `team: \"{{userName}}\"`)

	e.eval(`(search-backward "Name")`)
	e.keys("\x06") // a step to the right
	await(t, "hover", func() string {
		return e.eval("(when (buffer-live-p eldoc--doc-buffer) (with-current-buffer eldoc--doc-buffer (buffer-string)))")
	}, "Triggers: pattern, journey")

	e.replace("{{userId}}", "{{userID}}")
	e.keys("\x18\x13")
	await(t, "fixed when saved", func() string { return strconv.Quote(read(t, name)) }, `team: \"{{userName}}\"`)
	await(t, "fixed when saved", func() string { return read(t, name) }, `userId: "{{userId}}"`)
}

// keys types.
func (e emacs) keys(keys string) {
	e.t.Helper()
	if _, err := e.terminal.WriteString(keys); err != nil {
		e.t.Fatal(err)
	}
}

// replace replaces a string, and leaves the cursor behind it.
func (e emacs) replace(old, new string) {
	e.t.Helper()
	e.eval(`(progn (goto-char (point-min)) (search-forward "` + old + `") (replace-match "` + new + `" t t) (point))`)
	e.keys("\x02\x06") // a step to the left, and one to the right: Emacs is idle after a key only
}

// eval returns the value of an expression in the window's buffer, as Emacs prints it.
func (e emacs) eval(expression string) string {
	e.t.Helper()
	return run(e.t, e.client(expression))
}

// try returns the value of an expression, "" if Emacs does not answer yet.
func (e emacs) try(expression string) string {
	out, err := e.client(expression).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

func (e emacs) client(expression string) *exec.Cmd {
	return exec.Command("emacsclient", "--socket-name", e.socket, "--eval", "(with-current-buffer (window-buffer (frame-selected-window)) "+expression+")")
}

package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/urfave/cli/v2"
)

// TestExamplesInHelpRun runs every example of every help text in a project as
// init makes it, in a shell on a terminal: it must succeed as it stands.
func TestExamplesInHelpRun(t *testing.T) {
	if testing.Short() {
		t.Skip("runs each example in a process of its own")
	}
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("needs bash")
	}
	app := newApp(newTerminal(strings.NewReader(""), io.Discard, io.Discard))
	runExamples(t, "segue", app.Description)
	eachCommand(app.Commands, "segue", func(name string, c *cli.Command) { runExamples(t, name, c.Description) })
}

func eachCommand(commands []*cli.Command, parent string, f func(name string, c *cli.Command)) {
	for _, c := range commands {
		name := parent + " " + c.Name
		f(name, c)
		eachCommand(c.Subcommands, name, f)
	}
}

// otherPlatform returns why the examples of a command can't run with the embedded
// platform, which is all that the project here has; "" if they can.
func otherPlatform(command string) string {
	if strings.HasPrefix(command, "segue triggers") {
		return "the embedded platform has no list of triggers"
	}
	return ""
}

// runExamples runs the examples of one help text, one after the other.
func runExamples(t *testing.T, command, help string) {
	t.Run(strings.ReplaceAll(command, " ", "_"), func(t *testing.T) {
		if reason := otherPlatform(command); reason != "" {
			t.Skip(reason)
		}
		t.Parallel()
		lines := examples(help)
		if len(lines) == 0 {
			t.Fatalf("the help of %s has no examples:\n%s", command, help)
		}
		s := newShell(t)
		s.prepare(t)
		for _, line := range lines {
			if !strings.Contains(line, "segue") {
				t.Errorf("this is no example of segue: %s", line)
				continue
			}
			dir := filepath.Join(s.home, "growth")
			if strings.Contains(line, "-C growth") || strings.Contains(line, "init growth") {
				dir = s.home
			}
			if output, err := s.run(t, dir, testable(line)); err != nil {
				t.Errorf("%s: %v\n%s", line, err, output)
			}
		}
	})
}

// remark is what stands behind an example that is explained.
var remark = regexp.MustCompile(`\s{3,}.*$`)

// examples returns the command lines in a help text.
func examples(help string) []string {
	_, text, found := strings.Cut(help, "EXAMPLES:\n")
	if !found {
		_, text, _ = strings.Cut(help, "EXAMPLE:\n")
	}
	var lines []string
	for line := range strings.Lines(text) {
		if line = remark.ReplaceAllString(strings.TrimSpace(line), ""); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// testable replaces in an example the parts that a test can't have: fixed ports, a
// shell that is not there, and a draft that is not in the project.
func testable(line string) string {
	switch {
	case strings.Contains(line, ":8377"):
		line = strings.ReplaceAll(line, ":8377", ":0")
	case strings.Contains(line, "platform serve") && !strings.Contains(line, "help"):
		line += " --listen 127.0.0.1:0"
	}
	line = strings.Replace(line, "< draft.cue", "< growth/activation.cue", 1)
	if _, err := exec.LookPath("zsh"); strings.Contains(line, "completion zsh") {
		line = "segue completion zsh > script"
		if err == nil {
			line += " && zsh -n script"
		}
	}
	return line
}

// A shell runs command lines in a home folder of its own. Segment is a server
// of the test.
type shell struct {
	home string
	env  []string
	// segment is the URL that stands in for Segment's.
	segment string
}

func newShell(t *testing.T) *shell {
	t.Helper()
	segment := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(segment.Close)
	home := t.TempDir()
	return &shell{home: home, segment: segment.URL, env: append(os.Environ(),
		"HOME="+home, "TERM=xterm", "SEGMENT_WRITE_KEY=abc123", "SEGUE_PLATFORM_TOKEN=t-1")}
}

// prepare makes the project that the examples are about, and applies it.
func (s *shell) prepare(t *testing.T) {
	t.Helper()
	for _, line := range []string{"segue init growth", "mkdir -p .config/fish/completions"} {
		if output, err := s.run(t, s.home, line); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, output)
		}
	}
	project := filepath.Join(s.home, "growth", "segue.cue")
	content, err := os.ReadFile(project)
	if err != nil {
		t.Fatal(err)
	}
	content = append(content, "sources: segment: endpoint: \""+s.segment+"\"\n"...)
	values := []byte(`{"userId": "u-1", "accountId": "a-1", "accountName": "Acme", "clientTimestampEndTime": "2026-03-14T09:26:53Z"}`)
	for file, content := range map[string][]byte{project: content, filepath.Join(s.home, "growth", "values.json"): values} {
		if err := os.WriteFile(file, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if output, err := s.run(t, s.home, "segue -C growth apply --auto-approve"); err != nil {
		t.Fatalf("apply: %v\n%s", err, output)
	}
}

// run runs a line on a terminal, says yes to what it asks and ends what serves.
func (s *shell) run(t *testing.T, dir, line string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", line)
	cmd.Dir, cmd.Env = dir, s.env
	terminal, err := pty.Start(cmd)
	if err != nil {
		return "", err
	}
	defer terminal.Close()
	stuck := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer stuck.Stop()
	answers := map[string]string{"[y/N] ": "yes\n", "stop it with Ctrl-C": "\x03"}
	var output bytes.Buffer
	buffer := make([]byte, 4096)
	for {
		n, err := terminal.Read(buffer)
		output.Write(buffer[:n])
		for question, answer := range answers {
			if bytes.Contains(output.Bytes(), []byte(question)) {
				delete(answers, question)
				if _, err := io.WriteString(terminal, answer); err != nil {
					return output.String(), err
				}
			}
		}
		if err != nil { // nobody writes to the terminal any more
			return output.String(), cmd.Wait()
		}
	}
}

package sync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/seguehq/segue/automation"
)

// output runs a command and returns its standard output. If the command fails, the
// standard output may be the secret or a part of it: no error holds it.
func (r SecretResolver) output(ctx context.Context, command []string) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, said := &shortBuffer{full: cancel}, &lastBytes{limit: stderrLimit}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.Dir, out, said
	// A child that lives on with the pipe open must not hold us up.
	cmd.WaitDelay = time.Second
	start := time.Now()
	err := cmd.Run()
	took := rounded(time.Since(start))
	var exit *exec.ExitError
	switch {
	case out.isFull:
		return "", fmt.Errorf("the command %s prints too much for a secret: over %d KB", command[0], secretLimit>>10)
	case err == nil && out.text.Len() > 0:
		return out.text.String(), nil
	case err == nil:
		err = fmt.Errorf("the command %s prints nothing", command[0])
	case ctx.Err() != nil:
		err = fmt.Errorf("the command %s %w", command[0], context.Cause(ctx))
	case errors.As(err, &exit):
		err = fmt.Errorf("the command %s failed after %v: %v", command[0], took, exit.ProcessState)
	default:
		return "", fmt.Errorf("the command can't be run: %w", err)
	}
	return "", fmt.Errorf("%w%s", err, said.shown(r.Mask, commandMask(out.text.String())))
}

// rounded is a duration for people.
func rounded(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

// credentialVariable matches the names of environment variables that may hold credentials.
var credentialVariable = regexp.MustCompile(`(?i)token|secret|passw|key|credential|auth`)

// commandMask masks everything that the standard error of a command must not show besides
// the known secrets: its standard output, and the credentials in its environment.
func commandMask(stdout string) *automation.Mask {
	const mostLines, leastWord = 100, 6
	mask := &automation.Mask{}
	for i, line := range strings.Split(stdout, "\n") {
		if line = strings.TrimSpace(line); line == "" || i >= mostLines {
			continue
		}
		mask.Add(automation.NewSecret(line))
		for _, word := range strings.Fields(line) { // as in "key: VALUE"
			if word = strings.Trim(word, `"',;:=`); len(word) >= leastWord {
				mask.Add(automation.NewSecret(word))
			}
		}
	}
	for _, variable := range os.Environ() {
		if name, value, _ := strings.Cut(variable, "="); credentialVariable.MatchString(name) {
			mask.Add(automation.NewSecret(value))
		}
	}
	return mask
}

// stderrLimit is how many bytes of a command's standard error are read, and stderrLines and
// shownStderr how many lines and bytes of its end an error shows.
const (
	stderrLimit = 64 << 10
	stderrLines = 10
	shownStderr = 2000
)

// lastBytes keeps the end of what is written to it.
type lastBytes struct {
	limit int
	text  []byte
	cut   bool
}

// Write implements [io.Writer].
func (b *lastBytes) Write(p []byte) (int, error) {
	b.text = append(b.text, p...)
	if extra := len(b.text) - b.limit; extra > 0 {
		b.text, b.cut = b.text[extra:], true
	}
	return len(p), nil
}

// shown is the end of the text without secrets, as a continuation of a sentence, "" if
// there is none.
func (b *lastBytes) shown(masks ...*automation.Mask) string {
	text := b.text
	if b.cut { // the first line may begin within a secret
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	shown := strings.ToValidUTF8(string(text), "\uFFFD")
	for _, mask := range masks {
		shown = mask.Hide(shown)
	}
	shown = strings.TrimSpace(shown)
	if shown == "" {
		return ""
	}
	lines := strings.Split(shown, "\n")
	cut := b.cut || len(lines) > stderrLines
	lines = lines[max(0, len(lines)-stderrLines):]
	size := 0
	for i := len(lines) - 1; i >= 0; i-- {
		lines[i] = strings.TrimRight(lines[i], " \t\r")
		if size += len(lines[i]); size > shownStderr {
			lines, cut = lines[min(i+1, len(lines)-1):], true
			break
		}
	}
	if last := len(lines) - 1; len(lines[last]) > shownStderr {
		lines[last] = strings.ToValidUTF8(lines[last][:shownStderr], "") + "…"
	}
	if len(lines) == 1 && !cut {
		return "; its standard error: " + lines[0]
	}
	if cut {
		lines = append([]string{"…"}, lines...)
	}
	return "; the end of its standard error:\n      " + strings.Join(lines, "\n      ")
}

// A shortBuffer takes as much as a secret may be long, and calls full on more.
type shortBuffer struct {
	text   bytes.Buffer
	full   func()
	isFull bool
}

func (b *shortBuffer) Write(p []byte) (int, error) {
	if b.text.Len()+len(p) > secretLimit {
		b.isFull = true
		b.full()
		return 0, io.ErrShortWrite
	}
	return b.text.Write(p)
}

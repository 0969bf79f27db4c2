package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/fatih/color"
	"github.com/mattn/go-isatty"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/cache"
	"github.com/seguehq/segue/compiler/limits"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

// A terminal is where a command reads and writes.
type terminal struct {
	stdin  io.Reader
	stdout *output
	stderr io.Writer
	// mask hides the secrets that were read.
	mask *automation.Mask
	// dir is the value of -C, for commands that are shown to people.
	dir string
	// full shows plans completely.
	full bool
	// result is the result of an apply, nil if it has tried nothing.
	result *sync.Result
	// audit gets a line for each change, nil for none.
	audit *audit
	// children evaluate packages for this process.
	children *limits.Pool
	// limits are the command line's limits for the evaluation of a package.
	limits limits.Limits
	// inputs has the values of --input, by name.
	inputs map[string]string
	// cacheConfig configures the cache, nil if the command does not use it, and
	// cache is set after the first use.
	cacheConfig *cache.Config
	cache       *cache.Cache
	// evaluateAll has CUE evaluate packages of plain data, too.
	evaluateAll bool
	// strict counts warnings as errors.
	strict bool
	// log gets the requests to platforms and their answers, nil for none, and
	// logFile is the file that it is written to, nil for the standard error.
	log     *slog.Logger
	logFile *output
	// profiles are written when the command ends, by their flags.
	profiles map[string]*profile
	// unsaved has the text of vet --stdin, by name.
	unsaved map[string][]byte
	// compiled is the project that the command works on, nil until it is needed.
	compiled *compiler.Session
}

func newTerminal(stdin io.Reader, stdout, stderr io.Writer) *terminal {
	mask := &automation.Mask{}
	return &terminal{stdin: stdin, stdout: &output{to: stdout, mask: mask}, stderr: &output{to: stderr, mask: mask}, mask: mask,
		profiles: map[string]*profile{},
		children: &limits.Pool{Command: limits.Self(evaluateMode), Version: buildVersion()}}
}

// An output keeps its first write error, because callers seldom check. It also
// hides secrets that callers have not hidden.
type output struct {
	to   io.Writer
	mask *automation.Mask
	err  error
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.to.Write([]byte(o.mask.HideTelling(string(b))))
	if o.err == nil {
		o.err = err
	}
	if err == nil {
		n = len(b)
	}
	return n, err
}

// fileOf is the file behind a stream, nil if there is none.
func fileOf(stream any) *os.File {
	if o, ok := stream.(*output); ok {
		stream = o.to
	}
	f, _ := stream.(*os.File)
	return f
}

// interactive reports whether a stream is a terminal.
func interactive(stream any) bool {
	f := fileOf(stream)
	return f != nil && (isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()))
}

// colorful reports whether a stream gets colors: on a terminal, unless NO_COLOR
// is set (https://no-color.org) or the terminal is dumb.
func (t *terminal) colorful(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && interactive(w)
}

// paint switches a color on or off for a stream.
func (t *terminal) paint(c *color.Color, w io.Writer) {
	if t.colorful(w) {
		c.EnableColor()
	} else {
		c.DisableColor()
	}
}

// printf writes to the standard output.
func (t *terminal) printf(format string, args ...any) { fmt.Fprintf(t.stdout, format, args...) }

// command is a segue command as a person would type it here.
func (t *terminal) command(words ...string) string {
	line := "segue"
	if t.dir != "" {
		words = append([]string{"-C", t.dir}, words...)
	}
	for _, w := range words {
		line += " " + shellWord(w)
	}
	return line
}

var plainWord = regexp.MustCompile(`^[\pL\pN_./:=@%+,-]+$`)

// shellWord writes a word so that a shell reads just that word.
func shellWord(w string) string {
	switch {
	case plainWord.MatchString(w):
		return w
	case diagnostic.Printable(w) != w:
		return escapedWord(w)
	case !strings.ContainsAny(w, "\"$`\\!"):
		return `"` + w + `"`
	default:
		return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
}

// escapedWord writes a word with escapes for unprintable characters, for bash and
// zsh: byte by byte, which works in every locale.
func escapedWord(w string) string {
	var b strings.Builder
	b.WriteString("$'")
	for i, r := range w {
		_, size := utf8.DecodeRuneInString(w[i:])
		switch c := w[i : i+size]; {
		case r == '\\' || r == '\'':
			b.WriteString(`\` + c)
		case diagnostic.Printable(c) == c:
			b.WriteString(c)
		default:
			for _, code := range []byte(c) {
				fmt.Fprintf(&b, `\x%02x`, code)
			}
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// confirm asks a question that only "yes" or "y" answers.
func (t *terminal) confirm(ctx context.Context, question string) (bool, error) {
	fmt.Fprintf(t.stderr, "%s [y/N] ", question)
	answer, err := interruptible(ctx, func() (string, error) { return bufio.NewReader(t.stdin).ReadString('\n') })
	if err != nil && err != io.EOF {
		fmt.Fprintln(t.stderr)
		return false, err
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}

// interruptible returns the result of read, or an error as soon as ctx is done:
// nothing else ends the wait for input.
func interruptible[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		value, err := read()
		done <- answer{value, err}
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, errInterrupted
	}
}

var errInterrupted = errors.New("interrupted; nothing was changed")

// cause strips the operation and the path that file errors repeat.
func cause(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	default:
		return err
	}
}

// printableLines makes a string of several lines harmless to a terminal.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = diagnostic.Printable(line)
	}
	return strings.Join(lines, "\n")
}

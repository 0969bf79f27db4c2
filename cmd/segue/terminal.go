package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	// mask has the secrets that were looked up: nothing shows them.
	mask *automation.Mask
	// dir is what -C was given, for commands that are shown to people.
	dir string
	// full says that plans are shown with all that they hold.
	full bool
	// result is what an apply has done, nil if it has tried nothing.
	result *sync.Result
	// children evaluate packages for this process.
	children *limits.Pool
	// limits are what the command line lets the evaluation of a package take.
	limits limits.Limits
	// cacheConfig says where results are kept, nil if the command uses none of them,
	// and cache is open once one was asked for.
	cacheConfig *cache.Config
	cache       *cache.Cache
	// evaluateAll has CUE evaluate packages of plain data, too.
	evaluateAll bool
	// strict makes errors of warnings.
	strict bool
	// profiles are what is written when the command ends, by their flags.
	profiles map[string]*profile
	// compiled is the project that the command works on, nil until it is needed.
	compiled *compiler.Session
}

func newTerminal(stdin io.Reader, stdout, stderr io.Writer) *terminal {
	mask := &automation.Mask{}
	return &terminal{stdin: stdin, stdout: &output{to: stdout, mask: mask}, stderr: &output{to: stderr, mask: mask}, mask: mask,
		profiles: map[string]*profile{},
		children: &limits.Pool{Command: limits.Self(evaluateMode), Version: buildVersion()}}
}

// An output keeps the first error of writing to it: what prints seldom asks. It
// is the last to hide secrets, after those who know what they print.
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

// colorful reports whether colours are wanted on a stream: on a terminal, unless
// NO_COLOR is set (https://no-color.org) or the terminal is dumb.
func (t *terminal) colorful(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && interactive(w)
}

// paint switches a colour on or off for a stream.
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

// escapedWord writes a word with escapes for what can't be shown, as bash and zsh
// read it: byte by byte, which holds in every locale.
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

// interruptible returns what read returns, or an error as soon as ctx is done:
// nothing else ends the wait for somebody to type.
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

// printableLines makes a text of several lines harmless to a terminal.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = diagnostic.Printable(line)
	}
	return strings.Join(lines, "\n")
}

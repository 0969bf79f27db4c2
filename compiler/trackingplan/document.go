package trackingplan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/tailscale/hujson"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/seguehq/segue/diagnostic"
)

// A pointer leads from the top of a document to a value, as a JSON Pointer does.
type pointer []string

func (p pointer) with(steps ...string) pointer {
	return append(append(make(pointer, 0, len(p)+len(steps)), p...), steps...)
}

// String writes the pointer as RFC 6901 does.
func (p pointer) String() string {
	var b strings.Builder
	for _, step := range p {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(step))
	}
	return b.String()
}

// A document is a decoded file.
type document struct {
	name string
	// value is decoded JSON, with a json.Number for each number.
	value any
	// locate returns the place of a value, false if it can't be told. It may be called
	// from several goroutines.
	locate func(at pointer) (diagnostic.Range, bool)
}

// place returns the place of a value, or of the nearest one around it.
func (d *document) place(at pointer) diagnostic.Range {
	for n := len(at); n >= 0; n-- {
		if r, ok := d.locate(at[:n]); ok {
			return r
		}
	}
	return diagnostic.Range{}
}

// A File is a file of a tracking plan.
type File struct {
	// Name is relative to the project's folder, with slashes.
	Name    string
	Content []byte
}

// A Problem says why a plan can't be used.
type Problem struct {
	File  string
	Range diagnostic.Range
	// Message goes on after "the tracking plan can't be read: ".
	Message, Help string
}

// decode decodes a file by the ending of its name. read gives other files of the project
// to a Terraform file that refers to them.
func decode(f File, read func(name string) ([]byte, error)) (*document, *Problem) {
	content, err := withoutBOM(f.Content)
	if err != nil {
		return nil, &Problem{File: f.Name, Message: err.Error(), Help: "save it as UTF-8"}
	}
	switch path.Ext(f.Name) {
	case ".yaml", ".yml":
		return decodeYAML(f.Name, content)
	case ".tf", ".hcl":
		return decodeTerraform(f.Name, content, read)
	}
	return decodeJSON(f.Name, content)
}

// DataProblem says why a file of JSON or YAML can't be decoded, nil if it can.
func DataProblem(f File) *Problem {
	_, problem := decode(f, nil)
	return problem
}

// withoutBOM returns a file as UTF-8 without a byte order mark. Some editors and shells
// write one, or UTF-16 with one.
func withoutBOM(content []byte) ([]byte, error) {
	if !bytes.HasPrefix(content, []byte("\xef\xbb\xbf")) && !bytes.HasPrefix(content, []byte("\xff\xfe")) &&
		!bytes.HasPrefix(content, []byte("\xfe\xff")) {
		return content, nil
	}
	out, _, err := transform.Bytes(unicode.BOMOverride(transform.Nop), content)
	if err != nil {
		return nil, errors.New("its encoding is broken")
	}
	return out, nil
}

func decodeJSON(name string, content []byte) (*document, *Problem) {
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("there is something after its end")
		}
	}
	if err != nil {
		return nil, jsonProblem(name, content, d.InputOffset(), err)
	}
	return &document{name: name, value: v, locate: locateJSON(content)}, nil
}

// jsonProblem reports that a file is not JSON. offset is that of the last whole token.
func jsonProblem(name string, content []byte, offset int64, err error) *Problem {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = max(syntax.Offset-1, 0)
	}
	p := &Problem{File: name, Message: "it is not JSON: " + err.Error(),
		Help: "export the plan again, or correct the JSON"}
	switch {
	case len(bytes.TrimSpace(content)) == 0:
		p.Message = "the file is empty"
		return p
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || int(offset) >= len(content)-1 && syntax != nil:
		offset, p.Message = int64(len(bytes.TrimRight(content, " \t\r\n")))-1, "it is not JSON: it ends too early"
	}
	p.Range = newLines(content).span(int(offset), int(offset)+1)
	return p
}

// locateJSON finds values in a file of JSON. The file is parsed with places once the first
// is asked for.
func locateJSON(content []byte) func(pointer) (diagnostic.Range, bool) {
	parsed := sync.OnceValues(func() (*hujson.Value, *lines) {
		v, err := hujson.Parse(content)
		if err != nil {
			return nil, nil // never: encoding/json has read it
		}
		return &v, newLines(content)
	})
	return func(at pointer) (diagnostic.Range, bool) {
		top, lines := parsed()
		if top == nil {
			return diagnostic.Range{}, false
		}
		v := top
		if len(at) > 0 {
			v = top.Find(at.String())
		}
		if v == nil {
			return diagnostic.Range{}, false
		}
		end := v.EndOffset
		switch v.Value.(type) {
		case *hujson.Object, *hujson.Array:
			end = v.StartOffset + 1
		}
		return lines.span(v.StartOffset, end), true
	}
}

// lines are the offsets at which the lines of a file begin.
type lines struct{ starts []int }

func newLines(content []byte) *lines {
	l := &lines{starts: []int{0}}
	for i, c := range content {
		if c == '\n' {
			l.starts = append(l.starts, i+1)
		}
	}
	return l
}

// span is the range between two offsets in bytes.
func (l *lines) span(start, end int) diagnostic.Range {
	return diagnostic.Range{Start: l.position(start), End: l.position(end)}
}

func (l *lines) position(offset int) diagnostic.Position {
	low, high := 0, len(l.starts)
	for high-low > 1 {
		if mid := (low + high) / 2; l.starts[mid] <= offset {
			low = mid
		} else {
			high = mid
		}
	}
	return diagnostic.Position{Line: low + 1, Column: max(offset, 0) - l.starts[low] + 1}
}

// unmarshal decodes JSON, with a json.Number for each number.
func unmarshal(b []byte) (any, error) { return jsonschema.UnmarshalJSON(bytes.NewReader(b)) }

// index reads a step of a pointer that is an index.
func index(step string) (int, bool) {
	n, err := strconv.Atoi(step)
	return n, err == nil && n >= 0
}

// jsonNumber writes a number that another format has.
func jsonNumber(v any) json.Number { return json.Number(fmt.Sprint(v)) }

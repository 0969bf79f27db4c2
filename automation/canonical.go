package automation

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/gowebpki/jcs"
)

// documentJSON is the layout of a Document.
type documentJSON struct {
	APIVersion  string       `json:"apiVersion"`
	Automations []Automation `json:"automations"`
	Project     string       `json:"project"`
}

// Canonical returns the document's RFC 8785 bytes, which are the same for the
// same content on any machine. The automations must be sorted by key.
func (d Document) Canonical() ([]byte, error) {
	var out bytes.Buffer
	err := d.WriteCanonical(&out)
	return out.Bytes(), err
}

// Indented returns the same document as [Document.Canonical], formatted for
// people: two spaces per level and a final newline.
func (d Document) Indented() ([]byte, error) {
	var out bytes.Buffer
	err := d.WriteIndented(&out)
	return out.Bytes(), err
}

// WriteCanonical writes the same bytes as [Document.Canonical]. It only holds a few
// automations in that form at a time. After an error the output is incomplete.
func (d Document) WriteCanonical(w io.Writer) error {
	return d.write(w, documentLayout{
		start: `{"apiVersion":"` + APIVersion + `","automations":[`, between: ",", end: `],"project":`, done: "}",
		automation: func(out *bytes.Buffer, b []byte) error { out.Write(b); return nil },
	})
}

// WriteIndented writes the same bytes as [Document.Indented], in the way of
// [Document.WriteCanonical].
func (d Document) WriteIndented(w io.Writer) error {
	l := documentLayout{
		start: "{\n  \"apiVersion\": \"" + APIVersion + "\",\n  \"automations\": [", between: ",", end: "\n  ],\n  \"project\": ", done: "\n}\n",
		automation: func(out *bytes.Buffer, b []byte) error {
			out.WriteString("\n    ")
			return json.Indent(out, b, "    ", "  ")
		},
	}
	if len(d.Automations) == 0 {
		l.end = strings.TrimPrefix(l.end, "\n  ")
	}
	return d.write(w, l)
}

// A documentLayout is the text around automations, and the function that
// formats them.
type documentLayout struct {
	start, between, end, done string
	automation                func(out *bytes.Buffer, canonical []byte) error
}

// blockSize is the number of automations formatted at a time.
const blockSize = 256

// write writes the document. All processors format automations.
func (d Document) write(w io.Writer, l documentLayout) error {
	type block struct {
		text []byte
		err  error
	}
	encode := func(automations []Encoded, first bool) block {
		var out bytes.Buffer
		var r bundleReader
		for i, a := range automations {
			if i > 0 || !first {
				out.WriteString(l.between)
			}
			b, err := r.canonical(a)
			if err == nil {
				err = l.automation(&out, b)
			}
			if err != nil {
				return block{err: fmt.Errorf("%s: %w", a.Key, err)}
			}
		}
		return block{text: out.Bytes()}
	}
	project, err := canonical(d.Project)
	if err != nil {
		return err
	}
	// The blocks in progress, in order: at most one per processor.
	blocks := make(chan chan block, runtime.GOMAXPROCS(0))
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		defer close(blocks)
		for i := 0; i < len(d.Automations); i += blockSize {
			made := make(chan block, 1)
			select {
			case blocks <- made:
			case <-stop:
				return
			}
			go func() { made <- encode(d.Automations[i:min(i+blockSize, len(d.Automations))], i == 0) }()
		}
	}()
	if _, err := io.WriteString(w, l.start); err != nil {
		return err
	}
	for made := range blocks {
		b := <-made
		if b.err != nil {
			return b.err
		}
		if _, err := w.Write(b.text); err != nil {
			return err
		}
	}
	_, err = io.WriteString(w, l.end+string(project)+l.done)
	return err
}

// UnmarshalJSON reads a document of this version.
func (d *Document) UnmarshalJSON(b []byte) error {
	var doc documentJSON
	if err := strictUnmarshal(b, &doc); err != nil {
		return err
	}
	if doc.APIVersion != APIVersion {
		return fmt.Errorf("apiVersion is %q, want %q", doc.APIVersion, APIVersion)
	}
	automations, err := Encode(doc.Automations)
	*d = Document{Project: doc.Project, Automations: automations}
	return err
}

// Indent formats canonical JSON for people: two spaces per level and a final
// newline. It keeps the order of fields and the form of values.
func Indent(b []byte) []byte {
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return b
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// Canonical returns the automation's RFC 8785 bytes.
func (a Automation) Canonical() ([]byte, error) {
	b, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	if isCanonical(b) {
		return b, nil
	}
	return jcs.Transform(b)
}

// Hash identifies the automation by content: "sha256:" and the hex digest of
// its RFC 8785 bytes. An automation that can't be encoded, which the compiler
// never makes, has the empty hash.
func (a Automation) Hash() string {
	b, err := a.Canonical()
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// CanonicalPayload returns the RFC 8785 bytes of a JSON value.
func CanonicalPayload(b []byte) (json.RawMessage, error) { return jcs.Transform(b) }

// canonical marshals v in the form of RFC 8785.
func canonical(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jcs.Transform(b)
}

// MarshalJSON writes headers as an object even if there are none, so the
// document's shape does not depend on its content.
func (r Request) MarshalJSON() ([]byte, error) {
	type plain Request
	if r.Headers == nil {
		r.Headers = map[string]Header{}
	}
	return json.Marshal(plain(r))
}

// PayloadDepth returns the maximum nesting of objects and lists in a JSON text.
// It accepts any input, also malformed JSON.
func PayloadDepth(b []byte) int {
	depth, most := 0, 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			most = max(most, depth)
		case '}', ']':
			depth--
		}
	}
	return most
}

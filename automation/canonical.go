package automation

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/gowebpki/jcs"
)

// documentJSON is the layout of a Document.
type documentJSON struct {
	APIVersion  string       `json:"apiVersion"`
	Automations []Automation `json:"automations"`
	Project     string       `json:"project"`
}

// Canonical returns the document's RFC 8785 bytes: the same for the same
// content, whatever machine they are made on. Its automations must be in order
// of their keys.
func (d Document) Canonical() ([]byte, error) {
	automations := d.Automations
	if automations == nil {
		automations = []Automation{}
	}
	return canonical(documentJSON{APIVersion: APIVersion, Automations: automations, Project: d.Project})
}

// Indented returns the same document as [Document.Canonical], laid out for
// people: two blanks a level and a newline at the end.
func (d Document) Indented() ([]byte, error) {
	b, err := d.Canonical()
	if err != nil {
		return nil, err
	}
	return Indent(b), nil
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
	*d = Document{Project: doc.Project, Automations: doc.Automations}
	return nil
}

// Indent lays out canonical JSON for people: two blanks a level and a newline
// at the end. It leaves the order of fields and the form of values as they are.
func Indent(b []byte) []byte {
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return b
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// Canonical returns the automation's RFC 8785 bytes.
func (a Automation) Canonical() ([]byte, error) { return canonical(a) }

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

// canonical marshals v and brings it into the form of RFC 8785.
func canonical(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jcs.Transform(b)
}

// MarshalJSON writes headers as an object even where there are none, so that
// the document's shape does not depend on its content.
func (r Request) MarshalJSON() ([]byte, error) {
	type plain Request
	if r.Headers == nil {
		r.Headers = map[string]Header{}
	}
	return json.Marshal(plain(r))
}

// PayloadDepth returns how many objects and lists of a JSON text are within each
// other at most. It takes any text, and follows none deeper than it is long.
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

package automation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/klauspost/compress/s2"
)

// An Encoded is an automation in its canonical form. Automations of a package are much
// alike, so they are kept compressed, and together: a project of 100,000 fits into
// memory.
type Encoded struct {
	// Key is the automation's.
	Key string

	in       *Bundle
	from, to int // in the bundle's text
}

// A Bundle is the canonical form of some automations, one behind the other.
type Bundle struct {
	compressed []byte
	size       int // of the text, in bytes
}

// mostText is how long the text of a bundle can be, in bytes: more is not what somebody
// wrote, and a few bytes can say that they are so many.
const mostText = 1 << 30

// Encode brings automations into their canonical form.
func Encode(all []Automation) ([]Encoded, error) {
	var text []byte
	ends := make([]int, len(all))
	keys := make([]string, len(all))
	for i, a := range all {
		b, err := a.Canonical()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.Key, err)
		}
		text = append(text, b...)
		keys[i], ends[i] = a.Key, len(text)
	}
	bundle := &Bundle{compressed: bytes.Clone(s2.Encode(nil, text)), size: len(text)}
	return bundle.encoded(keys, ends), nil
}

func (b *Bundle) encoded(keys []string, ends []int) []Encoded {
	out := make([]Encoded, len(keys))
	from := 0
	for i, key := range keys {
		out[i] = Encoded{Key: key, in: b, from: from, to: ends[i]}
		from = ends[i]
	}
	return out
}

// Pack returns the form in which automations that [Encode] gave are stored, to be read
// by [Unpack]: compressed, and where each of them ends in the text.
func Pack(all []Encoded) (compressed []byte, ends []int) {
	for _, e := range all {
		compressed, ends = e.in.compressed, append(ends, e.to)
	}
	return compressed, ends
}

// Unpack is the opposite of [Pack]. The keys are those of the automations. It keeps
// compressed, and does not look into it.
func Unpack(keys []string, compressed []byte, ends []int) ([]Encoded, error) {
	size, err := s2.DecodedLen(compressed)
	if err == nil && size > mostText {
		err = errors.New("the automations are too long")
	}
	if err != nil && len(keys) > 0 {
		return nil, err
	}
	last := 0
	for _, end := range ends {
		if end < last || end > size {
			return nil, errors.New("an automation ends where there is none")
		}
		last = end
	}
	return (&Bundle{compressed: compressed, size: size}).encoded(keys, ends), nil
}

// Canonical returns the automation's RFC 8785 bytes, like [Automation.Canonical].
func (e Encoded) Canonical() ([]byte, error) {
	var r bundleReader
	return r.canonical(e)
}

// Decode returns the automation.
func (e Encoded) Decode() (Automation, error) {
	var a Automation
	b, err := e.Canonical()
	if err != nil {
		return a, err
	}
	err = json.Unmarshal(b, &a)
	return a, err
}

// A bundleReader reads automations, of which those that come from one bundle follow one
// another.
type bundleReader struct {
	last *Bundle
	text []byte
}

// canonical returns the bytes of an automation until the next call.
func (r *bundleReader) canonical(e Encoded) ([]byte, error) {
	if r.last != e.in {
		text, err := s2.Decode(r.text, e.in.compressed)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Key, err)
		}
		r.last, r.text = e.in, text[:len(text):cap(text)]
	}
	return r.text[e.from:e.to:e.to], nil
}

// Decode returns the automations of a document.
func (d Document) Decode() ([]Automation, error) {
	out := make([]Automation, len(d.Automations))
	var r bundleReader
	for i, e := range d.Automations {
		b, err := r.canonical(e)
		if err == nil {
			err = json.Unmarshal(b, &out[i]) // which copies what it keeps
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Key, err)
		}
	}
	return out, nil
}

package automation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/klauspost/compress/s2"
)

// An Encoded is an automation in its canonical form. The automations of a package are
// similar, so they are compressed together: a project of 100,000 fits into memory.
type Encoded struct {
	// Key is the key of the automation.
	Key string

	in       *Bundle
	from, to int // in the bundle's text
}

// A Bundle is the concatenated canonical form of several automations.
type Bundle struct {
	compressed []byte
	size       int // of the text, in bytes
}

// mostText is the maximum length of a bundle's text, in bytes. Nobody writes more, but
// a few compressed bytes could expand to more.
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

// Pack returns automations from [Encode] in the form in which they are stored, for
// [Unpack]: the compressed text, and the end of each automation in the text.
func Pack(all []Encoded) (compressed []byte, ends []int) {
	for _, e := range all {
		compressed, ends = e.in.compressed, append(ends, e.to)
	}
	return compressed, ends
}

// Unpack is the opposite of [Pack]. The keys are the keys of the automations.
// Unpack keeps a reference to compressed and does not decompress it.
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
			return nil, errors.New("the end of an automation is out of range")
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

// A bundleReader reads automations. Automations of one bundle must follow one another.
type bundleReader struct {
	last *Bundle
	text []byte
}

// canonical returns the bytes of an automation, which are valid until the next
// call.
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
			err = json.Unmarshal(b, &out[i]) // Unmarshal copies the bytes that it keeps
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Key, err)
		}
	}
	return out, nil
}

package cache

import (
	"bytes"
	"testing"
)

func FuzzDecode(f *testing.F) {
	for _, n := range []int{0, 1, 30, 299} {
		f.Add(encode(key(1), value(n)))
	}
	f.Add([]byte(entryFormat))
	f.Fuzz(func(t *testing.T, entry []byte) {
		// As it is, and with a checksum that matches, which nobody but a forger has.
		if got, err := decode(key(1), entry); err == nil && !bytes.Equal(encode(key(1), got), entry) && len(got) > MaxValue {
			t.Errorf("%d bytes", len(got))
		}
		if len(entry) < headerSize {
			return
		}
		forged := bytes.Clone(entry)
		copy(forged, encode(key(1), nil)[:keyEnd])
		copy(forged[keyEnd+8:], length(len(forged)-headerSize))
		sum := checksum(forged)
		copy(forged[sizesEnd:], sum[:])
		if got, err := decode(key(1), forged); err == nil {
			if again, err := decode(key(1), encode(key(1), got)); err != nil || !bytes.Equal(again, got) {
				t.Errorf("%q is kept as %q, %v", got, again, err)
			}
		}
	})
}

func length(n int) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[7-i] = byte(n >> (8 * i))
	}
	return b
}

func FuzzDecodeIndex(f *testing.F) {
	f.Add(encodePack(map[Key][]byte{key(1): encode(key(1), value(9)), key(2): nil}))
	f.Add(encodePack(nil))
	f.Fuzz(func(t *testing.T, content []byte) {
		index, err := decodeIndex(bytes.NewReader(content))
		if err == nil && len(index)%recordSize != 0 {
			t.Errorf("an index of %d bytes", len(index))
		}
	})
}

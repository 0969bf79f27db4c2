package limits

import (
	"bufio"
	"bytes"
	"testing"
)

// A frame that was read is written as the same bytes.
func FuzzReadFrame(f *testing.F) {
	var b bytes.Buffer
	for _, frame := range []frame{{kind: helloFrame, item: noItem, body: []byte("1")}, {kind: doneFrame, item: 3}} {
		b.Reset()
		if err := writeFrame(&b, frame); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
		f.Add(b.Bytes()[:b.Len()-1])
	}
	f.Add([]byte{doneFrame, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte("panic: a word among frames"))
	f.Fuzz(func(t *testing.T, in []byte) {
		read, err := readFrame(bufio.NewReader(bytes.NewReader(in)))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := writeFrame(&out, read); err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(in, out.Bytes()) {
			t.Errorf("%q was read, and written as %q", in, out.Bytes())
		}
	})
}

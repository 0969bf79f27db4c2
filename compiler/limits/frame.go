package limits

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A frame is a message between parent and child: a kind, the item that it is about, and a body.
type frame struct {
	kind byte
	item int
	body []byte
}

// The kinds of frames. These bytes do not occur in UTF-8, so text that is printed among the frames is not taken
// for a frame.
const (
	// The parent sends a task, as JSON of a request.
	taskFrame = 0xf8 + iota
	// The child sends the version of its program, before any other frame.
	helloFrame
	// The child has begun an item.
	beginFrame
	// The child has done an item; the body is the result.
	doneFrame
	// The child has done an item; the body is the error.
	failedFrame
	// An item has exceeded its limits, and the child ends; the body is the limit.
	overFrame
	// The child has done the task; the body is the memory that it holds in bytes, as 8 bytes.
	finishedFrame
)

const (
	// noItem is the item of a frame that is not about an item.
	noItem = -1
	// maxBody limits the memory that one side can make the other use, in bytes.
	maxBody = 512 << 20
	// headerSize is the size of the kind, the item and the length of the body.
	headerSize = 1 + 4 + 4
)

// errTooLarge is the error for a body that is larger than maxBody.
var errTooLarge = errors.New("larger than 512 MiB")

func writeFrame(w io.Writer, f frame) error {
	if len(f.body) > maxBody {
		return errTooLarge
	}
	header := make([]byte, headerSize)
	header[0] = f.kind
	binary.BigEndian.PutUint32(header[1:], uint32(int32(f.item)))
	binary.BigEndian.PutUint32(header[5:], uint32(len(f.body)))
	if _, err := w.Write(header); err != nil {
		return err
	}
	_, err := w.Write(f.body)
	return err
}

// errProtocol is wrapped by the error about something that is not a frame.
var errProtocol = errors.New("not a message of an evaluation")

// readFrame returns io.EOF at the end, and io.ErrUnexpectedEOF within a frame.
func readFrame(r *bufio.Reader) (frame, error) {
	kind, err := r.ReadByte()
	if err != nil {
		return frame{}, err
	}
	if kind < taskFrame || kind > finishedFrame {
		return frame{}, fmt.Errorf("%w: byte %#x", errProtocol, kind)
	}
	header := make([]byte, headerSize-1)
	if _, err := io.ReadFull(r, header); err != nil {
		return frame{}, noEOF(err)
	}
	f := frame{kind: kind, item: int(int32(binary.BigEndian.Uint32(header)))}
	length := int64(binary.BigEndian.Uint32(header[4:]))
	if length > maxBody {
		return frame{}, fmt.Errorf("%w: a frame of %d bytes", errProtocol, length)
	}
	// The buffer grows with the data received, not with the announced length.
	var body bytes.Buffer
	if _, err := io.CopyN(&body, r, length); err != nil {
		return frame{}, noEOF(err)
	}
	f.body = body.Bytes()
	return f, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

package reach

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// ReadAnswer reads the body of an answer, up to so many bytes and one more, by which
// callers tell that it is too long. It unpacks what a server or a proxy has compressed
// unasked. Proxies and servers on Windows put a byte order mark before JSON, which is left
// out.
func ReadAnswer(res *http.Response, most int64) ([]byte, error) {
	body, err := unpacked(res)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(body, most+1))
	return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), err
}

// unpacked returns the body without its encodings, which its header has in the order in
// which they were applied. Go's own transport removes the header when it has unpacked the
// body.
func unpacked(res *http.Response) (io.Reader, error) {
	var body io.Reader = res.Body
	names := strings.Split(strings.Join(res.Header.Values("Content-Encoding"), ","), ",")
	for _, name := range slices.Backward(names) {
		r := bufio.NewReader(body)
		start, _ := r.Peek(2) // a body that is too short has no encoding
		body = r
		var err error
		switch name = strings.ToLower(strings.TrimSpace(name)); {
		case len(start) < 2 || name == "" || name == "identity":
		case name == "gzip" || name == "x-gzip":
			body, err = gzip.NewReader(r)
		case name == "deflate" && start[0]&0x0f == 8 && (int(start[0])<<8|int(start[1]))%31 == 0:
			body, err = zlib.NewReader(r)
		case name == "deflate": // as many servers have always understood it
			body = flate.NewReader(r)
		default:
			err = &encodingError{name}
		}
		if err != nil {
			return nil, err
		}
	}
	return body, nil
}

// An encodingError says that an answer is compressed in a way that segue has not asked for.
type encodingError struct{ name string }

// Error names the encoding and the remedy, as a clause about who has answered.
func (e *encodingError) Error() string {
	return fmt.Sprintf("answers with Content-Encoding %s, which segue does not read and has not asked for; "+
		"check the proxy or the service before it, which has to obey Accept-Encoding", strconv.QuoteToASCII(e.name))
}

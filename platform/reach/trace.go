package reach

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	gosync "sync"
	"time"
	"unicode/utf8"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// TracedBody is how much of a body a log has, in bytes.
const TracedBody = 4096

// Traced returns a transport that logs each request and its answer, with the mask's secrets
// hidden: method, URL, try, status, size and time as [slog.LevelInfo], a request without an
// answer as [slog.LevelWarn], and with [slog.LevelDebug] also headers and the first
// [TracedBody] bytes of bodies. It is the transport itself where there is no log.
func Traced(transport http.RoundTripper, log *slog.Logger, mask *automation.Mask) http.RoundTripper {
	if log == nil {
		return transport
	}
	return traced{transport, log, mask}
}

type privateKey struct{}

// Private returns a context for requests of which no log has the bodies: they hold
// credentials that no mask knows yet.
func Private(ctx context.Context) context.Context {
	return context.WithValue(ctx, privateKey{}, true)
}

// A traced transport logs requests and answers.
type traced struct {
	http.RoundTripper
	log  *slog.Logger
	mask *automation.Mask
}

// CloseIdleConnections closes those of the transport.
func (t traced) CloseIdleConnections() { closeIdle(t.RoundTripper) }

// RoundTrip implements [http.RoundTripper].
func (t traced) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, start := req.Context(), time.Now()
	about := []any{slog.String("method", req.Method), slog.String("url", t.mask.Hide(req.URL.Redacted()))}
	if try := sync.TryOf(ctx); try > 0 {
		about = append(about, slog.Int("try", try))
	}
	log := t.log.With(about...)
	detailed := log.Enabled(ctx, slog.LevelDebug)
	if detailed {
		log.DebugContext(ctx, "request", t.headers(req.Header), slog.String("body", t.sent(req)))
	}
	res, err := t.RoundTripper.RoundTrip(req)
	if err != nil {
		log.WarnContext(ctx, "no answer", slog.Duration("duration", time.Since(start)), slog.String("error", t.mask.Hide(err.Error())))
		return nil, err
	}
	// What else is asked of an answer, such as whether it can be written to, nobody needs.
	res.Body = &tracedBody{ReadCloser: res.Body, keep: TracedBody + t.mask.Reach(), end: func(b *tracedBody, err error) {
		attributes := []any{slog.Int("status", res.StatusCode), slog.Int64("bytes", b.size), slog.Duration("duration", time.Since(start))}
		if detailed {
			attributes = append(attributes, t.headers(res.Header), slog.String("body", t.body(ctx, res.Header, b.start, b.size)))
		}
		if err != nil {
			log.WarnContext(ctx, "answer was cut off", append(attributes, slog.String("error", t.mask.Hide(err.Error())))...)
			return
		}
		log.InfoContext(ctx, "answer", attributes...)
	}}
	return res, nil
}

// credentialHeader matches the names of headers whose values are never logged.
var credentialHeader = regexp.MustCompile(`(?i)auth|cookie|token|secret|password|session|api-?key|signature`)

// headers are those of a message, without credentials.
func (t traced) headers(h http.Header) slog.Attr {
	attributes := make([]any, 0, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		value := "(secret)"
		if !credentialHeader.MatchString(name) {
			value = t.mask.Hide(strings.Join(h[name], ", "))
		}
		attributes = append(attributes, slog.String(name, value))
	}
	return slog.Group("headers", attributes...)
}

// sent is the body of a request. Every body is in memory, and can be read
// once more.
func (t traced) sent(req *http.Request) string {
	if req.Body == nil || req.GetBody == nil {
		return ""
	}
	body, err := req.GetBody()
	if err != nil {
		return ""
	}
	defer body.Close()
	start, err := io.ReadAll(io.LimitReader(body, int64(TracedBody+t.mask.Reach())))
	if err != nil {
		return ""
	}
	return t.body(req.Context(), req.Header, start, req.ContentLength)
}

// body shows a body of that size in bytes, of which the start is known.
func (t traced) body(ctx context.Context, h http.Header, start []byte, size int64) string {
	private, _ := ctx.Value(privateKey{}).(bool)
	cut := start
	for range utf8.UTFMax { // the last character may be cut off
		if len(cut) > 0 && int64(len(start)) < size && !utf8.Valid(cut) {
			cut = cut[:len(cut)-1]
		}
	}
	switch {
	case len(start) == 0:
		return ""
	case private:
		return "(secret)"
	case h.Get("Content-Encoding") != "" || !utf8.Valid(cut):
		return fmt.Sprintf("(%d bytes that are not text)", size)
	}
	shown := strings.ToValidUTF8(t.mask.Start(string(cut), TracedBody), "")
	if size > TracedBody {
		shown += fmt.Sprintf("… (cut: %d bytes in all)", size)
	}
	return shown
}

// A tracedBody keeps the start of an answer, and tells when it ends.
type tracedBody struct {
	io.ReadCloser
	keep int
	end  func(b *tracedBody, err error)

	start []byte
	size  int64
	once  gosync.Once
}

// Read implements [io.Reader].
func (b *tracedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.start = append(b.start, p[:min(n, b.keep-len(b.start))]...)
	b.size += int64(n)
	switch {
	case err == io.EOF:
		b.once.Do(func() { b.end(b, nil) })
	case err != nil:
		b.once.Do(func() { b.end(b, err) })
	}
	return n, err
}

// Close implements [io.Closer].
func (b *tracedBody) Close() error {
	b.once.Do(func() { b.end(b, nil) })
	return b.ReadCloser.Close()
}

package cache

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxRequests is the maximum number of concurrent requests.
	maxRequests = 16
	// maxQueued is the maximum number of bytes that wait to be uploaded; further entries are dropped.
	maxQueued = 64 << 20
	// Reading or writing is given up after this many failures, consecutive or in total.
	maxInRow, maxInAll = 3, 10
	// Reading is given up after this much time was spent on results that the server does not have.
	maxWasted = 30 * time.Second
)

// A remote is the server of a cache, in use.
type remote struct {
	Remote
	client  *http.Client
	slots   chan struct{} // one for each active request
	reading breaker
	writing breaker
	wasted  atomic.Int64 // nanoseconds spent on requests without a result
	queued  atomic.Int64 // bytes
	uploads sync.WaitGroup
	warn    func(string)
}

// A breaker gives up one direction, reading or writing, for the rest of the run.
type breaker struct {
	ctx    context.Context // done after the direction was given up
	cancel context.CancelFunc

	mu            sync.Mutex
	inRow, failed int
}

func newBreaker() breaker {
	ctx, cancel := context.WithCancel(context.Background())
	return breaker{ctx: ctx, cancel: cancel}
}

// count counts a request, and reports whether there are too many failures now.
func (b *breaker) count(ok bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ok {
		b.inRow = 0
		return false
	}
	b.inRow++
	b.failed++
	return b.inRow >= maxInRow || b.failed >= maxInAll
}

// giveUp reports whether this is its first call.
func (b *breaker) giveUp() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := b.ctx.Err() == nil
	b.cancel()
	return first
}

func (r *Remote) open(warn func(string)) *remote {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: r.timeout}).DialContext
	transport.TLSHandshakeTimeout = r.timeout
	transport.ResponseHeaderTimeout = r.timeout
	transport.MaxIdleConnsPerHost = maxRequests
	transport.DisableCompression = true // entries are compressed
	return &remote{
		Remote: *r,
		client: &http.Client{
			Transport: transport,
			// A redirect could send the credential to another host.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       6 * r.timeout,
		},
		slots:   make(chan struct{}, maxRequests),
		reading: newBreaker(), writing: newBreaker(),
		warn: warn,
	}
}

// get returns the entry of a key and its value.
func (r *remote) get(ctx context.Context, key Key) (entry, value []byte, ok bool) {
	if r.reading.ctx.Err() != nil {
		return nil, nil, false
	}
	ctx, cancel := join(ctx, r.reading.ctx)
	defer cancel()
	if !r.enter(ctx) {
		return nil, nil, false
	}
	defer r.leave()
	start := time.Now()
	entry, begun, err := r.read(ctx, key)
	if err == nil && entry != nil {
		value, err = decode(key, entry)
		if err != nil {
			err = fmt.Errorf("returns damaged results (%w)", err)
		}
	}
	if ctx.Err() != nil {
		return nil, nil, false
	}
	found := err == nil && entry != nil
	if !found && r.wasted.Add(int64(time.Since(start))) > int64(maxWasted) && err == nil {
		r.giveUp(&r.reading, "read", errors.New("takes too long to answer"))
	}
	r.judge(&r.reading, "read", begun, err)
	return entry, value, found
}

// read requests an entry. The entry is nil if the server does not have it. The duration is the time until the
// response began.
func (r *remote) read(ctx context.Context, key Key) ([]byte, time.Duration, error) {
	res, begun, err := r.do(ctx, http.MethodGet, key, nil)
	if err != nil {
		return nil, begun, err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusGone:
		_, _ = io.CopyN(io.Discard, res.Body, 4096) // so that the connection can be reused
		return nil, begun, nil
	case res.StatusCode != http.StatusOK:
		return nil, begun, statusError(res.StatusCode)
	case res.ContentLength > maxEntry:
		return nil, begun, errors.New("returns results that are too large")
	}
	// A response without a length is trusted as little as one with a wrong length.
	entry, err := io.ReadAll(io.LimitReader(res.Body, maxEntry+1))
	if err == nil && int64(len(entry)) > maxEntry {
		err = errors.New("returns results that are too large")
	} else if err != nil {
		err = describe(err)
	}
	return entry, begun, err
}

// writes reports whether results are uploaded to the server.
func (r *remote) writes() bool { return r != nil && !r.readOnly && r.writing.ctx.Err() == nil }

// put uploads an entry in the background, unless too much is already queued. It tells done whether the server
// has accepted it.
func (r *remote) put(key Key, entry []byte, done func(taken bool)) {
	size := int64(len(entry))
	if r.queued.Add(size) > maxQueued {
		r.queued.Add(-size)
		done(false)
		return
	}
	r.uploads.Go(func() {
		defer r.queued.Add(-size)
		ctx := r.writing.ctx
		if !r.enter(ctx) {
			done(false)
			return
		}
		defer r.leave()
		begun, err := r.write(ctx, key, entry)
		done(err == nil)
		if ctx.Err() == nil {
			r.judge(&r.writing, "written", begun, err)
		}
	})
}

func (r *remote) write(ctx context.Context, key Key, entry []byte) (time.Duration, error) {
	res, begun, err := r.do(ctx, http.MethodPut, key, entry)
	if err != nil {
		return begun, err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 4096) // so that the connection can be reused
	switch res.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
		return begun, nil
	}
	return begun, statusError(res.StatusCode)
}

// do sends a request. It returns the response with only the header read, and the time until the response began.
func (r *remote) do(ctx context.Context, method string, key Key, body []byte) (*http.Response, time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.url+"/ac/"+key.String(), bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("User-Agent", "segue")
	if r.authorization != "" {
		req.Header.Set("Authorization", r.authorization)
	}
	if method == http.MethodPut {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	start := time.Now()
	res, err := r.client.Do(req)
	if err != nil {
		err = describe(err)
	}
	return res, time.Since(start), err
}

// judge counts a request, and gives up after too many failures.
func (r *remote) judge(b *breaker, direction string, begun time.Duration, err error) {
	if err == nil && begun > r.timeout*2/5 {
		err = errors.New("takes too long to answer")
	}
	var status statusError
	hopeless := errors.As(err, &status) && status.final()
	tooLarge := status == http.StatusRequestEntityTooLarge // for this entry only
	if b.count(err == nil || tooLarge) || hopeless {
		r.giveUp(b, direction, err)
	}
}

// giveUp stops a direction for the rest of the run, and cancels its requests.
func (r *remote) giveUp(b *breaker, direction string, err error) {
	if b.giveUp() {
		r.warn(fmt.Sprintf("the shared cache is no longer %s: %s %v", direction, r.url, err))
	}
}

// enter waits until a request can be sent.
func (r *remote) enter(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case r.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *remote) leave() { <-r.slots }

// close waits for the uploads until ctx is done, and cancels the rest.
func (r *remote) close(ctx context.Context) {
	stop := context.AfterFunc(ctx, r.writing.cancel)
	r.uploads.Wait()
	stop()
	r.reading.cancel()
	r.writing.cancel()
	r.client.CloseIdleConnections()
}

// join returns a context that is done when one of two contexts is done.
func join(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(other, cancel)
	return ctx, func() { stop(); cancel() }
}

// A statusError is a response without success.
type statusError int

func (s statusError) Error() string {
	text := fmt.Sprintf("answers %d", int(s))
	if t := http.StatusText(int(s)); t != "" {
		text += " " + t // not the server's own text, which may repeat the request
	}
	switch {
	case s >= 300 && s <= 399:
		text += "; redirects are not followed"
	case s == http.StatusBadRequest:
		text += "; bazel-remote needs --disable_http_ac_validation"
	case s == http.StatusUnauthorized:
		text += "; check SEGUE_CACHE_TOKEN, or the user in SEGUE_CACHE_URL"
	case s == http.StatusForbidden || s == http.StatusMethodNotAllowed:
		text += "; if it is read-only, set SEGUE_CACHE_READONLY=1"
	}
	return text
}

// final reports whether the next request would get the same response.
func (s statusError) final() bool {
	switch s {
	case http.StatusUnauthorized, http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusInsufficientStorage:
		return true
	}
	return s >= 300 && s <= 399
}

// describe returns an error without any text from the server.
func describe(err error) error {
	var timeout net.Error
	var dial *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("does not answer in time")
	case errors.As(err, &certificate):
		return fmt.Errorf("can't be trusted: %w", certificate)
	case errors.As(err, &dial):
		return fmt.Errorf("can't be reached: %w", dial)
	}
	return errors.New("closes the connection, or does not speak HTTP")
}

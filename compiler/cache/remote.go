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
	// maxRequests are on their way at once.
	maxRequests = 16
	// maxQueued bytes wait to be uploaded; what comes on top of that is dropped.
	maxQueued = 64 << 20
	// Reading or writing is given up after so many failures, in a row or at all.
	maxInRow, maxInAll = 3, 10
	// Reading is given up once so much time has gone into results that it lacks.
	maxWasted = 30 * time.Second
)

// A remote is the server of a cache, in use.
type remote struct {
	Remote
	client  *http.Client
	slots   chan struct{} // one for each request on its way
	reading breaker
	writing breaker
	wasted  atomic.Int64 // time in which nothing was found
	queued  atomic.Int64 // bytes
	uploads sync.WaitGroup
	warn    func(string)
}

// A breaker gives up one direction, reading or writing, for the rest of the run.
type breaker struct {
	ctx    context.Context // done when it has been given up
	cancel context.CancelFunc

	mu            sync.Mutex
	inRow, failed int
}

func newBreaker() breaker {
	ctx, cancel := context.WithCancel(context.Background())
	return breaker{ctx: ctx, cancel: cancel}
}

// count counts a request, and reports whether it is the one that is too much.
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

// giveUp reports whether it has been called for the first time.
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
			// A redirect could lead the credential elsewhere.
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
			err = fmt.Errorf("gives damaged results (%w)", err)
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

// read asks for an entry. It is nil if the server does not have it. The time is
// what it took until the answer began.
func (r *remote) read(ctx context.Context, key Key) ([]byte, time.Duration, error) {
	res, begun, err := r.do(ctx, http.MethodGet, key, nil)
	if err != nil {
		return nil, begun, err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusGone:
		_, _ = io.CopyN(io.Discard, res.Body, 4096) // for the connection's next use
		return nil, begun, nil
	case res.StatusCode != http.StatusOK:
		return nil, begun, statusError(res.StatusCode)
	case res.ContentLength > maxEntry:
		return nil, begun, errors.New("gives results that are too large")
	}
	// An answer without a length is trusted as little as one with a wrong length.
	entry, err := io.ReadAll(io.LimitReader(res.Body, maxEntry+1))
	if err == nil && int64(len(entry)) > maxEntry {
		err = errors.New("gives results that are too large")
	} else if err != nil {
		err = describe(err)
	}
	return entry, begun, err
}

// writes reports whether results are written to the server.
func (r *remote) writes() bool { return r != nil && !r.readOnly && r.writing.ctx.Err() == nil }

// put uploads an entry in the background, unless too much is waiting already, and
// tells done whether the server has taken it.
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
	_, _ = io.CopyN(io.Discard, res.Body, 4096) // for the connection's next use
	switch res.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
		return begun, nil
	}
	return begun, statusError(res.StatusCode)
}

// do sends a request and returns the answer, of which only the header has been
// read, and the time that it took to begin.
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

// judge counts a request, and gives up if there have been too many failures.
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

// giveUp leaves a direction alone for the rest of the run, and cuts off what is on
// its way.
func (r *remote) giveUp(b *breaker, direction string, err error) {
	if b.giveUp() {
		r.warn(fmt.Sprintf("the shared cache is not %s any more: %s %v", direction, r.url, err))
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

// close waits for the uploads until ctx is done, and cuts off the rest.
func (r *remote) close(ctx context.Context) {
	stop := context.AfterFunc(ctx, r.writing.cancel)
	r.uploads.Wait()
	stop()
	r.reading.cancel()
	r.writing.cancel()
	r.client.CloseIdleConnections()
}

// join returns a context that is done when one of two is.
func join(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(other, cancel)
	return ctx, func() { stop(); cancel() }
}

// A statusError is an answer that is no success.
type statusError int

func (s statusError) Error() string {
	text := fmt.Sprintf("answers %d", int(s))
	if t := http.StatusText(int(s)); t != "" {
		text += " " + t // not what the server says, which may repeat the request
	}
	switch {
	case s >= 300 && s <= 399:
		text += "; redirects are not followed"
	case s == http.StatusBadRequest:
		text += "; bazel-remote needs --disable_http_ac_validation"
	case s == http.StatusUnauthorized:
		text += "; check SEGUE_CACHE_TOKEN, or the user in SEGUE_CACHE_URL"
	case s == http.StatusForbidden || s == http.StatusMethodNotAllowed:
		text += "; where it can only be read, set SEGUE_CACHE_READONLY=1"
	}
	return text
}

// final reports whether the next request would get the same answer.
func (s statusError) final() bool {
	switch s {
	case http.StatusUnauthorized, http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusInsufficientStorage:
		return true
	}
	return s >= 300 && s <= 399
}

// describe returns an error that shows nothing of what the server has sent.
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
	return errors.New("breaks off, or does not answer in HTTP")
}

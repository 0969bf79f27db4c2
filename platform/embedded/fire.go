package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	gosync "sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seguehq/segue/automation"
)

const (
	// answerBytes is the number of bytes kept of an endpoint's answer.
	answerBytes = 2 << 10
	// longestRetryAfter is the longest Retry-After that is obeyed.
	longestRetryAfter = time.Hour
	// claimSlack is the time after an attempt's timeout in which it can still
	// be recorded. After that, other dispatchers consider the attempt lost.
	claimSlack = 5 * time.Second
	// recheck is the interval at which the dispatcher looks for deliveries left
	// by another process.
	recheck = 5 * time.Second
)

// DeliveryOptions control how deliveries are sent. The zero value has good
// defaults.
type DeliveryOptions struct {
	// Attempts is the maximum number of attempts for a delivery; 0 means 6.
	Attempts int
	// Timeout bounds one attempt, including its answer; 0 means 10 seconds.
	Timeout time.Duration
	// FirstWait is the time before the second attempt; 0 means 1 second. It
	// doubles with each attempt, up to LongestWait; 0 means 1 minute. Each wait
	// varies at random by up to half. A longer Retry-After is obeyed, up to an
	// hour.
	FirstWait, LongestWait time.Duration
	// Parallel is the number of deliveries sent at the same time; 0 means 8.
	Parallel int
	// Transport sends the requests; nil means one like [http.DefaultTransport].
	Transport http.RoundTripper
}

func (o DeliveryOptions) withDefaults() DeliveryOptions {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	if o.Attempts <= 0 {
		o.Attempts = 6
	}
	if o.Parallel <= 0 {
		o.Parallel = 8
	}
	def(&o.Timeout, 10*time.Second)
	def(&o.FirstWait, time.Second)
	def(&o.LongestWait, time.Minute)
	if o.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = o.Parallel // otherwise most attempts would need a new connection
		o.Transport = t
	}
	return o
}

// wait returns the time before the next attempt after this number of attempts.
func (o DeliveryOptions) wait(attempts int) time.Duration {
	b := backoff.ExponentialBackOff{InitialInterval: o.FirstWait, MaxInterval: o.LongestWait, Multiplier: 2, RandomizationFactor: 0.5}
	b.Reset()
	wait := b.NextBackOff()
	for range attempts - 1 {
		wait = b.NextBackOff()
	}
	return wait
}

// A dispatcher sends the pending deliveries of a store, including those that
// were pending before it started. Several dispatchers, even in different
// processes, share the work without sending anything twice.
type dispatcher struct {
	store   *Store
	options DeliveryOptions
	client  *http.Client
	logger  *slog.Logger

	wake    chan struct{} // capacity 1: there may be something to do
	stop    chan struct{}
	running gosync.WaitGroup
	once    struct{ start, stop gosync.Once }
	// stuck is true if the last use of the data file failed.
	stuck atomic.Bool
}

func newDispatcher(store *Store, options DeliveryOptions, logger *slog.Logger) *dispatcher {
	options = options.withDefaults()
	return &dispatcher{
		store: store, options: options, logger: logger,
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
		client: &http.Client{
			Transport: options.Transport,
			Timeout:   options.Timeout,
			// A redirect would take the credentials and the event to another
			// host.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Start begins to send. Further calls do nothing.
func (d *dispatcher) Start() {
	d.once.start.Do(func() { d.running.Go(d.run) })
}

// Wake tells the dispatcher that there may be something to do.
func (d *dispatcher) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Close waits for the attempts in progress, and leaves other deliveries for the
// next start.
func (d *dispatcher) Close() {
	d.once.start.Do(func() {}) // not after this
	d.once.stop.Do(func() { close(d.stop) })
	d.running.Wait()
	d.client.CloseIdleConnections()
}

// run claims due deliveries, up to the free slots, and sleeps until the next
// one is due.
func (d *dispatcher) run() {
	slots := make(chan struct{}, d.options.Parallel)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-d.stop:
			return
		default:
		}
		next, err := d.claim(slots)
		d.stuck.Store(err != nil)
		if err != nil {
			d.logger.Error("deliveries wait: the data file can't be used", "error", err)
			next = time.Second
		}
		timer.Reset(next)
		select {
		case <-d.stop:
			return
		case <-d.wake:
		case <-timer.C:
		}
	}
}

// claim starts an attempt for each due delivery, and returns the time until the
// next one is due.
func (d *dispatcher) claim(slots chan struct{}) (time.Duration, error) {
	ctx := context.Background()
	free := cap(slots) - len(slots)
	if free == 0 {
		return recheck, nil // the first attempt to end wakes the dispatcher
	}
	due, ok, err := d.store.nextDue(ctx)
	if err != nil || !ok {
		return recheck, err
	}
	if wait := due.Sub(d.store.now()); wait > 0 {
		return min(wait, recheck), nil
	}
	claimed, err := d.store.claimDue(ctx, free, d.options.Timeout+claimSlack)
	if err != nil {
		return 0, err
	}
	for _, c := range claimed {
		slots <- struct{}{}
		d.running.Go(func() {
			defer d.Wake()
			defer func() { <-slots }()
			d.attempt(ctx, c)
		})
	}
	return 0, nil
}

// attempt sends a delivery once and records the outcome.
func (d *dispatcher) attempt(ctx context.Context, c claimedDelivery) {
	secrets, err := d.store.secrets(ctx, c.project)
	if err != nil {
		// This is not the endpoint's fault: once the claim expires, the
		// delivery is tried again.
		d.logger.Error("delivery waits: its secrets can't be read", "delivery", c.id, "error", err)
		return
	}
	headers, err := resolveHeaders(c.request, c.project, secrets)
	if err != nil {
		d.finish(ctx, c, nil, outcome{status: Failed, error: err.Error(), due: d.store.now()})
		return
	}
	a, retry, after := d.send(ctx, c.request, headers, maskOf(secrets, headers, c.request.Headers))
	o := outcome{status: Delivered, due: d.store.now()}
	switch made := c.attempts + 1; {
	case a.Error == "":
	case !retry:
		o.status, o.error = Failed, a.Error
	case made >= d.options.Attempts:
		o.status, o.error = Failed, fmt.Sprintf("given up after %d attempts: %s", made, a.Error)
	default:
		o.status, o.error = Pending, a.Error
		o.due = o.due.Add(max(d.options.wait(made), min(after, longestRetryAfter)))
	}
	d.finish(ctx, c, &a, o)
	d.store.metrics.attempted(a, o)
	d.logger.Info("delivery attempted", "delivery", c.id, "attempt", c.attempts+1, "status", a.Status, "outcome", string(o.status), "error", a.Error)
}

// finish records an outcome. It tries until the claim expires, because an
// unrecorded delivery is sent again.
func (d *dispatcher) finish(ctx context.Context, c claimedDelivery, a *Attempt, o outcome) {
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, d.store.finishClaim(ctx, c, a, o) },
		backoff.WithMaxElapsedTime(claimSlack))
	if err != nil {
		d.logger.Error("delivery could not be recorded and may be sent again", "delivery", c.id, "error", err)
	}
}

// send makes one attempt. If retry is true, the error is temporary. after is
// the wait that the endpoint asks for.
func (d *dispatcher) send(ctx context.Context, r PreparedRequest, headers http.Header, mask *automation.Mask) (a Attempt, retry bool, after time.Duration) {
	start := d.store.now()
	a.StartedAt = start.UTC()
	defer func() { a.DurationMS = d.store.now().Sub(start).Milliseconds() }()
	fail := func(format string, args ...any) { a.Error = maskStart(mask, fmt.Sprintf(format, args...)) }

	var body io.Reader
	if r.Body != "" {
		body = strings.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, body)
	if err != nil {
		fail("the request can't be sent: %v", rootOf(err))
		return a, false, 0
	}
	req.Header = headers
	if host := headers.Get("Host"); host != "" {
		req.Host = host
	}
	if headers.Get("User-Agent") == "" {
		headers.Set("User-Agent", "segue")
	}
	res, err := d.client.Do(req)
	if err != nil {
		if isTimeout(err) {
			fail("no answer within %v", d.options.Timeout)
		} else {
			fail("%v", rootOf(err))
		}
		return a, true, 0
	}
	defer res.Body.Close()
	a.Status = res.StatusCode
	answer, _ := io.ReadAll(io.LimitReader(res.Body, int64(answerBytes+mask.Reach()))) // keep even half an answer
	a.Answer = maskStart(mask, string(answer))
	said := fmt.Sprintf("answered %d %s", res.StatusCode, http.StatusText(res.StatusCode))
	switch code := res.StatusCode; {
	case code >= 200 && code < 300:
		// The event has arrived, even if the answer is incomplete.
		return a, false, 0
	case code == http.StatusRequestTimeout || code == http.StatusTooManyRequests || code >= 500:
		fail("%s", said)
		return a, true, retryAfter(res.Header, d.store.now())
	case code >= 300 && code < 400:
		to := "nowhere"
		if location, err := res.Location(); err == nil {
			to = (&url.URL{Scheme: location.Scheme, Host: location.Host, Path: location.Path}).String()
		}
		fail("%s, a redirect to %s; deliveries do not follow redirects, which could leak credentials: put the new URL into the automation", said, to)
	default:
		fail("%s", said)
	}
	return a, false, 0
}

// maskOf returns a mask of the secrets and of the headers built from them.
func maskOf(secrets map[string]automation.Secret, headers http.Header, prepared map[string]automation.Header) *automation.Mask {
	mask := automation.MaskOf(secrets)
	for name, h := range prepared {
		if len(h.SecretNames()) > 0 && h.Scheme != "" {
			_, credentials, _ := strings.Cut(headers.Get(name), " ")
			mask.Add(automation.NewSecret(credentials))
		}
	}
	return mask
}

// maskStart returns the part of the string that is kept, with secrets masked.
func maskStart(mask *automation.Mask, text string) string {
	return strings.ToValidUTF8(mask.Start(text, answerBytes), "\uFFFD")
}

// rootOf strips the method and URL that net/http and net/url prepend.
func rootOf(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// isTimeout reports whether an answer took too long.
func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

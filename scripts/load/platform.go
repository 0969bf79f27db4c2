package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/embedded"
)

// An endpoint receives messages, and counts them.
type endpoint struct {
	server *httptest.Server
	mu     sync.Mutex
	got    map[string]int // messages by their value of userId
	total  atomic.Int64
	held   atomic.Pointer[chan struct{}] // while it is set, no request is answered
}

func startEndpoint() *endpoint {
	e := &endpoint{got: map[string]int{}}
	id := regexp.MustCompile(`"userId":"([^"]*)"`)
	e.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if held := e.held.Load(); held != nil {
			select {
			case <-*held:
			case <-r.Context().Done():
				return
			}
		}
		if m := id.FindSubmatch(body); err == nil && m != nil {
			e.mu.Lock()
			e.got[string(m[1])]++
			e.mu.Unlock()
		}
		e.total.Add(1)
		fmt.Fprint(w, `{"success":true}`)
	}))
	return e
}

func (e *endpoint) hold()    { held := make(chan struct{}); e.held.Store(&held) }
func (e *endpoint) release() { close(*e.held.Swap(nil)) }
func (e *endpoint) close()   { e.server.CloseClientConnections(); e.server.Close() }

// missing returns the number of these messages that have not arrived, and the number
// that arrived more than once.
func (e *endpoint) missing(ids []string) (lost, doubled int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range ids {
		switch n := e.got[id]; {
		case n == 0:
			lost++
		case n > 1:
			doubled++
		}
	}
	return lost, doubled
}

// A bench is a platform in a folder, with the parts for measuring it.
type bench struct {
	dir, segue, data string
	endpoint         *endpoint
	made             int // occurrences so far, for their IDs
}

// A process is a served platform.
type process struct {
	cmd *exec.Cmd
	url string
	// log is its log.
	log *os.File
}

// serve starts the platform.
func (b *bench) serve(ctx context.Context, args ...string) (*process, error) {
	logFile, err := os.Create(b.dir + "/log")
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, b.segue, append([]string{"platform", "serve", "--listen", "127.0.0.1:0", "--data", b.data}, args...)...)
	cmd.Stderr = logFile
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	url := regexp.MustCompile(`http://[0-9.:]+`).FindString(line)
	if err != nil || url == "" {
		text, _ := os.ReadFile(logFile.Name())
		return nil, fmt.Errorf("the platform does not start: %q %v\n%s", line, err, text)
	}
	return &process{cmd, url, logFile}, nil
}

// end sends a signal to the process, and waits.
func (p *process) end(s os.Signal) error {
	defer p.log.Close()
	if err := p.cmd.Process.Signal(s); err != nil {
		return err
	}
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if s == syscall.SIGKILL && errors.As(err, &exit) {
		err = nil
	}
	return err
}

// memory returns the peak memory of the process, in bytes, or 0 without /proc.
func (p *process) memory() int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(string(m[1])) // digits
	return n << 10
}

// prepare creates an automation that sends to the endpoint.
func (b *bench) prepare(ctx context.Context, p *process) error {
	platform, err := embedded.NewClient(p.url, automation.Secret{}, embedded.ClientOptions{})
	if err != nil {
		return err
	}
	defer platform.Close()
	if err := platform.PutSecret(ctx, "load", "SEGMENT_WRITE_KEY", automation.NewSecret("load-write-key")); err != nil {
		return err
	}
	_, err = platform.Create(ctx, "load", automation.Automation{
		Key: "load/account-activated", Name: "Account activated", Enabled: true,
		Trigger: automation.Trigger{Kind: automation.Pattern, Name: "Account activated"},
		Action: automation.Request{
			Kind: automation.KindHTTPRequest, Method: "POST", URL: b.endpoint.server.URL + "/v1/track",
			Headers: map[string]automation.Header{
				"Authorization": {Scheme: automation.Basic, Username: automation.Credential{Secret: "SEGMENT_WRITE_KEY"}},
				"Content-Type":  {Value: automation.Credential{Text: "application/json"}},
			},
			Payload: []byte(`{"event":"Account Activated","properties":{"name":"{{userName}}","plan":"team"},"userId":"{{userId}}"}`),
		},
	})
	return err
}

// metric reads a metric without labels, or the one whose label has the value.
func (p *process) metric(name, label string) (float64, error) {
	res, err := http.Get(p.url + "/metrics")
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		return 0, err
	}
	for _, m := range families[name].GetMetric() {
		if labels := m.GetLabel(); label == "" || len(labels) == 1 && labels[0].GetValue() == label {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue(), nil
		}
	}
	return 0, fmt.Errorf("there is no metric %s %s", name, label)
}

// drained waits until nothing is pending.
func (p *process) drained() error {
	for {
		pending, err := p.metric("segue_deliveries", "pending")
		if err != nil || pending == 0 {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// A writer posts occurrences one after another.
type writer struct {
	http *http.Client
	url  string
}

func newWriter(p *process) *writer {
	return &writer{&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1, DialContext: (&net.Dialer{}).DialContext}}, p.url}
}

// post posts an occurrence until it is accepted, and returns the number of
// refusals.
func (w *writer) post(ctx context.Context, id string) (refused int, err error) {
	body := fmt.Sprintf(`{"id":%q,"kind":"pattern","name":"Account activated","data":{"userId":%q,"userName":"Ann Example"}}`, id, id)
	for {
		req, err := http.NewRequestWithContext(ctx, "POST", w.url+"/v1/occurrences", bytes.NewReader([]byte(body)))
		if err != nil {
			return refused, err
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := w.http.Do(req)
		if err != nil {
			return refused, err
		}
		answer, _ := io.ReadAll(res.Body) // for the message
		res.Body.Close()
		switch {
		case res.StatusCode == http.StatusAccepted:
			return refused, nil
		case res.StatusCode != http.StatusTooManyRequests:
			return refused, fmt.Errorf("answered %d %s", res.StatusCode, answer)
		}
		refused++
		after, _ := strconv.Atoi(res.Header.Get("Retry-After")) // 0 if there is none
		time.Sleep(time.Duration(after) * time.Second)
	}
}

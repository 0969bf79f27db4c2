package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

const (
	// answerTime is the time that an endpoint has to answer: it sends the message first, with retries.
	answerTime = 5 * time.Minute
	// answerShown is the number of bytes that are shown of an answer.
	answerShown = 500
)

// endpoints are the automations of one trigger on a platform on which each has an endpoint of its own.
type endpoints struct {
	platform  sync.Addresser
	transport http.RoundTripper
	project   string
	trigger   automation.Trigger
	values    json.RawMessage
}

// fireEndpoints makes a trigger happen on a platform other than the embedded one.
func (t *terminal) fireEndpoints(c *cli.Context, to connecting, trigger automation.Trigger, values json.RawMessage) error {
	if _, described := to.project.Platforms[to.target.Platform]; described {
		return fmt.Errorf("the target %s is on the platform %s, which decides itself when a trigger happens; "+
			"make it happen there", to.name, to.target.Platform)
	}
	secrets, err := t.secrets(c, to.project, credentialUse(to.name, to.target))
	if err != nil {
		return beforeChanges(c.Context, err)
	}
	to.secrets = secrets
	platform, err := t.connect(c.Context, to)
	if err != nil {
		return err
	}
	defer platform.Close()
	addresser, ok := platform.(sync.Addresser)
	if !ok {
		return fmt.Errorf("the automations of the platform %s have no endpoints", to.target.Platform)
	}
	transport, err := t.transport(to)
	if err != nil {
		return err
	}
	e := endpoints{addresser, transport, to.project.Name, trigger, values}
	found, err := e.list(c.Context)
	switch {
	case err != nil:
		return fmt.Errorf("list automations on %s: %w", to.name, err)
	case len(found) == 0:
		return nothingFired(trigger)
	case c.Bool("dry-run"):
		previews, err := t.previews(e, found)
		if err != nil {
			return err
		}
		return t.showPreviews(trigger, previews)
	}
	return t.post(c.Context, e, found)
}

// list returns the enabled automations of the trigger, by key.
func (e endpoints) list(ctx context.Context) ([]sync.Stored, error) {
	all, err := e.platform.List(ctx, e.project)
	if err != nil {
		return nil, err
	}
	if surveyor, ok := e.platform.(sync.Surveyor); ok {
		if _, err := surveyor.Survey(ctx, e.project, nil); err != nil {
			return nil, err
		}
	}
	all = slices.DeleteFunc(all, func(s sync.Stored) bool { return !s.Automation.Enabled || s.Automation.Trigger != e.trigger })
	slices.SortFunc(all, func(a, b sync.Stored) int { return cmp.Compare(a.Automation.Key, b.Automation.Key) })
	return all, nil
}

// previews renders the requests that the automations would send.
func (t *terminal) previews(e endpoints, found []sync.Stored) ([]preview, error) {
	var values map[string]any
	if err := json.Unmarshal(e.values, &values); err != nil {
		return nil, err
	}
	out := make([]preview, len(found))
	for i, s := range found {
		a := s.Automation
		out[i] = preview{key: a.Key, problem: a.Action.Kind}
		if a.Action.Kind != automation.KindHTTPRequest {
			continue
		}
		r, err := a.Action.Render(values, func(string) (automation.Secret, bool) { return automation.Secret{}, true })
		if err != nil {
			out[i].problem = err.Error()
			continue
		}
		out[i].show = func() { t.showRequest(r.Method, r.URL, a.Action.Headers, r.Header.Get, r.Body) }
		out[i].problem = ""
		if err := a.CheckMessage(r, values); err != nil {
			out[i].problem = err.Error()
		}
	}
	return out, nil
}

// post sends the values to the endpoint of each automation, one after the other, and shows the answers.
func (t *terminal) post(ctx context.Context, e endpoints, found []sync.Stored) error {
	client := &http.Client{Transport: e.transport, Timeout: answerTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var failed []string
	for _, s := range found {
		key := diagnostic.Printable(s.Automation.Key)
		address := e.platform.Address(e.project, s.Automation.Key)
		if address == "" {
			failed = append(failed, key+": the address of its endpoint is unknown")
			continue
		}
		status, problem := t.answer(ctx, client, address, e.values)
		if problem != "" {
			failed = append(failed, key+": "+problem)
		}
		t.printf("%s: %s, POST %s\n", key, status, diagnostic.Printable(address))
	}
	if len(failed) > 0 {
		return notDelivered(failed)
	}
	return nil
}

// answer posts the values to an endpoint, and returns what to show: a word and, if the message was not delivered,
// the reason.
func (t *terminal) answer(ctx context.Context, client *http.Client, address string, values json.RawMessage) (status, problem string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(values))
	if err != nil {
		return "failed", t.mask.Hide(err.Error())
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return "failed", diagnostic.Printable(t.mask.Hide(err.Error()))
	}
	defer res.Body.Close()
	if res.StatusCode < 300 {
		return "delivered", ""
	}
	body, _ := io.ReadAll(io.LimitReader(res.Body, int64(answerShown+t.mask.Reach()))) // shown as far as it goes
	text := strings.TrimSpace(t.mask.Start(string(body), answerShown))
	return "failed", diagnostic.Printable(strings.TrimSuffix(res.Status+": "+text, ": "))
}

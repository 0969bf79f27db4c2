package embedded

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

func TestRetrySendsTheSameAgain(t *testing.T) {
	for name, p := range platforms(t) {
		target := newEndpoint(t, answerWith(400), answerWith(503), answerWith(503))
		fill(t, p, sample("growth/a", target.URL+"/first"))
		d := must(p.Fire(t.Context(), activated))(t).Deliveries[0]
		if d.Status != Failed || len(d.Attempts) != 1 {
			t.Fatalf("%s: %+v", name, d)
		}
		stored := must(p.List(t.Context(), "growth"))(t)[0]
		changed := sample("growth/a", target.URL+"/second")
		if _, err := p.Update(t.Context(), stored, sync.MarkerOf("growth", changed), changed); err != nil {
			t.Fatal(err)
		}
		again := must(p.Retry(t.Context(), d.ID, false))(t)
		if again.ID != d.ID {
			t.Errorf("%s: %+v", name, again)
		}
		// It has as many attempts as a new one.
		if d = must(p.Await(t.Context(), d.ID))(t); d.Status != Delivered || len(d.Attempts) != 4 || d.Error != "" {
			t.Errorf("%s: %+v", name, d)
		}
		for i, r := range target.requests() {
			if r.Path != "/first" || r.Body != target.requests()[0].Body {
				t.Errorf("%s: request %d is %s %s", name, i, r.Path, r.Body)
			}
		}
		if _, err := p.Retry(t.Context(), d.ID, false); err == nil || !strings.Contains(err.Error(), "has not failed, it is delivered") {
			t.Errorf("%s: a second time: %v", name, err)
		}
		if err := p.Discard(t.Context(), d.ID); err == nil || !strings.Contains(err.Error(), "has not failed") {
			t.Errorf("%s: discard: %v", name, err)
		}
	}
}

func TestRetryHasAllAttempts(t *testing.T) {
	always := func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }
	target := newEndpoint(t, always, always, always, always, always, always)
	o := fast()
	o.Attempts = 2
	p := withAutomations(t, LocalOptions{Delivery: o}, sample("growth/a", target.URL))
	d := must(p.Fire(t.Context(), activated))(t).Deliveries[0]
	for round := 1; round <= 3; round++ {
		if d.Status != Failed || len(d.Attempts) != 2*round || !strings.Contains(d.Error, "given up after 2 attempts") {
			t.Fatalf("round %d: %s %q after %d attempts", round, d.Status, d.Error, len(d.Attempts))
		}
		must(p.Retry(t.Context(), d.ID, false))(t)
		d = must(p.Await(t.Context(), d.ID))(t)
	}
	if d.Status != Delivered || d.Attempts[6].Number != 7 {
		t.Errorf("got %+v", d)
	}
}

func TestRetryWithRenderTakesTheAutomationAsItIs(t *testing.T) {
	target := newEndpoint(t, answerWith(404))
	p := withAutomations(t, LocalOptions{Delivery: fast()}, sample("growth/a", target.URL+"/wrong"))
	d := must(p.Fire(t.Context(), activated))(t).Deliveries[0]
	stored := must(p.List(t.Context(), "growth"))(t)[0]
	mended := sample("growth/a", target.URL+"/right")
	must(p.Update(t.Context(), stored, sync.MarkerOf("growth", mended), mended))(t)
	must(p.Retry(t.Context(), d.ID, true))(t)
	if d = must(p.Await(t.Context(), d.ID))(t); d.Status != Delivered || target.requests()[1].Path != "/right" {
		t.Errorf("got %+v, requests %+v", d, target.requests())
	}
}

func TestRetryOfOneThatWasNeverSent(t *testing.T) {
	target := newEndpoint(t)
	broken := sample("growth/a", target.URL)
	broken.Action.Payload = json.RawMessage(`{"x":"{{accountId}}"}`)
	p := withAutomations(t, LocalOptions{Delivery: fast()}, broken)
	d := must(p.Fire(t.Context(), activated))(t).Deliveries[0]
	if _, err := p.Retry(t.Context(), d.ID, false); err == nil || !strings.Contains(err.Error(), "accountId") {
		t.Errorf("while it can't be rendered: %v", err)
	}
	if d = must(p.Delivery(t.Context(), d.ID))(t); d.Status != Failed {
		t.Errorf("got %+v", d)
	}
	stored := must(p.List(t.Context(), "growth"))(t)[0]
	must(p.Update(t.Context(), stored, stored.Marker, sample("growth/a", target.URL)))(t)
	must(p.Retry(t.Context(), d.ID, false))(t)
	if d = must(p.Await(t.Context(), d.ID))(t); d.Status != Delivered || len(d.Attempts) != 1 {
		t.Errorf("got %+v", d)
	}

	// A retry does not send a message that Segment would drop, or one whose
	// automation was deleted.
	dropped := sample("growth/b", target.URL+"/v1/identify")
	dropped.Trigger.Name = "Other"
	dropped.Action.Payload = json.RawMessage(`{"userId":"{{userName}}"}`)
	made := must(p.Create(t.Context(), "growth", dropped))(t)
	o := Occurrence{Kind: automation.Pattern, Name: "Other", Data: json.RawMessage(`{"userName":" "}`)}
	d = must(p.Fire(t.Context(), o))(t).Deliveries[0]
	if d.Status != Failed || d.Request == nil || len(d.Attempts) != 0 {
		t.Fatalf("got %+v", d)
	}
	if _, err := p.Retry(t.Context(), d.ID, false); err == nil || !strings.Contains(err.Error(), "can't be tried again") {
		t.Errorf("one that Segment would drop: %v", err)
	}
	if err := p.Delete(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Retry(t.Context(), d.ID, false); err == nil || !strings.Contains(err.Error(), "its automation was deleted") {
		t.Errorf("one whose automation is gone: %v", err)
	}
	if n := len(target.requests()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	if err := p.Discard(t.Context(), d.ID); err != nil {
		t.Error(err)
	}
	if _, err := p.Delivery(t.Context(), d.ID); sync.KindOf(err) != sync.NotFound {
		t.Errorf("after it is discarded: %v", err)
	}
	if err := p.Discard(t.Context(), d.ID); sync.KindOf(err) != sync.NotFound {
		t.Errorf("a second time: %v", err)
	}
}

func TestDeliveriesSince(t *testing.T) {
	s := openStore(t, dataFile(t))
	p := platformOver(t, s)
	addRows(t, s, 3, Failed, 2*time.Hour, requestTo("https://example.com/"))
	addRows(t, s, 2, Failed, time.Hour, requestTo("https://example.com/"))
	if all := must(p.Deliveries(t.Context(), DeliveryQuery{Status: Failed, Since: s.now().Add(-90 * time.Minute)}))(t); len(all) != 2 {
		t.Errorf("%d deliveries, want the 2 of the last hour and a half", len(all))
	}
	if _, err := p.call(t.Context(), call{method: "GET", path: "/v1/deliveries", query: map[string][]string{"since": {"yesterday"}}}); err == nil || !strings.Contains(err.Error(), "2026-03-14T09:00:00Z") {
		t.Errorf("got %v", err)
	}
}

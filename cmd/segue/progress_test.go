package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	engine "github.com/seguehq/segue/sync"
)

// On a terminal, the bar shows how many of the changes have ended and how long the rest will
// take.
func TestProgress(t *testing.T) {
	var shown bytes.Buffer
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := start
	p := &progress{t: &terminal{stderr: &shown}, total: 10, start: start, now: func() time.Time { return now }, timer: time.NewTimer(time.Hour)}
	defer p.timer.Stop()
	p.show()
	for _, step := range []struct {
		kind  engine.EventKind
		after time.Duration // since the start
		bar   string
	}{
		{engine.EventDone, 2 * time.Second, "applying, about 18s left"},
		{engine.EventFound, 3 * time.Second, "applying, about 12s left"},
		{engine.EventRetrying, 4 * time.Second, "applying, about 16s left"},
		{engine.EventFailed, 60 * time.Second, "applying, 1 failed, about 2m20s left"},
		{engine.EventDone, 61 * time.Second, "applying, 1 failed, about 1m32s left"},
	} {
		shown.Reset()
		now = start.Add(step.after)
		p.event(engine.Event{Kind: step.kind})
		if !strings.Contains(shown.String(), step.bar) {
			t.Errorf("after %s it shows %q, want %q", step.after, shown.String(), step.bar)
		}
	}
	if !strings.Contains(shown.String(), "(4/10)") {
		t.Errorf("it shows %q, want 4 of 10", shown.String())
	}
	for range 5 {
		p.event(engine.Event{Kind: engine.EventDone})
	}
	if got := p.description(); got != "applying, 1 failed, about 7s left" {
		t.Errorf("with one left, it is %q", got)
	}
	p.event(engine.Event{Kind: engine.EventDone})
	if got := p.description(); got != "applying, 1 failed" {
		t.Errorf("with none left, it is %q", got)
	}
	p.done()
}

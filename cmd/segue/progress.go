package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/seguehq/segue/diagnostic"
	engine "github.com/seguehq/segue/sync"
)

// barAfter is the time after which a bar appears on a terminal.
const barAfter = time.Second

// A progress shows the progress of apply: a bar on a terminal if it takes long,
// a line for each change elsewhere.
type progress struct {
	t     *terminal
	total int
	timer *time.Timer // shows the bar; nil where there is no terminal
	now   func() time.Time
	start time.Time

	mu            sync.Mutex
	count, failed int
	bar           *progressbar.ProgressBar
	over          bool
}

func (t *terminal) newProgress(total int) *progress {
	p := &progress{t: t, total: total, now: time.Now, start: time.Now()}
	if interactive(t.stderr) {
		p.timer = time.AfterFunc(barAfter, p.show)
	}
	return p
}

// show makes the bar appear.
func (p *progress) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.bar = progressbar.NewOptions(p.total, progressbar.OptionSetWriter(p.t.stderr), progressbar.OptionShowCount(),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30),
		// The bar itself would only count the time since it has appeared.
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false))
	p.draw()
}

// draw brings the bar up to date, if there is one.
func (p *progress) draw() {
	if p.bar == nil {
		return
	}
	p.bar.Describe(p.description())
	// The bar is about the terminal only: that it can't be drawn is no reason
	// to stop. At its end it would disappear, which is for done.
	_ = p.bar.Set(min(p.count, p.total-1))
	_ = p.bar.RenderBlank()
}

// description says what is going on: how many changes have failed, and how long the rest will
// take if each takes as long as those that have ended.
func (p *progress) description() string {
	text := "applying"
	if p.failed > 0 {
		text += fmt.Sprintf(", %d failed", p.failed)
	}
	if p.count > 0 && p.count < p.total {
		left := p.now().Sub(p.start) / time.Duration(p.count) * time.Duration(p.total-p.count)
		text += fmt.Sprintf(", about %s left", max(left.Round(time.Second), time.Second))
	}
	return text
}

// event records an event of a change.
func (p *progress) event(e engine.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Kind {
	case engine.EventDone, engine.EventFound:
		p.count++
	case engine.EventFailed:
		p.count++
		p.failed++
	}
	if p.timer != nil {
		p.draw()
	} else if line := eventText(e); line != "" {
		fmt.Fprintln(p.t.stderr, line)
	}
}

// eventText returns an event as a line of a log, "" for an unimportant one.
func eventText(e engine.Event) string {
	subject := diagnostic.Printable(e.Key)
	if e.Secret != "" {
		subject = "secret " + diagnostic.Printable(e.Secret)
	}
	switch e.Kind {
	case engine.EventRetrying:
		if subject == "" { // a platform that makes all changes in one request
			return fmt.Sprintf("all changes: trying again in %s: %s", e.Wait.Round(time.Millisecond), diagnostic.Printable(e.Err.Error()))
		}
		return fmt.Sprintf("%s: %s: trying again in %s: %s", subject, e.Action, e.Wait.Round(time.Millisecond), diagnostic.Printable(e.Err.Error()))
	case engine.EventFailed:
		return fmt.Sprintf("%s: %s failed", subject, e.Action)
	case engine.EventDone:
		return fmt.Sprintf("%s: %s", subject, pastTense(e.Action))
	case engine.EventFound:
		return subject + ": already there"
	default:
		return ""
	}
}

// interrupted says that Ctrl-C was noticed.
func (p *progress) interrupted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	fmt.Fprintln(p.t.stderr, "Interrupted: finishing the requests in progress; Ctrl-C again ends at once.")
	p.draw()
}

// done removes the bar.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

// pastTense says that an action was done.
func pastTense(a engine.Action) string {
	switch a {
	case engine.Create:
		return "created"
	case engine.Update:
		return "updated"
	case engine.Rotate:
		return "rotated"
	case engine.Delete:
		return "deleted"
	default:
		return string(a)
	}
}

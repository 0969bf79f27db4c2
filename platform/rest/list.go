package rest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seguehq/segue/description"
	"github.com/seguehq/segue/sync"
)

// maxPages bounds a list that does not end.
const maxPages = 10_000

// items reads all automations that keep wants.
func (p *platform) items(ctx context.Context, project string, keep func(description.Record) bool) ([]item, error) {
	var all []item
	seen := map[string]bool{}
	err := p.pages(ctx, call{Endpoint: p.d.Endpoints.List, does: lists, project: project}, p.d.Paging, func(object any) (string, error) {
		it, ok, err := p.item(object, keep)
		if ok && !seen[it.ID] {
			seen[it.ID] = true
			all = append(all, it)
		}
		return p.d.ID.Text(object), err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// pages reads a list page by page and calls each for every object; that returns
// what tells the object from others. A list that does not end is an error: the
// pages of some servers start over, or stay the same.
func (p *platform) pages(ctx context.Context, c call, paging description.Paging, each func(object any) (string, error)) error {
	if paging.Kind == "page" || paging.Kind == "offset" {
		defer p.turns.list()()
	}
	seen := map[string]bool{}
	position, count := paging.First, 0
	if paging.Kind == "offset" {
		position = 0
	}
	cursor := ""
	for range maxPages {
		c.extra = url.Values{}
		if paging.SizeParameter != "" {
			c.extra.Set(paging.SizeParameter, strconv.Itoa(paging.Size))
		}
		switch {
		case paging.Kind == "page" || paging.Kind == "offset":
			c.extra.Set(paging.Parameter, strconv.Itoa(position))
		case paging.Kind == "cursor" && cursor != "":
			c.extra.Set(paging.Parameter, cursor)
		}
		answer, err := p.patient(ctx, c)
		if err != nil {
			return err
		}
		found, _ := c.Items.Look(answer.body)
		objects, ok := found.([]any)
		if !ok {
			return p.strange(fmt.Sprintf("its answer to %s %s has no list%s", c.Method, c.Path, at(c.Items)))
		}
		fresh := len(objects) == 0
		for _, object := range objects {
			id, err := each(object)
			if err != nil {
				return err
			}
			fresh = fresh || id == "" || !seen[id]
			seen[id] = true
		}
		count += len(objects)
		done, next, err := p.lastPage(paging, answer.body, len(objects), count, position)
		if done || err != nil {
			return err
		}
		if !fresh || next != "" && next == cursor {
			return p.strange("the list of " + c.Path + " does not end")
		}
		cursor = next
		if paging.Kind == "offset" {
			position = count
		} else {
			position++
		}
	}
	return p.strange(fmt.Sprintf("the list of %s has more than %d pages", c.Path, maxPages))
}

// readTries is how often something is asked for: of many pages, one is likely to
// fail, and starting over with the first helps little.
const readTries = 4

// patient does a call that only reads, several times if need be.
func (p *platform) patient(ctx context.Context, c call) (answer, error) {
	pauses := &backoff.ExponentialBackOff{InitialInterval: 50 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 3, MaxInterval: time.Second}
	got, err := backoff.Retry(ctx, func() (answer, error) {
		got, err := p.call(ctx, c)
		var failed *sync.Error
		// A platform that says how long to wait is heard by the engine.
		if errors.As(err, &failed) && (failed.Kind != sync.Temporary || failed.RetryAfter > 0) {
			err = backoff.Permanent(err)
		}
		return got, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxTries(readTries))
	var failed *sync.Error
	if err != nil && !errors.As(err, &failed) {
		err = &sync.Error{Kind: sync.Temporary, Message: "no answer from " + p.place + " in time", Err: err}
	}
	return got, err
}

// lastPage reports whether a page is the last one, or returns the cursor of the
// next. That a page is not full says nothing: a server may give fewer objects
// than it is asked for.
func (p *platform) lastPage(paging description.Paging, body any, onPage, count, position int) (done bool, next string, err error) {
	number := func(path description.Path) (int, bool, error) {
		if path == "" {
			return 0, false, nil
		}
		n, err := strconv.Atoi(path.Text(body))
		if err != nil {
			return 0, false, p.strange("its answer has no number" + at(path))
		}
		return n, true, nil
	}
	switch paging.Kind {
	case "cursor":
		next = paging.Next.Text(body)
		return next == "", next, nil
	case "page", "offset":
		total, known, err := number(paging.Total)
		if err != nil || known {
			return onPage == 0 || count >= total, "", err
		}
		pages, known, err := number(paging.Pages)
		if err != nil || known {
			return onPage == 0 || position-paging.First+1 >= pages, "", err
		}
		return onPage == 0, "", nil
	default:
		return true, "", nil
	}
}

func at(path description.Path) string {
	if path == "" {
		return ""
	}
	return " at " + string(path)
}

// rewritten knows the automations that were written again because a secret has
// another value. They have another revision since, and a plan that was made
// before knows the old one; to it they are as they were.
type rewritten struct {
	byID *locked[map[string]*rewriting]
}

// A rewriting is the last one of an automation.
type rewriting struct {
	shown  string // the revision before
	actual string // the one since, "" as long as that is not known
	// secret and fingerprint are what was written: nobody else has that.
	secret, fingerprint string
}

func (r *rewritten) init() { r.byID = newLocked(map[string]*rewriting{}) }

// begin notes that an automation is about to be written again.
func (r *rewritten) begin(it item, secret, fingerprint string) {
	r.byID.with(func(m map[string]*rewriting) {
		m[it.ID] = &rewriting{shown: it.Revision, secret: secret, fingerprint: fingerprint}
	})
}

// shown returns the revision that plans know an automation by.
func (r *rewritten) shown(it item) string {
	shown := it.revision
	r.byID.with(func(m map[string]*rewriting) {
		w := m[it.ID]
		if w == nil {
			return
		}
		if w.actual == "" && it.record.Secrets[w.secret] == w.fingerprint {
			w.actual = it.revision
		}
		if w.actual == it.revision {
			shown = w.shown
		}
	})
	return shown
}

// actual returns the platform's revision for one that a plan knows.
func (r *rewritten) actual(id, shown string) string {
	actual := shown
	r.byID.with(func(m map[string]*rewriting) {
		if w := m[id]; w != nil && w.shown == shown && w.actual != "" {
			actual = w.actual
		}
	})
	return actual
}

func (r *rewritten) forget(id string) {
	r.byID.with(func(m map[string]*rewriting) { delete(m, id) })
}

var _ sync.Platform = (*platform)(nil)

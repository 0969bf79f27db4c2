package rest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seguehq/segue/description"
	"github.com/seguehq/segue/sync"
)

// Bounds against endless lists: the number of pages, and the number of
// consecutive empty pages that refer to another page.
const (
	maxPages      = 10_000
	maxEmptyPages = 100
)

// The number of attempts to read a list whose pages contradict each other. A
// change by somebody else during the reading causes that, and it passes. A list
// that grows or shrinks while it is read, for example during creates, gets more
// attempts.
const (
	listTries   = 3
	movingTries = 20
)

// items reads all automations of a project for which keep returns true.
func (p *platform) items(ctx context.Context, project string, keep func(description.Record) bool) ([]item, error) {
	all, _, err := collect(ctx, p, p.listCall(project), p.d.Paging, p.d.ID.Text, func(object any) (item, bool, error) {
		if err := p.intact(object, project); err != nil {
			return item{}, false, err
		}
		return p.item(object, keep)
	})
	return all, err
}

func (p *platform) listCall(project string) call {
	return call{Endpoint: p.d.Endpoints.List, does: lists, project: project}
}

// intact returns an error for an element that can't be an object of the list,
// and for an object with an unreadable marker of the project: ignoring it would
// create it again.
func (p *platform) intact(object any, project string) error {
	if _, ok := object.(map[string]any); !ok {
		return p.strange(fmt.Sprintf("the list of %s%s has an element that is not an object; check endpoints.list.items", p.d.Endpoints.List.Path, at(p.d.Endpoints.List.Items)))
	}
	if !p.d.Damaged(object, project) {
		return p.sealed(object, project)
	}
	return p.strange(fmt.Sprintf("the list of %s shows %s with a truncated or changed marker at %s; check marker.field and endpoints.list, or undo the edit of the marker",
		p.d.Endpoints.List.Path, named(p.d.ID.Text(object)), p.d.Marker.Field))
}

// sealed returns an error if somebody has edited the marker of an object that is, or was,
// the project's own.
func (p *platform) sealed(object any, project string) error {
	r, ok := p.d.Record(object)
	if id := p.d.ID.Text(object); !ok || r.ID != id {
		return nil
	}
	m := markerOf(r)
	if err := m.CheckSeal(project, r.ID, r.Seal, named(r.ID)); err == nil {
		return nil
	}
	// Only now: decoding takes far longer than all else here.
	title := named(r.ID)
	if content := p.d.DecodeParts(object); content.Automation.Name != "" {
		title = titled(r.ID, content.Automation.Name)
	}
	return m.CheckSeal(project, r.ID, r.Seal, title)
}

// named returns an identifier for a message.
func named(id string) string {
	if id == "" {
		return "an object without an identifier"
	}
	return strconv.Quote(id)
}

// An unevenError is the error of pages that contradict each other.
type unevenError struct {
	error
	moving bool // the total was not the same on all pages
}

func (e unevenError) Unwrap() error { return e.error }

// collect reads a whole list. It returns the results of read for the objects,
// each once, and their identifiers.
func collect[T any](ctx context.Context, p *platform, c call, paging description.Paging, identify func(any) string, read func(object any) (T, bool, error)) ([]T, map[string]bool, error) {
	for try := 1; ; try++ {
		var all []T
		ids := map[string]bool{}
		err := p.pages(ctx, c, paging, identify, func(object any, id string) error {
			if id != "" && ids[id] {
				return nil
			}
			if id != "" {
				ids[id] = true
			}
			got, ok, err := read(object)
			if ok {
				all = append(all, got)
			}
			return err
		})
		var uneven unevenError
		switch contradicts := errors.As(err, &uneven); {
		case contradicts && (try < listTries || uneven.moving && try < movingTries && ctx.Err() == nil):
		case contradicts:
			return nil, nil, uneven.error
		case err != nil:
			return nil, nil, err
		default:
			return all, ids, nil
		}
	}
}

// pages reads a list page by page and calls each for every object. Any sign of an
// incomplete list is an error: otherwise its beginning would be taken for the
// whole list.
func (p *platform) pages(ctx context.Context, c call, paging description.Paging, identify func(any) string, each func(object any, id string) error) error {
	if paging.Kind == "page" || paging.Kind == "offset" {
		defer p.turns.list()()
	}
	r := &pageReader{platform: p, call: c, paging: paging, seen: map[string]bool{}, cursors: map[string]bool{}, position: paging.First}
	if paging.Kind == "offset" {
		r.position = 0
	}
	for r.page = 1; r.page <= maxPages; r.page++ {
		answer, err := p.patient(ctx, r.request())
		if err != nil {
			if r.beyond && pastEnd(err) {
				return nil
			}
			return err
		}
		objects, err := p.objects(c, answer.body)
		if err != nil {
			return err
		}
		fresh := len(objects) == 0
		for _, object := range objects {
			id := identify(object)
			fresh = r.note(object, id) || fresh
			if err := each(object, id); err != nil {
				return err
			}
		}
		if done, err := r.next(answer, len(objects), fresh); done || err != nil {
			return err
		}
	}
	return p.strange(fmt.Sprintf("the list of %s has more than %d pages", c.Path, maxPages))
}

// objects returns the list in an answer.
func (p *platform) objects(c call, body any) ([]any, error) {
	found, there := c.Items.Look(body)
	objects, ok := found.([]any)
	if ok || there && found == nil && c.Items != "" {
		return objects, nil // some servers write null for an empty list
	}
	what := fmt.Sprintf("its answer to %s %s has no list%s", c.Method, c.Path, at(c.Items))
	if others := listsIn("", body, 3); len(others) > 0 {
		what += "; there is one at " + strings.Join(others, " and at ")
	}
	return nil, p.strange(what)
}

// listsIn returns the paths of the lists in a value, down to this depth.
func listsIn(path string, v any, depth int) []string {
	switch v := v.(type) {
	case []any:
		if path == "" {
			return []string{"its top (leave out items)"}
		}
		return []string{printable(path)}
	case map[string]any:
		var found []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if depth > 0 {
				found = append(found, listsIn(strings.TrimPrefix(path+"."+name, "."), v[name], depth-1)...)
			}
		}
		return found
	}
	return nil
}

// A pageReader keeps the state of reading a list.
type pageReader struct {
	*platform
	call   call
	paging description.Paging
	// page counts from 1. position and cursor select the page in the request.
	page, position int
	cursor         string
	// seen are the objects read so far, and cursors the cursors used so far.
	seen, cursors map[string]bool
	// count is the number of distinct objects so far, received the number in all
	// answers, largest the number on the largest page, and empty the number of
	// consecutive empty pages.
	count, received, largest, empty int
	// beyond is set for a page that should be empty.
	beyond bool
	// total is the total on the last page, and moving is true if another page
	// had another total.
	total  int
	moving bool
}

// request returns the call that asks for the next page.
func (r *pageReader) request() call {
	c := r.call
	c.extra = url.Values{}
	if r.paging.SizeParameter != "" {
		c.extra.Set(r.paging.SizeParameter, strconv.Itoa(r.paging.Size))
	}
	switch {
	case r.paging.Kind == "page" || r.paging.Kind == "offset":
		c.extra.Set(r.paging.Parameter, strconv.Itoa(r.position))
	case r.paging.Kind == "cursor" && r.cursor != "":
		c.extra.Set(r.paging.Parameter, r.cursor)
	}
	return c
}

// note records an object, and reports whether it is new.
func (r *pageReader) note(object any, id string) (fresh bool) {
	r.received++
	name := "id " + id
	if id == "" {
		b, err := json.Marshal(object)
		sum := sha256.Sum256(b)
		if err == nil {
			name = "digest " + string(sum[:])
		}
	}
	fresh = !r.seen[name]
	r.seen[name] = true
	// Without identifiers, two equal objects count as two.
	if fresh || id == "" {
		r.count++
	}
	return fresh
}

// next decides whether a page with this number of objects is the last one. If
// it is not, next moves on to the next page. A partly filled page need not be
// the last: a server may return fewer objects than requested.
func (r *pageReader) next(answer answer, objects int, fresh bool) (done bool, err error) {
	switch r.paging.Kind {
	case "cursor":
		done, err = r.nextCursor(answer, objects, fresh)
	case "page", "offset":
		done, err = r.nextPosition(answer, objects, fresh)
	default:
		done = true
	}
	if done && err == nil && !r.call.Whole {
		err = r.hint(answer)
	}
	r.largest = max(r.largest, objects)
	return done, err
}

func (r *pageReader) nextCursor(answer answer, objects int, fresh bool) (done bool, err error) {
	next := r.paging.Next.Text(answer.body)
	if r.empty++; objects > 0 {
		r.empty = 0
	}
	switch {
	case next == "":
		return true, nil
	case !fresh || r.cursors[next] || r.empty > maxEmptyPages:
		return false, r.endless("paging.parameter and paging.next")
	}
	r.cursors[next] = true
	r.cursor = next
	return false, nil
}

func (r *pageReader) nextPosition(answer answer, objects int, fresh bool) (done bool, err error) {
	total, hasTotal, err := r.number(r.paging.Total, answer.body)
	if err != nil {
		return false, err
	}
	r.moving = r.moving || hasTotal && r.page > 1 && total != r.total
	r.total = total
	pages, hasPages, err := r.number(r.paging.Pages, answer.body)
	switch {
	case err != nil:
		return false, err
	case !fresh && r.beyond:
		return true, nil // some servers repeat their last page for any later page
	case !fresh:
		return false, r.endless("paging.parameter and paging.first")
	case hasTotal && r.count > total:
		return false, r.uneven("%s says that there are %d, and it lists more; check paging.total", r.paging.Total, total)
	case hasPages && objects > 0 && r.page > pages:
		return false, r.uneven("%s says that there are %d pages, and there are more; check paging.pages", r.paging.Pages, pages)
	case objects == 0 && r.beyond:
		return true, nil // the list was complete with the page before
	case objects == 0 && hasTotal && r.count < total:
		return false, r.uneven("%s says that there are %d, and it lists %d; check paging", r.paging.Total, total, r.count)
	case objects == 0 && hasPages && r.page < pages:
		return false, r.uneven("%s says that there are %d pages, and page %d is empty; check paging", r.paging.Pages, pages, r.page)
	case objects == 0:
		return true, nil
	}
	r.beyond = hasTotal && r.count == total || hasPages && r.page == pages
	// The supposed total may be the number of objects on this page. A page that
	// is shorter than another one is the last; otherwise read the next page to
	// be certain.
	if r.beyond && objects < r.largest {
		return true, nil
	}
	r.position++
	if r.paging.Kind == "offset" {
		r.position = r.received
	}
	return false, nil
}

func (r *pageReader) endless(check string) error {
	return r.uneven("it does not end: page %d only repeats objects of earlier pages; check %s", r.page, check)
}

// uneven returns the error of pages that contradict each other.
func (r *pageReader) uneven(format string, args ...any) error {
	return unevenError{r.strange("list of " + r.call.Path + ": " + fmt.Sprintf(format, args...)), r.moving}
}

// number reads a number in an answer.
func (r *pageReader) number(path description.Path, body any) (n int, there bool, err error) {
	if path == "" {
		return 0, false, nil
	}
	if n, err = strconv.Atoi(path.Text(body)); err != nil {
		return 0, false, r.strange("its answer has no number" + at(path))
	}
	return n, true, nil
}

// pastEnd reports whether an error is one with which some servers answer a
// request for a page after the last one.
func pastEnd(err error) bool {
	var failed *sync.Error
	return errors.As(err, &failed) && failed.Status >= 400 && failed.Kind != sync.Unauthorized && failed.Status != http.StatusTooManyRequests
}

// readTries is the number of attempts for each read: with many pages, one is
// likely to fail, and starting over with the first page does not help.
const readTries = 4

// patient makes a repeatable call, several times if necessary.
func (p *platform) patient(ctx context.Context, c call) (answer, error) {
	pauses := &backoff.ExponentialBackOff{InitialInterval: 50 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 3, MaxInterval: time.Second}
	late := 0
	got, err := backoff.Retry(ctx, func() (answer, error) {
		got, err := p.call(ctx, c)
		var failed *sync.Error
		var timeout interface{ Timeout() bool }
		if errors.As(err, &timeout) && timeout.Timeout() {
			// After two timeouts, another is likely.
			if late++; late > 1 {
				return got, backoff.Permanent(err)
			}
		}
		// The engine handles the Retry-After of a platform.
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

func at(path description.Path) string {
	if path == "" {
		return ""
	}
	return " at " + string(path)
}

// rewritten records the automations that were written again because a secret's
// value changed. They have a new revision, but an earlier plan knows the old
// one. For that plan they are unchanged.
type rewritten struct {
	byID *locked[map[string]*rewriting]
}

// A rewriting is the last rewrite of an automation.
type rewriting struct {
	shown  string // the revision before
	actual string // the revision after, "" while it is unknown
	// secret and fingerprint were written, and identify this write.
	secret, fingerprint string
}

func (r *rewritten) init() { r.byID = newLocked(map[string]*rewriting{}) }

// begin records that an automation is about to be written again.
func (r *rewritten) begin(it item, secret, fingerprint string) {
	r.byID.with(func(m map[string]*rewriting) {
		m[it.ID] = &rewriting{shown: it.Revision, secret: secret, fingerprint: fingerprint}
	})
}

// shown returns the revision of an automation in plans.
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

// actual returns the platform's revision for a revision in a plan.
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

var _ sync.Confirmer = (*platform)(nil)

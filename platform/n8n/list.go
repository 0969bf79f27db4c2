package n8n

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	gosync "sync"

	"github.com/seguehq/segue/sync"
)

const (
	// pageSize is the maximum number of workflows in one answer of n8n.
	pageSize = 250
	// pageOverlap is the number of workflows of a page that are requested again
	// with the next one, to see that nothing has moved in between.
	pageOverlap = 5
	// listTimeouts is the time that a whole listing may take, in timeouts of one
	// request.
	listTimeouts = 10
)

// A lister makes listings of all workflows, one at a time. A caller during a
// listing gets the next one, because the current one may already be past the
// caller's last write.
type lister struct {
	mu   gosync.Mutex
	next *listing      // not yet begun; nil for none
	busy chan struct{} // closed when the current listing is done; nil for none
}

// A listing is a listing of all workflows, made or to be made.
type listing struct {
	done chan struct{}
	all  []workflow
	err  error
}

// list returns all workflows that the API key's owner can see.
func (p *Platform) list(ctx context.Context) ([]workflow, error) {
	l := &p.pages
	l.mu.Lock()
	mine := l.next
	if mine == nil {
		mine = &listing{done: make(chan struct{})}
		l.next = mine
		go p.makeListing(context.WithoutCancel(ctx), mine, l.busy)
	}
	l.mu.Unlock()
	select {
	case <-mine.done:
		return mine.all, mine.err
	case <-ctx.Done():
		return nil, p.unreachable(ctx.Err())
	}
}

// makeListing makes a listing after the one before is done.
func (p *Platform) makeListing(ctx context.Context, mine *listing, before chan struct{}) {
	if before != nil {
		<-before
	}
	l := &p.pages
	l.mu.Lock()
	l.next, l.busy = nil, mine.done
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, listTimeouts*p.timeout)
	defer cancel()
	p.mu.Lock()
	start := p.seq
	p.mu.Unlock()
	mine.all, mine.err = p.listAll(ctx)
	p.markWithdrawn(mine.all)
	if mine.err == nil {
		p.mu.Lock()
		written := maps.Clone(p.nonces)
		p.mu.Unlock()
		markUnfinished(mine.all, written)
		p.refresh(mine.all, start)
	}
	close(mine.done)
}

// listAll reads page after page. It starts again if workflows were deleted
// meanwhile, which may have moved others across a page boundary.
func (p *Platform) listAll(ctx context.Context) ([]workflow, error) {
	const most = 5
	for range most {
		all, whole, err := p.listPages(ctx)
		if err != nil || whole {
			return all, err
		}
	}
	return nil, &sync.Error{Kind: sync.Temporary, Message: fmt.Sprintf("the list of workflows has changed %d times while it was read", most)}
}

func (p *Platform) listPages(ctx context.Context) (all []workflow, whole bool, err error) {
	query := url.Values{"limit": {fmt.Sprint(pageSize)}, "excludePinnedData": {"true"}}
	seen, followed := map[string]bool{}, map[string]bool{}
	overlap := false
	for {
		var page struct {
			Data       []workflow `json:"data"`
			NextCursor *string    `json:"nextCursor"`
		}
		if err := p.do(ctx, call{method: "GET", path: "/workflows", query: query, out: &page}); err != nil {
			return nil, false, err
		}
		touches := !overlap
		for _, w := range page.Data {
			if seen[w.ID] {
				touches = true
				continue
			}
			seen[w.ID] = true
			all = append(all, w)
		}
		switch {
		case !touches:
			return nil, false, nil
		case page.NextCursor == nil || *page.NextCursor == "":
			return all, true, nil
		case followed[*page.NextCursor] || len(page.Data) == 0:
			return nil, false, &sync.Error{Kind: sync.Refused, Message: "n8n's list of workflows does not end"}
		}
		followed[*page.NextCursor] = true
		var cursor string
		cursor, overlap = earlier(*page.NextCursor)
		query = url.Values{"limit": query["limit"], "excludePinnedData": query["excludePinnedData"], "cursor": {cursor}}
	}
}

// earlier moves a cursor back, so that the next page repeats the end of the
// last one; false for a cursor in another form than n8n's.
func earlier(cursor string) (string, bool) {
	var c struct {
		Limit  int `json:"limit"`
		Offset int `json:"offset"`
	}
	b, err := base64.StdEncoding.DecodeString(cursor)
	if err != nil || json.Unmarshal(b, &c) != nil || c.Offset < pageSize || c.Limit < 2*pageOverlap {
		return cursor, false
	}
	c.Offset -= pageOverlap
	if b, err = json.Marshal(c); err != nil {
		return cursor, false
	}
	return base64.StdEncoding.EncodeToString(b), true
}

// A snapshot is the result of a listing, valid until the next write. The Survey and
// the Secrets of a plan reuse the listing of its List; Secrets, the last of them,
// drops it.
type snapshot struct {
	seq int
	all []workflow
}

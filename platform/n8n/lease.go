package n8n

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/seguehq/segue/sync"
)

// A lease is an inactive workflow with one note, whose name tells people who is
// applying. The API has no conditional write, so taking a lease needs two steps.
// An apply first writes a candidate, and then lists all candidates. Of two, at
// least one sees the other: the one that n8n has stored later withdraws, and the
// earlier one waits until the other is gone, or until the other gets the lease
// because it looked too early. An apply that sees no other candidate takes the
// lease with a second write.
//
// A killed apply leaves its workflow behind, which expires. All times are by
// n8n's clock.

// leaseID is the ID of the node that makes a workflow a lease.
const leaseID = "segue-lease"

// A leaseRecord is the record in a lease's workflow.
type leaseRecord struct {
	Project string `json:"project"`
	sync.Lease
	// Workflow is the ID of the workflow once it holds the lease, "" of
	// a candidate.
	Workflow string `json:"workflow,omitempty"`
}

// A leaseWorkflow is a lease or a candidate that n8n has stored.
type leaseWorkflow struct {
	*workflow
	leaseRecord
}

func (l leaseWorkflow) held() bool { return l.leaseRecord.Workflow != "" }

// A heldLease is a lease that this Platform holds.
type heldLease struct {
	workflow string
	since    time.Time
	length   time.Duration
	ends     time.Time // by this machine's clock
}

const (
	// candidacy is the time in which a candidate must become a lease.
	candidacy = 20 * time.Second
	// leasePause is the time between two lists of other candidates, and
	// leaseRounds the maximum number of lists.
	leasePause  = 200 * time.Millisecond
	leaseRounds = 25
)

// lease returns the record of a lease or candidate. It returns false for any
// other workflow, including a copy of a lease and a lease to which somebody has
// added nodes.
func (w *workflow) lease() (leaseRecord, bool) {
	var r leaseRecord
	ok := len(w.Nodes) == 1 && recorded(w.node(leaseID), &r) && r.Project != "" && r.ID != ""
	return r, ok && (r.Workflow == "" || r.Workflow == w.ID)
}

// buildLease makes the workflow of a lease or of a candidate.
func (p *Platform) buildLease(r leaseRecord) *workflow {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err) // the record only has strings and times
	}
	holder, since := p.printable(r.Holder), r.Since.UTC().Format("2006-01-02 15:04 UTC")
	name := fmt.Sprintf("segue %.50s: %.40s applies since %s", r.Project, holder, since)
	text := "## Managed by segue\n\n**" + holder + "** is applying to the project **" + r.Project + "** since " + since +
		". Another `segue apply` waits until it is done, or until " + r.Until.UTC().Format("2006-01-02 15:04:05 UTC") +
		" if it was interrupted. Then this workflow is removed.\n\n`segue " + string(line) + "`\n"
	return &workflow{Name: name, Connections: map[string]any{}, Settings: map[string]any{}, Nodes: []node{
		newNode(leaseID, noteName, noteType, 1, 0, 0, map[string]any{"content": text, "height": 240, "width": 520})}}
}

// now returns the time by n8n's clock, from its last answer.
func (p *Platform) now() time.Time {
	return time.Now().Add(time.Duration(p.clock.Load())).UTC().Truncate(time.Second)
}

// setClock sets n8n's clock from an answer.
func (p *Platform) setClock(h http.Header) {
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		p.clock.Store(int64(time.Until(t)))
	}
}

// Lock implements [sync.Locker].
func (p *Platform) Lock(ctx context.Context, project string, l sync.Lease) error {
	p.mu.Lock()
	held, ok := p.leases[l.ID]
	p.mu.Unlock()
	if ok && time.Now().Before(held.ends) {
		if err := p.hold(ctx, project, l, held); err == nil || sync.KindOf(err) != sync.NotFound {
			return err
		}
	}
	length := min(l.Until.Sub(l.Since), time.Until(l.Until).Round(time.Second)) // the apply may have waited for it
	if ok {
		length = held.length
	}
	if length <= 0 {
		return &sync.Error{Kind: sync.Refused, Message: "a lease must end after it has begun"}
	}
	err := p.acquire(ctx, project, l, length)
	if err != nil {
		p.withdraw(ctx, project, l)
	}
	return err
}

// acquire takes a lease that this Platform does not hold.
func (p *Platform) acquire(ctx context.Context, project string, l sync.Lease, length time.Duration) error {
	for range leaseRounds {
		mine, others, err := p.leasesOf(ctx, project, l.ID)
		if err != nil {
			return err
		}
		var rival *leaseWorkflow // the first of the others
		if len(others) > 0 {
			rival = &others[0]
		}
		switch {
		case rival != nil && rival.held() && (len(mine) == 0 || !mine[0].held() || rival.before(mine[0].workflow)):
			return &sync.HeldError{Lease: rival.Lease}
		case len(mine) == 0:
			now := p.now()
			w := p.buildLease(leaseRecord{Project: project, Lease: sync.Lease{ID: l.ID, Holder: l.Holder, Since: now, Until: now.Add(candidacy)}})
			if err := p.write(ctx, call{method: "POST", path: "/workflows", in: w}); err != nil {
				return err
			}
			continue
		case len(mine) > 1:
			// The answer to a write was lost.
			for _, m := range mine[1:] {
				if err := p.deleteLedger(ctx, m.workflow.ID); err != nil {
					return err
				}
			}
			continue
		case mine[0].held():
			return nil // this Platform holds it alone
		case rival != nil && rival.before(mine[0].workflow):
			return &sync.HeldError{Lease: rival.Lease}
		case rival != nil:
			if err := pause(ctx, leasePause); err != nil {
				return err
			}
			continue
		case p.now().After(mine[0].Until.Add(-candidacy / 2)):
			// It took so long that others may soon consider it expired.
			if err := p.deleteLedger(ctx, mine[0].workflow.ID); err != nil {
				return err
			}
			continue
		}
		err = p.hold(ctx, project, l, heldLease{workflow: mine[0].workflow.ID, since: mine[0].Since, length: length})
		if err != nil && sync.KindOf(err) != sync.NotFound {
			return err
		}
		// The next list shows whether n8n has really stored it.
	}
	_, others, err := p.leasesOf(ctx, project, l.ID)
	if err == nil && len(others) > 0 {
		return &sync.HeldError{Lease: others[0].Lease}
	}
	return &sync.Error{Kind: sync.Temporary, Message: "n8n does not keep the lease of the project", Err: err}
}

// leasesOf returns the unexpired leases and candidates of a project: those with
// the ID, and the others, held ones first and then by the order of storing. It
// deletes expired ones.
func (p *Platform) leasesOf(ctx context.Context, project, id string) (mine, others []leaseWorkflow, _ error) {
	all, err := p.list(ctx)
	if err != nil {
		return nil, nil, err
	}
	now := p.now()
	for i := range all {
		r, ok := all[i].lease()
		l := leaseWorkflow{&all[i], r}
		switch {
		case !ok || r.Project != project:
		case now.After(r.Until):
			if err := p.deleteLedger(ctx, all[i].ID); err != nil {
				return nil, nil, err
			}
		case r.Lease.ID == id:
			mine = append(mine, l)
		default:
			others = append(others, l)
		}
	}
	first := func(a, b leaseWorkflow) int {
		switch {
		case a.held() != b.held() && a.held(), a.held() == b.held() && a.before(b.workflow):
			return -1
		default:
			return 1
		}
	}
	slices.SortFunc(mine, first)
	slices.SortFunc(others, first)
	return mine, others, nil
}

// hold turns a candidate into a lease, or renews a lease. It fails with
// [sync.NotFound] if the workflow is gone.
func (p *Platform) hold(ctx context.Context, project string, l sync.Lease, held heldLease) error {
	until := p.now().Add(held.length)
	w := p.buildLease(leaseRecord{Project: project, Workflow: held.workflow,
		Lease: sync.Lease{ID: l.ID, Holder: l.Holder, Since: held.since, Until: until}})
	began := time.Now()
	if err := p.write(ctx, call{method: "PUT", path: "/workflows/" + url.PathEscape(held.workflow), in: w}); err != nil {
		return err
	}
	held.ends = began.Add(held.length)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leases[l.ID] = held
	return nil
}

// withdraw removes the candidates of a lease that could not be taken, as far as
// possible: the rest expire.
func (p *Platform) withdraw(ctx context.Context, project string, l sync.Lease) {
	_ = p.Unlock(context.WithoutCancel(ctx), project, l)
}

// Unlock implements [sync.Locker].
func (p *Platform) Unlock(ctx context.Context, project string, l sync.Lease) error {
	p.mu.Lock()
	delete(p.leases, l.ID)
	p.mu.Unlock()
	mine, _, err := p.leasesOf(ctx, project, l.ID)
	for _, m := range mine {
		if err == nil {
			err = p.deleteLedger(ctx, m.workflow.ID)
		}
	}
	return err
}

// pause waits, unless the context ends before.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return &sync.Error{Kind: sync.Temporary, Message: "canceled while waiting for the lease of the project", Err: ctx.Err()}
	}
}

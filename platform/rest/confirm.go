package rest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	gosync "sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/description"
	"github.com/seguehq/segue/sync"
)

// A description may lead to an incomplete list: the name of the page parameter
// may be wrong, or it may be a filtered list, or a list of something else. Every
// apply would create the missing automations again. A list can't prove that it is
// complete, but a write can: a truncated list can't show a new automation in
// addition to all others. So the first create of an apply reads the list before
// and after, and removes the automation again if the list does not show it. At
// the end, apply looks for the other automations in the same way.

// made records the automations that this client has created and removed.
type made struct {
	mu gosync.Mutex
	// created holds the automations that may have to be removed again, by
	// identifier.
	created map[string]creation
	gone    map[string]bool
}

// A creation is an automation as it was created. The item that was read back is
// nil if reading failed.
type creation struct {
	project, key string
	item         *item
}

func (m *made) init() { m.created, m.gone = map[string]creation{}, map[string]bool{} }

func (m *made) add(id string, c creation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.created[id] = c
}

// update records that a created automation has a new revision.
func (m *made) update(it item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.created[it.ID]; ok {
		c.item = &it
		m.created[it.ID] = c
	}
}

func (m *made) confirmed(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.created, id)
}

func (m *made) removed(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.created, id)
	m.gone[id] = true
}

// of returns the automations created in a project, by identifier.
func (m *made) of(project string) map[string]creation {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]creation{}
	for id, c := range m.created {
		if c.project == project {
			out[id] = c
		}
	}
	return out
}

// Create implements [sync.Platform].
func (p *platform) Create(ctx context.Context, project string, a automation.Automation) (sync.Stored, error) {
	it, _, err := p.create(ctx, project, a)
	return it.Stored, err
}

// An afterCreate is the error of a create that the platform has carried out.
type afterCreate struct {
	id    string
	cause error
}

func (e *afterCreate) Error() string { return e.cause.Error() }
func (e *afterCreate) Unwrap() error { return e.cause }

// create also returns the identifier. It is set even if a later step failed,
// and "" if nothing is known to have been created.
func (p *platform) create(ctx context.Context, project string, a automation.Automation) (item, string, error) {
	c := call{Endpoint: p.d.Endpoints.Create, does: creates, project: project}
	m := marking{Marker: sync.MarkerOf(project, a), nonce: rand.Text()[:nonceLength]}
	it, err := p.write(ctx, c, m, a, nil)
	var after *afterCreate
	switch {
	case errors.As(err, &after):
		return it, after.id, after.cause
	case err != nil:
		return it, it.ID, err
	}
	return p.identify(ctx, it, m, a), it.ID, nil
}

// nonceLength is the length of a nonce, in characters of an alphabet of 32.
const nonceLength = 12

// identify writes the identifier of a new automation into its marker. Until then, a
// copy can't be distinguished from it for certain. If this write fails, the automation
// still exists, and the next write adds the identifier.
func (p *platform) identify(ctx context.Context, it item, m marking, a automation.Automation) item {
	ctx = context.WithoutCancel(ctx)
	was := existing{project: m.Project, id: it.ID, revision: it.revision}
	again, err := p.update(ctx, was, m.Marker, a)
	if err != nil {
		if again, err = p.one(ctx, m.Project, it.ID); err != nil || again.record.Nonce != m.nonce {
			return it
		}
	}
	again.Revision = again.revision
	p.made.update(again)
	return again
}

// created reads an automation that the platform has just created. No error may
// lead to another create, because the automation exists.
func (p *platform) created(ctx context.Context, c call, m marking, answer answer) (item, error) {
	id := p.saysID(c, answer)
	if id != "" {
		p.made.add(id, creation{project: c.project, key: m.Key})
	}
	it, err := p.readBack(ctx, c, m, answer, id)
	for _, pause := range p.pauses() {
		if kind := sync.KindOf(err); err == nil || c.Answer == "object" || kind != sync.Temporary && kind != sync.NotFound || !wait(ctx, pause) {
			break
		}
		it, err = p.readBack(ctx, c, m, answer, id)
	}
	if err == nil {
		p.made.add(it.ID, creation{project: c.project, key: m.Key, item: &it})
		return it, nil
	}
	failed := &sync.Error{Kind: sync.Refused, Err: err}
	switch {
	case id != "":
		failed.Message = fmt.Sprintf("it was created as %q, but it can't be read back: %s", printable(id), err)
	case c.Answer == "nothing":
		failed.Kind = sync.Unlisted
		failed.Message = fmt.Sprintf("it was created, but the list of %s does not show it (%s); %s. Remove it by hand: the answer to create has no identifier to remove it by", p.d.Endpoints.List.Path, err, p.remedy())
	default:
		failed.Message = fmt.Sprintf("it was created, but the answer has no identifier%s, and it can't be read back: %s", at(p.idPath(c)), err)
	}
	return item{}, &afterCreate{id: id, cause: failed}
}

// idPath returns the path of the identifier in the answer to a create.
func (p *platform) idPath(c call) description.Path {
	switch {
	case c.Answer == "id" && c.Item != "":
		return c.Item
	case c.Item != "":
		return c.Item + "." + p.d.ID
	}
	return p.d.ID
}

// remedy suggests the fields to check if the list is incomplete.
func (p *platform) remedy() string {
	if p.d.Paging.Kind == "" {
		return "check endpoints.list in the description, and describe its pages in paging if it has some"
	}
	return "check endpoints.list and paging in the description"
}

// pauses returns the pauses between reads of a list that may lag behind.
func (p *platform) pauses() []time.Duration {
	return []time.Duration{p.lag / 40, p.lag / 10, p.lag / 4, p.lag * 5 / 8}
}

// wait reports whether a pause ended before the context did.
func wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A view is the content of the list: identifiers, and the keys of a project's
// automations by identifier.
type view struct {
	ids  map[string]bool
	keys map[string]string
}

// look reads the list. It ignores damaged markers.
func (p *platform) look(ctx context.Context, project string) (view, error) {
	type entry struct{ id, key string }
	all, ids, err := collect(ctx, p, p.listCall(project), p.d.Paging, p.d.ID.Text, func(object any) (entry, bool, error) {
		r, ok := p.d.Record(object)
		return entry{p.d.ID.Text(object), r.Key}, ok && r.Project == project, nil
	})
	v := view{ids: ids, keys: map[string]string{}}
	for _, e := range all {
		v.keys[e.id] = e.key
	}
	return v, err
}

// CreateConfirmed implements [sync.Confirmer].
func (p *platform) CreateConfirmed(ctx context.Context, project string, a automation.Automation) (sync.Stored, error) {
	before, err := p.look(ctx, project)
	if err != nil {
		return sync.Stored{}, err
	}
	it, id, err := p.create(ctx, project, a)
	if id == "" {
		return it.Stored, err
	}
	problem, lost, lookErr := p.compare(ctx, project, a.Key, id, before)
	switch {
	case lookErr != nil && sync.KindOf(lookErr) == sync.Refused:
		problem = lookErr.Error()
	case lookErr != nil:
		return it.Stored, errors.Join(err, lookErr) // the engine reads again
	case problem == "" && len(lost) == 0:
		return it.Stored, err
	}
	removed := p.takeBack(ctx, id)
	if problem == "" {
		// Somebody may have removed them just now. If they were only pushed off a
		// truncated list, the list shows them again.
		problem = fmt.Sprintf("with the new automation on it, it no longer shows %q", printable(lost[0]))
		again, err := p.look(ctx, project)
		if removed == nil && err == nil && !slices.ContainsFunc(lost, func(id string) bool { return again.ids[id] }) {
			return sync.Stored{}, &sync.Error{Kind: sync.Temporary, Message: fmt.Sprintf("somebody seems to have removed %q just now; not created, as a precaution", printable(lost[0]))}
		}
	}
	return sync.Stored{}, p.unlisted(problem, id, removed)
}

// unlisted returns the error of an automation that the list does not show.
func (p *platform) unlisted(problem, id string, removed error) error {
	e := &sync.Error{Kind: sync.Unlisted, Message: fmt.Sprintf("the list of %s is incomplete: %s; %s. The new automation was removed again", p.d.Endpoints.List.Path, problem, p.remedy())}
	if removed != nil {
		e.Message = fmt.Sprintf("the list of %s is incomplete: %s; %s. Remove %q by hand: removing it failed with %s", p.d.Endpoints.List.Path, problem, p.remedy(), printable(id), removed)
	}
	return e
}

// compare checks that the list shows a new automation and everything that it
// showed before. It returns the problem, or the identifiers that are missing
// now.
func (p *platform) compare(ctx context.Context, project, key, id string, before view) (problem string, lost []string, err error) {
	now, err := p.look(ctx, project)
	for _, pause := range p.pauses() {
		if err != nil || now.keys[id] == key || !wait(ctx, pause) {
			break
		}
		now, err = p.look(ctx, project)
	}
	switch {
	case err != nil:
		return "", nil, err
	case !now.ids[id]:
		return fmt.Sprintf("it does not show %q, which was just created", printable(id)), nil, nil
	case now.keys[id] != key:
		return fmt.Sprintf("it shows %q, which was just created, without its marker at %s", printable(id), p.d.Marker.Field), nil, nil
	}
	p.made.mu.Lock()
	defer p.made.mu.Unlock()
	for id := range before.ids {
		if !now.ids[id] && !p.made.gone[id] {
			lost = append(lost, id)
		}
	}
	slices.Sort(lost)
	if len(lost) == 0 {
		problem, err = p.earlierPage(ctx, project, now)
	}
	return problem, lost, err
}

// earlierPage checks whether there is a page before the supposed first one.
func (p *platform) earlierPage(ctx context.Context, project string, now view) (problem string, err error) {
	r := &pageReader{platform: p, call: p.listCall(project), paging: p.d.Paging, position: p.d.Paging.First - 1}
	if p.d.Paging.Kind != "page" || p.d.Paging.Total != "" || r.position < 0 {
		return "", nil // a correct total rules it out
	}
	answer, err := p.call(ctx, r.request())
	if err != nil {
		return "", nil // as expected
	}
	objects, err := p.objects(r.call, answer.body)
	if err != nil {
		return "", nil
	}
	for _, object := range objects {
		if id := p.d.ID.Text(object); id != "" && !now.ids[id] {
			return fmt.Sprintf("there is a page %d, which shows %q; check paging.first", r.position, printable(id)), nil
		}
	}
	return "", nil
}

// takeBack removes an automation that this client has just created.
func (p *platform) takeBack(ctx context.Context, id string) error {
	// Leaving an unknown automation behind is worse than a short delay.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 4*p.limit)
	defer cancel()
	p.made.mu.Lock()
	c := p.made.created[id]
	p.made.mu.Unlock()
	pauses := &backoff.ExponentialBackOff{InitialInterval: 50 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 3, MaxInterval: time.Second}
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		var err error
		if c.item != nil && (p.d.Revision.Field != "" || p.d.Revision.Header != "") {
			err = p.Delete(ctx, c.item.Stored)
		} else {
			_, err = p.call(ctx, call{Endpoint: p.d.Endpoints.Delete, does: deletes, project: c.project, id: id})
		}
		switch kind := sync.KindOf(err); {
		case err == nil || kind == sync.NotFound:
			return struct{}{}, nil
		case kind != sync.Temporary:
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxTries(2*readTries))
	if err == nil {
		p.made.removed(id)
	}
	return err
}

// Confirm implements [sync.Confirmer].
func (p *platform) Confirm(ctx context.Context, project string, keys []string) (map[string]error, error) {
	var now view
	var lacking map[string]creation
	var missing []string
	for i := -1; i < len(p.pauses()); i++ {
		if i >= 0 && !wait(ctx, p.pauses()[i]) {
			break
		}
		var err error
		if now, err = p.look(ctx, project); err != nil {
			return nil, err
		}
		listed := map[string]bool{}
		for _, key := range now.keys {
			listed[key] = true
		}
		missing = slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return listed[key] })
		lacking = p.made.of(project)
		for id := range lacking {
			if now.keys[id] != "" {
				p.made.confirmed(id)
				delete(lacking, id)
			}
		}
		if len(missing)+len(lacking) == 0 {
			return nil, nil
		}
	}
	errs := map[string]error{}
	for _, key := range missing {
		errs[key] = &sync.Error{Kind: sync.Unlisted, Message: fmt.Sprintf("the list of %s no longer shows it; %s", p.d.Endpoints.List.Path, p.remedy())}
	}
	var group errgroup.Group
	var mu gosync.Mutex
	group.SetLimit(rewriteParallelism)
	for id, c := range lacking {
		group.Go(func() error {
			problem := fmt.Sprintf("it does not show %q, which was just created", printable(id))
			if now.ids[id] {
				problem = fmt.Sprintf("it shows %q, which was just created, without its marker at %s", printable(id), p.d.Marker.Field)
			}
			err := p.unlisted(problem, id, p.takeBack(ctx, id))
			mu.Lock()
			defer mu.Unlock()
			errs[c.key] = err
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	return errs, nil
}

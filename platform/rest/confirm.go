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

// A description may lead to a list that does not show all there is: a wrong name
// of the parameter for pages, a filter, a list of something else. What it lacks
// would be created again by every apply. A list can't prove that it is whole, but
// a write can: a list that has reached its bounds can't show a new automation and
// all others too. So the first create of an apply looks at the list before and
// after, and takes the automation back if it is not there; in the end the rest is
// looked for in the same way.

// made knows what this client has created and removed.
type made struct {
	mu gosync.Mutex
	// created are those that may have to be removed again, by identifier.
	created map[string]creation
	gone    map[string]bool
}

// A creation is an automation as it was created. What was read back of it is nil
// if that went wrong.
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

// update notes that what was created has another revision by now.
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

// of returns the identifiers of what was created in a project.
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

// create returns the identifier too, which is known even where something went
// wrong later, "" if nothing is known to have been created.
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

// nonceLength is that of a nonce, of 32 letters and digits each.
const nonceLength = 12

// identify writes the identifier of a new automation, which is known by now, into its
// marker. Until then a copy that somebody makes can't be told from it for certain. If
// the write fails, the automation is there all the same: whatever writes it next makes
// up for that.
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
// lead to another create: there is one already.
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
		failed.Message = fmt.Sprintf("it was created, but the answer holds no identifier%s, and it can't be read back: %s", at(p.idPath(c)), err)
	}
	return item{}, &afterCreate{id: id, cause: failed}
}

// idPath is where the answer to a create has the identifier.
func (p *platform) idPath(c call) description.Path {
	switch {
	case c.Answer == "id" && c.Item != "":
		return c.Item
	case c.Item != "":
		return c.Item + "." + p.d.ID
	}
	return p.d.ID
}

// remedy says what to look at where the list lacks something.
func (p *platform) remedy() string {
	if p.d.Paging.Kind == "" {
		return "check endpoints.list in the description, and describe its pages in paging if it has some"
	}
	return "check endpoints.list and paging in the description"
}

// pauses are those between looks at a list that may lag behind.
func (p *platform) pauses() []time.Duration {
	return []time.Duration{p.lag / 40, p.lag / 10, p.lag / 4, p.lag * 5 / 8}
}

// wait reports whether a pause came to its end before the context did.
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

// A view is what the list shows: identifiers, and the keys of a project's
// automations by their identifiers.
type view struct {
	ids  map[string]bool
	keys map[string]string
}

// look reads the list. It does not mind a marker that is damaged.
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
		return it.Stored, errors.Join(err, lookErr) // the engine looks again
	case problem == "" && len(lost) == 0:
		return it.Stored, err
	}
	removed := p.takeBack(ctx, id)
	if problem == "" {
		// Somebody may have removed them in this very moment. Where a list has no
		// room for them, they are back by now.
		problem = fmt.Sprintf("with a new automation on it, it does not show %q any more", printable(lost[0]))
		again, err := p.look(ctx, project)
		if removed == nil && err == nil && !slices.ContainsFunc(lost, func(id string) bool { return again.ids[id] }) {
			return sync.Stored{}, &sync.Error{Kind: sync.Temporary, Message: fmt.Sprintf("somebody seems to have removed %q at this moment; it was not created, to be sure", printable(lost[0]))}
		}
	}
	return sync.Stored{}, p.unlisted(problem, id, removed)
}

// unlisted is the error of an automation that the list does not show.
func (p *platform) unlisted(problem, id string, removed error) error {
	e := &sync.Error{Kind: sync.Unlisted, Message: fmt.Sprintf("the list of %s is not all there is: %s; %s. What was created was removed again", p.d.Endpoints.List.Path, problem, p.remedy())}
	if removed != nil {
		e.Message = fmt.Sprintf("the list of %s is not all there is: %s; %s. Remove %q by hand: that failed with %s", p.d.Endpoints.List.Path, problem, p.remedy(), printable(id), removed)
	}
	return e
}

// compare looks whether the list shows a new automation and what it has shown
// before. It returns what is wrong, or what it does not show any more.
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

// earlierPage looks whether there is a page before the one that is taken for the
// first.
func (p *platform) earlierPage(ctx context.Context, project string, now view) (problem string, err error) {
	r := &pageReader{platform: p, call: p.listCall(project), paging: p.d.Paging, position: p.d.Paging.First - 1}
	if p.d.Paging.Kind != "page" || p.d.Paging.Total != "" || r.position < 0 {
		return "", nil // a total that is right leaves no room for it
	}
	answer, err := p.call(ctx, r.request())
	if err != nil {
		return "", nil // as it should be
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

// takeBack removes what this client has just created.
func (p *platform) takeBack(ctx context.Context, id string) error {
	// An automation that nobody knows of is worse than a moment more.
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
		errs[key] = &sync.Error{Kind: sync.Unlisted, Message: fmt.Sprintf("the list of %s does not show it any more; %s", p.d.Endpoints.List.Path, p.remedy())}
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

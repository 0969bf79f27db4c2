package sync

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
)

// A surveyed holds the state of a platform that a plan needs.
type surveyed struct {
	Survey
	// own are the project's automations by key, those under its former name too.
	own map[string][]Stored
	// secrets are the stored secrets, and formerSecrets those under the former name.
	secrets, formerSecrets map[string]SecretState
}

// survey reads the state of the platform. It compares stored secrets with the
// known ones.
func survey(ctx context.Context, p Platform, in Desired, known map[string]automation.Secret, calls Calls) (surveyed, error) {
	var s surveyed
	listing := reading{timeout: listTimeouts * calls.Timeout, again: temporary}
	stored, err := read(ctx, ctx, calls, listing, func(ctx context.Context) ([]Stored, error) {
		return p.List(ctx, in.Project)
	})
	if err != nil {
		return s, fmt.Errorf("list automations on %s: %w", in.Target, err)
	}
	if surveyor, ok := p.(Surveyor); ok {
		s.Survey, err = read(ctx, ctx, calls, listing, func(ctx context.Context) (Survey, error) {
			return surveyor.Survey(ctx, in.Project, in.keys())
		})
		if err != nil {
			return s, fmt.Errorf("survey %s: %w", in.Target, err)
		}
	}
	s.own = groupByKey(in.Project, stored)
	secrets := func(project string, want map[string]automation.Secret) (map[string]SecretState, error) {
		states, err := read(ctx, ctx, calls, reading{timeout: calls.Timeout, again: temporary}, func(ctx context.Context) (map[string]SecretState, error) {
			return p.Secrets(ctx, project, want)
		})
		if err != nil {
			return nil, fmt.Errorf("compare secrets on %s: %w", in.Target, err)
		}
		return states, nil
	}
	if s.secrets, err = secrets(in.Project, known); err != nil || in.Former == "" || in.Former == in.Project {
		return s, err
	}
	former := []Stored{}
	for _, o := range s.Others {
		if o.Kind == Foreign && o.Marker.Project == in.Former {
			former = append(former, o.Stored)
		}
	}
	for key, copies := range groupByKey(in.Former, former) {
		s.own[key] = append(s.own[key], copies...)
	}
	s.Others = slices.DeleteFunc(slices.Clone(s.Others), func(o Other) bool { return o.Kind == Foreign && o.Marker.Project == in.Former })
	for i := range s.Others {
		// If segue's own can't be distinguished from a copy, creating another one would
		// be wrong.
		if o := &s.Others[i]; o.Kind == Copy && o.Takes == "" && o.Marker.Project == in.Former &&
			slices.Contains(in.keys(), o.Marker.Key) && len(s.own[o.Marker.Key]) == 0 {
			o.Takes = o.Marker.Key
		}
	}
	s.formerSecrets, err = secrets(in.Former, nil)
	return s, err
}

// A planning is a plan in the making.
type planning struct {
	*Plan
	in     Desired
	opts   PlanOptions
	others []Other
	// claimed are the IDs of others that the plan takes over.
	claimed map[string]bool
	// unmanaged are other automations that may be taken over.
	unmanaged []likened
	// addresser gives the endpoints of automations, nil on a platform that has none.
	addresser Addresser
}

// complete adds to each change the facts that are known without the platform.
func (m *planning) complete(desired map[string]automation.Automation) {
	for i := range m.Changes {
		c := &m.Changes[i]
		if c.Action != Delete {
			want := desired[c.Key]
			c.Content = &want
			if m.opts.Place != nil {
				c.Place = m.opts.Place(c.Key)
			}
		}
		if m.addresser != nil {
			c.Endpoint = m.addresser.Address(m.in.Project, c.Key)
		}
	}
}

// create plans for a key that the project does not have on the platform.
func (m *planning) create(a automation.Automation) error {
	if m.opts.Adopt {
		o := m.adoptable(a.Key)
		if o == nil {
			o = m.counterpart(a)
		}
		if o != nil {
			m.claimed[o.ID] = true
			return m.update(a, o.Stored, Adopted, o.Kind)
		}
	}
	m.Changes = append(m.Changes, Change{Key: a.Key, Action: Create, Reason: New, Name: a.Name, Taken: m.taker(a)})
	return nil
}

// adoptable returns the automation that may be taken over for a key: the one that holds its endpoint,
// otherwise the one that would if it were enabled, otherwise the only copy. It returns nil if there are
// several.
func (m *planning) adoptable(key string) *Other {
	var holders, idle, copies []*Other
	for i := range m.others {
		switch o := &m.others[i]; {
		case m.claimed[o.ID] || o.Kind == Foreign:
			// Another project's own is taken over under moved: alone.
		case o.Takes == key && !o.Idle:
			holders = append(holders, o)
		case o.Takes == key:
			idle = append(idle, o)
		case o.Kind == Copy && o.Marker.Key == key && (o.Marker.Project == m.in.Project || o.Marker.Project == m.in.Former):
			copies = append(copies, o)
		}
	}
	for _, found := range [][]*Other{holders, idle, copies} {
		switch len(found) {
		case 0:
		case 1:
			return found[0]
		default:
			return nil
		}
	}
	return nil
}

// taker returns the automation that holds the endpoint that this one needs, or
// nil.
func (m *planning) taker(a automation.Automation) *Bystander {
	if !a.Enabled {
		return nil // it has none
	}
	for _, o := range m.others {
		if o.Takes == a.Key && !o.Idle && !m.claimed[o.ID] {
			b := o.bystander()
			return &b
		}
	}
	return nil
}

func (o Other) bystander() Bystander {
	return Bystander{Kind: o.Kind, ID: o.ID, Title: o.Title, Project: o.Marker.Project, Key: o.Marker.Key, Takes: o.Takes, Idle: o.Idle, Endpoint: o.Endpoint}
}

// keep plans for a key that the code has and the platform too.
func (m *planning) keep(want automation.Automation, copies []Stored) error {
	copies = preferred(copies, m.in.Project)
	kept := copies[0]
	reason := updateReason(want.Hash(), kept)
	kind := OtherKind("")
	switch {
	case kept.Marker.Project != m.in.Project:
		reason, kind = Moved, Foreign
	case kept.Marker.Key != want.Key:
		reason = Moved
	case reason == "" && slices.Contains(m.opts.Replace, want.Key):
		reason = Replaced
	}
	switch {
	case reason == "" && kept.Automation.Hash() != want.Hash():
		differences, err := m.differences(kept.Automation, want)
		if err != nil {
			return fmt.Errorf("%s: compare: %w", want.Key, err)
		}
		m.Altered = append(m.Altered, Altered{Key: want.Key, Differences: differences, Content: &want})
	case reason == "":
		m.Unchanged = append(m.Unchanged, want.Key)
	default:
		if err := m.update(want, kept, reason, kind); err != nil {
			return err
		}
	}
	m.drop(want.Key, Duplicate, copies[1:], kept.ID)
	return nil
}

// update plans to write over a stored automation.
func (m *planning) update(want automation.Automation, old Stored, reason Reason, kind OtherKind) error {
	differences, err := m.differences(old.Automation, want)
	if err != nil {
		return fmt.Errorf("%s: compare: %w", want.Key, err)
	}
	m.Changes = append(m.Changes, Change{
		Key: want.Key, Action: Update, Reason: reason, Name: want.Name,
		Base: m.baseOf(old, want.Key, kind), Differences: differences, Taken: m.taker(want),
	})
	return nil
}

// differences compares the stored automation with the code.
func (m *planning) differences(old, want automation.Automation) ([]Difference, error) {
	c := comparison{mask: automation.MaskOf(m.in.Secrets), headers: true}
	if m.opts.Place != nil {
		c.place = func(path []any) *Place { return m.opts.Place(want.Key, path...) }
	}
	return c.automations(old, want)
}

// drop plans to delete the copies.
func (m *planning) drop(key string, reason Reason, copies []Stored, kept string) {
	for _, s := range copies {
		kind := OtherKind("")
		if s.Marker.Project != m.in.Project {
			kind = Foreign
		}
		m.Changes = append(m.Changes, Change{
			Key: key, Action: Delete, Reason: reason, Name: s.Automation.Name, Base: m.baseOf(s, key, kind), Kept: kept,
		})
	}
}

// gone returns the reason why the code does not have a key for this target.
func (in Desired) gone(key string) Reason {
	if slices.Contains(in.Elsewhere, key) {
		return Elsewhere
	}
	return Removed
}

// leave lists a key that the code does not have for this target and that stays.
func (m *planning) leave(key string) {
	if m.in.gone(key) == Elsewhere {
		m.Elsewhere = append(m.Elsewhere, key)
	} else {
		m.Orphaned = append(m.Orphaned, key)
	}
}

// pair finds the created automation that replaces a deleted one: it does the
// same under another key.
func (m *planning) pair(desired map[string]automation.Automation, own map[string][]Stored) {
	for i := range m.Changes {
		old := &m.Changes[i]
		if !old.removes() {
			continue
		}
		at := slices.IndexFunc(own[old.Key], func(s Stored) bool { return s.ID == old.Base.ID })
		for _, c := range m.Changes {
			if c.Action != Delete && len(own[c.Key]) == 0 && sameWork(own[old.Key][at].Automation, desired[c.Key]) {
				old.After = c.Key
				break
			}
		}
	}
}

// sameWork reports whether one automation seems to do the other's work: it has the
// same name, or sends the same request when the same happens.
func sameWork(a, b automation.Automation) bool {
	if a.Name == b.Name {
		return true
	}
	b.Key, b.Name, b.Enabled, b.Protect = a.Key, a.Name, a.Enabled, a.Protect
	return a.Hash() == b.Hash()
}

// mention lists the others that are not changed.
func (m *planning) mention() {
	for _, o := range m.others {
		if !m.claimed[o.ID] && (o.Kind != Foreign || o.Takes != "") {
			m.Others = append(m.Others, o.bystander())
		}
	}
	slices.SortFunc(m.Others, func(a, b Bystander) int {
		return cmp.Or(strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Title, b.Title), strings.Compare(a.ID, b.ID))
	})
}

// renamed finds another project on the platform that has the keys to be created.
// If this project has nothing yet, it is most probably the same project under a
// former name: everything would exist twice, and both would fire.
func (m *planning) renamed(own map[string][]Stored) []Block {
	creates := map[string]bool{}
	for _, c := range m.Changes {
		creates[c.Key] = c.Action == Create
	}
	shared := map[string][]string{}
	for _, o := range m.others {
		if o.Kind == Foreign && creates[o.Marker.Key] && !slices.Contains(shared[o.Marker.Project], o.Marker.Key) {
			shared[o.Marker.Project] = append(shared[o.Marker.Project], o.Marker.Key)
		}
	}
	var found []Block
	for _, project := range slices.Sorted(maps.Keys(shared)) {
		keys := shared[project]
		slices.Sort(keys)
		has := fmt.Sprintf("the project %q has %s on %s too", project, SomeOf(keys), m.Target)
		remedy := fmt.Sprintf("if that was the name of this project, write `moved: project: %q` into segue.cue, and apply takes them over", project)
		if len(own) > 0 || 2*len(keys) < m.Count(Create) || m.opts.AllowSecondProject {
			m.Warnings = append(m.Warnings, has+"; "+remedy)
			continue
		}
		found = append(found, Block{
			Kind: RenamedProject, Keys: keys, Message: has + ", and this project has nothing there yet: both would fire",
			Remedy: remedy + "; if they are two projects, say so with --second-project",
		})
	}
	return found
}

// SomeOf names a few of many keys: "a, b, c and 4 more".
func SomeOf(keys []string) string {
	const most = 3
	if len(keys) <= most {
		return strings.Join(keys, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(keys[:most], ", "), len(keys)-most)
}

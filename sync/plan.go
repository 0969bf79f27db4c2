package sync

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
)

// PlanFormat names the layout of a [Plan] as JSON. [Apply] refuses a plan of
// another format.
const PlanFormat = "segue/plan/v1"

// Desired is what a project's code wants of one target.
type Desired struct {
	Project string
	// Target is the platform's name in the project, for example "prod".
	Target string
	// Automations may be in any order; a key may appear once.
	Automations []automation.Automation
	// Secrets holds the value of every secret that the automations refer to.
	// Others are not looked at.
	Secrets map[string]automation.Secret
	// Former is the name that the project had before, "" for none. What carries it
	// on the platform is taken over.
	Former string
}

// PlanOptions says how a plan is made.
type PlanOptions struct {
	// AllowMassDelete lifts the guard against deleting all automations, or
	// more than half of ten or more.
	AllowMassDelete bool
	// KeepOrphans leaves automations alone that the code does not have any
	// more, and lists them as orphaned. By default they are deleted.
	KeepOrphans bool
	// AllowSecondProject lifts the guard against a project that has nothing on the
	// platform yet while another one has the same keys there: most probably it is
	// the same project under a former name.
	AllowSecondProject bool
	// Adopt takes over what holds the endpoint or the name of an automation that is
	// to be created, or carries a copy of its marker.
	Adopt bool
	// Replace are the keys of automations that are written again, changed or not.
	Replace []string
	// ReplaceSecrets stores every secret again, changed or not.
	ReplaceSecrets bool
	// NoSecrets makes a plan without the values of secrets: whether one would be
	// rotated stays unknown.
	NoSecrets bool
	// Calls says how the platform is read.
	Calls
}

// A Plan is what it takes to make a platform match the code. It is plain data:
// it marshals to JSON and back, and holds no secret's value.
type Plan struct {
	// Format is [PlanFormat].
	Format  string `json:"format"`
	Project string `json:"project"`
	Target  string `json:"target"`
	// Code identifies the automations that the plan was made for: "sha256:"
	// and a hex digest.
	Code string `json:"code"`
	// Product names the platform and its version, "" if it does not tell.
	Product string `json:"product,omitempty"`
	// Warnings are full sentences without a stop at the end.
	Warnings []string `json:"warnings,omitempty"`
	// Changes is sorted by key. A key appears more than once only where
	// duplicates are deleted.
	Changes []Change `json:"changes"`
	// Secrets is sorted by name.
	Secrets []SecretChange `json:"secrets"`
	// SecretsUnknown says that the plan was made without the values of secrets:
	// which of them would be rotated is not known.
	SecretsUnknown bool `json:"secretsUnknown,omitempty"`
	// Unchanged lists the keys whose automations are as the code wants them.
	Unchanged []string `json:"unchanged"`
	// Altered lists the automations that are as they were applied, and of which the
	// platform has made something else than the code says. Nothing can be changed
	// about it there. It is sorted by key.
	Altered []Altered `json:"altered,omitempty"`
	// Others lists what is on the platform, is not the project's own, and concerns
	// it. It is left alone. It is sorted by kind and title.
	Others []Bystander `json:"others,omitempty"`
	// Orphaned lists the keys that the code does not have any more and that
	// are left alone, as [PlanOptions.KeepOrphans] demands.
	Orphaned []string `json:"orphaned,omitempty"`
	// Blocks says why the plan must not be applied; it is empty if it may be.
	Blocks []Block `json:"blocks,omitempty"`
}

// An Action is what a change does.
type Action string

// The actions. Automations are created, updated and deleted; secrets are
// created, rotated and deleted.
const (
	Create Action = "create"
	Update Action = "update"
	Rotate Action = "rotate"
	Delete Action = "delete"
)

// A Reason says why an automation is changed.
type Reason string

// The reasons.
const (
	// New: the platform does not have it.
	New Reason = "new"
	// CodeChanged: the code is not what was last applied.
	CodeChanged Reason = "code"
	// Drifted: the platform is not what was last applied.
	Drifted Reason = "drift"
	// CodeChangedAndDrifted: both have moved, and differ.
	CodeChangedAndDrifted Reason = "code and drift"
	// MarkerOnly: the content is as desired, but the marker tells of another
	// one. Only the marker is written.
	MarkerOnly Reason = "marker"
	// Outdated: an older version of segue has written it, and the platform lacks
	// something for it. The content is as desired.
	Outdated Reason = "outdated"
	// Removed: the code does not have it any more.
	Removed Reason = "removed"
	// Duplicate: segue has made another automation of the same key, because an
	// answer was lost, and that one stays.
	Duplicate Reason = "duplicate"
	// Adopted: it is on the platform and was not the project's own until now.
	Adopted Reason = "adopted"
	// Moved: it is on the platform under the project's former name.
	Moved Reason = "moved"
	// Replaced: it is as wanted, and written again on demand.
	Replaced Reason = "replaced"
)

// A Change is one automation to be created, updated or deleted.
type Change struct {
	Key    string `json:"key"`
	Action Action `json:"action"`
	Reason Reason `json:"reason"`
	// Name is the automation's name for people: the desired one, or the
	// stored one of an automation that is deleted.
	Name string `json:"name"`
	// Base is the stored automation that the change starts from, nil for one
	// that is created.
	Base *Base `json:"base,omitempty"`
	// Differences is what an update changes, by path.
	Differences []Difference `json:"differences,omitempty"`
	// Taken says who holds the endpoint or the name that the automation needs, nil
	// for nobody. The platform would refuse the change, and [Apply] leaves it out
	// and reports it as failed.
	Taken *Bystander `json:"taken,omitempty"`
	// After is the key of a created automation that seems to take the place of this
	// one, which is deleted: "" for none. Unless that was created, this one stays.
	After string `json:"after,omitempty"`
	// Kept is the ID of the automation that stays where a duplicate is deleted.
	Kept string `json:"kept,omitempty"`
}

// An Altered is an automation of which the platform has made something else than
// it was sent, without anybody having edited it.
type Altered struct {
	Key string `json:"key"`
	// Differences is what would have to be written in the code: Before is what the
	// platform has made, After what the code says.
	Differences []Difference `json:"differences"`
}

// A Bystander is what a plan tells of an [Other].
type Bystander struct {
	Kind OtherKind `json:"kind"`
	ID   string    `json:"id"`
	// Title is what people know it by on the platform.
	Title string `json:"title"`
	// Project and Key are those of the marker that it carries, "" for none.
	Project string `json:"project,omitempty"`
	Key     string `json:"key,omitempty"`
	// Takes is the key whose endpoint or name it holds, "" for none, and Endpoint is
	// what that is. It would hold it if it were switched on where Idle is set.
	Takes    string `json:"takes,omitempty"`
	Idle     bool   `json:"idle,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
}

// A Base is the state of a stored automation that a change starts from. A
// platform that has moved on refuses the change.
type Base struct {
	ID       string `json:"id"`
	Revision string `json:"revision"`
	// Hash is the marker's hash, of what was last applied.
	Hash string `json:"hash"`
	// Kind is "" for an automation that is the project's own.
	Kind OtherKind `json:"kind,omitempty"`
	// Project and Key are those of the marker where they are not the change's own.
	Project string `json:"project,omitempty"`
	Key     string `json:"key,omitempty"`
}

// A SecretChange is one secret to be created, rotated or deleted. It tells
// nothing of the value.
type SecretChange struct {
	Name   string `json:"name"`
	Action Action `json:"action"`
	// Project is the former name under which it is stored, "" for the project's
	// own secrets.
	Project string `json:"project,omitempty"`
	// Replaced says that it is stored again on demand.
	Replaced bool `json:"replaced,omitempty"`
	// UsedBy lists the keys of the automations that refer to it, sorted.
	UsedBy []string `json:"usedBy,omitempty"`
}

// Empty reports whether there is nothing to apply.
func (p *Plan) Empty() bool { return len(p.Changes) == 0 && len(p.Secrets) == 0 }

// Count returns how many changes of automations have the action.
func (p *Plan) Count(a Action) int {
	n := 0
	for _, c := range p.Changes {
		if c.Action == a {
			n++
		}
	}
	return n
}

// MakePlan reads what the platform stores for the project, compares it with
// what the code wants, and returns what is to be done. It changes nothing.
//
// Stored automations that are not the project's own are never changed by a plan,
// unless the options or the former name say so; where they are in the way, it
// names them. A plan with [Plan.Blocks] is returned like any other: it can be
// shown but not applied.
func MakePlan(ctx context.Context, p Platform, in Desired, opts PlanOptions) (*Plan, error) {
	if opts.NoSecrets {
		in.Secrets = in.unknownSecrets()
	}
	desired, err := in.byKey()
	if err != nil {
		return nil, err
	}
	for _, key := range opts.Replace {
		if _, ok := desired[key]; !ok {
			return nil, fmt.Errorf("there is no automation with the key %s to replace", key)
		}
	}
	plan := &Plan{
		Format: PlanFormat, Project: in.Project, Target: in.Target, Code: in.digest(),
		Changes: []Change{}, Secrets: []SecretChange{}, Unchanged: []string{}, SecretsUnknown: opts.NoSecrets && len(in.Secrets) > 0,
	}
	known := in.usedSecrets()
	if opts.NoSecrets {
		known = nil
	}
	seen, err := survey(ctx, p, in, known, opts.Calls.withDefaults())
	if err != nil {
		return nil, err
	}
	plan.Product, plan.Warnings = seen.Product, seen.Warnings

	m := planning{Plan: plan, in: in, opts: opts, others: seen.Others, claimed: map[string]bool{}}
	var orphans []Stored
	for _, key := range slices.Sorted(maps.Keys(union(desired, seen.own))) {
		a, wanted := desired[key]
		copies := seen.own[key]
		switch {
		case len(copies) == 0:
			err = m.create(a)
		case wanted:
			err = m.keep(a, copies)
		case opts.KeepOrphans:
			plan.Orphaned = append(plan.Orphaned, key)
			orphans = append(orphans, copies...)
		default:
			copies = preferred(copies, in.Project)
			m.drop(key, Removed, copies[:1], "")
			m.drop(key, Duplicate, copies[1:], "")
		}
		if err != nil {
			return nil, err
		}
	}
	m.pair(desired, seen.own)
	m.mention()
	plan.Secrets = secretChanges(in, seen.secrets, orphans, opts.ReplaceSecrets)
	plan.Secrets = append(plan.Secrets, formerSecrets(in.Former, seen.formerSecrets, orphans)...)
	plan.Blocks = append(blocks(plan, seen.own, opts), m.renamed(seen.own)...)
	return plan, nil
}

// A surveyed platform is what there is on it as far as a plan has to know.
type surveyed struct {
	Survey
	// own are the project's automations by key, those under its former name too.
	own map[string][]Stored
	// secrets are the stored secrets, and formerSecrets those under the former name.
	secrets, formerSecrets map[string]SecretState
}

// survey reads what is on the platform. Stored secrets are compared with the known
// ones.
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
			return s, fmt.Errorf("look around on %s: %w", in.Target, err)
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
		// Where segue's own can't be told from a copy, another one would be one too many.
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
}

// create plans for a key that the project does not have on the platform.
func (m *planning) create(a automation.Automation) error {
	if m.opts.Adopt {
		if o := m.adoptable(a.Key); o != nil {
			m.claimed[o.ID] = true
			return m.update(a, o.Stored, Adopted, o.Kind)
		}
	}
	m.Changes = append(m.Changes, Change{Key: a.Key, Action: Create, Reason: New, Name: a.Name, Taken: m.taker(a)})
	return nil
}

// adoptable returns what may be taken over as the automation of a key: who holds
// its endpoint, else who would if it were switched on, else the one copy of it. It is nil where more than
// one thing would do.
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

// taker returns who holds the endpoint that the automation needs, nil for nobody.
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
	case reason == "" && slices.Contains(m.opts.Replace, want.Key):
		reason = Replaced
	}
	switch {
	case reason == "" && kept.Automation.Hash() != want.Hash():
		differences, err := differences(kept.Automation, want, m.in.Secrets)
		if err != nil {
			return fmt.Errorf("%s: compare: %w", want.Key, err)
		}
		m.Altered = append(m.Altered, Altered{Key: want.Key, Differences: differences})
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
	differences, err := differences(old.Automation, want, m.in.Secrets)
	if err != nil {
		return fmt.Errorf("%s: compare: %w", want.Key, err)
	}
	m.Changes = append(m.Changes, Change{
		Key: want.Key, Action: Update, Reason: reason, Name: want.Name,
		Base: baseOf(old, m.in.Project, want.Key, kind), Differences: differences, Taken: m.taker(want),
	})
	return nil
}

// drop plans to delete the copies.
func (m *planning) drop(key string, reason Reason, copies []Stored, kept string) {
	for _, s := range copies {
		kind := OtherKind("")
		if s.Marker.Project != m.in.Project {
			kind = Foreign
		}
		m.Changes = append(m.Changes, Change{
			Key: key, Action: Delete, Reason: reason, Name: s.Automation.Name, Base: baseOf(s, m.in.Project, key, kind), Kept: kept,
		})
	}
}

// pair finds what is created in the place of what is deleted: an automation that
// does the same under another key.
func (m *planning) pair(desired map[string]automation.Automation, own map[string][]Stored) {
	for i := range m.Changes {
		old := &m.Changes[i]
		if old.Action != Delete || old.Reason != Removed {
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

// mention lists the others that are left alone.
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

// renamed finds another project on the platform that has the keys which are to be
// created. Where this project has nothing yet, it is most probably the same one
// under a former name: everything would be there twice, and both would fire.
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
		has := fmt.Sprintf("the project %q has %s on %s too", project, listed(keys), m.Target)
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

// listed names a few keys.
func listed(keys []string) string {
	const most = 3
	if len(keys) <= most {
		return strings.Join(keys, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(keys[:most], ", "), len(keys)-most)
}

// updateReason says why a stored automation is updated, "" if it is as wanted.
func updateReason(want string, s Stored) Reason {
	actual, applied := s.Automation.Hash(), s.Marker.Hash
	made := s.Marker.Made != "" && s.Marker.Made == actual
	switch {
	case applied == want && (actual == want || made) && s.Outdated:
		return Outdated
	case applied == want && (actual == want || made):
		return ""
	case actual == want:
		return MarkerOnly
	case applied == want:
		return Drifted
	case applied == actual || made:
		return CodeChanged
	default:
		return CodeChangedAndDrifted
	}
}

// matches reports whether a stored automation and its marker are as wanted.
func matches(want string, s Stored) bool { return updateReason(want, s) == "" }

// groupByKey returns the automations that the project owns, by key and in
// order of ID. A listing that shows one automation twice, as one that is
// paged through while others write may, counts it once.
func groupByKey(project string, stored []Stored) map[string][]Stored {
	byKey := map[string][]Stored{}
	seen := map[string]bool{}
	for _, s := range stored {
		if s.Marker.Project != project || s.Marker.Key == "" || seen[s.ID] {
			continue
		}
		seen[s.ID] = true
		s.Automation.Key = s.Marker.Key
		byKey[s.Marker.Key] = append(byKey[s.Marker.Key], s)
	}
	for _, copies := range byKey {
		slices.SortFunc(copies, func(a, b Stored) int { return strings.Compare(a.ID, b.ID) })
	}
	return byKey
}

// preferred returns the copies of one key with the one that is to stay in front:
// one that carries the project's name rather than its former one, one that is not
// archived, one that is enabled rather than one that is not, and of those the one
// with the lowest ID. It asks for nothing that the code wants: two applies of
// different code must choose the same one, or each would delete the other's.
func preferred(copies []Stored, project string) []Stored {
	rank := func(s Stored) int {
		switch {
		case s.Marker.Project != project:
			return 3
		case s.Archived:
			return 2
		case !s.Automation.Enabled:
			return 1
		}
		return 0
	}
	return slices.SortedFunc(slices.Values(copies), func(a, b Stored) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.ID, b.ID))
	})
}

// baseOf returns what a change has to know of a stored automation.
func baseOf(s Stored, project, key string, kind OtherKind) *Base {
	b := &Base{ID: s.ID, Revision: s.Revision, Hash: s.Marker.Hash, Kind: kind}
	if s.Marker.Project != project {
		b.Project = s.Marker.Project
	}
	if s.Marker.Key != key {
		b.Key = s.Marker.Key
	}
	return b
}

// stored returns what an Update or a Delete is told of the automation: all but
// its content, which a plan does not hold.
func (b *Base) stored(project, key string) Stored {
	s := Stored{ID: b.ID, Revision: b.Revision, Automation: automation.Automation{Key: key}}
	if b.Kind != Unmarked {
		s.Marker = Marker{Project: cmp.Or(b.Project, project), Key: cmp.Or(b.Key, key), Hash: b.Hash}
	}
	return s
}

// byKey returns the automations by key, or an error if they can't be planned.
func (in Desired) byKey() (map[string]automation.Automation, error) {
	byKey := make(map[string]automation.Automation, len(in.Automations))
	if in.Project == "" {
		return nil, fmt.Errorf("a project must have a name")
	}
	for _, a := range in.Automations {
		if a.Key == "" {
			return nil, fmt.Errorf("automation %q has no key", a.Name)
		}
		if _, taken := byKey[a.Key]; taken {
			return nil, fmt.Errorf("%s: two automations have this key", a.Key)
		}
		if a.Hash() == "" {
			return nil, fmt.Errorf("%s: has no canonical form", a.Key)
		}
		for _, name := range a.SecretNames() {
			if _, ok := in.Secrets[name]; !ok {
				return nil, fmt.Errorf("%s: the secret %s has no value", a.Key, name)
			}
		}
		byKey[a.Key] = a
	}
	return byKey, nil
}

// keys returns the keys that the code wants, sorted.
func (in Desired) keys() []string {
	keys := make([]string, 0, len(in.Automations))
	for _, a := range in.Automations {
		keys = append(keys, a.Key)
	}
	slices.Sort(keys)
	return keys
}

// digest identifies the automations by content, whatever their order.
func (in Desired) digest() string {
	lines := make([]string, 0, len(in.Automations))
	for _, a := range in.Automations {
		lines = append(lines, a.Hash()+" "+a.Key+"\n")
	}
	slices.Sort(lines)
	h := sha256.New()
	for _, line := range lines {
		_, _ = io.WriteString(h, line) // a hash never fails
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// union returns a map with the keys of both.
func union[A, B any](a map[string]A, b map[string]B) map[string]struct{} {
	all := make(map[string]struct{}, len(a)+len(b))
	for k := range a {
		all[k] = struct{}{}
	}
	for k := range b {
		all[k] = struct{}{}
	}
	return all
}

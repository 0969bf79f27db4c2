package sync

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seguehq/segue/automation"
)

// PlanFormat names the layout of a [Plan] as JSON. [Apply] refuses a plan of
// another format.
const PlanFormat = "segue/plan/v1"

// Desired is the desired state of one target, from a project's code.
type Desired struct {
	Project string
	// Target is the platform's name in the project, for example "prod".
	Target string
	// Automations may be in any order; a key may appear once.
	Automations []automation.Automation
	// Secrets holds the value of every secret that the automations refer to.
	// Other secrets are ignored.
	Secrets map[string]automation.Secret
	// Former is the former name of the project, "" for none. Automations with that
	// name on the platform are taken over.
	Former string
	// Moves has the present keys of automations by their former ones.
	Moves Moves
	// Elsewhere are the keys that the code has for other targets alone.
	Elsewhere []string

	// code is the digest of all automations in the code, if Automations only has those
	// of the plan.
	code string
}

// PlanOptions controls how a plan is made.
type PlanOptions struct {
	// AllowMassDelete lifts the guard against deleting all automations, or
	// more than half of ten or more.
	AllowMassDelete bool
	// KeepOrphans does not delete automations that are gone from the code, but
	// lists them as orphaned.
	KeepOrphans bool
	// AllowSecondProject lifts the guard against a project that has nothing on the
	// platform yet while another one has the same keys there: most probably it is
	// the same project under a former name.
	AllowSecondProject bool
	// Adopt takes over an automation that holds the endpoint or the name of one to
	// be created, or has a copy of its marker.
	Adopt bool
	// Replace are the keys of automations that are written again even if
	// unchanged.
	Replace []string
	// ReplaceSecrets stores every secret again even if unchanged.
	ReplaceSecrets bool
	// NoSecrets makes a plan without the values of secrets: whether one would be
	// rotated stays unknown.
	NoSecrets bool
	// Place, if not nil, returns the place in the code of a field of an automation's
	// canonical JSON, or of the automation itself if there are no steps. Steps are names
	// of fields and indices of lists. It returns nil if the place is unknown.
	Place func(key string, path ...any) *Place
	// Only restricts the plan to some automations. The others are not changed, and no
	// secret is deleted.
	Only Selection
	// Calls controls how the platform is read.
	Calls
}

// A Plan holds the changes that make a platform match the code. It is plain
// data: it marshals to JSON and back, and holds no secret's value.
type Plan struct {
	// Format is [PlanFormat].
	Format  string `json:"format"`
	Project string `json:"project"`
	Target  string `json:"target"`
	// Former is the name that the project had before, "" for none.
	Former string `json:"former,omitempty"`
	// Code identifies the automations that the plan was made for: "sha256:"
	// and a hex digest.
	Code string `json:"code"`
	// Product names the platform and its version, "" if unknown.
	Product string `json:"product,omitempty"`
	// Warnings are full sentences without a stop at the end.
	Warnings []string `json:"warnings,omitempty"`
	// Changes is sorted by key. A key appears more than once only where
	// duplicates are deleted.
	Changes []Change `json:"changes"`
	// Secrets is sorted by name.
	Secrets []SecretChange `json:"secrets"`
	// SecretsUnknown is true if the plan was made without the values of
	// secrets: it is unknown which of them would be rotated.
	SecretsUnknown bool `json:"secretsUnknown,omitempty"`
	// Unchanged lists the keys whose automations are up to date.
	Unchanged []string `json:"unchanged"`
	// Altered lists the automations that are unchanged since the last apply, but
	// that the platform has stored in another form than the code. A write can't
	// change that. It is sorted by key.
	Altered []Altered `json:"altered,omitempty"`
	// Others lists automations on the platform that are not the project's own but
	// concern it. They are not changed. It is sorted by kind and title.
	Others []Bystander `json:"others,omitempty"`
	// Orphaned lists the keys that the code does not have any more and that
	// are left alone, as [PlanOptions.KeepOrphans] demands.
	Orphaned []string `json:"orphaned,omitempty"`
	// Elsewhere lists the keys that the code has only for other targets and that are
	// not deleted here, for the same reason.
	Elsewhere []string `json:"elsewhere,omitempty"`
	// Renames are automations that seem to have got another key, and would keep their
	// identifiers with a line in segue.cue.
	Renames []Rename `json:"renames,omitempty"`
	// Only are the patterns that the plan is restricted to, none for a plan of the
	// whole project, and LeftOut is how many automations of the project that are on
	// the platform it leaves as they are.
	Only    []string `json:"only,omitempty"`
	LeftOut int      `json:"leftOut,omitempty"`
	// Blocks says why the plan must not be applied; it is empty if it may be.
	Blocks []Block `json:"blocks,omitempty"`
}

// An Action is the kind of a change.
type Action string

// The actions. Automations are created, updated and deleted; secrets are
// created, rotated and deleted.
const (
	Create Action = "create"
	Update Action = "update"
	Rotate Action = "rotate"
	Delete Action = "delete"
)

// A Reason is the reason for changing an automation.
type Reason string

// The reasons.
const (
	// New: the platform does not have it.
	New Reason = "new"
	// CodeChanged: the code differs from the last apply.
	CodeChanged Reason = "code"
	// Drifted: the platform differs from the last apply.
	Drifted Reason = "drift"
	// CodeChangedAndDrifted: both have changed, and differ.
	CodeChangedAndDrifted Reason = "code and drift"
	// MarkerOnly: the content is as desired, but the marker tells of another
	// one. Only the marker is written.
	MarkerOnly Reason = "marker"
	// Outdated: an older version of segue has written it, and the platform lacks
	// something for it. The content is as desired.
	Outdated Reason = "outdated"
	// Removed: the code does not have it any more.
	Removed Reason = "removed"
	// Elsewhere: the code has it only for other targets.
	Elsewhere Reason = "elsewhere"
	// Duplicate: segue has made another automation of the same key, because an
	// answer was lost, and that one stays.
	Duplicate Reason = "duplicate"
	// Adopted: it is on the platform and was not the project's own until now.
	Adopted Reason = "adopted"
	// Moved: it is on the platform under the project's former name, or under a former
	// key.
	Moved Reason = "moved"
	// Replaced: it is up to date, and written again on demand.
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
	// Content is the desired automation, nil for one that is deleted.
	Content *automation.Automation `json:"content,omitempty"`
	// Endpoint is the URL that fires the automation, from an [Addresser]; "" if it is
	// unknown, or there is none.
	Endpoint string `json:"endpoint,omitempty"`
	// Place is the automation's place in the code, nil if it is unknown.
	Place *Place `json:"place,omitempty"`
	// Base is the stored automation that the change starts from, nil for one
	// that is created.
	Base *Base `json:"base,omitempty"`
	// Differences are the changes of an update, by path.
	Differences []Difference `json:"differences,omitempty"`
	// Taken is the automation that holds the endpoint or the name that this one
	// needs, or nil. The platform would refuse the change, so [Apply] leaves it
	// out and reports it as failed.
	Taken *Bystander `json:"taken,omitempty"`
	// Address is set where an update changes the URL of the automation's endpoint.
	Address *AddressChange `json:"address,omitempty"`
	// After is the key of a created automation that seems to take the place of this
	// one, which is deleted: "" for none. Unless that was created, this one stays.
	After string `json:"after,omitempty"`
	// Kept is the ID of the automation that stays where a duplicate is deleted.
	Kept string `json:"kept,omitempty"`
}

// An Altered is an automation that the platform has stored in another form than
// it was sent, although nobody has edited it.
type Altered struct {
	Key string `json:"key"`
	// Differences are the necessary changes of the code: Before is the value on
	// the platform, After the value in the code.
	Differences []Difference `json:"differences"`
	// Content is the automation as the code has it.
	Content *automation.Automation `json:"content,omitempty"`
}

// A Bystander is the information about an [Other] in a plan.
type Bystander struct {
	Kind OtherKind `json:"kind"`
	ID   string    `json:"id"`
	// Title is its name for people on the platform.
	Title string `json:"title"`
	// Project and Key are those of its marker, "" for none.
	Project string `json:"project,omitempty"`
	Key     string `json:"key,omitempty"`
	// Takes is the key whose endpoint or name it holds, "" for none, and Endpoint
	// describes that endpoint or name. If Idle is set, it would hold it only if it
	// were enabled.
	Takes    string `json:"takes,omitempty"`
	Idle     bool   `json:"idle,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
}

// A Base is the state of a stored automation that a change starts from. The
// platform refuses the change if its state has changed.
type Base struct {
	ID       string `json:"id"`
	Revision string `json:"revision"`
	// Hash is the marker's hash, of the last applied content.
	Hash string `json:"hash"`
	// Content is the stored automation, as canonical JSON in which secrets are hidden
	// as in a [Difference]; nil if it can't be read.
	Content json.RawMessage `json:"content,omitempty"`
	// Changed is the time of the last write on the platform, as RFC 3339 in UTC, "" if
	// unknown.
	Changed string `json:"changed,omitempty"`
	// Kind is "" for an automation that is the project's own.
	Kind OtherKind `json:"kind,omitempty"`
	// Project and Key are those of the marker where they are not the change's own.
	Project string `json:"project,omitempty"`
	Key     string `json:"key,omitempty"`
}

// A SecretChange is one secret to be created, rotated or deleted. It reveals
// nothing about the value.
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
	// BasicUser says that it is the user name of Basic credentials in one of them.
	BasicUser bool `json:"basicUser,omitempty"`
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

// MakePlan reads the platform's state of the project, compares it with the
// code, and returns the necessary changes. It changes nothing.
//
// Stored automations that are not the project's own are never changed by a plan,
// unless the options or the former name say so; the plan names those that are in
// the way. A plan with [Plan.Blocks] is returned like any other: it can be shown
// but not applied.
func MakePlan(ctx context.Context, p Platform, in Desired, opts PlanOptions) (*Plan, error) {
	in = in.Selected(opts.Only)
	if opts.NoSecrets {
		in.Secrets = in.unknownSecrets()
	}
	desired, err := in.byKey()
	if err != nil {
		return nil, err
	}
	if err := in.Moves.circle(); err != nil {
		return nil, err
	}
	if opts.Only.All() {
		if err := in.Moves.check(desired, in.Elsewhere); err != nil {
			return nil, err
		}
	}
	for _, key := range opts.Replace {
		if _, ok := desired[key]; !ok {
			return nil, &NoMatchError{Pattern: key, Target: in.Target, Replace: true}
		}
	}
	plan := &Plan{
		Format: PlanFormat, Project: in.Project, Target: in.Target, Former: in.Former, Code: in.digest(),
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
	moved, err := in.Moves.apply(seen.own, desired, opts.Only, in.Target)
	if err != nil {
		return nil, err
	}
	own, err := plan.restrict(opts.Only, in, moved)
	if err != nil {
		return nil, err
	}

	m := planning{Plan: plan, in: in, opts: opts, others: seen.Others, claimed: map[string]bool{}}
	m.addresser, _ = p.(Addresser)
	if err := m.readUnmanaged(ctx, p, opts.Calls); err != nil {
		return nil, err
	}
	var orphans []Stored
	for _, key := range slices.Sorted(maps.Keys(union(desired, own))) {
		a, wanted := desired[key]
		copies := own[key]
		switch {
		case len(copies) == 0:
			err = m.create(a)
		case wanted:
			err = m.keep(a, copies)
		case opts.KeepOrphans:
			m.leave(key)
			orphans = append(orphans, copies...)
		default:
			copies = preferred(copies, in.Project)
			m.drop(key, in.gone(key), copies[:1], "")
			m.drop(key, Duplicate, copies[1:], "")
		}
		if err != nil {
			return nil, err
		}
	}
	m.complete(desired)
	m.pair(desired, own)
	m.mention()
	plan.Renames = plan.renames(desired, own)
	for i, c := range plan.Changes {
		plan.Changes[i].Address = addressChange(p, in.Project, c)
	}
	plan.Secrets = secretChanges(in, seen.secrets, orphans, opts.ReplaceSecrets)
	plan.Secrets = append(plan.Secrets, formerSecrets(in.Former, seen.formerSecrets, orphans)...)
	if !opts.Only.All() {
		plan.Secrets = withoutDeletes(plan.Secrets)
	}
	plan.Blocks = slices.Concat(blocks(plan, seen.own, opts), m.renamed(seen.own), m.astray(seen.own, opts.Only))
	return plan, nil
}

// updateReason returns the reason for updating a stored automation, "" if it is
// up to date.
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

// matches reports whether a stored automation and its marker are up to date.
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

// preferred returns the copies of one key with the one that is to stay in front: one
// that carries the project's name rather than its former one, one that is not
// archived, one that is enabled rather than one that is not, and of those the one with
// the lowest ID. Where those are numbers, that is the oldest one: whoever has written
// it may have ended by now, and must not lose it unawares. It does not depend on the
// code: two applies of different code must choose the same one, or each would delete
// the other's.
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
		return cmp.Or(cmp.Compare(rank(a), rank(b)), compareIDs(a.ID, b.ID))
	})
}

// compareIDs compares two identifiers, as numbers if both are.
func compareIDs(a, b string) int {
	if number(a) && number(b) {
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	}
	return strings.Compare(a, b)
}

// number reports whether an identifier is a number, as platforms count.
func number(id string) bool {
	return id != "" && id[0] != '0' && strings.Trim(id, "0123456789") == ""
}

// baseOf returns the base of a change from a stored automation.
func (m *planning) baseOf(s Stored, key string, kind OtherKind) *Base {
	b := &Base{ID: s.ID, Revision: s.Revision, Hash: s.Marker.Hash, Kind: kind, Content: shownContent(s.Automation, m.in.Secrets)}
	if !s.Changed.IsZero() {
		b.Changed = s.Changed.UTC().Format(time.RFC3339)
	}
	if s.Marker.Project != m.in.Project {
		b.Project = s.Marker.Project
	}
	if s.Marker.Key != key {
		b.Key = s.Marker.Key
	}
	return b
}

// stored returns the automation for an Update or a Delete: everything except
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

// keys returns the keys in the code, sorted.
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
	if in.code != "" {
		return in.code
	}
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

package sync

import (
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
}

// PlanOptions says how a plan is made.
type PlanOptions struct {
	// AllowMassDelete lifts the guard against deleting all automations, or
	// more than half of ten or more.
	AllowMassDelete bool
	// KeepOrphans leaves automations alone that the code does not have any
	// more, and lists them as orphaned. By default they are deleted.
	KeepOrphans bool
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
	// Changes is sorted by key. A key appears more than once only where
	// duplicates are deleted.
	Changes []Change `json:"changes"`
	// Secrets is sorted by name.
	Secrets []SecretChange `json:"secrets"`
	// Unchanged lists the keys whose automations are as the code wants them.
	Unchanged []string `json:"unchanged"`
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
	// Duplicate: the platform holds another automation of the same key, and
	// that one stays.
	Duplicate Reason = "duplicate"
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
}

// A Base is the state of a stored automation that a change starts from. A
// platform that has moved on refuses the change.
type Base struct {
	ID       string `json:"id"`
	Revision string `json:"revision"`
	// Hash is the marker's hash, of what was last applied.
	Hash string `json:"hash"`
}

// A SecretChange is one secret to be created, rotated or deleted. It tells
// nothing of the value.
type SecretChange struct {
	Name   string `json:"name"`
	Action Action `json:"action"`
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
// Stored automations without a marker of the project are never part of a plan.
// A plan with [Plan.Blocks] is returned like any other: it can be shown but not
// applied.
func MakePlan(ctx context.Context, p Platform, in Desired, opts PlanOptions) (*Plan, error) {
	desired, err := in.byKey()
	if err != nil {
		return nil, err
	}
	calls := opts.Calls.withDefaults()
	stored, err := read(ctx, ctx, calls, reading{timeout: listTimeouts * calls.Timeout, again: temporary}, func(ctx context.Context) ([]Stored, error) {
		return p.List(ctx, in.Project)
	})
	if err != nil {
		return nil, fmt.Errorf("list automations on %s: %w", in.Target, err)
	}
	want := in.usedSecrets()
	secrets, err := read(ctx, ctx, calls, reading{timeout: calls.Timeout, again: temporary}, func(ctx context.Context) (map[string]SecretState, error) {
		return p.Secrets(ctx, in.Project, want)
	})
	if err != nil {
		return nil, fmt.Errorf("compare secrets on %s: %w", in.Target, err)
	}

	plan := &Plan{
		Format: PlanFormat, Project: in.Project, Target: in.Target, Code: in.digest(),
		Changes: []Change{}, Secrets: []SecretChange{}, Unchanged: []string{},
	}
	actual := groupByKey(in.Project, stored)
	var orphans []Stored
	for _, key := range slices.Sorted(maps.Keys(union(desired, actual))) {
		a, wanted := desired[key]
		copies := actual[key]
		switch {
		case len(copies) == 0:
			plan.Changes = append(plan.Changes, Change{Key: key, Action: Create, Reason: New, Name: a.Name})
		case wanted:
			if err := plan.keep(a, copies, in.Secrets); err != nil {
				return nil, err
			}
		case opts.KeepOrphans:
			plan.Orphaned = append(plan.Orphaned, key)
			orphans = append(orphans, copies...)
		default:
			plan.drop(key, Removed, copies[:1])
			plan.drop(key, Duplicate, copies[1:])
		}
	}
	plan.Secrets = secretChanges(in, want, secrets, orphans)
	plan.Blocks = blocks(plan, actual, opts)
	return plan, nil
}

// keep plans for a key that the code has and the platform too.
func (p *Plan) keep(want automation.Automation, copies []Stored, secrets map[string]automation.Secret) error {
	copies = preferred(copies, want.Hash())
	kept := copies[0]
	reason := updateReason(want.Hash(), kept)
	if reason == "" {
		p.Unchanged = append(p.Unchanged, want.Key)
	} else {
		differences, err := differences(kept.Automation, want, secrets)
		if err != nil {
			return fmt.Errorf("%s: compare: %w", want.Key, err)
		}
		p.Changes = append(p.Changes, Change{
			Key: want.Key, Action: Update, Reason: reason, Name: want.Name,
			Base: baseOf(kept), Differences: differences,
		})
	}
	p.drop(want.Key, Duplicate, copies[1:])
	return nil
}

// drop plans to delete the copies.
func (p *Plan) drop(key string, reason Reason, copies []Stored) {
	for _, s := range copies {
		p.Changes = append(p.Changes, Change{
			Key: key, Action: Delete, Reason: reason, Name: s.Automation.Name, Base: baseOf(s),
		})
	}
}

// updateReason says why a stored automation is updated, "" if it is as wanted.
func updateReason(want string, s Stored) Reason {
	actual, applied := s.Automation.Hash(), s.Marker.Hash
	switch {
	case actual == want && applied == want && s.Outdated:
		return Outdated
	case actual == want && applied == want:
		return ""
	case actual == want:
		return MarkerOnly
	case applied == want:
		return Drifted
	case applied == actual:
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

// preferred returns the copies of one key, which are in order of ID, with the
// one that is to stay in front: one that is as wanted if there is one, else one
// with the wanted content, else one that is still as it was applied, else the
// one with the lowest ID.
func preferred(copies []Stored, want string) []Stored {
	best := 0
	for _, good := range []func(Stored) bool{
		func(s Stored) bool { return matches(want, s) },
		func(s Stored) bool { return s.Automation.Hash() == want },
		func(s Stored) bool { return s.Automation.Hash() == s.Marker.Hash },
	} {
		if i := slices.IndexFunc(copies, good); i >= 0 {
			best = i
			break
		}
	}
	return slices.Concat(copies[best:best+1], copies[:best], copies[best+1:])
}

func baseOf(s Stored) *Base {
	return &Base{ID: s.ID, Revision: s.Revision, Hash: s.Marker.Hash}
}

// stored returns what an Update or a Delete is told of the automation: all but
// its content, which a plan does not hold.
func (b *Base) stored(project, key string) Stored {
	return Stored{
		ID: b.ID, Revision: b.Revision,
		Marker:     Marker{Project: project, Key: key, Hash: b.Hash},
		Automation: automation.Automation{Key: key},
	}
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

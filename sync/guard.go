package sync

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
)

// A BlockKind is the guard that stops a plan.
type BlockKind string

// The guards.
const (
	// Protected: an automation that is stored with Protect would be deleted.
	Protected BlockKind = "protected"
	// MassDelete: all automations would be deleted, or more than half of ten
	// or more.
	MassDelete BlockKind = "mass-delete"
	// RenamedProject: the project has nothing on the platform, and another one has
	// the keys that would be created.
	RenamedProject BlockKind = "renamed-project"
	// StrayMove: a former key is not on the platform, and an automation that
	// seems to be the same would be deleted.
	StrayMove BlockKind = "stray-move"
)

// massDeleteFrom is the number of stored automations from which on deleting
// more than half of them is guarded.
const massDeleteFrom = 10

// A Block is a reason not to apply a plan.
type Block struct {
	Kind BlockKind `json:"kind"`
	// Keys are the automations that would be deleted, or be there twice; sorted.
	Keys []string `json:"keys"`
	// Message describes the problem, and Remedy the solution.
	Message string `json:"message"`
	Remedy  string `json:"remedy"`
}

// A BlockedError is the error of [Apply] for a plan that has blocks.
type BlockedError struct{ Blocks []Block }

// String gives the message and the remedy.
func (b Block) String() string { return b.Message + "; " + b.Remedy }

// Error gives every block, one a line.
func (e *BlockedError) Error() string {
	texts := make([]string, len(e.Blocks))
	for i, b := range e.Blocks {
		texts[i] = b.String()
	}
	return strings.Join(texts, "\n")
}

// blocks checks the plan's deletions. A duplicate that is deleted counts for
// nothing as long as another copy stays.
func blocks(p *Plan, actual map[string][]Stored, opts PlanOptions) []Block {
	var found []Block
	var deleted []string
	for _, c := range p.Changes {
		if !c.removes() {
			continue
		}
		deleted = append(deleted, c.Key)
		if slices.ContainsFunc(actual[c.Key], func(s Stored) bool { return s.Automation.Protect }) {
			remedy := "put it back with `protect: false`, apply, then remove it"
			if c.Reason == Elsewhere {
				remedy = "put the target back under its `only`, with `protect: false`, apply, then take it out"
			}
			found = append(found, Block{
				Kind: Protected, Keys: []string{c.Key},
				Message: fmt.Sprintf("%s is protected and would be deleted from %s", c.Key, p.Target),
				Remedy:  remedy,
			})
		}
	}
	if opts.AllowMassDelete {
		return found
	}
	var message string
	switch n, of := len(deleted), len(actual); {
	case n == 0:
	case n == of:
		message = fmt.Sprintf("all automations of the project on %s (%d) would be deleted", p.Target, n)
	case of >= massDeleteFrom && 2*n > of:
		message = fmt.Sprintf("%d of %d automations on %s would be deleted", n, of, p.Target)
	}
	if message != "" {
		found = append(found, Block{
			Kind: MassDelete, Keys: deleted, Message: message,
			Remedy: "if that is what you want, say so with --allow-mass-delete",
		})
	}
	return found
}

// unknownSecrets returns an empty value for each secret that the automations
// refer to.
func (in Desired) unknownSecrets() map[string]automation.Secret {
	unknown := map[string]automation.Secret{}
	for _, use := range SecretUses(in.Automations) {
		unknown[use.Secret] = automation.Secret{}
	}
	return unknown
}

// usedSecrets returns the values of the secrets that the automations refer to.
func (in Desired) usedSecrets() map[string]automation.Secret {
	used := map[string]automation.Secret{}
	for _, a := range in.Automations {
		for _, name := range a.SecretNames() {
			used[name] = in.Secrets[name]
		}
	}
	return used
}

// secretChanges compares the wanted secrets with the stored ones. A stored one
// that nothing refers to any more is deleted, unless an orphan needs it. If
// somebody has edited an orphan, its secrets are uncertain, because it may not
// read back completely; then no secret is deleted.
func secretChanges(in Desired, stored map[string]SecretState, orphans []Stored, replace bool) []SecretChange {
	usedBy, basicUser := map[string][]string{}, map[string]bool{}
	for _, use := range SecretUses(in.Automations) {
		basicUser[use.Secret] = basicUser[use.Secret] || use.BasicUser
	}
	for _, a := range in.Automations {
		for _, name := range a.SecretNames() {
			usedBy[name] = append(usedBy[name], a.Key)
		}
	}
	changes := []SecretChange{}
	for _, name := range slices.Sorted(maps.Keys(union(usedBy, stored))) {
		_, wanted := usedBy[name]
		state, there := stored[name]
		change := SecretChange{Name: name, UsedBy: usedBy[name], BasicUser: basicUser[name]}
		slices.Sort(change.UsedBy)
		switch {
		case !there:
			change.Action = Create
		case wanted && state == Different:
			change.Action = Rotate
		case wanted && replace:
			change.Action, change.Replaced = Rotate, true
		case !wanted && len(needing(name, orphans)) == 0:
			change.Action = Delete
		default:
			continue
		}
		changes = append(changes, change)
	}
	return changes
}

// formerSecrets are the secrets under the project's former name, which are deleted
// unless an orphan needs them.
func formerSecrets(former string, stored map[string]SecretState, orphans []Stored) []SecretChange {
	var changes []SecretChange
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		if len(needing(name, orphans)) == 0 {
			changes = append(changes, SecretChange{Name: name, Action: Delete, Project: former})
		}
	}
	return changes
}

// needing returns the keys of the stored automations that may need the secret:
// those that refer to it, and those that are not as segue left them.
func needing(secret string, stored []Stored) []string {
	var keys []string
	for _, s := range stored {
		if slices.Contains(s.Automation.SecretNames(), secret) || s.Automation.Hash() != s.Marker.Hash {
			keys = append(keys, s.Marker.Key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

package sync

import (
	"cmp"
	"slices"
	"strings"
)

// DriftFormat names the layout of a [Drift] as JSON.
const DriftFormat = "segue/drift/v1"

// A Drift holds the differences between a platform and the state that segue left there,
// regardless of later changes in the code.
type Drift struct {
	// Format is [DriftFormat].
	Format  string `json:"format"`
	Project string `json:"project"`
	Target  string `json:"target"`
	// Product and Warnings are as in a [Plan].
	Product  string   `json:"product,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	// Found is sorted by key. Secrets come last, by name.
	Found []Drifting `json:"found"`
	// SecretsUnknown says that stored secrets were not compared.
	SecretsUnknown bool `json:"secretsUnknown,omitempty"`
	// Others is as in a [Plan].
	Others []Bystander `json:"others,omitempty"`
}

// A DriftKind is a kind of drift.
type DriftKind string

// The kinds of drift.
const (
	// Edited: somebody has changed it on the platform.
	Edited DriftKind = "edited"
	// EditedToo: somebody has changed it on the platform, and the code has changed as
	// well, so that the differences are those of both.
	EditedToo DriftKind = "edited and code"
	// Missing: it is in the code but not on the platform. It was never applied, or
	// somebody has deleted it.
	Missing DriftKind = "missing"
	// NotInCode: it has the project's marker but is not in the code.
	NotInCode DriftKind = "not in the code"
	// NotForTarget: it has the project's marker, but the code has it only for other
	// targets.
	NotForTarget DriftKind = "not for this target"
	// SecondCopy: there is more than one of the key.
	SecondCopy DriftKind = "second copy"
	// FormerName: it carries the marker of the project's former name.
	FormerName DriftKind = "former name"
	// OtherSecret: the stored value of a secret differs from the current one.
	OtherSecret DriftKind = "other secret"
	// NotStored: a secret that the code refers to is not stored.
	NotStored DriftKind = "secret not stored"
	// UnusedSecret: a stored secret that the code does not refer to.
	UnusedSecret DriftKind = "unused secret"
)

// A Drifting is one automation, or one secret, that is not as segue left it.
type Drifting struct {
	Kind DriftKind `json:"kind"`
	// Key is the automation's, "" for a secret; Secret is the secret's name.
	Key    string `json:"key,omitempty"`
	Secret string `json:"secret,omitempty"`
	// ID is the automation's ID on the platform, and Changed the time of its last write
	// there, in UTC; "" if unknown.
	ID      string `json:"id,omitempty"`
	Changed string `json:"changed,omitempty"`
	// Name is the automation's for people.
	Name string `json:"name,omitempty"`
	// Project is the former name that it carries.
	Project string `json:"project,omitempty"`
	// Place is its place in the code, nil if it is unknown.
	Place *Place `json:"place,omitempty"`
	// Differences are the changes: Before is the value in the code, After the value on
	// the platform.
	Differences []Difference `json:"differences,omitempty"`
}

// Empty reports whether the platform is as segue left it.
func (d *Drift) Empty() bool { return len(d.Found) == 0 }

// Drift returns the drift of the platform from a plan. It leaves out changes of the code,
// and changes that the platform itself makes to an automation.
func (p *Plan) Drift() *Drift {
	d := &Drift{Format: DriftFormat, Project: p.Project, Target: p.Target, Product: p.Product, Warnings: p.Warnings,
		Found: []Drifting{}, SecretsUnknown: p.SecretsUnknown, Others: p.Others}
	for _, c := range p.Changes {
		if kind := c.driftKind(); kind != "" {
			d.Found = append(d.Found, c.drifting(kind))
		}
	}
	for _, key := range p.Orphaned {
		d.Found = append(d.Found, Drifting{Kind: NotInCode, Key: key})
	}
	for _, key := range p.Elsewhere {
		d.Found = append(d.Found, Drifting{Kind: NotForTarget, Key: key})
	}
	slices.SortStableFunc(d.Found, func(a, b Drifting) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.ID, b.ID))
	})
	for _, s := range p.Secrets {
		kind := map[Action]DriftKind{Create: NotStored, Rotate: OtherSecret, Delete: UnusedSecret}[s.Action]
		if s.Replaced {
			continue // it is as it was
		}
		d.Found = append(d.Found, Drifting{Kind: kind, Secret: s.Name, Project: s.Project})
	}
	return d
}

// driftKind returns the kind of drift behind a change, "" for none.
func (c Change) driftKind() DriftKind {
	switch {
	case c.Base != nil && c.Base.Kind == Foreign:
		return FormerName
	case c.Reason == New:
		return Missing
	case c.Reason == Drifted:
		return Edited
	case c.Reason == CodeChangedAndDrifted:
		return EditedToo
	case c.Reason == Removed:
		return NotInCode
	case c.Reason == Elsewhere:
		return NotForTarget
	case c.Reason == Duplicate:
		return SecondCopy
	}
	return ""
}

func (c Change) drifting(kind DriftKind) Drifting {
	d := Drifting{Kind: kind, Key: c.Key, Name: c.Name, Place: c.Place}
	if c.Base != nil {
		d.ID, d.Changed, d.Project = c.Base.ID, c.Base.Changed, c.Base.Project
	}
	if kind == Edited || kind == EditedToo {
		for _, f := range c.Differences {
			f.Before, f.After = f.After, f.Before
			d.Differences = append(d.Differences, f)
		}
	}
	return d
}

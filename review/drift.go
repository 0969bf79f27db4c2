package review

import (
	"fmt"
	"io"

	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

// Drift writes, for a terminal, the differences between a platform and the state that
// segue left there.
func Drift(w io.Writer, d *sync.Drift, o TextOptions) error {
	t := newText(o)
	t.notices(&sync.Plan{Target: d.Target, Product: d.Product, Warnings: d.Warnings, Others: d.Others})
	target := diagnostic.Printable(d.Target)
	if d.Empty() {
		t.line(0, "No drift: "+target+" is as segue left it.")
		return t.flush(w)
	}
	for _, c := range together(driftsOf(d)) {
		t.line(0, t.yellow.Sprint("!")+" "+c.subject()+t.faint.Sprint(": "+c.Reason)+t.place(c.Place))
		t.others(c)
		for _, field := range c.Fields {
			t.field(1, field)
		}
	}
	fmt.Fprintf(&t.out, "\nDrift on %s: %s not as segue left %s.\n", target, found(d), them(len(d.Found)))
	return t.flush(w)
}

// driftsOf returns the updates that would undo a drift, prepared for display.
func driftsOf(d *sync.Drift) []Change {
	out := make([]Change, len(d.Found))
	for i, f := range d.Found {
		out[i] = Change{Action: sync.Update, Key: diagnostic.Printable(f.Key), Reason: diagnostic.Printable(drifted(f)),
			Place: placeText(f.Place), Fields: fieldsOf(f.Differences)}
		if f.Secret != "" {
			out[i].Action, out[i].Key = sync.Rotate, "secret "+diagnostic.Printable(f.Secret)
		}
	}
	return out
}

// placeText returns a place in the author's files, "" for none.
func placeText(p *sync.Place) string {
	if p == nil {
		return ""
	}
	return diagnostic.Printable(p.String())
}

// found counts the drifted things.
func found(d *sync.Drift) string {
	if len(d.Found) == 1 {
		return "1 thing is"
	}
	return diagnostic.Plural(len(d.Found), "thing") + " are"
}

func them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

// drifted describes a finding.
func drifted(f sync.Drifting) string {
	at := ""
	if f.Changed != "" {
		at = ", at " + f.Changed
	}
	switch f.Kind {
	case sync.Edited:
		return "somebody has changed it on the platform" + at
	case sync.EditedToo:
		return "somebody has changed it on the platform" + at + ", and the code has changed too; the differences below are those of both"
	case sync.Missing:
		return "it is not on the platform: it was never applied, or somebody deleted it there"
	case sync.NotInCode:
		return "it is on the platform" + id(f) + " with the project's marker, but not in the code"
	case sync.NotForTarget:
		return "it is on the platform" + id(f) + " with the project's marker, but the code has it only for other targets"
	case sync.SecondCopy:
		return "there is a second one on the platform" + id(f)
	case sync.FormerName:
		return "it is on the platform" + id(f) + " under the project's former name " + f.Project
	case sync.NotStored:
		return "the code refers to it, but the platform does not have it"
	case sync.OtherSecret:
		return "the value on the platform differs from the current one"
	case sync.UnusedSecret:
		if f.Project != "" {
			return "it is on the platform under the project's former name " + f.Project
		}
		return "it is on the platform, but the code does not refer to it"
	}
	return string(f.Kind)
}

func id(f sync.Drifting) string {
	if f.ID == "" {
		return ""
	}
	return " (" + f.ID + ")"
}

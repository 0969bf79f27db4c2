package compiler

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/seguehq/segue/compiler/evaluate"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/message"
	"github.com/seguehq/segue/compiler/naming"
)

// tables finds event names that differ in more than case and joints, and become one table in a warehouse.
func (a *advisor) tables() {
	var tables groups[string]
	for _, c := range a.all {
		if table := naming.Column(c.Facts.Event); table != "" {
			tables.add(table, c.Facts.Event, c)
		}
	}
	tables.mixed(func(table string, g group) {
		right := g.right(wellNamed)
		for _, f := range g {
			if finding.PlainName(f.name) == finding.PlainName(right.name) {
				continue // spellings has said so
			}
			for _, c := range f.users {
				at := finding.Path{"payload", "event"}
				w := a.remark(c, "same-table", at, finding.AtValue, right.users[0], at, "the other event",
					"the event %q becomes the table %s in a warehouse, as %q does in %s", f.name, table, right.name, right.among())
				w.Help = "write " + strconv.Quote(right.name) + " if they are one event, else give it another name"
			}
		}
	})
}

// users finds automations that name the user by an email address where others send an id, or the reverse.
func (a *advisor) users() {
	g := group{}
	for _, c := range a.all {
		if c.Facts.User != "" {
			g.add(string(c.Facts.User), c)
		}
	}
	if len(g) < 2 {
		return
	}
	slices.SortFunc(g, func(f, other form) int { return -cmp.Compare(f.name, other.name) }) // of equals, an id is right
	right := g.right(anyForm)
	for _, f := range g {
		if f.name == right.name {
			continue
		}
		for _, c := range f.users {
			at := finding.Path{"payload", "userId"}
			w := a.remark(c, "mixed-user-ids", at, finding.AtValue, right.users[0], at, "here it is "+right.name,
				"%s is %s here, and %s in %s", at, f.name, right.name, right.among())
			w.Help = "send one kind of id everywhere, best one that never changes: Segment treats these as two users"
		}
	}
}

// destinations finds names of destinations that are nearly those of other automations. The rarer one is wrong.
func (a *advisor) destinations() {
	var g group
	for _, c := range a.all {
		for _, name := range c.Facts.Destinations {
			g.add(name, c)
		}
	}
	slices.SortStableFunc(g, func(f, other form) int { return -cmp.Compare(len(f.users), len(other.users)) })
	for i, f := range g {
		j := slices.IndexFunc(g[:i], func(other form) bool {
			return finding.PlainName(f.name) == finding.PlainName(other.name) || finding.IsSlip(f.name, other.name)
		})
		if j < 0 {
			continue
		}
		right := g[j]
		for _, c := range f.users {
			w := a.remark(c, "destination-spelling", finding.Path{"payload", "integrations", f.name}, finding.AtLabel,
				right.users[0], finding.Path{"payload", "integrations", right.name}, "the other name",
				"the destination %q is called %q in %s", f.name, right.name, right.among())
			w.Suggestion, w.Help = right.name, "write "+strconv.Quote(right.name)+
				", if it is the same: Segment ignores names that it does not know"
		}
	}
}

// A subject is what the names of fields are compared in: the traits of all calls, the properties of one event,
// or those of one of the other calls.
type subject struct{ call, event string }

func subjectOf(f *message.Facts) (s subject, noun string) {
	if message.MessageBlock(f.Call) == "traits" {
		return subject{}, "trait"
	}
	return subject{f.Call, f.Event}, "property"
}

// cases finds traits and properties that are in camelCase in one automation and in snake_case in another, or
// that become one column in a warehouse.
func (a *advisor) cases() {
	type name struct {
		subject
		plain string
	}
	// Most names have one spelling: only those with another are worth a group.
	spelt := map[name]string{}
	several := map[name]bool{}
	each := func(f func(c *evaluate.Compiled, n name, field string)) {
		for _, c := range a.all {
			s, _ := subjectOf(&c.Facts)
			for _, field := range c.Facts.Fields {
				f(c, name{s, finding.PlainName(field.Name)}, lastStep(field.Name))
			}
		}
	}
	each(func(_ *evaluate.Compiled, n name, field string) {
		if first, ok := spelt[n]; !ok {
			spelt[n] = field
		} else if first != field {
			several[n] = true
		}
	})
	var fields groups[name]
	each(func(c *evaluate.Compiled, n name, field string) {
		if several[n] {
			fields.add(n, field, c)
		}
	})
	fields.mixed(func(n name, g group) {
		right := g.right(anyForm)
		for _, f := range g {
			if f.name != right.name && isMixed(f.name, right.name) {
				a.mixed(n.plain, f, right)
			}
		}
	})
}

// mixed reports the users of a spelling, which share the plain name with the right one.
func (a *advisor) mixed(plain string, f, right form) {
	for _, c := range f.users {
		if slices.Contains(right.users, c) {
			continue // it sends both, probably on purpose
		}
		_, noun := subjectOf(&c.Facts)
		at, other := namedField(c, plain, f.name), right.users[0]
		w := a.remark(c, "mixed-case", at, finding.AtLabel, other, namedField(other, plain, right.name),
			"the other spelling", "the %s %s is spelled %s in %s", noun, f.name, right.name, right.among())
		w.Suggestion, w.Help = right.name, "write "+right.name+" everywhere: Segment treats these as two "+
			strings.Replace(noun+"s", "ys", "ies", 1)
	}
}

// isMixed reports whether two spellings are in camelCase and in snake_case, or become one column.
func isMixed(a, b string) bool {
	cased := func(s string) bool { return isCamel(s) || isSnake(s) }
	return cased(a) && cased(b) || naming.Column(a) == naming.Column(b)
}

// namedField returns the path of a field by its plain name and its own spelling.
func namedField(c *evaluate.Compiled, plain, name string) finding.Path {
	for _, f := range c.Facts.Fields {
		if lastStep(f.Name) == name && finding.PlainName(f.Name) == plain {
			return fieldOf(c, f.Name, "")
		}
	}
	return nil
}

// lastStep returns the last part of a field's name.
func lastStep(name string) string { return name[strings.LastIndex(name, message.FactStep)+1:] }

func isCamel(name string) bool {
	return strings.ContainsFunc(name, unicode.IsUpper) && !strings.ContainsAny(name, "_- .") &&
		unicode.IsLower([]rune(name)[0])
}

func isSnake(name string) bool {
	return strings.Contains(strings.Trim(name, "_"), "_") && name == strings.ToLower(name) &&
		!strings.ContainsAny(name, "- .")
}

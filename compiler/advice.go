package compiler

import (
	"cmp"
	"hash/maphash"
	"maps"
	"math/bits"
	"slices"
	"strconv"

	"github.com/seguehq/segue/compiler/evaluate"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/message"
	"github.com/seguehq/segue/compiler/naming"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// An advisor compares the automations of a project.
type advisor struct {
	compilation *compilation
	all         []*evaluate.Compiled // in file order
	remarks     []remark
	// silenced has the codes that automations allow and that would have been reported.
	silenced map[*evaluate.Compiled][]string
}

// A remark is a finding about an automation that involves another one.
type remark struct {
	finding.Finding
	about *evaluate.Compiled
	// other is the automation that does it right, nil if there is none; related is the note about it.
	other   *evaluate.Compiled
	related finding.Finding
}

// compare adds advice from comparing automations to the otherwise complete findings. partial means that only a
// part of the project was compiled.
func (c *compilation) compare(all []*evaluate.Compiled, found diagnostic.List, partial bool) (diagnostic.List, error) {
	a := &advisor{compilation: c, all: all}
	slices.SortStableFunc(a.all, func(a, b *evaluate.Compiled) int {
		return cmp.Or(cmp.Compare(a.Place.File, b.Place.File),
			cmp.Compare(a.Place.Offset, b.Place.Offset), cmp.Compare(a.Automation.Key, b.Automation.Key))
	})
	a.duplicates()
	a.spellings()
	a.tables()
	a.types()
	a.cases()
	a.users()
	a.destinations()
	a.silence()
	if !partial && !found.HasErrors() {
		a.unused()
	}
	advice, err := a.place()
	if err != nil {
		return nil, err
	}
	// The advice about the other spelling, or about the name in the tracking plan, replaces the one about the
	// event's name.
	respelt := map[string]bool{}
	for _, d := range found {
		if d.Code == "unplanned-event" && d.Suggestion != "" {
			respelt[d.Key] = true
		}
	}
	for _, d := range advice {
		if d.Code == "event-spelling" {
			respelt[d.Key] = true
		}
	}
	found = slices.DeleteFunc(found, func(d diagnostic.Diagnostic) bool {
		return d.Code == "event-name" && respelt[d.Key]
	})
	return onceEach(append(found, advice...)), nil
}

// onceEach removes repeated warnings at one place, which several automations can share.
func onceEach(found diagnostic.List) diagnostic.List {
	type saying struct {
		code, message, file string
		at                  diagnostic.Range
	}
	said := map[saying]bool{}
	return slices.DeleteFunc(found, func(d diagnostic.Diagnostic) bool {
		s := saying{d.Code, d.Message, d.File, d.Range}
		if d.Severity != diagnostic.Warning || d.Range == (diagnostic.Range{}) || !said[s] {
			said[s] = true
			return false
		}
		return true
	})
}

// duplicates finds automations that do the same as an earlier one.
func (a *advisor) duplicates() {
	first := map[[16]byte]*evaluate.Compiled{}
	for _, c := range a.all {
		if c.Work == ([16]byte{}) {
			continue
		}
		other := first[c.Work]
		if other == nil {
			first[c.Work] = c
			continue
		}
		a.remark(c, "duplicate-automation", nil, finding.AtLabel, other, nil, "the other one",
			"the automation does the same as %s: the same trigger and the same request", other.Automation.Key).Help =
			"remove one of them, or switch it off with enabled: false; otherwise everything is sent twice"
	}
}

// A form is one way to write a thing, and the automations that use it.
type form struct {
	name  string
	users []*evaluate.Compiled
}

// A group has the forms of one thing, in file order.
type group []form

func (g *group) add(name string, user *evaluate.Compiled) {
	i := slices.IndexFunc(*g, func(f form) bool { return f.name == name })
	if i < 0 {
		i = len(*g)
		*g = append(*g, form{name: name})
	}
	if users := (*g)[i].users; len(users) == 0 || users[len(users)-1] != user {
		(*g)[i].users = append(users, user)
	}
}

// right returns the form to keep: the preferred form with the most users, the first if several are equal.
func (g group) right(preferred func(string) bool) form {
	best := g[0]
	for _, f := range g[1:] {
		if p, q := preferred(f.name), preferred(best.name); p && !q || p == q && len(f.users) > len(best.users) {
			best = f
		}
	}
	return best
}

func anyForm(string) bool { return true }

func wellNamed(event string) bool { problem, _ := naming.Event(event); return problem == "" }

// groups has the forms of several things, which are in the order in which they came.
type groups[K comparable] struct {
	of    map[K]*group
	order []K
}

func (g *groups[K]) add(thing K, name string, user *evaluate.Compiled) {
	if g.of[thing] == nil {
		if g.of == nil {
			g.of = map[K]*group{}
		}
		g.of[thing] = &group{}
		g.order = append(g.order, thing)
	}
	g.of[thing].add(name, user)
}

// mixed calls f with each thing that has several forms.
func (g *groups[K]) mixed(f func(thing K, forms group)) {
	for _, thing := range g.order {
		if forms := *g.of[thing]; len(forms) > 1 {
			f(thing, forms)
		}
	}
}

// spellings finds event names that only differ in case and in how words are joined.
func (a *advisor) spellings() {
	var events groups[string]
	for _, c := range a.all {
		if c.Facts.Event != "" {
			events.add(finding.PlainName(c.Facts.Event), c.Facts.Event, c)
		}
	}
	events.mixed(func(_ string, g group) {
		right := g.right(wellNamed)
		for _, f := range g {
			for _, c := range f.users {
				if f.name == right.name {
					continue
				}
				at := finding.Path{"payload", "event"}
				w := a.remark(c, "event-spelling", at, finding.AtValue, right.users[0], at, "the other spelling",
					"the event %q is spelled %q in %s", f.name, right.name, right.among())
				w.Suggestion, w.Help = right.name, "write "+strconv.Quote(right.name)+": Segment treats these as two events"
			}
		}
	})
}

// among names the users of a form: an automation, and the number of the others.
func (f form) among() string {
	key := f.users[0].Automation.Key
	if n := len(f.users) - 1; n > 0 {
		return key + " and " + diagnostic.Plural(n, "other automation")
	}
	return key
}

// types finds traits of a call, and properties of an event, with several types.
func (a *advisor) types() {
	seed := maphash.MakeSeed()
	id := func(f *message.Facts, field string) uint64 {
		var h maphash.Hash
		h.SetSeed(seed)
		for _, s := range []string{f.Call, message.FactStep, f.Event, message.FactStep, field} {
			h.WriteString(s)
		}
		return h.Sum64()
	}
	// Nearly all fields have one type: a bit set for each is enough to see that.
	kinds := map[uint64]message.JSONKind{}
	for _, c := range a.all {
		for _, f := range c.Facts.Fields {
			kinds[id(&c.Facts, f.Name)] |= f.Kind
		}
	}
	maps.DeleteFunc(kinds, func(_ uint64, k message.JSONKind) bool { return bits.OnesCount8(uint8(k)) < 2 })
	if len(kinds) == 0 {
		return
	}
	type subject struct{ call, event, field string }
	var fields groups[subject]
	for _, c := range a.all {
		for _, f := range c.Facts.Fields {
			if kinds[id(&c.Facts, f.Name)] != 0 {
				fields.add(subject{c.Facts.Call, c.Facts.Event, f.Name}, message.KindWords[f.Kind], c)
			}
		}
	}
	fields.mixed(func(s subject, g group) {
		right := g.right(anyForm)
		for _, f := range g {
			for _, c := range f.users {
				if f.name == right.name {
					continue
				}
				at := fieldOf(c, s.field, f.name)
				where := "in "
				if s.event != "" {
					where = "of the same event in "
				}
				other := right.users[0]
				w := a.remark(c, "property-type", at, finding.AtValue, other, fieldOf(other, s.field, right.name),
					"here it is "+right.name,
					"%s is %s here, and %s %s%s", at, f.name, right.name, where, right.among())
				w.Help = "send only one type: a warehouse or destination uses the type that it saw first, " +
					"and loses values of another type"
			}
		}
	})
}

// fieldOf returns the path, below the automation, of the first field of a name and type.
func fieldOf(c *evaluate.Compiled, name, kind string) finding.Path {
	block := message.MessageBlock(c.Facts.Call)
	found := finding.Path{"payload", block}
	var payload map[string]any
	decoded, err := c.Automation.Decode()
	if err != nil || source.UnmarshalNumber(decoded.Action.Payload, &payload) != nil {
		return found
	}
	message.EachField(payload[block], func(n string, v any, at finding.Path) bool {
		if n != name || kind != "" && message.KindWords[message.KindOf(v)] != kind {
			return true
		}
		found = found.With(at...)
		return false
	})
	return found
}

// remark adds a warning about the value at a path below an automation, and a note about the other one.
// Arguments of the message may be paths.
func (a *advisor) remark(
	c *evaluate.Compiled, code string, at finding.Path, spot finding.Spot,
	other *evaluate.Compiled, otherAt finding.Path, related, format string, args ...any,
) *remark {
	for i, arg := range args {
		if p, ok := arg.(finding.Path); ok {
			args[i] = p.String()
		}
	}
	a.remarks = append(a.remarks, remark{
		Finding: finding.Newf(code, pathOf(c, at), spot, format, args...), about: c, other: other,
		related: finding.Finding{At: pathOf(other, otherAt), Spot: spot, Diagnostic: diagnostic.Diagnostic{Message: related}},
	})
	return &a.remarks[len(a.remarks)-1]
}

// pathOf returns the path of a value below an automation.
func pathOf(c *evaluate.Compiled, at finding.Path) finding.Path {
	return finding.Path{"automations", c.Name}.With(at...)
}

// silence removes remarks that the automations allow.
func (a *advisor) silence() {
	a.silenced = map[*evaluate.Compiled][]string{}
	a.remarks = slices.DeleteFunc(a.remarks, func(r remark) bool {
		if !slices.Contains(r.about.Facts.Pending, r.Code) {
			return false
		}
		a.silenced[r.about] = append(a.silenced[r.about], r.Code)
		return true
	})
}

// unused reports allowed codes without a remark.
func (a *advisor) unused() {
	for _, c := range a.all {
		for _, code := range c.Facts.Pending {
			if slices.Contains(a.silenced[c], code) {
				continue
			}
			a.remarks = append(a.remarks, remark{about: c, Finding: message.UnusedAllow(pathOf(c, finding.Path{"allow", code}))})
		}
	}
}

// place finds the places of the remarks. It reads each package once.
func (a *advisor) place() (diagnostic.List, error) {
	type folder struct{ dir, pkg string }
	type wanted struct {
		about   *evaluate.Compiled
		finding finding.Finding
		found   *diagnostic.Diagnostic
	}
	out, others := make(diagnostic.List, len(a.remarks)), make(diagnostic.List, len(a.remarks))
	packages := map[folder][]wanted{}
	want := func(c *evaluate.Compiled, f finding.Finding, d *diagnostic.Diagnostic) {
		f.Key = c.Automation.Key
		at := folder{c.Of.Dir, c.Of.Name}
		packages[at] = append(packages[at], wanted{c, f, d})
	}
	for i, r := range a.remarks {
		want(r.about, r.Finding, &out[i])
		if r.other != nil {
			want(r.other, r.related, &others[i])
		}
	}
	if len(packages) == 0 {
		return nil, nil
	}
	x := a.compilation.Explainer()
	for _, at := range slices.SortedFunc(maps.Keys(packages), func(p, q folder) int {
		return cmp.Or(cmp.Compare(p.dir, q.dir), cmp.Compare(p.pkg, q.pkg))
	}) {
		p, err := x.Open(at.dir, at.pkg, nil)
		if err != nil {
			return nil, err
		}
		for _, w := range packages[at] {
			*w.found = p.Index.Place(w.finding, w.about.Place.Position(a.compilation.Loader))
		}
	}
	for i, d := range others {
		if d.File != "" {
			out[i].Related = append(out[i].Related, diagnostic.Related{Message: d.Message, File: d.File, Range: d.Range})
		}
	}
	return out, nil
}

package compiler

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
)

// advise warns of what is allowed in a message and yet rarely meant.
func (m *message) advise(payload any) {
	fields, ok := payload.(map[string]any)
	if !ok || m.call != "track" {
		return
	}
	at := m.at.with("payload")
	m.eventName(fields, at)
	m.personalData(fields, at)
}

// Advice that comes from comparing the automations of a project is given at the
// end of a run. What it takes is collected while compiling: see facts. Where two
// automations disagree, what most of them do is right, and of two equals what
// comes first in the order of the files. Positions are looked up for findings
// alone.

// facts are what an automation is compared by.
type facts struct {
	call  string
	event string // of a track call; "" if it is known only when it is sent
	// fields are the traits, or the properties of a track call with a known event.
	fields []fieldFact
	// pending are codes that the automation allows and that nothing has made use
	// of so far.
	pending []string
}

// A fieldFact says which JSON type a trait or property has.
type fieldFact struct {
	// name is the path below traits or properties. The steps are joined by
	// factStep; an element of a list is factElement.
	name string
	kind jsonKind
}

const (
	factStep    = "\x00"
	factElement = "\x01"
)

// A jsonKind is a JSON type: a bit of its own, so that several make a set.
type jsonKind uint8

const (
	textKind jsonKind = 1 << iota
	numberKind
	booleanKind
	listKind
	structKind
)

var kindWords = map[jsonKind]string{textKind: "a text", numberKind: "a number", booleanKind: "true or false", listKind: "a list", structKind: "a struct"}

// kindOf returns the type that a value of a payload has when it is sent, 0 for
// null.
func kindOf(v any) jsonKind {
	switch v := v.(type) {
	case string:
		if strings.Contains(v, "|") {
			if t, err := automation.ParseTemplate(v); err == nil {
				switch ref, _ := t.Lone(); ref.Cast {
				case automation.CastNumber:
					return numberKind
				case automation.CastBoolean:
					return booleanKind
				}
			}
		}
		return textKind
	case json.Number:
		return numberKind
	case bool:
		return booleanKind
	case []any:
		return listKind
	case map[string]any:
		return structKind
	}
	return 0
}

// facts collects what an automation without errors is compared by.
func (m *message) facts() facts {
	f := facts{call: m.call, pending: m.pending}
	block := messageBlock(m.call)
	if block == "" {
		return f
	}
	payload, _ := m.raw["payload"].(map[string]any)
	if m.call == "track" {
		event, _ := payload["event"].(string)
		if strings.Contains(event, "{{") {
			return f
		}
		f.event = event
	}
	var seen map[fieldFact]bool // of elements of lists, which are all alike
	eachField(payload[block], func(name string, v any, _ valuePath) bool {
		one := fieldFact{name, kindOf(v)}
		if strings.Contains(name, factElement) {
			if seen[one] {
				return true
			}
			if seen == nil {
				seen = map[fieldFact]bool{}
			}
			seen[one] = true
		}
		if one.kind != 0 {
			f.fields = append(f.fields, one)
		}
		return true
	})
	return f
}

// messageBlock is the field of a call's message that is the team's own.
func messageBlock(call string) string {
	switch call {
	case "track":
		return "properties"
	case "identify", "group":
		return "traits"
	}
	return ""
}

// eachField calls f with the fields within a value, in order and at any depth,
// until it returns false.
func eachField(v any, f func(name string, v any, at valuePath) bool) {
	var walk func(prefix string, v any, at valuePath) bool
	walk = func(prefix string, v any, at valuePath) bool {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range sorted(v) {
				name, inner := prefix+k, append(at, k)
				if !f(name, v[k], inner) || !walk(name+factStep, v[k], inner) {
					return false
				}
			}
		case []any:
			for i, e := range v {
				if !walk(prefix+factElement+factStep, e, append(at, i)) {
					return false
				}
			}
		}
		return true
	}
	walk("", v, make(valuePath, 0, 8))
}

// An advisor compares the automations of a project.
type advisor struct {
	evaluation *evaluation
	all        []*compiled // in file order
	remarks    []remark
}

// A remark is a finding about an automation that has to do with another one.
type remark struct {
	finding
	about *compiled
	// other is the automation that does it right, nil if there is none; related
	// says what is there.
	other   *compiled
	related finding
}

// compare returns the findings, which were complete but for this, with the
// advice that comes from comparing automations. partial says that not all of the
// project was compiled.
func (e *evaluation) compare(all []*compiled, found diagnostic.List, partial bool) (diagnostic.List, error) {
	a := &advisor{evaluation: e, all: all}
	slices.SortStableFunc(a.all, func(a, b *compiled) int {
		return cmp.Or(cmp.Compare(e.loader.relative(a.position.Filename()), e.loader.relative(b.position.Filename())),
			cmp.Compare(a.position.Offset(), b.position.Offset()), cmp.Compare(a.automation.Key, b.automation.Key))
	})
	a.duplicates()
	a.spellings()
	a.types()
	a.cases()
	a.silence()
	if !partial && !found.HasErrors() {
		a.unused()
	}
	advice, err := a.place()
	if err != nil {
		return nil, err
	}
	// The other spelling says what is wrong with the name, too, and so does the
	// name in the tracking plan.
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
	found = slices.DeleteFunc(found, func(d diagnostic.Diagnostic) bool { return d.Code == "event-name" && respelt[d.Key] })
	return onceEach(append(found, advice...)), nil
}

// onceEach keeps one of the warnings that say the same of the same place, which
// several automations can share.
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

// duplicates finds automations that do the same as one before them.
func (a *advisor) duplicates() {
	seed := maphash.MakeSeed()
	first := map[uint64][]*compiled{}
	for _, c := range a.all {
		if !c.automation.Enabled {
			continue
		}
		r := c.automation.Action
		var h maphash.Hash
		h.SetSeed(seed)
		for _, s := range []string{string(c.automation.Trigger.Kind), c.automation.Trigger.Name, r.Method, r.URL} {
			h.WriteString(s)
			h.WriteByte(0)
		}
		h.Write(r.Payload)
		sum := h.Sum64()
		i := slices.IndexFunc(first[sum], func(o *compiled) bool { return sameWork(c.automation, o.automation) })
		if i < 0 {
			first[sum] = append(first[sum], c)
			continue
		}
		a.remark(c, "duplicate-automation", nil, atLabel, first[sum][i], nil, "the other one",
			"the automation does the same as %s: the same request at the same trigger", first[sum][i].automation.Key).Help =
			"remove one of them, or switch it off with enabled: false; else everything is sent twice"
	}
}

// sameWork reports whether two automations send the same at the same time.
func sameWork(a, b automation.Automation) bool {
	return a.Trigger == b.Trigger && a.Action.Method == b.Action.Method && a.Action.URL == b.Action.URL &&
		string(a.Action.Payload) == string(b.Action.Payload) && maps.Equal(a.Action.Headers, b.Action.Headers)
}

// A form is one of the ways to write the same thing, and who writes it so.
type form struct {
	name  string
	users []*compiled
}

// A group is the forms of one thing, in file order.
type group []form

func (g *group) add(name string, user *compiled) {
	i := slices.IndexFunc(*g, func(f form) bool { return f.name == name })
	if i < 0 {
		i = len(*g)
		*g = append(*g, form{name: name})
	}
	if users := (*g)[i].users; len(users) == 0 || users[len(users)-1] != user {
		(*g)[i].users = append(users, user)
	}
}

// right returns the form to keep: that of the most users among the preferred
// ones, the first of equals.
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

// spellings finds events whose names differ in case and in how words are joined.
func (a *advisor) spellings() {
	groups := map[string]*group{}
	var order []string
	for _, c := range a.all {
		if c.facts.event == "" {
			continue
		}
		plain := plainName(c.facts.event)
		if groups[plain] == nil {
			groups[plain] = &group{}
			order = append(order, plain)
		}
		groups[plain].add(c.facts.event, c)
	}
	wellNamed := func(event string) bool { problem, _ := judgeEvent(event); return problem == "" }
	for _, plain := range order {
		g := *groups[plain]
		if len(g) < 2 {
			continue
		}
		right := g.right(wellNamed)
		for _, f := range g {
			for _, c := range f.users {
				if f.name == right.name {
					continue
				}
				at := valuePath{"payload", "event"}
				w := a.remark(c, "event-spelling", at, atValue, right.users[0], at, "the other spelling",
					"the event %q is called %q in %s", f.name, right.name, right.among())
				w.Suggestion, w.Help = right.name, "write "+strconv.Quote(right.name)+": for Segment these are two events"
			}
		}
	}
}

// among says who uses a form: an automation, and how many more.
func (f form) among() string {
	key := f.users[0].automation.Key
	if n := len(f.users) - 1; n > 0 {
		return key + " and " + diagnostic.Plural(n, "other automation")
	}
	return key
}

// types finds traits of a call, and properties of an event, that have several
// types.
func (a *advisor) types() {
	seed := maphash.MakeSeed()
	id := func(f *facts, field string) uint64 {
		var h maphash.Hash
		h.SetSeed(seed)
		for _, s := range []string{f.call, factStep, f.event, factStep, field} {
			h.WriteString(s)
		}
		return h.Sum64()
	}
	// Nearly all have one type: a number for each is enough to see that.
	kinds := map[uint64]jsonKind{}
	for _, c := range a.all {
		for _, f := range c.facts.fields {
			kinds[id(&c.facts, f.name)] |= f.kind
		}
	}
	maps.DeleteFunc(kinds, func(_ uint64, k jsonKind) bool { return bits.OnesCount8(uint8(k)) < 2 })
	if len(kinds) == 0 {
		return
	}
	type subject struct{ call, event, field string }
	groups := map[subject]*group{}
	var order []subject
	for _, c := range a.all {
		for _, f := range c.facts.fields {
			if kinds[id(&c.facts, f.name)] == 0 {
				continue
			}
			s := subject{c.facts.call, c.facts.event, f.name}
			if groups[s] == nil {
				groups[s] = &group{}
				order = append(order, s)
			}
			groups[s].add(kindWords[f.kind], c)
		}
	}
	for _, s := range order {
		g := *groups[s]
		if len(g) < 2 {
			continue
		}
		right := g.right(anyForm)
		for _, f := range g {
			for _, c := range f.users {
				if f.name == right.name {
					continue
				}
				at := c.field(s.field, f.name)
				where := "in "
				if s.event != "" {
					where = "of the same event in "
				}
				w := a.remark(c, "property-type", at, atValue, right.users[0], right.users[0].field(s.field, right.name), "here it is "+right.name,
					"%s is %s here, and %s %s%s", at, f.name, right.name, where, right.among())
				w.Help = "send one type only: a warehouse or destination goes by the type that it saw first, and loses what has the other"
			}
		}
	}
}

// field returns the path, below the automation, of the first field of a name and
// type.
func (c *compiled) field(name, kind string) valuePath {
	block := messageBlock(c.facts.call)
	found := valuePath{"payload", block}
	var payload map[string]any
	if err := unmarshalNumber(c.automation.Action.Payload, &payload); err != nil {
		return found
	}
	eachField(payload[block], func(n string, v any, at valuePath) bool {
		if n != name || kind != "" && kindWords[kindOf(v)] != kind {
			return true
		}
		found = found.with(at...)
		return false
	})
	return found
}

// cases finds traits that are in camelCase here and in snake_case there.
func (a *advisor) cases() {
	groups := map[string]*group{}
	var order []string
	for _, c := range a.all {
		if c.facts.call == "track" {
			continue
		}
		for _, f := range c.facts.fields {
			name := lastStep(f.name)
			if !isCamel(name) && !isSnake(name) {
				continue
			}
			plain := plainCase(f.name)
			if groups[plain] == nil {
				groups[plain] = &group{}
				order = append(order, plain)
			}
			groups[plain].add(name, c)
		}
	}
	for _, plain := range order {
		g := *groups[plain]
		if len(g) < 2 {
			continue
		}
		right := g.right(anyForm)
		for _, f := range g {
			for _, c := range f.users {
				if slices.Contains(right.users, c) {
					continue // it sends both, and so knows what it does
				}
				at, other := c.named(plain, f.name), right.users[0]
				w := a.remark(c, "mixed-case", at, atLabel, other, other.named(plain, right.name), "the other spelling",
					"the trait %s is called %s in %s", f.name, right.name, right.among())
				w.Suggestion, w.Help = right.name, "write "+right.name+" everywhere: for Segment these are two traits"
			}
		}
	}
}

// named returns the path of a trait by its plain name and its own spelling.
func (c *compiled) named(plain, name string) valuePath {
	for _, f := range c.facts.fields {
		if lastStep(f.name) == name && plainCase(f.name) == plain {
			return c.field(f.name, "")
		}
	}
	return nil
}

// lastStep is the name of a field by itself.
func lastStep(name string) string { return name[strings.LastIndex(name, factStep)+1:] }

// plainCase is what a name has in camelCase and in snake_case alike.
func plainCase(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

func isCamel(name string) bool {
	return strings.ContainsFunc(name, unicode.IsUpper) && !strings.ContainsAny(name, "_- .") && unicode.IsLower([]rune(name)[0])
}

func isSnake(name string) bool {
	return strings.Contains(strings.Trim(name, "_"), "_") && name == strings.ToLower(name) && !strings.ContainsAny(name, "- .")
}

// remark adds a warning about the value at a path below an automation, and what
// is there in the other one. The message's first argument may be that path.
func (a *advisor) remark(c *compiled, code string, at valuePath, spot spot, other *compiled, otherAt valuePath, related, format string, args ...any) *remark {
	for i, arg := range args {
		if p, ok := arg.(valuePath); ok {
			args[i] = p.String()
		}
	}
	a.remarks = append(a.remarks, remark{
		finding: finding{path: c.path(at), spot: spot, Diagnostic: diagnostic.Diagnostic{
			Severity: diagnostic.Warning, Code: code, Message: fmt.Sprintf(format, args...)}},
		about: c, other: other,
		related: finding{path: other.path(otherAt), spot: spot, Diagnostic: diagnostic.Diagnostic{Message: related}},
	})
	return &a.remarks[len(a.remarks)-1]
}

// path is the path of a value below an automation.
func (c *compiled) path(at valuePath) valuePath { return valuePath{"automations", c.name}.with(at...) }

// silence removes what the automations allow.
func (a *advisor) silence() {
	used := map[*compiled][]string{}
	a.remarks = slices.DeleteFunc(a.remarks, func(r remark) bool {
		if !slices.Contains(r.about.facts.pending, r.Code) {
			return false
		}
		used[r.about] = append(used[r.about], r.Code)
		return true
	})
	for c, codes := range used {
		c.facts.pending = slices.DeleteFunc(c.facts.pending, func(code string) bool { return slices.Contains(codes, code) })
	}
}

// unused reports what the automations allow in vain.
func (a *advisor) unused() {
	for _, c := range a.all {
		for _, code := range c.facts.pending {
			a.remarks = append(a.remarks, remark{about: c, finding: unusedAllow(c.path(valuePath{"allow", code}))})
		}
	}
}

// place finds the places of the remarks. Each package is read once.
func (a *advisor) place() (diagnostic.List, error) {
	type folder struct{ dir, pkg string }
	type wanted struct {
		about *compiled
		what  finding
		found *diagnostic.Diagnostic
	}
	out, others := make(diagnostic.List, len(a.remarks)), make(diagnostic.List, len(a.remarks))
	packages := map[folder][]wanted{}
	want := func(c *compiled, f finding, d *diagnostic.Diagnostic) {
		f.Key = c.automation.Key
		at := folder{c.dir, c.pkg}
		packages[at] = append(packages[at], wanted{c, f, d})
	}
	for i, r := range a.remarks {
		want(r.about, r.finding, &out[i])
		if r.other != nil {
			want(r.other, r.related, &others[i])
		}
	}
	if len(packages) == 0 {
		return nil, nil
	}
	x := a.evaluation.explainer()
	for _, at := range slices.SortedFunc(maps.Keys(packages), func(p, q folder) int {
		return cmp.Or(cmp.Compare(p.dir, q.dir), cmp.Compare(p.pkg, q.pkg))
	}) {
		p, err := x.open(at.dir, at.pkg, nil)
		if err != nil {
			return nil, err
		}
		for _, w := range packages[at] {
			*w.found = p.index.place(w.what, w.about.position)
		}
	}
	for i, d := range others {
		if d.File != "" {
			out[i].Related = append(out[i].Related, diagnostic.Related{Message: d.Message, File: d.File, Range: d.Range})
		}
	}
	return out, nil
}

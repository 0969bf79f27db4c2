package trackingplan

import (
	"cmp"
	"runtime"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/seguehq/segue/compiler/config"
)

// A Plan is the rules of some files. It implements [config.Rules].
type Plan struct {
	// byName are the rules of an event, page or screen, byCall those of a whole call, and
	// common those of all messages.
	byName map[named][]*rule
	byCall map[string][]*rule
	common []*rule
	events []string
	// namesEvents says that the files name the events that may be sent, if only none.
	namesEvents bool
}

// A named message is an event, page or screen.
type named struct{ call, name string }

var _ config.Rules = (*Plan)(nil)

// Read reads the files of one plan, in order. read gives other files of the project, by
// their names, to those that refer to them. Schemas are compiled when they are first
// needed: [Plan.Verify] finds those that can't be.
func Read(files []File, read func(name string) ([]byte, error)) (*Plan, []Problem) {
	p := &Plan{byName: map[named][]*rule{}, byCall: map[string][]*rule{}}
	var problems []Problem
	var pages []page
	for _, f := range files {
		doc, problem := decode(f, read)
		if problem != nil {
			problems = append(problems, *problem)
			continue
		}
		l := layout{doc: doc}
		l.read(doc.value, nil)
		problems, pages = append(problems, l.problems...), append(pages, l.pages...)
		p.namesEvents = p.namesEvents || l.events
		for _, r := range l.rules {
			p.add(r)
		}
	}
	p.events = slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for n := range p.byName {
			if n.call == "track" && !yield(n.name) {
				return
			}
		}
	}))
	return p, append(problems, missingPages(pages)...)
}

func (p *Plan) add(r *rule) {
	switch {
	case r.call == "":
		p.common = append(p.common, r)
	case r.name != "":
		p.byName[named{r.call, r.name}] = append(p.byName[named{r.call, r.name}], r)
	default:
		p.byCall[r.call] = append(p.byCall[r.call], r)
	}
}

// Verify compiles the schemas that may be wrong, and returns those that can't be used, in
// the order of their files.
func (p *Plan) Verify() []Problem {
	var all []*rule
	doubtful := func(rules []*rule) {
		for _, r := range rules {
			if !sound(r.schema, 0) {
				all = append(all, r)
			}
		}
	}
	for _, rules := range p.byName {
		doubtful(rules)
	}
	for _, rules := range p.byCall {
		doubtful(rules)
	}
	doubtful(p.common)
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, r := range all {
		group.Go(func() error { r.compile(); return nil })
	}
	group.Wait() //nolint:errcheck // it returns none
	var problems []Problem
	for _, r := range all {
		if _, problem := r.compile(); problem != nil {
			problems = append(problems, *problem)
		}
	}
	slices.SortFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Range.Start.Line, b.Range.Start.Line),
			cmp.Compare(a.Range.Start.Column, b.Range.Start.Column), cmp.Compare(a.Message, b.Message))
	})
	return problems
}

// NamesEvents reports whether the files say which events may be sent. A plan without
// events says that none may.
func (p *Plan) NamesEvents() bool { return p.namesEvents || len(p.events) > 0 }

// Events implements [config.Rules].
func (p *Plan) Events() []string { return p.events }

// Has implements [config.Rules].
func (p *Plan) Has(event string) bool { return len(p.byName[named{"track", event}]) > 0 }

// Versions implements [config.Rules].
func (p *Plan) Versions(event string) []string {
	var out []string
	for _, v := range versions(p.byName[named{"track", event}]) {
		out = append(out, formatVersion(v))
	}
	return out
}

func formatVersion(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func versions(rules []*rule) []float64 {
	var out []float64
	for _, r := range rules {
		out = append(out, r.version)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// VersionOf is the version of the event that a message says to be: the field
// context.protocols.event_version. ok is false if it has none.
func VersionOf(payload map[string]any) (version any, ok bool) {
	context, _ := payload["context"].(map[string]any)
	protocols, _ := context["protocols"].(map[string]any)
	version, ok = protocols["event_version"]
	return version, ok
}

// rulesFor are the rules of a message: of its event in the version that counts, which is
// the oldest one unless the message names another, of its call, and those of all.
func (p *Plan) rulesFor(m config.PlannedMessage) (own, common []*rule) {
	field := "name"
	if m.Call == "track" {
		field = "event"
	}
	name, _ := m.Payload[field].(string)
	rules := p.byName[named{m.Call, name}]
	if known := versions(rules); len(known) > 1 {
		wanted := known[0]
		if v, ok := VersionOf(m.Payload); ok {
			if n := versionOf(v); slices.Contains(known, n) {
				wanted = n
			}
		}
		rules = slices.DeleteFunc(slices.Clone(rules), func(r *rule) bool { return r.version != wanted })
	}
	return append(slices.Clone(rules), p.byCall[m.Call]...), p.common
}

package rest

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"slices"
	"strconv"

	"github.com/seguehq/segue/description"
	"github.com/seguehq/segue/sync"
)

// People can copy an automation on the platform, including its marker. The identifier
// in the marker distinguishes segue's own automation from its copies. A marker may
// not have an identifier yet, because segue was killed right after the create or
// because an older segue wrote it. Such a marker is compared with the others of the
// same key.

// owned returns the project's own automations for which keep returns true. keep must
// decide by key alone.
func (p *platform) owned(ctx context.Context, project string, keep func(description.Record) bool) ([]item, error) {
	items, err := p.items(ctx, project, keep)
	own, _ := apart(items)
	return own, err
}

// apart separates segue's own automations from copies. It keeps the order of
// the list.
func apart(items []item) (own, copies []item) {
	type name struct{ project, key string }
	byKey := map[name][]item{}
	for _, it := range items {
		n := name{it.Marker.Project, it.Marker.Key}
		byKey[n] = append(byKey[n], it)
	}
	mine := map[string]bool{}
	for _, group := range byKey {
		for _, it := range ownOf(group) {
			mine[it.ID] = true
		}
	}
	for _, it := range items {
		if mine[it.ID] {
			own = append(own, it)
		} else {
			copies = append(copies, it)
		}
	}
	return own, copies
}

// ownOf returns segue's own automations among those of one key.
func ownOf(group []item) []item {
	var own []item
	byNonce := map[string][]item{}
	taken := map[string]bool{} // the nonces of the known ones
	for _, it := range group {
		switch {
		case it.record.ID == it.ID:
			own = append(own, it)
			taken[it.record.Nonce] = true
		case it.record.ID == "":
			byNonce[it.record.Nonce] = append(byNonce[it.record.Nonce], it)
		}
	}
	for nonce, same := range byNonce {
		if nonce != "" && !taken[nonce] {
			own = append(own, oldest(same)...)
		}
	}
	if former := byNonce[""]; len(own) == 0 {
		own = oldest(former)
	}
	return own
}

// oldest returns the original of several automations with the same marker. That is
// the one with the lowest number if the platform numbers them, otherwise the only
// unchanged one. If neither decides, it returns none.
func oldest(same []item) []item {
	if len(same) < 2 {
		return same
	}
	number := func(it item) *big.Int {
		n, ok := new(big.Int).SetString(it.ID, 10)
		if !ok || n.String() != it.ID {
			return nil
		}
		return n
	}
	if !slices.ContainsFunc(same, func(it item) bool { return number(it) == nil }) {
		return []item{slices.MinFunc(same, func(a, b item) int { return number(a).Cmp(number(b)) })}
	}
	var untouched []item
	for _, it := range same {
		if it.Automation.Hash() == cmp.Or(it.record.Made, it.record.Hash) {
			untouched = append(untouched, it)
		}
	}
	if len(untouched) == 1 {
		return untouched
	}
	return nil
}

// A listing is a whole list: the automations of a project, and everything else.
type listing struct {
	project string
	items   []item
	others  []any
}

// listing reads the whole list.
func (p *platform) listing(ctx context.Context, project string) (*listing, error) {
	l := &listing{project: project}
	type entry struct {
		item  item
		other any
	}
	all, _, err := collect(ctx, p, p.listCall(project), p.d.Paging, p.d.ID.Text, func(object any) (entry, bool, error) {
		if err := p.intact(object, project); err != nil {
			return entry{}, false, err
		}
		it, ok, err := p.item(object, func(r description.Record) bool { return r.Project == project })
		if !ok {
			return entry{other: object}, err == nil, err
		}
		return entry{item: it}, true, nil
	})
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if e.other != nil {
			l.others = append(l.others, e.other)
		} else {
			l.items = append(l.items, e.item)
		}
	}
	return l, nil
}

// Survey implements [sync.Surveyor]. It reuses the result of the List right before
// it, once.
func (p *platform) Survey(ctx context.Context, project string, keys []string) (sync.Survey, error) {
	l := p.listed.Swap(nil)
	if l == nil || l.project != project {
		var err error
		if l, err = p.listing(ctx, project); err != nil {
			return sync.Survey{}, err
		}
	}
	wanted, there := map[string]bool{}, map[string]bool{}
	for _, key := range keys {
		wanted[key] = true
	}
	own, copies := apart(l.items)
	for _, it := range own {
		there[it.Marker.Key] = true
	}
	var survey sync.Survey
	add := func(kind sync.OtherKind, it item, key string, takes bool) {
		o := sync.Other{Stored: it.Stored, Kind: kind, Title: titled(it.ID, it.Automation.Name)}
		if takes && wanted[key] && !there[key] {
			o.Takes = key
		}
		survey.Others = append(survey.Others, o)
	}
	for _, it := range copies {
		// Without an identifier in the marker, any of them may be segue's own,
		// so creating another one would be wrong.
		add(sync.Copy, it, it.Marker.Key, it.record.ID == "")
	}
	var foreign []item
	for _, object := range l.others {
		record, marked := p.d.Record(object)
		if !marked && !holds(object, wanted) {
			continue
		}
		it, err := p.read(object, record)
		switch {
		case marked && err != nil:
			return sync.Survey{}, err
		case marked:
			foreign = append(foreign, it)
		case err == nil && wanted[it.Automation.Key]:
			// The object still has the key outside the marker, which somebody has
			// removed.
			add(sync.Unmarked, it, it.Automation.Key, true)
		}
	}
	// Copies of other projects' automations do not concern this project, unless the
	// original is unknown.
	theirs, unsure := apart(foreign)
	known := map[sync.Marker]bool{}
	for _, it := range theirs {
		known[sync.Marker{Project: it.Marker.Project, Key: it.Marker.Key}] = true
		add(sync.Foreign, it, "", false)
	}
	for _, it := range unsure {
		if it.record.ID == "" && !known[sync.Marker{Project: it.Marker.Project, Key: it.Marker.Key}] {
			add(sync.Copy, it, "", false)
		}
	}
	return survey, nil
}

// Unmanaged implements [sync.Importer].
func (p *platform) Unmanaged(ctx context.Context, project string) ([]sync.Unmanaged, error) {
	l, err := p.listing(ctx, project)
	if err != nil {
		return nil, err
	}
	var all []sync.Unmanaged
	for _, object := range l.others {
		if _, marked := p.d.Record(object); marked {
			continue
		}
		it, err := p.read(object, description.Record{})
		if err != nil {
			return nil, err
		}
		u := sync.Unmanaged{Stored: it.Stored, Title: titled(it.ID, it.Automation.Name), Adoptable: it.readable}
		if !it.readable {
			u.Against = "decode, in the description of the platform, can't read it"
		}
		all = append(all, u)
	}
	return all, nil
}

// holds reports whether the value contains any of the strings, at any depth.
func holds(v any, texts map[string]bool) bool {
	switch v := v.(type) {
	case string:
		return texts[v]
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return holds(e, texts) })
	case map[string]any:
		for _, e := range v {
			if holds(e, texts) {
				return true
			}
		}
	}
	return false
}

// titled returns the name of an automation for people.
func titled(id, name string) string {
	return fmt.Sprintf("%s (%s)", strconv.Quote(printable(name)), printable(id))
}

// markerOf returns the marker in a record.
func markerOf(r description.Record) sync.Marker {
	return sync.Marker{Project: r.Project, Key: r.Key, Hash: r.Hash, Made: r.Made}
}

var (
	_ sync.Surveyor = (*platform)(nil)
	_ sync.Importer = (*platform)(nil)
)

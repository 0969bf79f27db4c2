package sync

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
)

// anyBelow ends the name of a folder in [Moves], for all keys in it and below.
const anyBelow = "..."

// Moves maps the former key of an automation to its present one: "old/key" is
// "new/key". A folder has another name with "old/..." and "new/...". An automation
// that is on the platform under a former key is taken over, and keeps its identifier.
type Moves map[string]string

// to returns the key that an automation with a former key has now, the same one if no
// move is about it. It follows moves until one leads to a key that the code has. It
// fails for moves in a circle.
func (m Moves) to(key string, desired map[string]automation.Automation) (string, error) {
	seen := map[string]bool{}
	for now := key; ; {
		_, wanted := desired[now]
		next := m.next(now)
		switch {
		case wanted || next == "":
			return now, nil
		case seen[now]:
			return "", fmt.Errorf("the moves of %s lead in a circle, back to %s; correct `moved` in segue.cue", key, now)
		}
		seen[now] = true
		now = next
	}
}

// next returns the result of one move, "" if there is none for the key. A move of
// the key itself takes precedence over that of a folder, and that of a folder over
// one of its parents.
func (m Moves) next(key string) string {
	if to, ok := m[key]; ok {
		return to
	}
	longest, next := -1, ""
	for from, to := range m {
		folder, isFolder := strings.CutSuffix(from, anyBelow)
		if rest, in := strings.CutPrefix(key, folder); isFolder && in && rest != "" && len(folder) > longest {
			longest, next = len(folder), strings.TrimSuffix(to, anyBelow)+rest
		}
	}
	return next
}

// line is a move as segue.cue has it.
func (m Moves) line(from string) string { return fmt.Sprintf("moved: %q: %q", from, m[from]) }

// circle returns an error for moves that lead back to where they began.
func (m Moves) circle() error {
	for _, from := range slices.Sorted(maps.Keys(m)) {
		seen := map[string]bool{}
		for at := from; m[at] != ""; at = m[at] {
			if seen[at] {
				return fmt.Errorf("`%s`: the moves lead in a circle, back to %s; correct them in segue.cue", m.line(from), at)
			}
			seen[at] = true
		}
	}
	return nil
}

// check returns an error for a move that is wrong regardless of the platform.
// Elsewhere are the keys that the code has for other targets.
func (m Moves) check(desired map[string]automation.Automation, elsewhere []string) error {
	keys := slices.Sorted(maps.Keys(desired))
	keys = append(keys, elsewhere...)
	reachable := slices.AppendSeq(slices.Clone(keys), maps.Keys(m)) // another move may lead on
	for _, from := range slices.Sorted(maps.Keys(m)) {
		folder, isFolder := strings.CutSuffix(from, anyBelow)
		switch {
		case isFolder != strings.HasSuffix(m[from], anyBelow):
			return fmt.Errorf("`%s` moves a folder to a key, or a key to a folder: write ... at the end of both or of none",
				m.line(from))
		case !isFolder && slices.Contains(keys, from):
			return fmt.Errorf("`%s`: the code still has %s; remove the line, or that automation", m.line(from), from)
		case isFolder && !slices.ContainsFunc(reachable, func(key string) bool { return m.reaches(folder, key) }),
			!isFolder && !slices.Contains(keys, m.last(from)):
			return fmt.Errorf("`%s`: the code has no automation %s; correct the line, or remove it", m.line(from), m.last(from))
		}
	}
	return nil
}

// last returns where moves, which lead in no circle, lead from a key or a folder in
// the end.
func (m Moves) last(from string) string {
	for {
		next := m[from]
		if next == "" {
			return from
		}
		from = next
	}
}

// reaches reports whether a move of a folder may lead to the key, which the code has or
// another move begins with.
func (m Moves) reaches(folder, key string) bool {
	return key != folder+anyBelow && strings.HasPrefix(key, strings.TrimSuffix(m.last(folder+anyBelow), anyBelow))
}

// apply returns the platform's automations by their present keys. It leaves out an
// automation whose new key is not in the selection.
func (m Moves) apply(
	own map[string][]Stored, desired map[string]automation.Automation, only Selection, target string,
) (map[string][]Stored, error) {
	if len(m) == 0 {
		return own, nil
	}
	now := maps.Clone(own)
	from := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(own)) {
		if _, wanted := desired[key]; wanted {
			continue
		}
		to, err := m.to(key, desired)
		_, wanted := desired[to]
		switch {
		case err != nil:
			return nil, err
		case to == key:
			continue
		case !only.Has(to):
			delete(now, key)
			continue
		case !wanted:
			continue // it is gone from the code
		case from[to] != "":
			return nil, fmt.Errorf("%s and %s, which are both on %s, can't both be %s; correct `moved` in segue.cue",
				from[to], key, target, to)
		case len(own[to]) > 0:
			return nil, fmt.Errorf("%s can't be the former key of %s, since %s has both: %s (%s) and %s (%s); "+
				"remove the line under `moved` in segue.cue, and apply deletes the former one",
				key, to, target, key, own[key][0].ID, to, own[to][0].ID)
		}
		now[to], from[to] = own[key], key
		delete(now, key)
	}
	return now, nil
}

// astray finds the moves of a key that the target does not have, though it has others.
// If the plan deletes an automation that seems to be the same, the key is misspelled:
// that is a reason not to apply.
func (m *planning) astray(own map[string][]Stored, only Selection) []Block {
	if len(own) == 0 {
		return nil
	}
	var found []Block
	for _, from := range slices.Sorted(maps.Keys(m.in.Moves)) {
		to := m.in.Moves.last(from)
		at := slices.IndexFunc(m.Changes, func(c Change) bool { return c.Key == to && c.Action == Create })
		if len(own[from]) > 0 || at < 0 || !only.Has(to) {
			continue
		}
		message := fmt.Sprintf("`%s`: there is no %s on %s", m.in.Moves.line(from), from, m.Target)
		gone := slices.IndexFunc(m.Changes, func(c Change) bool { return c.After == to })
		if gone < 0 {
			m.Warnings = append(m.Warnings, message+", and "+to+" is created")
			continue
		}
		key := m.Changes[gone].Key
		found = append(found, Block{
			Kind: StrayMove, Keys: []string{to},
			Message: message + ", and " + key + " would be deleted, which seems to be the same automation",
			Remedy:  fmt.Sprintf("write `moved: %q: %q`, or remove the line", key, to),
		})
	}
	return found
}

// A Rename is an automation that seems to have a new key: it is gone, and one with
// the same content is new. From and To can be written into segue.cue, under moved.
type Rename struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Line returns the line for segue.cue.
func (r Rename) Line() string { return Moves{r.From: r.To}.line(r.From) }

// renames finds automations that are gone while one with the same content is new. If
// that is true for all deleted automations of a folder, it returns one rename of the
// folder.
func (p *Plan) renames(desired map[string]automation.Automation, own map[string][]Stored) []Rename {
	if !slices.ContainsFunc(p.Changes, Change.gone) {
		return nil
	}
	created := map[string][]string{} // keys by content
	for _, c := range p.Changes {
		if c.Action == Create {
			content := contentOf(desired[c.Key])
			created[content] = append(created[content], c.Key)
		}
	}
	var found []Rename
	left := map[string]int{} // how many automations go from a folder
	for _, c := range p.Changes {
		if !c.gone() {
			continue
		}
		left[path.Dir(c.Key)]++
		at := slices.IndexFunc(own[c.Key], func(s Stored) bool { return s.ID == c.Base.ID })
		content := contentOf(own[c.Key][at].Automation)
		if keys := created[content]; len(keys) == 1 {
			found = append(found, Rename{From: c.Key, To: keys[0]})
			delete(created, content)
		}
	}
	return foldersOf(found, left)
}

// removes reports whether a change deletes an automation that the code does not have
// for the target.
func (c Change) removes() bool {
	return c.Action == Delete && (c.Reason == Removed || c.Reason == Elsewhere)
}

// gone reports whether a change deletes an automation that is not in the code
// at all.
func (c Change) gone() bool { return c.Action == Delete && c.Reason == Removed }

// contentOf identifies an automation by everything except its key.
func contentOf(a automation.Automation) string {
	a.Key = "key"
	return a.Hash()
}

// foldersOf puts the renames together that are those of a whole folder.
func foldersOf(all []Rename, left map[string]int) []Rename {
	moved := map[Rename]int{} // how many keep their name in it, by folders
	folders := func(r Rename) (Rename, bool) {
		return Rename{path.Dir(r.From), path.Dir(r.To)}, path.Base(r.From) == path.Base(r.To)
	}
	for _, r := range all {
		if f, same := folders(r); same {
			moved[f]++
		}
	}
	var out []Rename
	for _, r := range all {
		f, same := folders(r)
		if same && f.From != "." && f.To != "." && moved[f] > 1 && moved[f] == left[f.From] {
			r = Rename{f.From + "/" + anyBelow, f.To + "/" + anyBelow}
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Rename) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	return slices.Compact(out)
}

// An AddressChange is a new URL of an automation's endpoint.
type AddressChange struct {
	Before string `json:"before"`
	After  string `json:"after"`
}

// addressChange returns the endpoint's change in an update, or nil.
func addressChange(p Platform, project string, c Change) *AddressChange {
	switch {
	case c.Base == nil || c.Action != Update,
		c.Base.Project == "" && c.Base.Key == "",
		c.Base.Kind != "" && c.Base.Kind != Foreign:
		return nil
	}
	a := AddressChange{address(p, cmp.Or(c.Base.Project, project), cmp.Or(c.Base.Key, c.Key)), address(p, project, c.Key)}
	if a.Before == a.After {
		return nil
	}
	return &a
}

package sync

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A Selection picks automations by their keys. The zero Selection picks all.
//
// A plan with a selection neither writes nor deletes other automations, whatever
// the code says, and deletes no secret.
type Selection struct {
	folders, keys []keyPattern
}

// A keyPattern is one pattern, as it was written and as an expression for keys.
type keyPattern struct {
	text    string
	matches *regexp.Regexp
}

// NewSelection picks the automations that are in one of the folders and have one of
// the keys. Folders are patterns as the compiler has them: "growth", and
// "./growth/..." with the folders below. In a key, "*" matches anything except a
// slash and "..." matches anything: "growth/*", "growth/...". An empty list picks
// all.
func NewSelection(folders, keys []string) (Selection, error) {
	var s Selection
	for _, text := range folders {
		s.folders = append(s.folders, keyPattern{text, folderExpression(text)})
	}
	for _, text := range keys {
		if text == "" {
			return s, fmt.Errorf("an empty pattern matches no key")
		}
		s.keys = append(s.keys, keyPattern{text, keyExpression(text)})
	}
	return s, nil
}

// folderExpression matches the keys of the automations in a folder.
func folderExpression(text string) *regexp.Regexp {
	base, below := strings.CutSuffix(strings.ReplaceAll(text, `\`, "/"), "...")
	expression := "^"
	if base = path.Clean(base); base != "." {
		expression += regexp.QuoteMeta(base) + "/"
	}
	if below {
		return regexp.MustCompile(expression)
	}
	return regexp.MustCompile(expression + "[^/]*$")
}

// keyExpression matches the keys that a pattern names.
func keyExpression(text string) *regexp.Regexp {
	quoted := strings.ReplaceAll(regexp.QuoteMeta(text), `\.\.\.`, ".*")
	return regexp.MustCompile("^" + strings.ReplaceAll(quoted, `\*`, "[^/]*") + "$")
}

// All reports whether the selection picks everything.
func (s Selection) All() bool { return len(s.folders)+len(s.keys) == 0 }

// Has reports whether the selection picks the automation with the key.
func (s Selection) Has(key string) bool {
	matches := func(p keyPattern) bool { return p.matches.MatchString(key) }
	return (len(s.folders) == 0 || slices.ContainsFunc(s.folders, matches)) &&
		(len(s.keys) == 0 || slices.ContainsFunc(s.keys, matches))
}

// Patterns returns the patterns as they were written, those of folders first.
func (s Selection) Patterns() []string {
	var texts []string
	for _, p := range slices.Concat(s.folders, s.keys) {
		texts = append(texts, p.text)
	}
	return texts
}

// Unmatched returns the first pattern that matches none of the keys, "" if there is
// none.
func (s Selection) Unmatched(keys []string) string {
	for _, p := range slices.Concat(s.folders, s.keys) {
		if !slices.ContainsFunc(keys, p.matches.MatchString) {
			return p.text
		}
	}
	return ""
}

// A NoMatchError means that a pattern of a plan matches no automation.
type NoMatchError struct {
	// Pattern matches no automation, in the code or on the target. It is a key that the
	// code does not have if Replace is set.
	Pattern, Target string
	// Replace is true if it is one of [PlanOptions.Replace].
	Replace bool
}

// Error names the pattern and the target.
func (e *NoMatchError) Error() string {
	if e.Replace {
		return fmt.Sprintf("there is no automation with the key %s to replace", e.Pattern)
	}
	return fmt.Sprintf("no automation in the code or on %s matches %q; nothing was changed", e.Target, e.Pattern)
}

// Selected returns the desired state of the automations that a selection picks,
// for both [MakePlan] and [Apply].
func (in Desired) Selected(s Selection) Desired {
	if s.All() {
		return in
	}
	all := in.Automations
	in.Automations = nil
	for _, a := range all {
		if s.Has(a.Key) {
			in.Automations = append(in.Automations, a)
		}
	}
	return in
}

// restrict removes the platform's automations that are not in the plan's selection, and
// counts them.
func (p *Plan) restrict(s Selection, in Desired, own map[string][]Stored) (map[string][]Stored, error) {
	if s.All() {
		return own, nil
	}
	p.Only = s.Patterns()
	keys, selected := in.keys(), map[string][]Stored{}
	for key, copies := range own {
		keys = append(keys, key)
		if s.Has(key) {
			selected[key] = copies
		}
	}
	if pattern := s.Unmatched(keys); pattern != "" {
		return nil, &NoMatchError{Pattern: pattern, Target: p.Target}
	}
	p.LeftOut = len(own) - len(selected)
	return selected, nil
}

// withoutDeletes returns the changes of secrets without deletes: automations outside of
// the selection may need these secrets.
func withoutDeletes(changes []SecretChange) []SecretChange {
	return slices.DeleteFunc(changes, func(c SecretChange) bool { return c.Action == Delete })
}

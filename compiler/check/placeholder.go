package check

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
)

// template checks the placeholders of a text, and whether they suit its shape.
// It reports whether the text has any, right or wrong.
func (by Rules) template(v string, s *shape.Shape, p finding.Path) (found findings, any bool) {
	found, any = by.placeholders(v, s, p)
	return by.certain(found, v, s, p), any
}

func (by Rules) placeholders(v string, s *shape.Shape, p finding.Path) (found findings, any bool) {
	t, err := automation.ParseTemplate(v)
	var malformed automation.SyntaxErrors
	errors.As(err, &malformed)
	if found, any = by.foreign(v, p); len(malformed)+len(t.References()) == 0 {
		return found, any
	}
	if !by.Templates {
		w := finding.Newf("misplaced-placeholder", p, finding.AtValue,
			"%s can't hold a placeholder: it would be used unchanged", p.Name())
		w.Help = "placeholders can be in the payload, in header values, and in the path and query of a URL"
		return append(found, w), true
	}
	for i, e := range malformed {
		if e.Problem == automation.Unopened && i > 0 && malformed[i-1].Problem == automation.Unclosed {
			continue // it closes what was found to be open
		}
		found = append(found, by.malformed(e, p))
	}
	ref, lone := t.Lone()
	if spaced, ok := t.BlanksAround(); ok && len(malformed) == 0 {
		w := finding.Newf("stray-blanks", p, finding.AtValue,
			"%s has leading or trailing whitespace around its placeholder: %q", p.Name(), v)
		w.Suggestion = spaced.String()
		w.Help = fmt.Sprintf("write %q", spaced.String())
		w.Repair = &finding.Repair{How: finding.ReplaceLiteral, Text: finding.Quoted(strings.TrimSpace(v)).Text,
			Shared: true}
		found = append(found, w)
		ref, lone = spaced, true
	}
	if m := castOutside().FindStringSubmatchIndex(v); m != nil && len(malformed) == 0 && castOf(v[m[4]:m[5]]) != "" {
		whole := t.References()[0]
		if s.Kind != shape.Text {
			whole.Cast = automation.Cast(castOf(v[m[4]:m[5]]))
		}
		w := finding.Newf("malformed-placeholder", p, finding.AtValue,
			"the cast is outside the braces, so it would be sent unchanged")
		w.In(v, m[2], len(v)-m[2])
		w.Suggestion, w.Help = whole.String(), fmt.Sprintf("write %q", whole.String())
		if by.fits(whole.String(), s, p) {
			w.Repair = &finding.Repair{How: finding.RewriteText, Text: whole.String(), Shared: true}
		}
		return append(found, w), true
	}
	var unreliable findings
	for _, r := range t.References() {
		unreliable = append(unreliable, by.reference(r, v, p)...)
	}
	found = append(found, unreliable...)
	known := !slices.ContainsFunc(t.References(), func(r automation.Reference) bool {
		_, known := by.Catalog[r.Name]
		return !known
	})
	if known && len(unreliable)+len(malformed) == 0 {
		found = append(found, by.suits(v, ref, lone, s, p)...)
	}
	return found, true
}

// castOutside is a placeholder with a cast behind it.
var castOutside = finding.Pattern(`^[ \t]*(\{\{[^{}|]*\}\})[ \t]*\|[ \t]*([A-Za-z]+)[ \t]*$`)

// malformed makes the finding about a placeholder that is not written as one.
func (by Rules) malformed(e automation.SyntaxError, p finding.Path) finding.Finding {
	code := "malformed-placeholder"
	if e.Problem == automation.UnknownCast {
		code = "unknown-cast"
	}
	w := finding.Newf(code, p, finding.AtValue, "%s", e.Error())
	w.Part, w.Offset = e.Text, e.Offset
	switch e.Problem {
	case automation.UnknownCast:
		if near := nearestCast(e.Cast); near != "" {
			w.Suggestion = near
			w.Help = finding.DidYouMean(automation.Reference{Name: e.Name, Cast: automation.Cast(near)}.String())
			w.Repair = otherCast(e, near)
			return w
		}
		w.Help = "the casts are number and boolean; without one, the value is a string"
	case automation.CastInText:
		w.Help = "remove the cast, or let the placeholder be the whole value"
	default:
		if e.Problem == automation.BadName && automation.ValidName(e.Name) {
			w.Message = fmt.Sprintf("the part after the bar of placeholder %s is not a cast", e.Text)
		}
		name := e.Name
		if !automation.ValidName(name) {
			name = finding.Nearest(name, by.Names())
		} else if _, ok := by.Catalog[name]; !ok {
			name = finding.Nearest(name, by.Names())
		}
		if name != "" {
			w.Suggestion = name
			w.Help = "write {{" + name + "}}"
			w.Repair = by.wellFormed(e)
		} else {
			w.Help = "write a placeholder as in {{userId}}"
		}
	}
	return w
}

// nearestCast returns the cast that was probably meant.
func nearestCast(cast string) string {
	switch strings.ToLower(cast) {
	case "int", "integer", "float", "double", "decimal", "num", "numeric":
		return string(automation.CastNumber)
	case "bool", "flag":
		return string(automation.CastBoolean)
	}
	return finding.Nearest(cast, []string{string(automation.CastNumber), string(automation.CastBoolean)})
}

// castOf returns a cast that is one, or the one that was probably meant.
func castOf(cast string) string {
	if cast == string(automation.CastNumber) || cast == string(automation.CastBoolean) {
		return cast
	}
	return nearestCast(cast)
}

// Names are those of the placeholders, in order.
func (by Rules) Names() []string { return finding.SortedKeys(by.Catalog) }

// reference checks one placeholder against the catalog. Without a finding, it can be
// relied on, or nothing is known of it.
func (by Rules) reference(r automation.Reference, v string, p finding.Path) findings {
	entry, ok := by.Catalog[r.Name]
	if !ok {
		if by.Gaps.MayDefine(r.Name) {
			return nil
		}
		w := finding.Newf("unknown-placeholder", p, finding.AtValue, "unknown placeholder {{%s}}", r.Name)
		w.In(v, r.Offset, r.Length)
		if near := finding.Nearest(r.Name, by.Names()); near != "" {
			w.Suggestion = near
			w.Help = finding.DidYouMean("{{" + near + "}}")
			if by.Gaps.Knows("placeholders") {
				w.Repair = finding.OtherName(w.Part, r.Name, near)
			}
		} else {
			w.Help = fmt.Sprintf("the placeholders are %s; a project adds its own under placeholders in segue.cue",
				finding.OneOf(by.Names()))
		}
		return findings{w}
	}
	if by.Trigger != "" && !entry.ProvidedBy(by.Trigger) {
		w := finding.Newf("placeholder-not-provided", p, finding.AtValue, "a %s does not provide {{%s}}", by.Trigger, r.Name)
		w.In(v, r.Offset, r.Length)
		kinds := make([]string, len(entry.Triggers))
		for i, k := range entry.Triggers {
			kinds[i] = string(k)
		}
		w.Help = "it comes with a " + finding.OneOf(kinds) + " trigger only; use another placeholder or a literal string"
		return findings{w}
	}
	wants := map[automation.Cast]automation.ValueType{automation.CastNumber: automation.NumberValue,
		automation.CastBoolean: automation.BooleanValue}
	if want, cast := wants[r.Cast]; cast && entry.Type != want {
		w := finding.Newf("placeholder-type", p, finding.AtValue, "{{%s}} is a %s, which can't be cast to a %s", r.Name,
			shape.TypeWord(entry.Type), r.Cast)
		w.In(v, r.Offset, r.Length)
		w.Help = "remove the cast; no placeholder here is a " + shape.TypeWord(want)
		if near := by.OfType(want); near != "" {
			w.Help = "use a placeholder of the type " + shape.TypeWord(want) + ": " + near
		}
		return findings{w}
	}
	return nil
}

// castTo is the cast that makes a value of a type.
var castTo = map[automation.ValueType]automation.Cast{
	automation.NumberValue: automation.CastNumber, automation.BooleanValue: automation.CastBoolean,
}

// OfType lists the placeholders of a type that the trigger provides.
func (by Rules) OfType(want automation.ValueType) string {
	var names []string
	for name, entry := range by.Catalog {
		if entry.Type == want && (by.Trigger == "" || entry.ProvidedBy(by.Trigger)) {
			names = append(names, automation.Reference{Name: name, Cast: castTo[want]}.String())
		}
	}
	slices.Sort(names)
	return finding.OneOf(names)
}

// suits checks that known placeholders make a value of the type that the shape
// asks for.
func (by Rules) suits(v string, ref automation.Reference, lone bool, s *shape.Shape, p finding.Path) findings {
	entry := by.Catalog[ref.Name]
	typeError := func(want automation.ValueType) findings {
		w := finding.Newf("placeholder-type", p, finding.AtValue, "%s must be %s, but {{%s}} is a %s", p.Name(), s, ref.Name,
			shape.TypeWord(entry.Type))
		w.In(v, ref.Offset, ref.Length)
		w.Help = "write a literal value, or a placeholder of that type"
		if near := by.OfType(want); near != "" && ofMessage(p) {
			w.Help = "use " + near
		}
		return findings{w}
	}
	switch s.Kind {
	case shape.Number, shape.Integer, shape.Boolean:
		want, cast := automation.NumberValue, automation.CastNumber
		if s.Kind == shape.Boolean {
			want, cast = automation.BooleanValue, automation.CastBoolean
		}
		switch {
		case !lone:
			w := by.WrongType(v, s, p)
			if near := by.OfType(want); near != "" {
				w.Help = "write a literal value, or let one placeholder with a cast be the whole value"
			}
			return findings{w}
		case entry.Type != want:
			return typeError(want)
		case ref.Cast != cast:
			ref.Cast = cast
			w := finding.Newf("missing-cast", p, finding.AtValue,
				"%s must be %s, but without a cast {{%s}} is sent as a string", p.Name(), s, ref.Name)
			w.In(v, ref.Offset, ref.Length)
			w.Suggestion, w.Help = ref.String(), fmt.Sprintf("write %q", ref.String())
			w.Repair = &finding.Repair{How: finding.RewriteText, Text: ref.String()}
			return findings{w}
		}
	case shape.Time, shape.Date:
		switch {
		case !lone:
			w := finding.Newf("invalid-time", p, finding.AtValue, "%s must be a time, got %q", p.Name(), v)
			w.Help = "let one placeholder be the whole value"
			if near := by.OfType(automation.TimeValue); near != "" && ofMessage(p) {
				w.Help += ": " + near
			}
			return findings{w}
		case entry.Type != automation.TimeValue:
			return typeError(automation.TimeValue)
		}
	case shape.Text:
		switch {
		case s.OrLone && lone && ref.Cast == automation.NoCast:
		case len(s.Consts) > 0 && s.OrLone:
			w := finding.Newf("invalid-value", p, finding.AtValue, "%s must be %s, or one placeholder by itself: %q",
				p.Name(), s, v)
			w.Help = "let one placeholder be the whole value, without a cast"
			return findings{w}
		case s.Pattern != nil && !s.Pattern.MatchString(v) && !s.OrLone:
			w := finding.Newf("invalid-value", p, finding.AtValue, "%s can't hold a placeholder", p.Name())
			w.Help = cmp.Or(PatternHelp(p), "write a literal string")
			return findings{w}
		case s.Pattern != nil && !s.Pattern.MatchString(v):
			w := finding.Newf("invalid-value", p, finding.AtValue, "%s can't hold a placeholder with other text around it: %q",
				p.Name(), v)
			w.Help = "let one placeholder be the whole value, without a cast"
			return findings{w}
		case len(s.Consts) > 0:
			w := finding.Newf("invalid-value", p, finding.AtValue, "%s must be %s: it can't hold a placeholder", p.Name(), s)
			w.Help = "write " + s.String()
			return findings{w}
		case lone && ref.Cast != automation.NoCast:
			cast := ref.Cast
			ref.Cast = automation.NoCast
			w := finding.Newf("placeholder-type", p, finding.AtValue, "%s must be a string, but the cast makes it a %s",
				p.Name(), cast)
			w.In(v, ref.Offset, ref.Length)
			w.Suggestion, w.Help = ref.String(), fmt.Sprintf("write %q", ref.String())
			w.Repair = &finding.Repair{How: finding.RewriteText, Text: ref.String()}
			return findings{w}
		}
	}
	return nil
}

// ofMessage reports whether a field is one of the message itself, such as payload.timestamp,
// which the placeholders that every platform knows may fill in. A trait or property has a
// meaning of its own, which a placeholder of the same type need not have.
func ofMessage(p finding.Path) bool { return len(p) > 1 && p[len(p)-2] == "payload" }

// foreignForms are how others write a placeholder. Each has the name as its only
// group.
var foreignForms = sync.OnceValue(func() []*regexp.Regexp {
	const name = `[ \t]*([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*`
	var out []*regexp.Regexp
	for _, form := range []string{
		`[$#%]?\{` + name + `\}`,
		`\{[ \t]+\{` + name + `\}[ \t]*\}`, `\{[ \t]*\{` + name + `\}[ \t]+\}`,
		`<%=?` + name + `%>`,
		`\[\[` + name + `\]\]`,
		`<` + name + `>`,
		`%` + name + `%`,
		`｛｛` + name + `｝｝`,
		`^[:$@]` + name + `$`,
	} {
		out = append(out, regexp.MustCompile(form))
	}
	return out
})

// strayDollar is a placeholder as a shell or GitHub would write it. In front of a
// number it may be the sign of a currency.
var strayDollar = finding.Pattern(`^\$\{\{[ \t]*([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*\}\}$`)

// nonNumber reports whether a placeholder is known and no number.
func (by Rules) nonNumber(name string) bool {
	entry, known := by.Catalog[name]
	return known && entry.Type != automation.NumberValue
}

// foreign reports placeholders of the catalog that are written as another
// platform, a shell or a programming language would: they are sent as they stand.
func (by Rules) foreign(v string, p finding.Path) (found findings, any bool) {
	if !by.Templates {
		return nil, false
	}
	type place struct{ from, to int }
	var told []place
	say := func(m []int) {
		from, to, name := m[0], m[1], v[m[2]:m[3]]
		overlaps := func(t place) bool { return from < t.to && t.from < to }
		if _, known := by.Catalog[name]; !known || slices.ContainsFunc(told, overlaps) {
			return
		}
		told = append(told, place{from, to})
		w := finding.Newf("malformed-placeholder", p, finding.AtValue,
			"%s is not a placeholder: it would be sent unchanged", v[from:to])
		w.In(v, from, to-from)
		w.Suggestion, w.Help = name, "write {{"+name+"}}"
		w.Repair = &finding.Repair{How: finding.RewriteText, Text: automation.Reference{Name: name}.String(),
			Shared: true}
		found = append(found, w)
	}
	forms := foreignForms()
	for i := len(forms) - 1; i >= 0; i-- {
		for _, m := range forms[i].FindAllStringSubmatchIndex(v, -1) {
			doubled := i == 0 && (v[m[0]] == '{' && m[0] > 0 && v[m[0]-1] == '{' || m[1] < len(v) && v[m[1]] == '}')
			if !doubled {
				say(m)
			}
		}
	}
	if m := strayDollar().FindStringSubmatchIndex(v); m != nil && by.nonNumber(v[m[2]:m[3]]) {
		if say(m); len(found) > 0 {
			found[len(found)-1].Message = "the $ in " + v + " would be sent unchanged"
		}
		return found, false // the placeholder in it is one
	}
	return found, len(found) > 0
}

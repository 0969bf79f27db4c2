package check

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/credential"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
)

// scalar checks a text, number, boolean, time, date or null.
func (by Rules) scalar(v any, s *shape.Shape, p finding.Path) findings {
	if text, ok := v.(string); ok && s.Kind != shape.Null {
		return by.text(text, s, p)
	}
	if !shape.FitsKind(v, s) || s.Kind == shape.Text || s.Kind == shape.Time || s.Kind == shape.Date {
		return findings{by.WrongType(v, s, p)}
	}
	if n, ok := v.(json.Number); ok {
		return append(by.number(n, p), by.bounds(n, s, p)...)
	}
	return nil
}

// WrongType makes the finding about a value that is not of the type of its shape.
func (by Rules) WrongType(v any, s *shape.Shape, p finding.Path) finding.Finding {
	name := p.Name()
	if name == "" {
		name = "an automation"
	}
	switch v.(type) {
	case string, json.Number, shape.Bytes:
		if s.RefersToSecret() {
			return secretInCode(s, p)
		}
	}
	got := shape.Describe(v)
	ofSecret := len(p) > 1 && p[0] == "secrets" // what is pasted there may be one
	if _, text := v.(string); ofSecret && text {
		got = "a string"
	}
	w := finding.Newf("wrong-type", p, finding.AtValue, "%s must be %s, got %s", name, s, got)
	w.Confidential = ofSecret
	if !credential.HoldsCredential(credential.PathLabels(p.String())) { // which belongs elsewhere, however it is written
		w.Suggestion, w.Help = rewritten(v, s)
	}
	w.Repair = by.otherLiteral(w.Suggestion, v, s, p)
	switch {
	case w.Help != "":
	case s.Definition == "automation.#Header":
		w.Help = `write a quoted string, or refer to a secret: secret: "NAME"`
	case s.Pattern != nil:
		w.Help = PatternHelp(p)
	default:
		w.Help = "write " + s.Example(p)
	}
	return w
}

// secretInCode reports a value where a secret is referred to. It may be the
// secret: neither the value nor its line is shown.
func secretInCode(s *shape.Shape, p finding.Path) finding.Finding {
	w := finding.Newf("secret-in-code", p, finding.AtValue, "%s", SecretMessage(p))
	w.Confidential, w.Help = true, SecretHelp(p)
	if strings.HasPrefix(s.Definition, "project.#SecretSource") {
		label, _ := p[len(p)-1].(string)
		w.Help = fmt.Sprintf("say where the secret comes from: %s: env: NAME, file: PATH or exec: [...]; "+
			"and if the value was ever committed, replace it", label)
	}
	return w
}

// SecretMessage says that a value is where only the name of a secret may be.
func SecretMessage(p finding.Path) string {
	return p.Name() + " must not hold a secret's value: it refers to the secret by its name"
}

// SecretHelp says how to refer to a secret instead.
func SecretHelp(p finding.Path) string {
	return fmt.Sprintf(`write %v: secret: "NAME"; and if the value was ever committed, replace it`, p[len(p)-1])
}

// rewritten says how a value could be written to be of the type of a shape.
func rewritten(v any, s *shape.Shape) (suggestion, help string) {
	wants := func(sample any) bool {
		return shape.FitsKind(sample, s) || slices.ContainsFunc(s.Alts,
			func(alt *shape.Shape) bool { return shape.FitsKind(sample, alt) })
	}
	switch v := v.(type) {
	case string:
		if wants(json.Number("0")) && IsNumber(v) || wants(true) && (v == "true" || v == "false") {
			return v, "write " + v + " without quotes"
		}
	case json.Number, bool:
		if n, ok := v.(json.Number); ok && (s.Kind == shape.Time || s.Kind == shape.Date) && fromUnix(n) != "" {
			return strconv.Quote(fromUnix(n)), "write the Unix time as " + strconv.Quote(fromUnix(n))
		}
		if text := strconv.Quote(fmt.Sprint(v)); (wants("") || s.Definition == "automation.#Header") &&
			(s.Pattern == nil || s.Pattern.MatchString(fmt.Sprint(v))) {
			return text, "write " + text + " with quotes"
		}
	case shape.Bytes:
		switch {
		case !wants(""):
		case utf8.ValidString(string(v)):
			return strconv.Quote(string(v)), `write it between double quotes, as in "…": single quotes make bytes`
		default:
			return "", "make it a string: hex.Encode of the package encoding/hex, or base64.Encode"
		}
	case nil:
		return "", "give it a value, or leave the field out"
	case []any, map[string]any:
		return "", ""
	}
	return "", ""
}

var numberText = finding.Pattern(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// IsNumber reports whether a string is a number as JSON writes it.
func IsNumber(s string) bool { return numberText().MatchString(s) }

// bounds checks a whole number against the bounds of its shape.
func (by Rules) bounds(n json.Number, s *shape.Shape, p finding.Path) findings {
	if s.Kind != shape.Integer {
		return nil
	}
	r, ok := new(big.Rat).SetString(n.String())
	switch {
	case !ok || !r.IsInt():
		return findings{by.WrongType(n, s, p)}
	case s.Min != nil && r.Cmp(new(big.Rat).SetInt64(*s.Min)) < 0:
		w := finding.Newf("out-of-range", p, finding.AtValue, "%s must be at least %d, got %s", p.Name(), *s.Min, n)
		w.Help = "write " + s.String()
		return findings{w}
	case s.Max != nil && r.Cmp(new(big.Rat).SetInt64(*s.Max)) > 0:
		w := finding.Newf("out-of-range", p, finding.AtValue, "%s must be at most %d, got %s", p.Name(), *s.Max, n)
		w.Help = "write " + s.String()
		return findings{w}
	}
	return nil
}

// number checks that a number arrives as it is written: JSON readers, and RFC
// 8785 with them, take numbers for IEEE 754 doubles.
func (by Rules) number(n json.Number, p finding.Path) findings {
	if len(n) < 16 && !strings.ContainsAny(n.String(), "eE") {
		return nil
	}
	f, err := n.Float64()
	if err == nil {
		exact, ok1 := new(big.Rat).SetString(n.String())
		shortest, ok2 := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
		if ok1 && ok2 && exact.Cmp(shortest) == 0 {
			return nil
		}
	}
	w := finding.Newf("number-precision", p, finding.AtValue, "%s is a number that JSON readers can't hold exactly: %s",
		p.Name(), n)
	w.Help = "write it as a string, with quotes"
	return findings{w}
}

// text checks a text: its placeholders, and its content where it has none.
func (by Rules) text(v string, s *shape.Shape, p finding.Path) (found findings) {
	if strings.ContainsAny(v, "{}%<[:$@｛") {
		var any bool
		if found, any = by.template(v, s, p); any {
			return found
		}
	}
	switch s.Kind {
	case shape.Number, shape.Integer, shape.Boolean:
		return append(found, by.WrongType(v, s, p))
	case shape.Time, shape.Date:
		return append(found, checkTime(v, s, p)...)
	case shape.Text:
		for _, check := range []func(string, finding.Path) findings{by.missingBraces, by.strayBlanks} {
			if f := check(v, p); f != nil {
				return append(found, f...)
			}
		}
		return append(found, content(v, s, p)...)
	}
	return found
}

// missingBraces reports an id that is word for word the name of a placeholder:
// every message would have the same.
func (by Rules) missingBraces(v string, p finding.Path) findings {
	entry, known := by.Catalog[v]
	if !by.Templates || !known || v == strings.ToLower(v) || entry.Type != automation.StringValue || len(p) < 2 ||
		p[len(p)-2] != "payload" {
		return nil
	}
	if label, _ := p[len(p)-1].(string); !strings.HasSuffix(label, "Id") {
		return nil
	}
	w := finding.Newf("malformed-placeholder", p, finding.AtValue,
		"%s would be the same in every message: the braces of the placeholder %s are missing", p.Name(), v)
	w.Suggestion = automation.Reference{Name: v}.String()
	w.Help = fmt.Sprintf("write %q", w.Suggestion)
	w.Repair = &finding.Repair{How: finding.ReplaceLiteral, Text: strconv.Quote(w.Suggestion), Shared: true}
	return findings{w}
}

// strayBlanks reports the name of an event with blanks around it, or several in
// one place: for Segment that is another event.
func (by Rules) strayBlanks(v string, p finding.Path) findings {
	plain := strings.Join(strings.Fields(v), " ")
	if !by.Templates || plain == v || plain == "" || len(p) < 2 || p[len(p)-2] != "payload" || p[len(p)-1] != "event" {
		return nil
	}
	w := finding.Newf("stray-blanks", p, finding.AtValue,
		"%s has whitespace at its ends, or twice in one place: %q", p.Name(), v)
	w.Suggestion, w.Help = plain, fmt.Sprintf("write %q", plain)
	w.Repair = &finding.Repair{How: finding.ReplaceLiteral, Text: strconv.Quote(plain), Shared: true}
	w.Otherwise()
	return findings{w}
}

// content checks a text without placeholders against what is asked of it.
func content(v string, s *shape.Shape, p finding.Path) findings {
	var w finding.Finding
	switch {
	case (s.NonEmptyText || s.Pattern != nil) && strings.TrimSpace(v) == "":
		w = finding.Newf("empty-value", p, finding.AtValue, "%s must not be empty", p.Name())
		w.Help = "give it a value"
	case len(s.Consts) > 0 && !slices.Contains(s.Consts, v):
		w = finding.Newf("invalid-value", p, finding.AtValue, "%s must be %s, got %q", p.Name(), s, v)
		w.Help = "write " + s.String()
		if near := finding.Nearest(v, s.Consts); near != "" {
			w.Suggestion, w.Help = near, finding.DidYouMean(strconv.Quote(near))
			w.Repair = finding.Quoted(near)
		}
	case s.Pattern != nil && !s.Pattern.MatchString(v) && p[len(p)-1] == "secret":
		w = finding.Newf("invalid-value", p, finding.AtValue, "%s is not the name of a secret", p.Name())
		w.Help = PatternHelp(p)
	case s.Pattern != nil && !s.Pattern.MatchString(v):
		w = finding.Newf("invalid-value", p, finding.AtValue, "%s does not have the form that it needs: %q", p.Name(), v)
		w.Help = PatternHelp(p)
	case s.MaxRunes > 0 && utf8.RuneCountInString(v) > s.MaxRunes:
		w = finding.Newf("too-long", p, finding.AtValue, "%s has %d characters, and the longest that Segment takes is %d",
			p.Name(), utf8.RuneCountInString(v), s.MaxRunes)
		w.Help = "shorten it"
	default:
		return nil
	}
	return findings{w}
}

// PatternHelp says in words what the pattern of a field of segue.cue asks for.
func PatternHelp(p finding.Path) string {
	switch p[len(p)-1] {
	case "project":
		return "use lower-case letters, digits and hyphens, as in growth-eu"
	case "endpoint", "url":
		return "write an absolute URL, as in https://events.example.com/v1"
	case "timeout":
		return `write a duration, as in "30s" or "2m"`
	case "time":
		return `write a time of the processors, as in "30s" or "2m"`
	case "memory":
		return `write an amount of memory, as in "512MB" or "2GB"`
	case "secret":
		return "use letters, digits and underscores, as in SEGMENT_WRITE_KEY; and if this is the secret itself, replace it"
	default:
		return ""
	}
}

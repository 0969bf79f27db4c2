package compiler

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seguehq/segue/automation"
)

// scalar checks a text, number, boolean, time, date or null.
func (c *checker) scalar(v any, s *shape, p valuePath) {
	if text, ok := v.(string); ok {
		if s.kind != nullShape {
			c.text(text, s, p)
			return
		}
	}
	if !fitsKind(v, s) || s.kind == textShape || s.kind == timeShape || s.kind == dateShape {
		c.wrongType(v, s, p)
		return
	}
	if n, ok := v.(json.Number); ok {
		c.number(n, p)
		c.bounds(n, s, p)
	}
}

func (c *checker) wrongType(v any, s *shape, p valuePath) {
	name := p.name()
	if name == "" {
		name = "an automation"
	}
	switch v.(type) {
	case string, json.Number, bytesValue:
		if s.refersToSecret() {
			c.secretInCode(s, p)
			return
		}
	}
	got := describe(v)
	ofSecret := len(p) > 1 && p[0] == "secrets" // what is pasted there may be one
	if _, text := v.(string); ofSecret && text {
		got = "a text"
	}
	w := c.report("wrong-type", p, atValue, "%s must be %s, got %s", name, s, got)
	w.Confidential = ofSecret
	if !holdsCredential(pathLabels(p.String())) { // which belongs elsewhere, however it is written
		w.Suggestion, w.Help = rewritten(v, s)
	}
	c.certainLiteral(v, s, p)
	w = &c.found[len(c.found)-1]
	switch {
	case w.Help != "":
	case s.definition == "automation.#Header":
		w.Help = `write a text between quotes, or refer to a secret: secret: "NAME"`
	case s.pattern != nil:
		w.Help = patternHelp(p)
	default:
		w.Help = "write " + s.example(p)
	}
}

// refersToSecret reports whether a shape is that of a secret by its name, or of
// where one comes from.
func (s *shape) refersToSecret() bool {
	switch s.definition {
	case "automation.#Secret", "project.#Secret", "project.#SecretSource", "project.#SecretSourceFields":
		return true
	}
	return false
}

// secretInCode reports a value where a secret is referred to. It may be the
// secret: neither the value nor its line is shown.
func (c *checker) secretInCode(s *shape, p valuePath) {
	w := c.report("secret-in-code", p, atValue, "%s", secretMessage(p))
	w.Confidential, w.Help = true, secretHelp(p)
	if strings.HasPrefix(s.definition, "project.#SecretSource") {
		label, _ := p[len(p)-1].(string)
		w.Help = fmt.Sprintf("say where the secret comes from: %s: env: NAME, file: PATH or exec: [...]; and if the value was ever committed, replace it", label)
	}
}

func secretMessage(p valuePath) string {
	return p.name() + " must not hold a secret's value: it refers to the secret by its name"
}

func secretHelp(p valuePath) string {
	return fmt.Sprintf(`write %v: secret: "NAME"; and if the value was ever committed, replace it`, p[len(p)-1])
}

// rewritten says how a value could be written to be of the type of a shape.
func rewritten(v any, s *shape) (suggestion, help string) {
	wants := func(sample any) bool {
		return fitsKind(sample, s) || slices.ContainsFunc(s.alts, func(alt *shape) bool { return fitsKind(sample, alt) })
	}
	switch v := v.(type) {
	case string:
		if wants(json.Number("0")) && isNumber(v) || wants(true) && (v == "true" || v == "false") {
			return v, "write " + v + " without quotes"
		}
	case json.Number, bool:
		if text := strconv.Quote(fmt.Sprint(v)); (s.kind == textShape || s.definition == "automation.#Header") && (s.pattern == nil || s.pattern.MatchString(fmt.Sprint(v))) {
			return text, "write " + text + " with quotes"
		}
	case bytesValue:
		switch {
		case !wants(""):
		case utf8.ValidString(string(v)):
			return strconv.Quote(string(v)), `write it between double quotes, as in "…": single quotes make bytes`
		default:
			return "", "make a text of it: hex.Encode of the package encoding/hex, or base64.Encode"
		}
	case nil:
		return "", "give it a value, or leave the field out"
	}
	return "", ""
}

var numberText = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func isNumber(s string) bool { return numberText.MatchString(s) }

func (c *checker) bounds(n json.Number, s *shape, p valuePath) {
	if s.kind != integerShape {
		return
	}
	r, ok := new(big.Rat).SetString(n.String())
	switch {
	case !ok || !r.IsInt():
		c.wrongType(n, s, p)
	case s.min != nil && r.Cmp(new(big.Rat).SetInt64(*s.min)) < 0:
		w := c.report("out-of-range", p, atValue, "%s must be at least %d, got %s", p.name(), *s.min, n)
		w.Help = "write " + s.String()
	case s.max != nil && r.Cmp(new(big.Rat).SetInt64(*s.max)) > 0:
		w := c.report("out-of-range", p, atValue, "%s must be at most %d, got %s", p.name(), *s.max, n)
		w.Help = "write " + s.String()
	}
}

// number checks that a number arrives as it is written: JSON readers, and RFC
// 8785 with them, take numbers for IEEE 754 doubles.
func (c *checker) number(n json.Number, p valuePath) {
	if len(n) < 16 && !strings.ContainsAny(n.String(), "eE") {
		return
	}
	f, err := n.Float64()
	if err == nil {
		exact, ok1 := new(big.Rat).SetString(n.String())
		shortest, ok2 := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
		if ok1 && ok2 && exact.Cmp(shortest) == 0 {
			return
		}
	}
	w := c.report("number-precision", p, atValue, "%s is a number that JSON readers can't hold exactly: %s", p.name(), n)
	w.Help = "write it as a text, with quotes"
}

// text checks a text: its placeholders, and its content where it has none.
func (c *checker) text(v string, s *shape, p valuePath) {
	if strings.ContainsAny(v, "{}%<[:$@｛") && c.template(v, s, p) {
		return
	}
	if s.kind == textShape && (c.missesBraces(v, p) || c.blankEvent(v, p)) {
		return
	}
	switch s.kind {
	case numberShape, integerShape, booleanShape:
		c.wrongType(v, s, p)
	case timeShape, dateShape:
		c.time(v, s, p)
	case textShape:
		c.content(v, s, p)
	}
}

// missesBraces reports an id that is word for word the name of a placeholder:
// every message would have the same.
func (c *checker) missesBraces(v string, p valuePath) bool {
	entry, known := c.catalog[v]
	if !c.templates || !known || v == strings.ToLower(v) || entry.Type != automation.StringValue || len(p) < 2 || p[len(p)-2] != "payload" {
		return false
	}
	if label, _ := p[len(p)-1].(string); !strings.HasSuffix(label, "Id") {
		return false
	}
	w := c.report("malformed-placeholder", p, atValue, "%s would be the same in every message: the braces of the placeholder %s are missing", p.name(), v)
	w.Suggestion = automation.Reference{Name: v}.String()
	w.Help = fmt.Sprintf("write %q", w.Suggestion)
	w.repair = &repair{how: replace, text: strconv.Quote(w.Suggestion), shared: true}
	return true
}

// blankEvent reports the name of an event with blanks around it, or several in
// one place: for Segment that is another event.
func (c *checker) blankEvent(v string, p valuePath) bool {
	plain := strings.Join(strings.Fields(v), " ")
	if !c.templates || plain == v || plain == "" || len(p) < 2 || p[len(p)-2] != "payload" || p[len(p)-1] != "event" {
		return false
	}
	w := c.report("stray-blanks", p, atValue, "%s has blanks that are not meant to be there: %q", p.name(), v)
	w.Suggestion, w.Help = plain, fmt.Sprintf("write %q", plain)
	w.repair = &repair{how: replace, text: strconv.Quote(plain), shared: true}
	return true
}

// content checks a text without placeholders against what is asked of it.
func (c *checker) content(v string, s *shape, p valuePath) {
	switch {
	case (s.nonEmpty || s.pattern != nil) && strings.TrimSpace(v) == "":
		w := c.report("empty-value", p, atValue, "%s must not be empty", p.name())
		w.Help = "give it a value"
	case len(s.consts) > 0 && !slices.Contains(s.consts, v):
		w := c.report("invalid-value", p, atValue, "%s must be %s, got %q", p.name(), s, v)
		w.Help = "write " + s.String()
		if near := Nearest(v, s.consts); near != "" {
			w.Suggestion, w.Help = near, didYouMean(strconv.Quote(near))
			w.repair = quoted(near)
		}
	case s.pattern != nil && !s.pattern.MatchString(v) && p[len(p)-1] == "secret":
		c.report("invalid-value", p, atValue, "%s is not the name of a secret", p.name()).Help = patternHelp(p)
	case s.pattern != nil && !s.pattern.MatchString(v):
		c.report("invalid-value", p, atValue, "%s does not have the form that it needs: %q", p.name(), v).Help = patternHelp(p)
	case s.maxRunes > 0 && utf8.RuneCountInString(v) > s.maxRunes:
		w := c.report("too-long", p, atValue, "%s has %d characters, and the longest that Segment takes is %d", p.name(), utf8.RuneCountInString(v), s.maxRunes)
		w.Help = "shorten it"
	}
}

// patternHelp says in words what the pattern of a field of segue.cue asks for.
func patternHelp(p valuePath) string {
	switch p[len(p)-1] {
	case "project":
		return "use lower-case letters, digits and hyphens, as in growth-eu"
	case "endpoint", "url":
		return "write an absolute URL, as in https://events.example.com/v1"
	case "timeout":
		return `write a duration, as in "30s" or "2m"`
	case "secret":
		return "use letters, digits and underscores, as in SEGMENT_WRITE_KEY; and if this is the secret itself, replace it"
	default:
		return ""
	}
}

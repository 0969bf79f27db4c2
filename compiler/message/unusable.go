package message

import (
	"encoding/json"
	"net/mail"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the zones are the same on every machine
	"unicode"

	"golang.org/x/text/currency"
	"golang.org/x/text/language"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
)

// checkUnusable warns of values that no reader can use, such as a currency that does not
// exist. It says nothing of values that have a finding, or are not known before they are sent.
func (m *Checked) checkUnusable() (found findings) {
	check := func(f fieldOf) {
		if !m.told(f.at) {
			found = append(found, unusable(f)...)
		}
	}
	if payload, ok := m.payload.(map[string]any); ok && m.Call != "http" {
		if v, ok := payload["channel"]; ok {
			check(fieldOf{name: "channel", value: v, at: m.At.With("payload", "channel"), block: "context"})
		}
	}
	m.fields(check)
	return found
}

func unusable(f fieldOf) findings {
	text, isText := f.value.(string)
	number, isNumber := f.value.(json.Number)
	if !isText && !isNumber || isText && (!constant(text) || masked(text)) {
		return nil
	}
	problem, help := "", ""
	if isText {
		problem, help = unusableText(f, text)
	}
	if v, err := strconv.ParseFloat(text+number.String(), 64); err == nil && problem == "" {
		problem, help = unusableNumber(f, v)
	}
	if problem == "" {
		return nil
	}
	w := finding.Newf("unusable-value", f.at, finding.AtValue, "%s %s", f.at.Name(), problem)
	w.Help = help
	return findings{w}
}

// masked reports whether a string only shows the form of a value, as in Xxxx/Xxxxxx: a project
// that was masked before it was passed on has the findings of the real one, and no others.
func masked(v string) bool {
	return !strings.ContainsFunc(v, func(r rune) bool { return unicode.IsLetter(r) && r != 'x' && r != 'X' }) &&
		strings.ContainsAny(v, "xX")
}

// unusableText says what is wrong with a string, by the meaning of its field.
func unusableText(f fieldOf, v string) (problem, help string) {
	quoted := strconv.Quote(v)
	inContext := f.block == "context" && (f.name == "channel" || f.spec != nil)
	isTrait := f.spec != nil && (f.block == "traits" || slices.Contains(pathSteps(f.at), "traits"))
	switch {
	case slices.Contains([]string{"NaN", "undefined", "[object Object]", "Infinity", "-Infinity"}, v):
		return "is " + quoted + ", which a program writes for a value that it does not have",
			"send the value, or leave the field out"
	case f.name == "currency" && f.block == "properties":
		if _, err := currency.ParseISO(v); err != nil {
			return "must be a currency of ISO 4217, got " + quoted, `write its code, as in "EUR"`
		}
	case inContext && f.name == "channel":
		if !slices.Contains(channels, v) {
			return "must be server, browser or mobile, got " + quoted, "write one of them, or leave the field out"
		}
	case inContext && f.name == "ip":
		if _, err := netip.ParseAddr(v); err != nil {
			return "must be an IP address, got " + quoted, "write it as in 203.0.113.7, or leave the field out"
		}
	case inContext && f.name == "timezone":
		if _, err := time.LoadLocation(v); err != nil || v == "Local" {
			return "must be a time zone of the tz database, got " + quoted, "write it as in Europe/Lisbon"
		}
	case inContext && f.name == "locale":
		if _, err := language.Parse(v); err != nil {
			return "must be a language and a region, got " + quoted, "write it as in en-US"
		}
	case isTrait && f.name == "email":
		if a, err := mail.ParseAddress(v); err != nil || a.Address != v {
			return "must be an email address, got " + quoted, "write the address alone, as in ada@example.com"
		}
	case isTrait && f.name == "phone":
		if !strings.ContainsAny(v, "0123456789") {
			return "must be a phone number, got " + quoted, "write it as in +351 210 000 000"
		}
	case f.block != "context" && otherDate().MatchString(v):
		return "is a date that readers take apart in several ways: " + quoted, "write it as in " + dateExample
	case f.block != "context" && f.spec == nil && withoutZone().MatchString(v):
		return "is a time without a zone, which Segment does not save: " + quoted,
			"add Z for UTC, or an offset such as +01:00"
	case decimalComma().MatchString(v) && isAmount(f):
		return "is a number with a comma: " + quoted, "write " + strings.Replace(v, ",", ".", 1) + " without quotes"
	}
	return "", ""
}

// channels are the values of channel in the spec, and web, which many libraries write for
// browser and readers know.
var channels = []string{"server", "browser", "mobile", "web"}

const dateExample = `"2026-03-14T09:26:53Z" or "2026-03-14"`

var (
	otherDate    = finding.Pattern(`^\d{1,2}([/.-])\d{1,2}[/.-]\d{4}([ T]\d{1,2}:\d{2}.*)?$`)
	withoutZone  = finding.Pattern(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?$`)
	decimalComma = finding.Pattern(`^-?\d+,\d{1,2}$`)
)

// isAmount reports whether a field holds a number, by the spec or by its name.
func isAmount(f fieldOf) bool {
	if f.spec != nil {
		return f.spec.Kind == shape.Number || f.spec.Kind == shape.Integer
	}
	words := finding.Words(f.name)
	return len(words) > 0 && slices.Contains([]string{"price", "amount", "total", "subtotal", "revenue", "value", "cost",
		"fee", "tax", "discount", "shipping", "duration", "count", "quantity", "rate", "score", "percent"},
		strings.ToLower(words[len(words)-1]))
}

// unusableNumber says what is wrong with a number, by the meaning of its field.
func unusableNumber(f fieldOf, v float64) (problem, help string) {
	within := func(what string, from, to float64) (string, string) {
		if v >= from && v <= to {
			return "", ""
		}
		return "is out of the range of " + what + ": " + strconv.FormatFloat(v, 'g', -1, 64),
			"write a number from " + strconv.FormatFloat(from, 'g', -1, 64) + " to " + strconv.FormatFloat(to, 'g', -1, 64)
	}
	switch {
	case f.spec == nil:
	case f.name == "latitude":
		return within("a latitude", -90, 90)
	case f.name == "longitude":
		return within("a longitude", -180, 180)
	case f.name == "age":
		return within("an age in years", 0, 150)
	}
	return "", ""
}

func pathSteps(p finding.Path) []string {
	var steps []string
	for _, s := range p {
		if s, ok := s.(string); ok {
			steps = append(steps, s)
		}
	}
	return steps
}

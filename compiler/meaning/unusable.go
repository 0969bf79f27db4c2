package meaning

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

// Unusable says why no reader can use the value of a field, such as a currency that does not exist, and what to
// write instead; "" if readers can use it, or it is not known before it is sent.
func Unusable(f Field) (problem, help string) {
	text, isText := f.Value.(string)
	number, isNumber := f.Value.(json.Number)
	if !isText && !isNumber || isText && (!Constant(text) || masked(text)) {
		return "", ""
	}
	if isText {
		problem, help = unusableText(f, text)
	}
	if v, err := strconv.ParseFloat(text+number.String(), 64); err == nil && problem == "" {
		problem, help = unusableNumber(f, v)
	}
	return problem, help
}

// masked reports whether a string only shows the form of a value, as in Xxxx/Xxxxxx: a project
// that was masked before it was passed on has the findings of the real one, and no others.
func masked(v string) bool {
	return !strings.ContainsFunc(v, func(r rune) bool { return unicode.IsLetter(r) && r != 'x' && r != 'X' }) &&
		strings.ContainsAny(v, "xX")
}

// unusableText says what is wrong with a string, by the meaning of its field.
func unusableText(f Field, v string) (problem, help string) {
	quoted := strconv.Quote(v)
	inContext := f.Block == "context" && (f.Name == "channel" || f.Spec != nil)
	isTrait := f.Spec != nil && (f.Block == "traits" || slices.Contains(pathSteps(f.At), "traits"))
	switch {
	case slices.Contains([]string{"NaN", "undefined", "[object Object]", "Infinity", "-Infinity"}, v):
		return "is " + quoted + ", which a program writes for a value that it does not have",
			"send the value, or leave the field out"
	case f.Name == "currency" && f.Block == "properties":
		if _, err := currency.ParseISO(v); err != nil {
			return "must be a currency of ISO 4217, got " + quoted, `write its code, as in "EUR"`
		}
	case inContext && f.Name == "channel":
		if !slices.Contains(channels, v) {
			return "must be server, browser or mobile, got " + quoted, "write one of them, or leave the field out"
		}
	case inContext && f.Name == "ip":
		if _, err := netip.ParseAddr(v); err != nil {
			return "must be an IP address, got " + quoted, "write it as in 203.0.113.7, or leave the field out"
		}
	case inContext && f.Name == "timezone":
		if _, err := time.LoadLocation(v); err != nil || v == "Local" {
			return "must be a time zone of the tz database, got " + quoted, "write it as in Europe/Lisbon"
		}
	case inContext && f.Name == "locale":
		if _, err := language.Parse(v); err != nil {
			return "must be a language and a region, got " + quoted, "write it as in en-US"
		}
	case isTrait && f.Name == "email":
		if a, err := mail.ParseAddress(v); err != nil || a.Address != v {
			return "must be an email address, got " + quoted, "write the address alone, as in ada@example.com"
		}
	case isTrait && f.Name == "phone":
		if !strings.ContainsAny(v, "0123456789") {
			return "must be a phone number, got " + quoted, "write it as in +351 210 000 000"
		}
	case f.Block != "context" && otherDate().MatchString(v):
		return "is a date that readers take apart in several ways: " + quoted, "write it as in " + dateExample
	case f.Block != "context" && f.Spec == nil && withoutZone().MatchString(v):
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
func isAmount(f Field) bool {
	if f.Spec != nil {
		return f.Spec.Kind == shape.Number || f.Spec.Kind == shape.Integer
	}
	words := finding.Words(f.Name)
	return len(words) > 0 && slices.Contains([]string{"price", "amount", "total", "subtotal", "revenue", "value", "cost",
		"fee", "tax", "discount", "shipping", "duration", "count", "quantity", "rate", "score", "percent"},
		strings.ToLower(words[len(words)-1]))
}

// unusableNumber says what is wrong with a number, by the meaning of its field.
func unusableNumber(f Field, v float64) (problem, help string) {
	within := func(what string, from, to float64) (string, string) {
		if v >= from && v <= to {
			return "", ""
		}
		return "is out of the range of " + what + ": " + strconv.FormatFloat(v, 'g', -1, 64),
			"write a number from " + strconv.FormatFloat(from, 'g', -1, 64) + " to " + strconv.FormatFloat(to, 'g', -1, 64)
	}
	switch {
	case f.Spec == nil:
	case f.Name == "latitude":
		return within("a latitude", -90, 90)
	case f.Name == "longitude":
		return within("a longitude", -180, 180)
	case f.Name == "age":
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

package automation

import (
	"bytes"
	_ "embed" // for MessageCheck
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// MessageCheck is the JavaScript form of [Automation.CheckMessage], for platforms
// that run JavaScript: a declaration of the function refusal, which only needs
// the language (ES2020). The comment above the function explains the call.
//
//go:embed message.js
var MessageCheck string

// The limits that Segment sets on an event.
const (
	// MaxMessageBytes is the maximum size of an event: 32 KB. Source: "Max request size" in Segment's
	// documentation of the HTTP API,
	// https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/#max-request-size
	MaxMessageBytes = 32 << 10
	// MaxMessageIDLength is the maximum length of a messageId, in characters:
	// Segment requires fewer than 100. Source: "Errors" on the same page.
	MaxMessageIDLength = 99
)

// CheckMessage returns an error that says why a request of the automation must
// not be sent, or nil if it may be sent. values are the values of its
// placeholders.
//
// A value must not exceed its placeholder's maxLength. A message to Segment must
// not be one that Segment answers with 200 and then drops: each rule cites a page
// of Segment's documentation. CheckMessage only refuses certain cases: it allows
// a time in a form that some readers of ISO 8601 accept.
func (a Automation) CheckMessage(r Rendered, values map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(a.Placeholders)) {
		limit := a.Placeholders[name].MaxLength
		if n := valueLength(values[name]); limit > 0 && n > limit {
			return fmt.Errorf("the value of {{%s}} has %d bytes, and its maxLength is %d", name, n, limit)
		}
	}
	call := segmentCall(r.URL, a.Action.Headers)
	if call == "" {
		return nil
	}
	if reason := dropped(call, r.Body); reason != "" {
		return errors.New("Segment would drop the message: " + reason)
	}
	return nil
}

// valueLength is the size of a value as JSON text, without the quotes of a string.
func valueLength(v any) int {
	s, isString := v.(string)
	if !isString {
		s, _ = textOf(v)
		return len(s)
	}
	n := 0
	for _, r := range s {
		switch {
		case r == '"' || r == '\\' || strings.ContainsRune("\b\f\n\r\t", r):
			n += len(`\n`)
		case r < ' ':
			n += len(`\u0000`)
		default:
			n += utf8.RuneLen(r)
		}
	}
	return n
}

// The URLs of Segment's calls, from "Regional configuration" on the page of the
// HTTP API, and the end of such a URL on another host.
var (
	segmentURL = pattern(`^[Hh][Tt][Tt][Pp][Ss]?://(?i:(?:[^/?#@]*@)?(?:api\.segment\.io|events\.eu1\.segmentapis\.com)\.?(?::[0-9]*)?)` +
		`/v1/(identify|group|track|page|screen|alias)/?(?:[?#]|$)`)
	proxyURL = pattern(`^[^?#]*/(identify|group|track|page|screen|alias)/?(?:[?#]|$)`)
)

// segmentCall returns the Segment call that a request makes, or "" if it makes
// none. A request to another host counts if it looks like one to Segment: a write
// key as the user name of Basic credentials, no password, and a URL that ends in
// the call. Sources with their own endpoint send such requests to a proxy that
// forwards them to Segment.
func segmentCall(url string, headers map[string]Header) string {
	if m := segmentURL().FindStringSubmatch(url); m != nil {
		return m[1]
	}
	h := headers["Authorization"]
	if h.Scheme != Basic || h.Username == (Credential{}) || h.Password != (Credential{}) {
		return ""
	}
	if m := proxyURL().FindStringSubmatch(url); m != nil {
		return m[1]
	}
	return ""
}

// dropped returns the reason why Segment would drop a message, or "" if there is
// no known reason.
func dropped(call string, body []byte) string {
	if len(body) > MaxMessageBytes {
		return fmt.Sprintf("it has %d bytes; the maximum is %d", len(body), MaxMessageBytes)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return "its body is not JSON" // "Errors": invalid JSON
	}
	message, ok := tree.(map[string]any)
	if !ok {
		return "its body is not a JSON object"
	}
	// https://segment.com/docs/connections/spec/common/ lists the fields of every
	// call. "Errors" on the page of the HTTP API: each payload has a userId
	// and/or an anonymousId.
	if user, anonymous := lacks(message["userId"]), lacks(message["anonymousId"]); user != "" && anonymous != "" {
		return fmt.Sprintf("userId %s and anonymousId %s, but a message needs one of them", user, anonymous)
	}
	if field, ok := requiredFields[call]; ok {
		if lack := lacks(message[field]); lack != "" {
			return fmt.Sprintf("%s %s, but %s calls require it", field, lack, call)
		}
	}
	// "Timestamps" in the common fields: all are date strings of ISO 8601.
	for _, field := range []string{"timestamp", "sentAt"} {
		switch v := message[field].(type) {
		case nil:
		case string:
			if !isISOTime(v) {
				return field + " is not an ISO 8601 time" + shown(v)
			}
		default:
			return field + " is not a string with an ISO 8601 time"
		}
	}
	// "Errors": fewer than 100 characters.
	if id, _ := message["messageId"].(string); utf8.RuneCountInString(id) > MaxMessageIDLength {
		return fmt.Sprintf("messageId has %d characters; the maximum is %d", utf8.RuneCountInString(id), MaxMessageIDLength)
	}
	return ""
}

// requiredFields are the fields that single calls require, from their pages:
// https://segment.com/docs/connections/spec/group/, .../track/ and .../alias/.
var requiredFields = map[string]string{"group": "groupId", "track": "event", "alias": "previousId"}

// lacks returns the error of the value of a required field, or "" if it is
// valid.
func lacks(v any) string {
	switch v := v.(type) {
	case nil:
		return "is missing"
	case json.Number:
		return ""
	case string:
		// The same characters as JavaScript's \s, and U+0085.
		if strings.TrimFunc(v, func(r rune) bool { return unicode.IsSpace(r) || r == '\uFEFF' }) == "" {
			return "is empty"
		}
		return ""
	default:
		return "is not a string"
	}
}

// shown quotes a short value of plain characters, for the end of a sentence.
func shown(s string) string {
	const most = 60
	if len(s) > most || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return `: "` + s + `"`
}

// The forms of dates and times in ISO 8601: extended, basic and mixed; with the day
// of the month, the day of the year or a week; with reduced precision. Segment's
// own readers and examples add two: a space instead of the T, and a month or day of
// one digit ("2015-2-02T00:30:08.276Z" is an example on the page of the HTTP API).
var (
	isoDateTime = pattern(`^([0-9]{4}|[+-][0-9]{6})(?:-([0-9]{1,2})-([0-9]{1,2})|([0-9]{2})([0-9]{2})|-?([0-9]{3})|-?W([0-9]{2})-?([0-9]))` +
		`(?:[Tt ]([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2}))?)?(?:[.,]([0-9]+))?(?:[Zz]|[+-]([0-9]{2})(?::?([0-9]{2}))?)?)?$`)
	isoLess = pattern(`^(?:[0-9]{4}|[+-][0-9]{6})(?:-([0-9]{2})|-?W([0-9]{2}))?$`)
)

// isISOTime reports whether a string may be an existing date, or date and time,
// in ISO 8601.
func isISOTime(s string) bool {
	within := func(text string, low, high int) bool {
		n, err := strconv.Atoi(text)
		return text == "" || err == nil && n >= low && n <= high
	}
	if m := isoLess().FindStringSubmatch(s); m != nil {
		return within(m[1], 1, 12) && within(m[2], 1, 53)
	}
	m := isoDateTime().FindStringSubmatch(s)
	if m == nil {
		return false
	}
	year, _ := strconv.Atoi(m[1])
	month, day := m[2]+m[4], m[3]+m[5]
	days := 31
	switch n, _ := strconv.Atoi(month); n {
	case 4, 6, 9, 11:
		days = 30
	case 2:
		days = 28 + leapDay(year)
	}
	midnight := m[9] == "24" && strings.Trim(m[10]+m[11]+m[12], "0") == ""
	return within(month, 1, 12) && within(day, 1, days) && within(m[6], 1, 365+leapDay(year)) &&
		within(m[7], 1, 53) && within(m[8], 1, 7) &&
		(within(m[9], 0, 23) || midnight) && within(m[10], 0, 59) && within(m[11], 0, 60) && // 60 is a leap second
		within(m[13], 0, 23) && within(m[14], 0, 59)
}

// leapDay returns 1 in a leap year, otherwise 0.
func leapDay(year int) int {
	if year%4 == 0 && year%100 != 0 || year%400 == 0 {
		return 1
	}
	return 0
}

// pattern returns a regular expression that is compiled on first use.
func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

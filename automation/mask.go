package automation

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	gosync "sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// masked replaces a secret.
const masked = redacted

// shortSecret is the length, in bytes, below which a secret is hidden only as a
// separate word or value: such a short string is part of many others.
const shortSecret = 6

// A Mask hides secrets in strings from outside: the errors, names and ids of a
// platform or its proxy, or an endpoint's answer. It recognizes a secret as it
// is, in Base64 within a longer string, in hex, and with any of its characters
// escaped as in JSON, HTML and URLs, even several times.
//
// The zero value hides nothing. Its methods may be called from several
// goroutines, and on a nil Mask, which hides nothing either.
type Mask struct {
	mu    gosync.RWMutex
	known map[string]bool
	forms []maskForm // longest first
	reach int
}

// A maskForm is one form in which a secret may appear.
type maskForm struct {
	text string
	// first is the first byte of the form.
	first byte
	// whole is true if the form counts only as a separate word.
	whole bool
	// folded is true if case does not matter.
	folded bool
	// base64 is true for Base64: both alphabets match, and the adjacent
	// characters hold bits of the secret.
	base64 bool
	// telling is true if the secret can't be a word of a language.
	telling bool
}

// NewMask returns a mask of the secrets.
func NewMask(secrets ...Secret) *Mask {
	m := &Mask{}
	m.Add(secrets...)
	return m
}

// MaskOf returns a mask of the secrets in a map.
func MaskOf(secrets map[string]Secret) *Mask {
	m := &Mask{}
	for _, s := range secrets {
		m.Add(s)
	}
	return m
}

// Add adds secrets to the mask. It ignores empty ones.
func (m *Mask) Add(secrets ...Secret) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range secrets {
		value := s.Reveal()
		if value == "" || m.known[value] {
			continue
		}
		if m.known == nil {
			m.known = map[string]bool{}
		}
		m.known[value] = true
		for _, f := range formsOf(value) {
			f.first = f.text[0]
			m.forms = append(m.forms, f)
		}
		m.reach = max(m.reach, longestEscape*2*(len(value)+3))
	}
	slices.SortStableFunc(m.forms, func(a, b maskForm) int { return len(b.text) - len(a.text) })
}

// formsOf returns the forms in which a secret may appear.
func formsOf(value string) []maskForm {
	short := utf8.RuneCountInString(value) < shortSecret
	tells := isTelling(value)
	forms := []maskForm{
		{text: value, whole: short, telling: tells},
		{text: hex.EncodeToString([]byte(value)), whole: short, folded: true, telling: tells},
	}
	// As sent in Basic credentials: alone, or with a colon on one side.
	for _, text := range []string{value, value + ":", ":" + value} {
		encoded := strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(text)), "=")
		forms = append(forms, maskForm{text: encoded, whole: short, base64: true, telling: tells})
	}
	if short {
		return forms
	}
	// Base64 within a longer string, in which the secret may have been escaped
	// before: the characters that depend only on the secret, for each offset in a
	// group of three bytes.
	variants := []string{value, url.QueryEscape(value), url.PathEscape(value), jsonText(value, true), jsonText(value, false), html.EscapeString(value)}
	slices.Sort(variants)
	for _, v := range slices.Compact(variants) {
		for before := range 3 {
			encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + v))
			first, last := (8*before+5)/6, (8*(before+len(v)))/6
			forms = append(forms, maskForm{text: encoded[first:last], base64: true, telling: tells})
		}
	}
	return forms
}

// jsonText returns a string as it is written between the quotes in JSON.
func jsonText(s string, escapeHTML bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	_ = e.Encode(s) // encoding a string never fails
	text := strings.TrimSuffix(b.String(), "\n")
	return text[1 : len(text)-1]
}

// isTelling reports whether a string can't occur elsewhere by chance because it
// is long and unlike a word: it contains a digit, a symbol or an inner capital
// letter, or is longer than words are.
func isTelling(value string) bool {
	const longestWord = 24
	if utf8.RuneCountInString(value) < shortSecret {
		return false
	}
	if len(value) > longestWord && !strings.Contains(value, " ") {
		return true
	}
	for i, r := range value {
		if isWord := unicode.IsLower(r) || r == ' ' || r == '-' || r == '_' || i == 0 && unicode.IsUpper(r); !isWord {
			return true
		}
	}
	return false
}

// Reach returns the number of bytes beyond a cut that are needed to recognize a
// secret at the cut.
func (m *Mask) Reach() int {
	if m == nil {
		return 0
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.reach
}

// Hide replaces each secret in the text with "(secret)". A secret of fewer than
// six characters is hidden only as a separate word.
func (m *Mask) Hide(text string) string { return m.Start(text, len(text)) }

// Start returns the first limit bytes of a string with the secrets hidden. A
// secret that begins within them and ends beyond is hidden as a whole.
func (m *Mask) Start(text string, limit int) string {
	out, _ := m.hide(text, limit, false)
	return out
}

// HideTelling hides the secrets except those that may be words, such as
// "development", which a string may contain for another reason. It is applied
// to everything that is printed.
func (m *Mask) HideTelling(text string) string {
	out, _ := m.hide(text, len(text), true)
	return out
}

// Finds reports whether a string contains a secret.
func (m *Mask) Finds(text string) bool {
	_, found := m.hide(text, len(text), false)
	return found
}

// hide hides all secrets, or only the telling ones.
func (m *Mask) hide(text string, limit int, tellingOnly bool) (_ string, found bool) {
	limit = min(limit, len(text))
	if m == nil {
		return text[:limit], false
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if len(m.forms) == 0 {
		return text[:limit], false
	}
	var b strings.Builder
	kept := 0 // text[:kept] is in b or hidden
	for i := 0; i < limit; {
		f, end := m.at(text, i, tellingOnly)
		if f == nil {
			_, size := utf8.DecodeRuneInString(text[i:])
			i += size
			continue
		}
		start := i
		if f.base64 {
			start, end = withShared(text, kept, start, end)
		}
		// Do not leave half an escape in front.
		before := text[kept:start]
		if backslashes := len(before) - len(strings.TrimRight(before, `\`)); backslashes%2 == 1 {
			before = before[:len(before)-1]
		}
		b.WriteString(before)
		b.WriteString(masked)
		i, kept, found = end, end, true
	}
	if kept < limit {
		b.WriteString(text[kept:limit])
	}
	return b.String(), found
}

// at returns the longest form that begins at an offset, or nil if none does.
func (m *Mask) at(text string, at int, tellingOnly bool) (found *maskForm, end int) {
	for i := range m.forms {
		f := &m.forms[i]
		if tellingOnly && !f.telling || !f.mayBegin(text[at]) {
			continue
		}
		if e, ok := f.match(text, at); ok && e > end {
			found, end = f, e
		}
	}
	return found, end
}

// withShared extends a piece of Base64 by the padding and by the adjacent
// characters that hold bits both of the secret and of its neighbors. It does not
// extend it before kept.
func withShared(text string, kept, start, end int) (int, int) {
	if start > kept && isBase64(text[start-1]) {
		start--
	}
	if end < len(text) && isBase64(text[end]) {
		end++
	}
	for end < len(text) && text[end] == '=' {
		end++
	}
	return start, end
}

// mayBegin reports whether a byte may be the first of the form. It is called
// for every byte of a string.
func (f *maskForm) mayBegin(c byte) bool {
	switch {
	case isEscape(c), c == '-', c == '_', c == f.first:
		return true
	default:
		return f.folded && c|0x20 == f.first|0x20
	}
}

// match reports whether the form begins at an offset of a string, and returns
// its end.
func (f *maskForm) match(text string, at int) (end int, ok bool) {
	if f.whole && at > 0 {
		if r, _ := utf8.DecodeLastRuneInString(text[:at]); isWord(r) && !escapeEnds(text[:at]) {
			return 0, false
		}
	}
	// A string may have several readings. A state is the length of the form
	// found so far, and the offset at which the rest would begin.
	type state struct{ found, at int }
	states, next := []state{{0, at}}, []state(nil)
	for len(states) > 0 {
		next = next[:0]
		for _, s := range states {
			if s.found == len(f.text) {
				if r, _ := utf8.DecodeRuneInString(text[s.at:]); !f.whole || s.at == len(text) || !isWord(r) {
					end, ok = max(end, s.at), true
				}
				continue
			}
			if s.at < len(text) && !isEscape(text[s.at]) { // nearly always
				if f.same(f.text[s.found], text[s.at]) {
					next = append(next, state{s.found + 1, s.at + 1})
				}
				continue
			}
			for _, r := range read(text, s.at, mostEscaped) {
				if n := len(r.bytes); n <= len(f.text)-s.found && f.sameAll(f.text[s.found:s.found+n], r.bytes) {
					if to := (state{s.found + n, r.next}); !slices.Contains(next, to) {
						next = append(next, to)
					}
				}
			}
		}
		states, next = next, states
	}
	return end, ok
}

// same compares a byte of the form with one of a string.
func (f *maskForm) same(want, got byte) bool {
	switch {
	case want == got:
		return true
	case f.folded:
		return 'a' <= want && want <= 'z' && got == want-'a'+'A'
	default:
		return f.base64 && (got == '-' && want == '+' || got == '_' && want == '/')
	}
}

func (f *maskForm) sameAll(want, got string) bool {
	for i := range len(want) {
		if !f.same(want[i], got[i]) {
			return false
		}
	}
	return true
}

// isWord reports whether a character can be part of a word or a name.
func isWord(r rune) bool {
	return r == '_' || r == '-' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

// escapeEnds reports whether a string ends with an escaped character that can't
// be part of a word, as in "%3A" or "\n".
func escapeEnds(text string) bool {
	if n := len(text); n >= 3 && text[n-3] == '%' {
		b, err := strconv.ParseUint(text[n-2:], 16, 8)
		return err == nil && b < utf8.RuneSelf && !isWord(rune(b))
	}
	n := len(text)
	return n >= 2 && text[n-2] == '\\' && strings.IndexByte("nrtbf", text[n-1]) >= 0
}

func isBase64(c byte) bool {
	return c == '+' || c == '/' || c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

const (
	// mostEscaped is the number of times that an escape may have been escaped
	// again.
	mostEscaped = 3
	// longestEscape is roughly the maximum number of bytes of an escaped byte.
	longestEscape = 16
)

// isEscape reports whether a byte may begin an escape, or be one.
func isEscape(c byte) bool { return c == '%' || c == '\\' || c == '&' || c == '+' }

// A reading is a byte that a string may mean at an offset, and the offset after
// it.
type reading struct {
	bytes string
	next  int
}

// read returns the possible readings of a string at an offset: the byte itself,
// and the byte that it means if it was escaped up to this many times.
func read(text string, at, times int) []reading {
	if at >= len(text) {
		return nil
	}
	if times == 0 || !isEscape(text[at]) {
		return []reading{{text[at : at+1], at + 1}}
	}
	below := read(text, at, times-1)
	all := below
	for _, r := range below {
		switch r.bytes {
		case "+": // in a query
			all = append(all, reading{" ", r.next})
		case "%":
			for _, hex := range readDigits(text, r.next, times-1, 2) {
				b, _ := strconv.ParseUint(hex.bytes, 16, 8) // they are digits
				all = append(all, reading{string([]byte{byte(b)}), hex.next})
			}
		case `\`:
			all = append(all, readBackslash(text, r.next, times-1)...)
		case "&":
			all = append(all, readEntity(text, r.next, times-1)...)
		}
	}
	slices.SortFunc(all, func(a, b reading) int {
		if a.next != b.next {
			return a.next - b.next
		}
		return strings.Compare(a.bytes, b.bytes)
	})
	return slices.Compact(all)
}

// readDigits reads n hexadecimal digits.
func readDigits(text string, at, times, n int) []reading {
	if n == 0 {
		return []reading{{"", at}}
	}
	var all []reading
	for _, digit := range read(text, at, times) {
		if len(digit.bytes) != 1 || !strings.Contains("0123456789abcdefABCDEF", digit.bytes) {
			continue
		}
		for _, rest := range readDigits(text, digit.next, times, n-1) {
			all = append(all, reading{digit.bytes + rest.bytes, rest.next})
		}
	}
	return all
}

// readBackslash reads the rest of an escape with a backslash.
func readBackslash(text string, at, times int) []reading {
	var all []reading
	for _, r := range read(text, at, times) {
		switch r.bytes {
		case "x":
			for _, hex := range readDigits(text, r.next, times, 2) {
				b, _ := strconv.ParseUint(hex.bytes, 16, 8)
				all = append(all, reading{string([]byte{byte(b)}), hex.next})
			}
		case "u":
			for _, hex := range readDigits(text, r.next, times, 4) {
				v, _ := strconv.ParseUint(hex.bytes, 16, 32)
				if !utf16.IsSurrogate(rune(v)) {
					all = append(all, reading{string(rune(v)), hex.next})
					continue
				}
				all = append(all, readLow(text, hex.next, times, rune(v))...)
			}
		case "U":
			for _, hex := range readDigits(text, r.next, times, 8) {
				v, _ := strconv.ParseUint(hex.bytes, 16, 32)
				all = append(all, reading{string(rune(v)), hex.next})
			}
		default:
			if len(r.bytes) == 1 && strings.Contains("\\\"/'`$<>&", r.bytes) {
				all = append(all, r)
			}
		}
	}
	return all
}

// readLow reads the second half of a surrogate pair in JSON.
func readLow(text string, at, times int, high rune) []reading {
	var all []reading
	for _, backslash := range read(text, at, times) {
		if backslash.bytes != `\` {
			continue
		}
		for _, u := range read(text, backslash.next, times) {
			if u.bytes != "u" {
				continue
			}
			for _, hex := range readDigits(text, u.next, times, 4) {
				v, _ := strconv.ParseUint(hex.bytes, 16, 32)
				all = append(all, reading{string(utf16.DecodeRune(high, rune(v))), hex.next})
			}
		}
	}
	return all
}

// readEntity reads the rest of an HTML entity.
func readEntity(text string, at, times int) []reading {
	const longest = 8
	var all []reading
	var name strings.Builder
	for name.Len() < longest {
		next := read(text, at, times)
		if len(next) == 0 {
			break
		}
		// The last reading is the one with the most escapes.
		r := next[len(next)-1]
		at = r.next
		if r.bytes == ";" {
			entity := "&" + name.String() + ";"
			if plain := html.UnescapeString(entity); plain != entity {
				all = append(all, reading{plain, at})
			}
			break
		}
		name.WriteString(r.bytes)
	}
	return all
}

package review

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/unicode/runenames"
)

// lookAlike reports whether two different strings look the same, or nearly so: they only
// differ in the form of a character, in whitespace, or in invisible characters.
func lookAlike(a, b string) bool { return a != b && visible(a) == visible(b) }

// visible returns a string as a reader sees it: with one form of compatible characters,
// one space for any whitespace, and none at the ends.
func visible(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Cc):
			return -1
		}
		return r
	}, norm.NFKC.String(s))
	return strings.Join(strings.Fields(s), " ")
}

// whereDifferent describes the first difference of two strings that look alike:
// `at character 4: é (U+00E9 ...) before, e + ◌́ (...) after`.
func whereDifferent(before, after string) string {
	a, b := graphemes(before), graphemes(after)
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	from := func(all []string) string {
		if at >= len(all) {
			return "the end"
		}
		return codePoints(all[at])
	}
	return fmt.Sprintf("they differ at character %d: %s before, %s after", at+1, from(a), from(b))
}

// graphemes returns the characters of a string as people count them.
func graphemes(s string) []string {
	var all []string
	for state := -1; len(s) > 0; {
		var one string
		one, s, _, state = uniseg.FirstGraphemeClusterInString(s, state)
		all = append(all, one)
	}
	return all
}

// mostCodePoints is the maximum number of code points named per character.
const mostCodePoints = 4

// codePoints names the code points of a character.
func codePoints(s string) string {
	var names []string
	for i, r := range s {
		if len(names) == mostCodePoints {
			names = append(names, "and more")
			break
		}
		if _, size := utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && size == 1 {
			names = append(names, fmt.Sprintf("the byte %#02x", s[i]))
			continue
		}
		names = append(names, strings.TrimSpace(fmt.Sprintf("U+%04X %s", r, strings.ToLower(runenames.Name(r)))))
	}
	return strings.Join(names, " + ")
}

// ascii escapes characters outside of ASCII as in JSON and CUE.
func ascii(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r > 0xFFFF:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

package finding

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/hbollon/go-edlib"
)

// Nearest returns the candidate that name was probably meant to be, "" if none is similar or two are equally
// similar.
func Nearest(name string, candidates []string) string {
	best, second := 1<<30, 1<<30
	var found string
	plain := PlainName(name)
	for _, c := range slices.Compact(slices.Sorted(slices.Values(candidates))) {
		if c == name {
			continue
		}
		d := edlib.OSADamerauLevenshteinDistance(name, c)
		if PlainName(c) == plain {
			d = 0
		}
		if d < best {
			best, second, found = d, best, c
		} else {
			second = min(second, d)
		}
	}
	if limit := max(1, min(len(name), len(found))/3); best > limit || best == second {
		return ""
	}
	return found
}

// IsSlip reports whether a name is probably a slip in typing a known one. A plural, a number
// at the end and a word more or less make another name.
func IsSlip(name, known string) bool {
	a, b := PlainName(name), PlainName(known)
	if len(b) < 4 || len(a) < 3 || a == b+"s" || b == a+"s" || a[len(a)-1] >= '0' && a[len(a)-1] <= '9' {
		return false
	}
	if words := Words(known); slices.Contains(words, name) || slices.Contains(Words(name), known) {
		return false
	}
	limit := 1
	if len(b) >= 10 {
		limit = 2
	}
	return a[:1] == b[:1] && edlib.OSADamerauLevenshteinDistance(a, b) <= limit
}

// PlainName removes the most common differences between names: case, and how words are joined.
func PlainName(s string) string {
	return joints.Replace(strings.ToLower(s))
}

var joints = strings.NewReplacer("_", "", "-", "", " ", "", ".", "")

// DidYouMean returns a remedy with the probable correction.
func DidYouMean(suggestion string) string { return "did you mean " + suggestion + "?" }

// OneOf lists names for people: a, b or c. More than most are counted.
func OneOf(names []string) string {
	const most = 12
	rest := ""
	if len(names) > most {
		rest = " and " + strconv.Itoa(len(names)-most) + " more"
		names = names[:most]
	}
	if len(names) < 2 || rest != "" {
		return strings.Join(names, ", ") + rest
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// SortedKeys returns the keys of a map in order.
func SortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Words splits a name into its words, however they are joined: orderPaid, order_paid, "Order Paid". Signs are
// left out.
func Words(name string) []string {
	var words []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			words = append(words, string(word))
			word = nil
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' && r != '’':
			end()
			continue
		case unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1])):
			end() // orderPaid
		case unicode.IsUpper(r) && i > 0 && unicode.IsUpper(runes[i-1]) && i+1 < len(runes) &&
			unicode.IsLower(runes[i+1]):
			end() // URLOpened
		}
		word = append(word, r)
	}
	end()
	return words
}

package lsp

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A token of CUE, as far as the outline needs it.
type token struct {
	kind     rune // 'a' for a name, '"' for a string, 0 for the end; otherwise the character itself
	from, to int
	newline  bool // the first of a line
}

// A lexer reads the tokens of a text, which need not be valid CUE: a string without an end ends with its line.
type lexer struct {
	text string
	at   int
	// comments has the ranges of the comments that were passed.
	comments [][2]int
}

func (l *lexer) next() token {
	newline := l.at == 0
	for l.at < len(l.text) {
		switch c := l.text[l.at]; {
		case c == '\n':
			newline = true
			l.at++
		case c == ' ', c == '\t', c == '\r':
			l.at++
		case strings.HasPrefix(l.text[l.at:], "//"):
			from := l.at
			l.at = lineEnd(l.text, l.at)
			l.comments = append(l.comments, [2]int{from, l.at})
		default:
			return l.token(newline)
		}
	}
	return token{from: l.at, to: l.at, newline: newline}
}

func (l *lexer) token(newline bool) token {
	from := l.at
	if hashes, quote := opening(l.text[from:]); quote != "" {
		l.at = stringEnd(l.text, from+len(hashes)+len(quote), quote, hashes)
		return token{'"', from, l.at, newline}
	}
	r, size := utf8.DecodeRuneInString(l.text[from:])
	l.at += size
	if !isNameRune(r) {
		return token{r, from, l.at, newline}
	}
	for l.at < len(l.text) {
		r, size := utf8.DecodeRuneInString(l.text[l.at:])
		if !isNameRune(r) {
			break
		}
		l.at += size
	}
	return token{'a', from, l.at, newline}
}

func isNameRune(r rune) bool {
	return r == '_' || r == '#' || r == '$' || r == '.' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

func lineEnd(text string, from int) int {
	if i := strings.IndexByte(text[from:], '\n'); i >= 0 {
		return from + i
	}
	return len(text)
}

// opening returns the number signs and the quotes that begin a string; no quotes if there is none.
func opening(text string) (hashes, quote string) {
	if text == "" || text[0] != '"' && text[0] != '\'' && text[0] != '#' {
		return "", ""
	}
	rest := strings.TrimLeft(text, "#")
	hashes = text[:len(text)-len(rest)]
	for _, quote := range []string{`"""`, `'''`, `"`, `'`} {
		if strings.HasPrefix(rest, quote) {
			return hashes, quote
		}
	}
	return "", ""
}

// stringEnd returns the offset after a string, whose text begins at an offset.
func stringEnd(text string, at int, quote, hashes string) int {
	closing := quote + hashes
	for at < len(text) {
		c := text[at]
		if c != quote[0] && c != '\n' && c != '\\' {
			at++
			continue
		}
		switch rest := text[at:]; {
		case c == quote[0] && strings.HasPrefix(rest, closing):
			return at + len(closing)
		case c == '\n' && len(quote) == 1:
			return at
		case strings.HasPrefix(rest, `\`+hashes+"("):
			at = interpolationEnd(text, at+len(hashes)+2)
		case strings.HasPrefix(rest, `\`+hashes):
			_, size := utf8.DecodeRuneInString(text[min(at+1+len(hashes), len(text)):])
			if at += 1 + len(hashes); at < len(text) && text[at] != '\n' {
				at += size
			}
		default:
			at++
		}
	}
	return len(text)
}

// interpolationEnd returns the offset after the parenthesis that closes an interpolation.
func interpolationEnd(text string, at int) int {
	l := lexer{text: text, at: at}
	for depth := 1; depth > 0; {
		switch t := l.next(); {
		case t.kind == 0 || t.newline && t.from > at:
			return t.from
		case t.kind == '(':
			depth++
		case t.kind == ')':
			depth--
		}
	}
	return l.at
}

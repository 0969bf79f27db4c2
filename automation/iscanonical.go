package automation

import "unicode/utf8"

// isCanonical reports whether a JSON text is in the form of RFC 8785 for certain. It
// knows what nearly all automations consist of: ints of a few digits, names in ASCII,
// and texts without characters that have to be escaped by their number.
func isCanonical(b []byte) bool {
	s := canonicalScanner{text: b}
	return utf8.Valid(b) && s.value(0) && s.at == len(b)
}

// A canonicalScanner goes through a JSON text once.
type canonicalScanner struct {
	text []byte
	at   int
}

// take goes past a byte if it is the next one.
func (s *canonicalScanner) take(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *canonicalScanner) value(depth int) bool {
	if s.at == len(s.text) || depth > DeepestPayload {
		return false
	}
	switch c := s.text[s.at]; {
	case c == '{':
		return s.object(depth)
	case c == '[':
		s.at++
		if s.take(']') {
			return true
		}
		for {
			if !s.value(depth + 1) {
				return false
			}
			if !s.take(',') {
				return s.take(']')
			}
		}
	case c == '"':
		_, ok := s.string()
		return ok
	case c == '-', c >= '0' && c <= '9':
		return s.number()
	}
	for _, word := range []string{"true", "false", "null"} {
		if rest := s.text[s.at:]; len(rest) >= len(word) && string(rest[:len(word)]) == word {
			s.at += len(word)
			return true
		}
	}
	return false
}

// object goes past an object whose names are in ASCII and in order.
func (s *canonicalScanner) object(depth int) bool {
	s.at++
	if s.take('}') {
		return true
	}
	var last []byte
	for first := true; ; first = false {
		name, ok := s.string()
		if !ok || !first && string(name) <= string(last) {
			return false
		}
		for _, c := range name {
			if c >= utf8.RuneSelf || c == '\\' {
				return false
			}
		}
		last = name
		if !s.take(':') || !s.value(depth+1) {
			return false
		}
		if !s.take(',') {
			return s.take('}')
		}
	}
}

// string goes past a string and returns what is between its quotes.
func (s *canonicalScanner) string() ([]byte, bool) {
	if !s.take('"') {
		return nil, false
	}
	start := s.at
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return s.text[start : s.at-1], true
		case c < ' ':
			return nil, false
		case c == '\\':
			s.at++
			if s.at == len(s.text) {
				return nil, false
			}
			switch s.text[s.at] {
			case '"', '\\', 'b', 'f', 'n', 'r', 't':
			default:
				return nil, false
			}
		}
	}
	return nil, false
}

// number goes past an int that any reader of numbers keeps.
func (s *canonicalScanner) number() bool {
	const most = 15
	negative := s.take('-')
	start := s.at
	for s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9' {
		s.at++
	}
	digits := s.text[start:s.at]
	if len(digits) == 0 || len(digits) > most || digits[0] == '0' && (len(digits) > 1 || negative) {
		return false
	}
	return s.at == len(s.text) || s.text[s.at] != '.' && s.text[s.at] != 'e' && s.text[s.at] != 'E'
}

package automation

import "unicode/utf8"

// isCanonical reports whether JSON is certainly in the form of RFC 8785. It
// recognizes the JSON of nearly all automations: short integers, names in ASCII, and
// strings without characters that need a \u escape.
func isCanonical(b []byte) bool {
	s := canonicalScanner{text: b}
	return utf8.Valid(b) && s.value(0) && s.at == len(b)
}

// A canonicalScanner scans JSON in one pass.
type canonicalScanner struct {
	text []byte
	at   int
}

// take skips a byte if it is the next one.
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

// object skips an object with names in ASCII and in order.
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

// string skips a string and returns the bytes between its quotes.
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

// number skips an integer that any JSON reader preserves.
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

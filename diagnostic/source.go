package diagnostic

import (
	"bytes"
	"cmp"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// sources has the files of the findings, read when needed.
type sources struct {
	read  func(file string) ([]byte, error)
	files map[string]*source
	size  int
}

// sourcesLimit is the maximum size of the files that are kept, in bytes. Findings are sorted by file, so
// starting over now and then costs little.
const sourcesLimit = 64 << 20

func newSources(read func(string) ([]byte, error)) *sources {
	return &sources{read: read, files: map[string]*source{}}
}

// line returns a line of a file without its end; false if it is not available.
func (s *sources) line(file string, number int) ([]byte, bool) {
	f := s.open(file)
	if f == nil {
		return nil, false
	}
	return f.line(number)
}

// column converts a column in bytes to one in UTF-16 code units, if the line is available.
func (s *sources) column(file string, p Position) int {
	if f := s.open(file); f != nil {
		return f.column(p)
	}
	return p.Column
}

// open returns a file, nil if it can't be read.
func (s *sources) open(file string) *source {
	if s.read == nil || file == "" {
		return nil
	}
	f, ok := s.files[file]
	if !ok {
		if content, err := s.read(file); err == nil {
			f = newSource(content)
			s.size += len(content)
		}
		if s.size > sourcesLimit {
			clear(s.files)
			s.size = 0
		}
		s.files[file] = f
	}
	return f
}

// A source finds the lines of a file. A file can be 50 MB of line ends, or one line of 50 MB with a thousand
// findings on it. So a source only keeps the start of one line in indexStep, and the columns of some places on
// the last line.
type source struct {
	content []byte
	starts  []int // of the lines 1, 1+indexStep, 1+2*indexStep and so on

	number, start, end int    // the last line asked for
	marks              []mark // places on it, sorted
}

// A mark is a place on a line, in bytes and in UTF-16 code units.
type mark struct{ offset, units int }

const (
	indexStep = 64   // lines
	markStep  = 4096 // bytes
)

func newSource(content []byte) *source {
	s := &source{content: content, starts: []int{0}}
	for i, n := 0, 0; ; {
		next := bytes.IndexByte(content[i:], '\n')
		if next < 0 {
			return s
		}
		i += next + 1
		if n++; n%indexStep == 0 {
			s.starts = append(s.starts, i)
		}
	}
}

// seek moves to a line.
func (s *source) seek(number int) bool {
	if number < 1 || (number-1)/indexStep >= len(s.starts) {
		return false
	}
	if number == s.number {
		return true
	}
	start := s.starts[(number-1)/indexStep]
	for range (number - 1) % indexStep {
		next := bytes.IndexByte(s.content[start:], '\n')
		if next < 0 {
			return false
		}
		start += next + 1
	}
	end := len(s.content)
	if next := bytes.IndexByte(s.content[start:], '\n'); next >= 0 {
		end = start + next
	}
	s.number, s.start, s.end, s.marks = number, start, end, []mark{{}}
	return true
}

func (s *source) line(number int) ([]byte, bool) {
	if !s.seek(number) {
		return nil, false
	}
	return bytes.TrimSuffix(s.content[s.start:s.end], []byte("\r")), true
}

// position returns the offset of a position; false if the file does not have it. The last position of a line is
// the one before its line end.
func (s *source) position(p Position) (int, bool) {
	if p.Column < 1 || !s.seek(p.Line) || p.Column-1 > s.end-s.start {
		return 0, false
	}
	return s.start + p.Column - 1, true
}

// column converts a column in bytes to one in UTF-16 code units.
func (s *source) column(p Position) int {
	line, ok := s.line(p.Line)
	if !ok {
		return p.Column
	}
	to := min(max(p.Column-1, 0), len(line))
	i, found := slices.BinarySearchFunc(s.marks, to, func(m mark, to int) int { return cmp.Compare(m.offset, to) })
	if !found {
		i--
	}
	at := s.marks[i]
	for at.offset < to {
		r, size := utf8.DecodeRune(line[at.offset:])
		at.offset += size
		at.units += utf16.RuneLen(r)
		if at.offset-s.marks[len(s.marks)-1].offset >= markStep {
			s.marks = append(s.marks, at)
		}
	}
	return at.units + 1
}

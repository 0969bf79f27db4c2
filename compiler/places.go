package compiler

import (
	"bytes"
	"context"

	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/evaluate"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/resolve"
	"github.com/seguehq/segue/diagnostic"
)

// Places finds the source lines of automations.
type Places struct {
	evaluation *evaluate.Evaluation
	reader     *resolve.Reader
	automation map[string]*evaluate.Compiled
	packages   map[*evaluate.Package]*resolve.Opened // nil for one that can't be read
	contents   map[string][]byte
}

// Places returns the places of the automations in a result of [Session.Compile]. It reads the files of a
// package on the first question about it.
func (s *Session) Places(ctx context.Context, of *Result) (*Places, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	e, err := evaluate.New(o.disk, of.Project, "", nil, nil)
	if err != nil {
		return nil, err
	}
	p := &Places{evaluation: e, reader: e.Explainer(), automation: map[string]*evaluate.Compiled{},
		packages: map[*evaluate.Package]*resolve.Opened{}, contents: map[string][]byte{}}
	for i := range of.packages {
		pkg := &of.packages[i]
		for j := range pkg.Automations {
			one := &pkg.Automations[j]
			one.Of = pkg
			p.automation[one.Automation.Key] = one
		}
	}
	return p, nil
}

// Of returns the file, relative to the project, and the line, counted from 1, of a field of an automation. If
// the field is not written, it returns the place of the nearest written field around it. The path is that of
// the canonical JSON, with names and indices of lists, such as "action", "payload", "userId"; no path means the
// automation itself. ok is false for an automation that is not in the result, or whose files can't be read any
// more.
func (p *Places) Of(key string, path ...any) (file string, line int, ok bool) {
	one, ok := p.automation[key]
	if !ok {
		return "", 0, false
	}
	if len(path) == 0 && one.Place.File != "" {
		line, ok := p.line(one.Place.File, one.Place.Offset)
		return one.Place.File, line, ok
	}
	pkg, read := p.packages[one.Of]
	if !read {
		pkg, _ = p.reader.Open(one.Of.Dir, one.Of.Name, nil) // nil on error
		p.packages[one.Of] = pkg
	}
	if pkg == nil {
		return "", 0, false
	}
	at := append(finding.Path{"automations", one.Name}, written(path)...)
	f := finding.Finding{At: at, Spot: finding.AtLabel}
	fallback := token.NoPos
	if one.Place.File != "" {
		fallback = one.Place.Position(p.evaluation.Loader)
	}
	d := diagnostic.Diagnostic{}
	// Use the nearest field around it that is written.
	for len(f.At) > 2 && len(pkg.Index.Sites(f.At)) == 0 {
		f.At = f.At[:len(f.At)-1]
	}
	if d = pkg.Index.Place(f, fallback); d.File == "" {
		return "", 0, false
	}
	return d.File, d.Range.Start.Line, true
}

// line returns the line of an offset in a file.
func (p *Places) line(file string, offset int) (int, bool) {
	content, read := p.contents[file]
	if !read {
		content, _ = p.evaluation.Disk.Read(file) // nil on error
		p.contents[file] = content
	}
	if offset > len(content) {
		return 0, false
	}
	return 1 + bytes.Count(content[:offset], []byte("\n")), true
}

// written converts a path of the canonical JSON into the path in the author's files.
func written(path []any) finding.Path {
	switch {
	case len(path) > 1 && path[0] == "action":
		return path[1:]
	case len(path) > 0 && path[0] == "trigger":
		return finding.Path{"trigger"}
	}
	return path
}

package compiler

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

func valueSelector(label string) cue.Path { return cue.MakePath(cue.Str(label)) }

// builtinNames are the placeholders that the package placeholder has a field for.
func builtinNames() map[string]bool {
	names := map[string]bool{}
	for name, content := range schema.Files() {
		if path.Dir(name) != "placeholder" {
			continue
		}
		f, err := parser.ParseFile(name, content)
		if err != nil {
			continue
		}
		for _, d := range f.Decls {
			if field, ok := d.(*ast.Field); ok {
				if label, ok := fieldLabel(field); ok && !strings.HasPrefix(label, "#") {
					names[label] = true
				}
			}
		}
	}
	return names
}

// cueErrors turns CUE's own errors about the value at a path into findings: one
// for what belongs together. at is nil where the errors say where they belong.
func (p *explained) cueErrors(err error, at valuePath) {
	list := cueerrors.Errors(err)
	if len(list) == 0 && err != nil {
		p.add(finding{path: at, Diagnostic: diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "cue", Message: err.Error()}}, token.NoPos)
		return
	}
	if alternatives, ok := disjunction(list); ok {
		p.alternatives(alternatives, list, at)
		return
	}
	seen := map[string]bool{}
	for _, e := range list {
		f := finding{path: at}
		if at == nil {
			f.path = errorPath(e)
		}
		f.Severity = diagnostic.Error
		f.Code, f.Message, f.Help = p.translate(e, f.path)
		if f.Code == "unknown-field" {
			f.spot = atLabel
		}
		places := p.authorPlaces(e)
		pos := token.NoPos
		if len(places) > 0 {
			pos = places[0]
		}
		if key := f.Code + f.path.String(); seen[key] {
			continue
		} else {
			seen[key] = true
		}
		if f.Code == "conflicting-values" && len(places) > 1 {
			p.conflict(f, places)
			continue
		}
		p.add(f, pos)
	}
}

// errorPath is where an error belongs, as CUE says it.
func errorPath(e cueerrors.Error) valuePath {
	var at valuePath
	for _, step := range e.Path() {
		if i, err := strconv.Atoi(step); err == nil {
			at = append(at, i)
			continue
		}
		if s, err := strconv.Unquote(step); err == nil {
			step = s
		}
		at = append(at, step)
	}
	return at
}

// authorPlaces are the positions of an error that lie in the author's files.
func (p *explained) authorPlaces(e cueerrors.Error) []token.Pos {
	var out []token.Pos
	for _, pos := range cueerrors.Positions(e) {
		if p.index.sourceOf(pos) != nil {
			out = append(out, pos)
		}
	}
	return out
}

// conflict reports two values for one field: the later one, related to the
// earlier.
func (p *explained) conflict(f finding, places []token.Pos) {
	places = slices.Clone(places)
	slices.SortFunc(places, func(a, b token.Pos) int { return a.Compare(b) })
	var values []token.Pos
	for _, pos := range places {
		if e := exprAt(p.index.sourceOf(pos).syntax, pos); e != nil {
			if _, literal := e.(*ast.BasicLit); literal {
				values = append(values, pos)
			}
		}
	}
	if len(values) < 2 {
		p.add(f, places[len(places)-1])
		return
	}
	first, last := values[0], values[len(values)-1]
	src := p.index.sourceOf(last)
	d := f.Diagnostic
	d.Path = f.path.String()
	d.File, d.Range = src.name, rangeOf(last, exprAt(src.syntax, last).End())
	other := p.index.sourceOf(first)
	d.Related = []diagnostic.Related{{Message: "the other value", File: other.name, Range: rangeOf(first, exprAt(other.syntax, first).End())}}
	p.found = append(p.found, d)
}

// translate says in the domain's words what a CUE error means.
func (p *explained) translate(e cueerrors.Error, at valuePath) (code, message, help string) {
	format, args := e.Msg()
	name := at.name()
	switch {
	case strings.HasPrefix(format, "conflicting values"):
		shown := make([]string, 0, 2)
		for _, a := range args {
			if len(shown) < 2 {
				shown = append(shown, fmt.Sprint(a))
			}
		}
		return "conflicting-values", fmt.Sprintf("%s has two values: %s", name, strings.Join(shown, " and ")), "keep one of them"
	case strings.Contains(format, "field not allowed"):
		return "unknown-field", fmt.Sprintf("%s is not allowed here", name), "remove it, or add it to the definition"
	case strings.Contains(format, "required but not present"):
		return "missing-field", name + " is missing", "add it"
	case strings.HasPrefix(format, "invalid value"):
		return "invalid-value", fmt.Sprintf("%s is not allowed: %s", name, plainMessage(e)), ""
	case strings.HasPrefix(format, "incomplete"), strings.HasPrefix(format, "non-concrete"):
		return "missing-value", name + " has no value yet: " + plainMessage(e), "give it a value"
	case strings.Contains(format, "redeclared as imported package name"):
		text, _, _ := strings.Cut(plainMessage(e), " previous declaration")
		return "import-name", "a field of the file has the name of an import: " + text, `import the package under another name, as in import segue "` + schema.ModulePath + `/project"`
	case strings.Contains(format, "cycle"):
		return "cycle", "a value refers to itself: " + plainMessage(e), "break the circle"
	case strings.Contains(format, "import failed"), strings.Contains(format, "cannot find package"):
		return "unknown-import", plainMessage(e), "import a package that exists"
	case strings.HasPrefix(format, "reference"), strings.HasPrefix(format, "undefined field"):
		return "unknown-reference", plainMessage(e), "correct the name"
	}
	return "cue", plainMessage(e), ""
}

// plainMessage is an error's own text, without the path in front of it.
func plainMessage(e cueerrors.Error) string {
	format, args := e.Msg()
	text := fmt.Sprintf(format, args...)
	if text == "" {
		text = e.Error()
	}
	return strings.Join(strings.Fields(text), " ")
}

var emptyDisjunction = regexp.MustCompile(`^\d+ errors in empty disjunction`)

// disjunction reports whether the errors say that a value is none of several,
// and which those are as far as they are literals.
func disjunction(list []cueerrors.Error) ([]string, bool) {
	if !emptyDisjunction.MatchString(plainMessage(list[0])) {
		return nil, false
	}
	var options []string
	for _, e := range list[1:] {
		format, args := e.Msg()
		if strings.HasPrefix(format, "conflicting values") && len(args) >= 2 {
			for _, a := range args[:2] {
				options = append(options, fmt.Sprint(a))
			}
		}
	}
	return options, true
}

// alternatives reports a value that is none of those that a disjunction of the
// author's allows.
func (p *explained) alternatives(options []string, list []cueerrors.Error, at valuePath) {
	if at == nil {
		at = errorPath(list[0])
	}
	// Every error names an option and the value: the value is what they share.
	count := map[string]int{}
	for _, o := range options {
		count[o]++
	}
	var allowed []string
	given := ""
	for o, n := range count {
		if n > 1 && n >= len(options)/2 {
			given = o
		} else {
			allowed = append(allowed, o)
		}
	}
	f := finding{path: at, Diagnostic: diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "invalid-value",
		Message: at.name() + " is none of the values that are allowed here"}}
	if given != "" && len(allowed) > 0 {
		f.Message = fmt.Sprintf("%s must be %s, got %s", at.name(), oneOf(allowed), given)
		if near := nearest(given, allowed); near != "" {
			f.Suggestion, f.Help = strings.Trim(near, `"`), didYouMean(near)
		}
	}
	pos := token.NoPos
	for _, e := range list {
		if places := p.authorPlaces(e); len(places) > 0 {
			pos = places[len(places)-1]
			break
		}
	}
	p.add(f, pos)
}

// syntaxHelp is a remedy for the most frequent syntax errors.
func syntaxHelp(message string) string {
	switch {
	case strings.Contains(message, "not terminated"):
		return `close the text with "`
	case strings.Contains(message, "missing ','"):
		return "start a new line, or put a comma, between two fields"
	case strings.Contains(message, "expected label or ':'"):
		return "a field is written name: value"
	case strings.Contains(message, "expected '}'"), strings.Contains(message, "found 'EOF'"):
		return "close every { with a }"
	default:
		return "correct the syntax; cue fmt shows the place too"
	}
}

package compiler

import (
	"cmp"
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
	if len(list) == 0 {
		return
	}
	if alternatives, ok := disjunction(list); ok {
		p.alternatives(alternatives, list, at)
		return
	}
	seen := map[string]bool{}
	for _, e := range list {
		if p.aboutEmbedding(e) || p.loader.disk.modules.causes(e) {
			continue
		}
		f := finding{path: at}
		if at == nil {
			f.path = errorPath(e)
		}
		w := p.translate(e, f.path)
		f.Severity, f.Code, f.Message, f.Help = diagnostic.Error, w.code, w.message, w.help
		key := f.Code + f.path.String()
		if emptyDisjunction.MatchString(plainMessage(e)) {
			key = f.path.String() // what follows is about its alternatives
			seen["conflicting-values"+key], seen["invalid-value"+key] = true, true
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		places := p.authorPlaces(e)
		if f.Code == "missing-field" && f.path.name() == "" && len(f.path) > 0 {
			continue // an automation that is only a constraint, of which there is a finding
		}
		if format, _ := e.Msg(); strings.HasPrefix(format, "incomplete") || strings.HasPrefix(format, "non-concrete") {
			if clause := p.openClause(places); clause != nil {
				p.openCondition(f, clause, places)
				continue
			}
		}
		if p.requiredArgument(e, f.path, places) || at != nil && f.Code == "missing-value" && p.waits(at) {
			continue
		}
		if f.Code == "conflicting-values" {
			p.conflict(f, e, places)
			continue
		}
		f.exact = w.byPosition
		if len(places) > 0 {
			f.position = cmp.Or(p.mine(places[:1]), p.mine(places), places[0])
		}
		related := p.refine(&f, e, places)
		d := p.index.place(f, f.position)
		for _, r := range related {
			if r.File != d.File || r.Range != d.Range {
				d.Related = append(d.Related, r)
			}
		}
		p.found = append(p.found, d)
	}
}

// requiredArgument reports that an automation does not set an argument of a
// definition that has to be set, if that is what the error says.
func (p *explained) requiredArgument(e cueerrors.Error, at valuePath, places []token.Pos) bool {
	if format, _ := e.Msg(); !strings.HasPrefix(format, "required field missing") {
		return false
	}
	for _, pos := range places {
		if id := p.argument(pos); id != nil && p.missingArgument(id, "a value", at) {
			return true
		}
	}
	return false
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
	if len(at) > 0 {
		if field, hidden := shownAs(at[0]); hidden {
			at[0] = field
		}
	}
	return at
}

// mine is the last of some positions that lies in a file of the package: what
// another one defines is not what is wrong.
func (p *explained) mine(places []token.Pos) token.Pos {
	for _, pos := range slices.Backward(places) {
		if slices.Contains(p.index.sources, p.index.sourceOf(pos)) {
			return pos
		}
	}
	return token.NoPos
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
		Message: at.name() + " is none of the values that are allowed here", Help: "write one of those"}}
	if given != "" && len(allowed) > 0 {
		for i, a := range allowed {
			allowed[i] = valueWords(a)
		}
		slices.Sort(allowed)
		f.Message = fmt.Sprintf("%s must be %s, got %s", at.name(), oneOf(slices.Compact(allowed)), given)
		if near := Nearest(given, allowed); near != "" {
			f.Suggestion, f.Help = strings.Trim(near, `"`), didYouMean(near)
			if strings.HasPrefix(near, `"`) {
				f.repair = &repair{how: replace, text: near}
			}
		}
	}
	pos := token.NoPos
	for _, e := range list {
		if places := p.authorPlaces(e); len(places) > 0 {
			if pos = places[len(places)-1]; p.mine(places) != token.NoPos {
				pos = p.mine(places)
			}
			break
		}
	}
	p.add(f, pos)
}

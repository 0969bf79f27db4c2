package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// errors turns CUE's errors about the value at a path into findings, one per mistake. If at is nil, each error
// gives its own path.
func (c *Conversion) errors(err error, at finding.Path) (found diagnostic.List) {
	list := cueerrors.Errors(err)
	if len(list) == 0 {
		return nil
	}
	if alternatives, ok := disjunction(list); ok {
		return diagnostic.List{c.alternatives(alternatives, list, at)}
	}
	seen := map[string]bool{}
	for _, e := range list {
		if c.aboutEmbedding(e) || c.Loader.Disk.Modules.Causes(e) {
			continue
		}
		f := finding.Finding{At: at}
		if at == nil {
			f.At = ErrorPath(e)
		}
		w := c.translate(e, f.At)
		f.Recode(w.code)
		f.Message, f.Help = w.message, w.help
		key := f.Code + f.At.String()
		if emptyDisjunction().MatchString(source.PlainMessage(e)) {
			key = f.At.String() // the errors that follow are about its alternatives
			seen["conflicting-values"+key], seen["invalid-value"+key] = true, true
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		if f.Code == "missing-field" && f.At.Name() == "" && len(f.At) > 0 {
			continue // an automation that is only a constraint: it has a finding
		}
		found = append(found, c.error(f, e, at, w.byPosition)...)
	}
	return found
}

// error completes the finding about an error from CUE. If at is not nil, the error is about the value at that
// path. The result may be a better finding, or nothing if there is one already. byPosition is the field of the
// wording.
func (c *Conversion) error(f finding.Finding, e cueerrors.Error, at finding.Path, byPosition bool) diagnostic.List {
	places := c.authorPlaces(e)
	if format, _ := e.Msg(); strings.HasPrefix(format, "incomplete") || strings.HasPrefix(format, "non-concrete") {
		if clause := c.openClause(places); clause != nil {
			return diagnostic.List{c.openCondition(f, clause, places)}
		}
	}
	if found, ok := c.requiredArgument(e, f.At, places); ok {
		return found
	}
	if at != nil && f.Code == "missing-value" && c.waits(at) {
		return nil
	}
	if f.Code == "conflicting-values" {
		return diagnostic.List{c.conflict(f, e, places)}
	}
	f.Exact = byPosition
	if len(places) > 0 {
		f.Position = cmp.Or(c.mine(places[:1]), c.mine(places), places[0])
	}
	related := c.refine(&f, e, places)
	d := c.Index.Place(f, f.Position)
	for _, r := range related {
		if r.File != d.File || r.Range != d.Range {
			d.Related = append(d.Related, r)
		}
	}
	return diagnostic.List{d}
}

// requiredArgument reports an automation that does not set a required argument of a definition, if the error is
// about that.
func (c *Conversion) requiredArgument(
	e cueerrors.Error, at finding.Path, places []token.Pos,
) (found diagnostic.List, ok bool) {
	if format, _ := e.Msg(); !strings.HasPrefix(format, "required field missing") {
		return nil, false
	}
	for _, pos := range places {
		if id := c.argument(pos); id != nil {
			if found, ok := c.missingArgument(id, "a value", at); ok {
				return found, true
			}
		}
	}
	return nil, false
}

// ErrorPath returns the path that CUE gives for an error.
func ErrorPath(e cueerrors.Error) finding.Path {
	var at finding.Path
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

// mine returns the last of some positions that is in a file of the package. The mistake is not in the
// definitions of another package.
func (p *Evaluated) mine(places []token.Pos) token.Pos {
	for _, pos := range slices.Backward(places) {
		if slices.Contains(p.Index.Sources, p.Index.SourceOf(pos)) {
			return pos
		}
	}
	return token.NoPos
}

// authorPlaces returns the positions of an error that are in the author's files.
func (p *Evaluated) authorPlaces(e cueerrors.Error) []token.Pos {
	var out []token.Pos
	for _, pos := range cueerrors.Positions(e) {
		if p.Index.SourceOf(pos) != nil {
			out = append(out, pos)
		}
	}
	return out
}

var emptyDisjunction = finding.Pattern(`^\d+ errors in empty disjunction`)

// disjunction reports whether the errors say that a value matches no alternative of a disjunction. It returns
// those alternatives that are literals.
func disjunction(list []cueerrors.Error) ([]string, bool) {
	if !emptyDisjunction().MatchString(source.PlainMessage(list[0])) {
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

// alternatives returns the finding about a value that matches no alternative of one of the author's
// disjunctions.
func (p *Evaluated) alternatives(options []string, list []cueerrors.Error, at finding.Path) diagnostic.Diagnostic {
	if at == nil {
		at = ErrorPath(list[0])
	}
	// Every error names an option and the value, so the value is the operand that they share.
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
	f := finding.New("invalid-value", at, finding.AtValue,
		at.Subject()+" is not one of the values allowed here", "write one of the allowed values")
	if given != "" && len(allowed) > 0 {
		for i, a := range allowed {
			allowed[i] = valueWords(a)
		}
		slices.Sort(allowed)
		f.Message = fmt.Sprintf("%s must be %s, got %s", at.Subject(), finding.OneOf(slices.Compact(allowed)), given)
		if near := finding.Nearest(given, allowed); near != "" {
			f.Suggestion, f.Help = strings.Trim(near, `"`), finding.DidYouMean(near)
			if strings.HasPrefix(near, `"`) {
				f.Repair = &finding.Repair{How: finding.ReplaceLiteral, Text: near}
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
	return p.Index.Place(f, pos)
}

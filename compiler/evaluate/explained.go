package evaluate

import (
	"fmt"
	"slices"

	"cuelang.org/go/cue"

	"github.com/seguehq/segue/compiler/check"
	"github.com/seguehq/segue/compiler/explain"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// explain finds places for the findings of a package, and explains errors from CUE.
func (e *Evaluation) explain(out *Package, failure error, candidates []candidate) error {
	opened, err := e.Explainer().Open(out.Dir, out.Name, nil)
	if err != nil {
		return err
	}
	known := map[string]candidate{}
	broken := failure != nil
	twice := opened.DeclaredTwice()
	for _, c := range candidates {
		known[c.name] = c
		broken = broken || c.failure != nil
	}
	if !broken {
		// CUE has no errors, only the checks have findings.
		out.Found = append(out.Found, slices.Concat(opened.Found, twice)...)
		for _, c := range candidates {
			out.Found = append(out.Found, opened.Index.PlaceAll(c.found, finding.KeyOf(out.Dir, c.name), c.position)...)
		}
		return nil
	}
	p := explain.Evaluate(opened.Resolve())
	found := slices.Concat(p.Found, twice, e.explainAutomations(p, known))
	if failure != nil {
		found = append(found, e.explainDefinitions(p)...)
	}
	if failure != nil && !found.HasErrors() {
		if len(p.Awaits) == 0 {
			found = append(found, p.Errors(failure)...)
		} else if err := e.withhold(out, failure, p.Awaits); err != nil {
			return err
		}
	}
	if failure != nil && len(p.Awaits) == 0 && len(found) == 0 && e.Disk.Modules.Failure() == nil {
		return fmt.Errorf("%s: CUE refuses the package, with only this error: %w", out.Dir, failure)
	}
	out.Found = append(out.Found, found...)
	return nil
}

// withhold keeps CUE's errors about a package that it refuses, in case no package that it imports has an error.
func (e *Evaluation) withhold(out *Package, refused error, awaits []string) error {
	opened, err := e.Explainer().Open(out.Dir, out.Name, nil)
	if err != nil {
		return err
	}
	p := explain.Accepted(opened, cue.Value{})
	found := slices.Concat(p.Found, p.Errors(refused))
	if !found.HasErrors() && e.Disk.Modules.Failure() == nil {
		out.Unexplained = refused.Error()
	}
	out.Withheld, out.Awaits = Findings(found), awaits
	return nil
}

// explainAutomations checks every automation of a package that was evaluated leniently. known has the
// automations that CUE evaluated strictly.
func (e *Evaluation) explainAutomations(p *explain.Evaluated, known map[string]candidate) diagnostic.List {
	automations := p.Value.LookupPath(finding.FieldPath("automations"))
	if !automations.Exists() {
		return p.OpenAutomations()
	}
	fields, err := source.FieldsOf(automations)
	if err != nil {
		at := finding.Path{"automations"}
		raw := p.Raw(automations, at, false)
		if raw.Value == (shape.Broken{}) {
			return raw.Found
		}
		w := check.Rules{}.WrongType(raw.Value, &shape.Shape{Kind: shape.Struct}, at)
		return append(raw.Found, p.Index.Place(w, automations.Pos()))
	}
	found := p.OpenAutomations()
	h := p.Heritage()
	for fields.Next() {
		name := source.LabelOf(fields)
		if h.Inherits(name, fields.Value().Pos()) || slices.Contains(h.Both, name) {
			continue // explained in the folder above
		}
		c, given := known[name]
		if given && c.failure == nil {
			found = append(found, p.Index.PlaceAll(c.found, finding.KeyOf(p.Dir, name), c.position)...)
			continue
		}
		found = append(found, e.explainAutomation(p, fields.Value(), name, c.failure)...)
	}
	return found
}

// explainAutomation checks an automation that was evaluated leniently. failure is CUE's reason to refuse it,
// nil if it is not known.
func (e *Evaluation) explainAutomation(p *explain.Evaluated, v cue.Value, name string, failure error) diagnostic.List {
	at := finding.Path{"automations", name}
	key := finding.KeyOf(p.Dir, name)
	raw := p.Raw(v, at, false)
	m := e.message(raw.Value, p.Dir, name)
	m.Undetermined, m.Partial = p.Undetermined(at), raw.Partial
	checked := m.Check(false).Found
	for i := range checked {
		f := &checked[i]
		f.Position = raw.Positions[f.At.String()]
		if inner := v.LookupPath(source.Selectors(f.At[len(at):])); inner.Exists() {
			f.Origin = source.OriginOf(inner)
		}
	}
	// An argument without its # is not a field of an automation, but it already has a finding.
	checked = slices.DeleteFunc(checked, func(f finding.Finding) bool {
		return f.Code == "unknown-field" && slices.ContainsFunc(raw.Found, func(d diagnostic.Diagnostic) bool {
			return d.Code == f.Code && d.Path == f.At.String()
		})
	})
	found := append(withKey(raw.Found, key), p.Index.PlaceAll(checked, key, v.Pos())...)
	found = p.WithoutCopies(name, found)
	// Parts that were taken out or mended have findings; CUE's error follows from them.
	if failure != nil && !p.Damaged() && !p.Mended() && !found.HasErrors() {
		found = append(found, withKey(p.Errors(failure), key)...)
	}
	return found
}

// withKey returns findings with the key of an automation.
func withKey(found diagnostic.List, key string) diagnostic.List {
	found = slices.Clone(found)
	for i := range found {
		found[i].Key = key
	}
	return found
}

// explainDefinitions checks the definitions of a package that automations build on.
func (e *Evaluation) explainDefinitions(p *explain.Evaluated) (found diagnostic.List) {
	if !p.Value.Exists() {
		return nil
	}
	fields, err := p.Value.Fields(cue.Definitions(true))
	if err != nil {
		return nil
	}
	for fields.Next() {
		v, name := fields.Value(), fields.Selector().String()
		if call := v.LookupPath(finding.FieldPath("call")); !fields.Selector().IsDefinition() || !call.IsConcrete() {
			continue
		}
		at := finding.Path{name}
		raw := p.Raw(v, at, true)
		m := e.message(raw.Value, p.Dir, name)
		m.At, m.Partial = at, raw.Partial
		checked := m.CheckDraft()
		for i := range checked {
			checked[i].Position = raw.Positions[checked[i].At.String()]
		}
		found = append(append(found, raw.Found...), p.Index.PlaceAll(checked, "", v.Pos())...)
	}
	return found
}

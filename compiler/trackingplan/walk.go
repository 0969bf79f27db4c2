package trackingplan

import (
	"fmt"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
)

// A walk goes through a message along with the schemas that are about each of its values,
// and finds what the library does not tell: fields that no schema names, names that do not
// fit, with their exact places, and what is not checked.
type walk struct {
	*comparison
	heads []head
}

// A head is a schema with the path of the value that it is about as a whole.
type head struct {
	at string
	applied
}

// An applied schema is about a value.
type applied struct {
	schema *jsonschema.Schema
	rule   *rule
	// certain says that the value must fit it. Else it is one of several alternatives,
	// or holds under a condition.
	certain bool
	// closes says that fields which the schema does not name are not planned.
	closes bool
}

func (w *walk) value(v any, about []applied, at finding.Path, depth int) {
	name := at.String()
	for _, h := range w.heads {
		if h.at == name {
			about = append(about, h.applied)
		}
	}
	if len(about) == 0 && len(at) > 1 || depth > mostDepth {
		return
	}
	about = expand(about)
	switch v := v.(type) {
	case map[string]any:
		w.names(v, about, at)
		w.object(v, about, at, depth)
	case []any:
		for i, e := range v {
			w.value(e, elements(about, i), at.With(i), depth+1)
		}
	case string:
		if _, unknown := w.knows(at); !unknown {
			w.unchecked(v, about, at)
		}
	}
}

// expand adds the schemas that others refer to.
func expand(about []applied) []applied {
	seen := map[*jsonschema.Schema]bool{}
	var out []applied
	var add func(a applied)
	add = func(a applied) {
		if a.schema == nil || seen[a.schema] {
			return
		}
		seen[a.schema] = true
		out = append(out, a)
		for _, s := range append([]*jsonschema.Schema{a.schema.Ref, a.schema.RecursiveRef}, a.schema.AllOf...) {
			add(applied{s, a.rule, a.certain, a.closes})
		}
		maybe := slices.Concat(a.schema.AnyOf, a.schema.OneOf,
			[]*jsonschema.Schema{a.schema.If, a.schema.Then, a.schema.Else})
		for _, name := range finding.SortedKeys(a.schema.DependentSchemas) {
			maybe = append(maybe, a.schema.DependentSchemas[name])
		}
		for _, s := range maybe {
			add(applied{s, a.rule, false, a.closes})
		}
	}
	for _, a := range about {
		add(a)
	}
	return out
}

// elements are the schemas about an element of a list.
func elements(about []applied, i int) []applied {
	var out []applied
	for _, a := range about {
		s := a.schema
		with := func(inner *jsonschema.Schema) {
			if inner != nil {
				out = append(out, applied{inner, a.rule, a.certain, a.closes})
			}
		}
		switch items := s.Items.(type) {
		case *jsonschema.Schema:
			with(items)
		case []*jsonschema.Schema:
			if i < len(items) {
				with(items[i])
			} else if rest, ok := s.AdditionalItems.(*jsonschema.Schema); ok {
				with(rest)
			}
		}
		if i < len(s.PrefixItems) {
			with(s.PrefixItems[i])
		} else {
			with(s.Items2020)
		}
	}
	return out
}

// names reports fields whose names do not fit.
func (w *walk) names(m map[string]any, about []applied, at finding.Path) {
	for _, a := range about {
		if !a.certain || a.schema.PropertyNames == nil {
			continue
		}
		for _, name := range finding.SortedKeys(m) {
			if len(at) == 0 && slices.Contains(messageFields, name) || a.schema.PropertyNames.Validate(name) == nil {
				continue
			}
			want := &config.PlanValue{Kinds: config.ObjectKind, Constraint: "propertyNames",
				Place: a.rule.place(a.schema.PropertyNames.Location)}
			w.found = append(w.found, config.Mismatch{Kind: config.Unplanned, At: at.With(name), Want: want})
		}
	}
}

// object goes through the fields of an object, and reports those that are not planned.
func (w *walk) object(m map[string]any, about []applied, at finding.Path, depth int) {
	closed := len(at) > 0 && (at[0] == "properties" || at[0] == "traits") && closes(about)
	for _, name := range finding.SortedKeys(m) {
		var inner []applied
		named := false
		for _, a := range about {
			if s := a.schema.Properties[name]; s != nil {
				inner, named = append(inner, applied{s, a.rule, a.certain, a.closes}), true
				continue
			}
			matched := false
			for re, s := range a.schema.PatternProperties {
				if re.MatchString(name) {
					inner, matched = append(inner, applied{s, a.rule, a.certain, a.closes}), true
				}
			}
			named = named || matched
			if s, ok := a.schema.AdditionalProperties.(*jsonschema.Schema); ok && !matched {
				inner = append(inner, applied{s, a.rule, a.certain, a.closes})
			}
		}
		if closed && !named && !w.hasHead(at.With(name)) {
			w.found = append(w.found, config.Mismatch{Kind: config.Unplanned, At: at.With(name), Want: w.planned(about)})
			continue
		}
		w.value(m[name], inner, at.With(name), depth+1)
	}
}

func (w *walk) hasHead(at finding.Path) bool {
	return slices.ContainsFunc(w.heads, func(h head) bool { return h.at == at.String() })
}

// closes reports whether an object may have only the fields that its schemas name: as in
// Segment Protocols, if they name any, unless they say what others may be.
func closes(about []applied) bool {
	named := false
	for _, a := range about {
		if a.closes && (a.schema.AdditionalProperties != nil || a.schema.UnevaluatedProperties != nil) {
			return false // the library has looked at them
		}
		named = named || a.closes && a.schema.Properties != nil
	}
	return named
}

// planned describes the fields of an object.
func (w *walk) planned(about []applied) *config.PlanValue {
	want := &config.PlanValue{Kinds: config.ObjectKind, Fields: map[string]*config.PlanValue{}}
	for _, a := range about {
		if a.schema.Properties == nil {
			continue
		}
		if want.Place.File == "" && a.closes {
			want.Place = a.rule.place(a.schema.Location)
		}
		for name, s := range a.schema.Properties {
			if want.Fields[name] == nil {
				want.Fields[name] = describe(s, 0)
			}
		}
	}
	return want
}

// unchecked reports what a plan asks of a string and nobody checks.
func (w *walk) unchecked(v string, about []applied, at finding.Path) {
	for _, a := range about {
		reason := ""
		if f := a.schema.Format; f != nil && !slices.Contains(knownFormats, f.Name) {
			reason = fmt.Sprintf("the format %q is not one of JSON Schema", f.Name)
		}
		if b, ok := a.schema.Pattern.(backtracking); ok && reason == "" {
			if _, err := b.Regexp.MatchString(v); err != nil {
				reason = "the pattern takes too long: " + b.String()
			}
		}
		if reason != "" {
			w.found = append(w.found, config.Mismatch{Kind: config.Unchecked, At: at, Reason: reason,
				Want: &config.PlanValue{Place: a.rule.place(a.schema.Location)}})
		}
	}
}

// Plans implements [config.Rules].
func (p *Plan) Plans(m config.PlannedMessage, at finding.Path) bool {
	own, common := p.rulesFor(m)
	var about []applied
	for i := 0; i <= len(at); i++ {
		for _, r := range slices.Concat(own, common) {
			if s, _ := r.compile(); s != nil && len(r.below) == i && startsWith(at, r.below) {
				about = append(about, applied{schema: s, rule: r})
			}
		}
		about = expand(about)
		if i < len(at) {
			about = inner(about, at[i])
		}
	}
	return slices.ContainsFunc(about, func(a applied) bool { return describe(a.schema, 0).Kinds != config.AnyKind })
}

func startsWith(at finding.Path, steps []string) bool {
	for i, step := range steps {
		if at[i] != step {
			return false
		}
	}
	return true
}

// inner are the schemas of a field or an element.
func inner(about []applied, step any) []applied {
	name, isName := step.(string)
	if i, ok := step.(int); ok {
		return elements(about, i)
	}
	var out []applied
	for _, a := range about {
		if s := a.schema.Properties[name]; isName && s != nil {
			out = append(out, applied{s, a.rule, a.certain, a.closes})
		}
	}
	return out
}

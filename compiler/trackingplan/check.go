package trackingplan

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
)

// A comparison is that of one message with the rules that are about it.
type comparison struct {
	unknown map[string]config.Unknown
	partial map[string]bool
	found   []config.Mismatch
}

// Check implements [config.Rules].
func (p *Plan) Check(m config.PlannedMessage) []config.Mismatch {
	own, common := p.rulesFor(m)
	if len(own)+len(common) == 0 {
		return nil
	}
	c := &comparison{unknown: maps.Clone(m.Unknown), partial: m.Partial}
	if c.unknown == nil {
		c.unknown = map[string]config.Unknown{}
	}
	payload := c.received(m)
	var heads []head
	for i, r := range slices.Concat(own, common) {
		s, problem := r.compile()
		if problem != nil {
			continue // it has a finding
		}
		value, at, ok := below(payload, r.below)
		if !ok {
			continue
		}
		if r.contextTraits {
			value = withContextTraits(value)
		}
		(&validation{comparison: c, rule: r, value: value, base: at}).run(s)
		heads = append(heads, head{at.String(), applied{schema: s, rule: r, certain: true, closes: i < len(own)}})
	}
	w := walk{comparison: c, heads: heads}
	w.value(payload, nil, nil, 0)
	return c.ordered()
}

// ordered are the mismatches in the order of the message, each once.
func (c *comparison) ordered() []config.Mismatch {
	slices.SortFunc(c.found, func(a, b config.Mismatch) int {
		return cmp.Or(cmp.Compare(a.At.String(), b.At.String()), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Want.String(), b.Want.String()), cmp.Compare(a.Reason, b.Reason))
	})
	return slices.CompactFunc(c.found, func(a, b config.Mismatch) bool {
		same := a.Kind == b.Kind && a.Name == b.Name && a.At.String() == b.At.String()
		if same && a.Kind == config.Missing {
			a.Want.Lacks = slices.Compact(slices.Sorted(slices.Values(append(a.Want.Lacks, b.Want.Lacks...))))
		}
		return same
	})
}

// filledIn are the fields that Segment fills in where a message does not have them.
var filledIn = []string{"channel", "messageId", "originalTimestamp", "projectId", "receivedAt", "sentAt", "timestamp",
	"version", "writeKey"}

// received is the message as Segment compares it with its plans.
func (c *comparison) received(m config.PlannedMessage) map[string]any {
	payload := maps.Clone(m.Payload)
	if payload == nil {
		payload = map[string]any{}
	}
	for _, name := range filledIn {
		if _, ok := payload[name]; !ok {
			payload[name], c.unknown[name] = nil, config.Unknown{Kinds: config.AnyKind}
		}
	}
	if _, ok := payload["type"]; !ok {
		payload["type"] = m.Call
	}
	if block := blocks[m.Call]; block != "" && payload[block] == nil {
		payload[block] = map[string]any{}
	}
	return payload
}

// below is a part of a message, false if it has none.
func below(payload map[string]any, steps []string) (v any, at finding.Path, ok bool) {
	v = payload
	for _, step := range steps {
		m, isObject := v.(map[string]any)
		if v, ok = m[step]; !isObject || !ok {
			return nil, nil, false
		}
		at = at.With(step)
	}
	return v, at, true
}

// withContextTraits has the traits in context as well.
func withContextTraits(v any) any {
	payload, ok := v.(map[string]any)
	if !ok {
		return v
	}
	context, _ := payload["context"].(map[string]any)
	if context["traits"] != nil || payload["traits"] == nil {
		return v
	}
	payload, context = maps.Clone(payload), maps.Clone(context)
	if context == nil {
		context = map[string]any{}
	}
	context["traits"], payload["context"] = payload["traits"], context
	return payload
}

// knows returns what is known of a value that is not known as a whole.
func (c *comparison) knows(at finding.Path) (config.Unknown, bool) {
	u, ok := c.unknown[at.String()]
	return u, ok
}

// unknownWithin reports whether a value, or something in it, is not known.
func (c *comparison) unknownWithin(at finding.Path) bool {
	prefix := at.String()
	for path := range c.unknown {
		rest, ok := strings.CutPrefix(path, prefix)
		if ok && (rest == "" || prefix == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// A validation is that of a part of a message by one schema.
type validation struct {
	*comparison
	rule  *rule
	value any
	base  finding.Path
}

func (v *validation) run(s *jsonschema.Schema) {
	err, _ := s.Validate(v.value).(*jsonschema.ValidationError)
	if err == nil {
		return
	}
	for _, e := range v.certain(err) {
		v.report(e)
	}
}

// path is the place of an error in the message.
func (v *validation) path(e *jsonschema.ValidationError) finding.Path {
	at, value := v.base, v.value
	for _, step := range e.InstanceLocation {
		switch inner := value.(type) {
		case []any:
			i, _ := strconv.Atoi(step)
			at = at.With(i)
			if value = nil; i < len(inner) {
				value = inner[i]
			}
		case map[string]any:
			at, value = at.With(step), inner[step]
		default:
			return at
		}
	}
	return at
}

// certain are the causes of an error that hold whatever the unknown values are.
func (v *validation) certain(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if conditional(e.SchemaURL) && v.unknownWithin(v.base) {
		return nil // another value may not have come here
	}
	at := v.path(e)
	switch k := e.ErrorKind.(type) {
	case *kind.AnyOf:
		return v.alternatives(e)
	case *kind.OneOf:
		if k.Subschemas == nil {
			return v.alternatives(e)
		}
		return v.unless(e, v.unknownWithin(at))
	case *kind.Not, *kind.Contains, *kind.MinContains, *kind.MaxContains, *kind.UniqueItems:
		return v.unless(e, v.unknownWithin(at))
	case *kind.PropertyNames:
		return []*jsonschema.ValidationError{e}
	}
	if len(e.Causes) > 0 {
		var out []*jsonschema.ValidationError
		for _, cause := range e.Causes {
			out = append(out, v.certain(cause)...)
		}
		return out
	}
	u, unknown := v.knows(at)
	switch k := e.ErrorKind.(type) {
	case *kind.RefCycle, *kind.InvalidJsonValue:
		return nil
	case *kind.Type:
		return v.unless(e, unknown && slices.ContainsFunc(k.Want, func(t string) bool { return kindsOf[t]&u.Kinds != 0 }))
	case *kind.Enum:
		return v.unless(e, unknown && canBeOne(u, k.Want) || !unknown && v.unknownWithin(at))
	case *kind.Const:
		return v.unless(e, unknown && canBeOne(u, []any{k.Want}) || !unknown && v.unknownWithin(at))
	case *kind.Required, *kind.Dependency, *kind.DependentRequired, *kind.MinProperties:
		return v.unless(e, unknown || v.partial[at.String()])
	case *kind.FalseSchema:
		return []*jsonschema.ValidationError{e}
	}
	return v.unless(e, unknown)
}

func (v *validation) unless(e *jsonschema.ValidationError, uncertain bool) []*jsonschema.ValidationError {
	if uncertain {
		return nil
	}
	return []*jsonschema.ValidationError{e}
}

// alternatives is certain where all of them are wrong for certain. If but one is an
// alternative for a value of this type, its mistakes are those to tell.
func (v *validation) alternatives(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	var meant [][]*jsonschema.ValidationError
	for _, cause := range e.Causes {
		found := v.certain(cause)
		if len(found) == 0 {
			return nil
		}
		if !slices.ContainsFunc(found, func(leaf *jsonschema.ValidationError) bool {
			switch leaf.ErrorKind.(type) {
			case *kind.Type, *kind.Enum, *kind.Const, *kind.PropertyNames:
				return len(leaf.InstanceLocation) <= len(e.InstanceLocation)
			}
			return false
		}) {
			meant = append(meant, found)
		}
	}
	if len(meant) == 1 {
		return meant[0]
	}
	return []*jsonschema.ValidationError{e}
}

// canBeOne reports whether an unknown value may be one of some values.
func canBeOne(u config.Unknown, values []any) bool {
	return slices.ContainsFunc(values, func(v any) bool {
		s, isString := v.(string)
		return u.Kinds&kindOfValue(v) != 0 && (!isString || u.CanBe == nil || u.CanBe(s))
	})
}

// conditional reports whether a schema is one that holds only if another one does.
func conditional(url string) bool {
	p := fragment(url)
	for i := 0; i < len(p); i++ {
		if p[i] == "then" || p[i] == "else" {
			return true
		}
		if slices.Contains(keywordsOfNames, p[i]) {
			i++ // the name of a property
		}
	}
	return false
}

// place is where a keyword of a rule is.
func (r *rule) place(url string, keyword ...string) diagnostic.Related {
	return diagnostic.Related{Message: "the tracking plan", File: r.doc.name,
		Range: r.doc.place(r.schemaAt.with(append(fragment(url), keyword...)...))}
}

// report makes mismatches of an error.
func (v *validation) report(e *jsonschema.ValidationError) {
	at := v.path(e)
	s := v.rule.part(e.SchemaURL)
	if s == nil {
		s = &jsonschema.Schema{}
	}
	switch k := e.ErrorKind.(type) {
	case *kind.PropertyNames: // the walk reports it
	case *kind.Required:
		v.missing(s, e.SchemaURL, at, k.Missing, "", "required")
	case *kind.Dependency:
		v.missing(s, e.SchemaURL, at, k.Missing, k.Prop, "dependencies", k.Prop)
	case *kind.DependentRequired:
		v.missing(s, e.SchemaURL, at, k.Missing, k.Prop, "dependentRequired", k.Prop)
	case *kind.AdditionalProperties:
		want := &config.PlanValue{Kinds: config.ObjectKind, Fields: map[string]*config.PlanValue{},
			Place: v.rule.place(e.SchemaURL, "additionalProperties")}
		for name, field := range s.Properties {
			want.Fields[name] = describe(field, 0)
		}
		for _, name := range k.Properties {
			v.found = append(v.found, config.Mismatch{Kind: config.Unplanned, At: at.With(name), Want: want})
		}
	case *kind.FalseSchema:
		v.found = append(v.found, config.Mismatch{Kind: config.Unplanned, At: at,
			Want: &config.PlanValue{Place: v.rule.place(e.SchemaURL)}})
	default:
		want := describe(s, 0)
		want.Constraint = constraint(e.ErrorKind)
		want.Place = v.rule.place(e.SchemaURL, e.ErrorKind.KeywordPath()...)
		v.found = append(v.found, config.Mismatch{Kind: config.Unfit, At: at, Want: want})
	}
}

// missing reports fields that a schema requires.
func (v *validation) missing(
	s *jsonschema.Schema, url string, at finding.Path, names []string, beside string, keyword ...string,
) {
	for _, name := range names {
		want := &config.PlanValue{Kinds: config.AnyKind}
		want.Place = v.rule.place(url, keyword...)
		if field := s.Properties[name]; field != nil {
			place := v.rule.place(field.Location)
			want = describe(field, 0)
			want.Place = place
			want.Lacks = requiredIn(field, 0)
		}
		v.found = append(v.found, config.Mismatch{Kind: config.Missing, At: at, Name: name, Beside: beside, Want: want})
	}
}

// requiredIn are the fields that an object must have at least.
func requiredIn(s *jsonschema.Schema, depth int) []string {
	out := slices.Clone(s.Required)
	if depth < 8 {
		for _, other := range append(slices.Clone(s.AllOf), s.Ref) {
			if other != nil {
				out = append(out, requiredIn(other, depth+1)...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

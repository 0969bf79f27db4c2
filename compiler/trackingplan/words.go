package trackingplan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
)

// fragment is the JSON Pointer of a URL.
func fragment(u string) pointer {
	_, text, ok := strings.Cut(u, "#")
	if !ok || !strings.HasPrefix(text, "/") {
		return nil
	}
	var p pointer
	for _, step := range strings.Split(text[1:], "/") {
		if plain, err := url.PathUnescape(step); err == nil {
			step = plain
		}
		p = append(p, strings.NewReplacer("~1", "/", "~0", "~").Replace(step))
	}
	return p
}

// firstLeaf is the deepest cause of an error, the first by its place.
func firstLeaf(e *jsonschema.ValidationError) *jsonschema.ValidationError {
	for len(e.Causes) > 0 {
		e = slices.MinFunc(e.Causes, func(a, b *jsonschema.ValidationError) int {
			return cmp.Or(slices.Compare(a.InstanceLocation, b.InstanceLocation), cmp.Compare(a.SchemaURL, b.SchemaURL))
		})
	}
	return e
}

// schemaWords says what is wrong with a schema at a place.
func schemaWords(e *jsonschema.ValidationError, at pointer) string {
	subject := "the schema"
	if len(at) > 0 {
		subject = at[len(at)-1]
		if _, isIndex := index(subject); isIndex && len(at) > 1 {
			subject = "this value of " + at[len(at)-2]
		}
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		var want []string
		for _, t := range k.Want {
			want = append(want, article(t))
		}
		return fmt.Sprintf("%s must be %s, and is %s", subject, finding.OneOf(want), article(k.Got))
	case *kind.Required:
		return fmt.Sprintf("%s lacks %s", subject, strings.Join(k.Missing, ", "))
	case *kind.Enum:
		return fmt.Sprintf("%s has a value that JSON Schema does not know", subject)
	case *kind.MinItems:
		return fmt.Sprintf("%s must have %d or more elements", subject, k.Want)
	case *kind.UniqueItems:
		return fmt.Sprintf("%s has an element twice", subject)
	case *kind.Minimum, *kind.ExclusiveMinimum:
		return fmt.Sprintf("%s is too small", subject)
	case *kind.Format:
		return fmt.Sprintf("%s is not in the format %s", subject, k.Want)
	case *kind.Pattern:
		return fmt.Sprintf("%s does not match %s", subject, k.Want)
	}
	return fmt.Sprintf("%s is not what JSON Schema allows here", subject)
}

// article is a type of JSON Schema in words.
func article(t string) string {
	switch t {
	case "array":
		return "a list"
	case "null":
		return "null"
	case "boolean":
		return "true or false"
	case "object", "integer":
		return "an " + t
	}
	return "a " + t
}

// kindsOf are the types of JSON Schema.
var kindsOf = map[string]config.Kinds{"string": config.StringKind, "integer": config.IntegerKind,
	"number": config.NumberKind, "boolean": config.BooleanKind, "object": config.ObjectKind, "array": config.ListKind,
	"null": config.NullKind}

// kindOfValue is the type of a decoded value. A number without a fraction is an integer,
// also where it is written as 3.0.
func kindOfValue(v any) config.Kinds {
	switch v := v.(type) {
	case nil:
		return config.NullKind
	case bool:
		return config.BooleanKind
	case string:
		return config.StringKind
	case json.Number:
		if config.IsInteger(v) {
			return config.IntegerKind
		}
		return config.FractionKind
	case []any:
		return config.ListKind
	}
	return config.ObjectKind
}

// describe says what a schema wants, as far as a few words can: types, and strings where
// only some may be sent.
func describe(s *jsonschema.Schema, depth int) *config.PlanValue {
	p := &config.PlanValue{Kinds: config.AnyKind, Exact: true, Doc: firstLine(s)}
	if s.Bool != nil || depth > 8 {
		return p
	}
	if s.Types != nil && !s.Types.IsEmpty() {
		p.Kinds = 0
		for _, t := range s.Types.ToStrings() {
			p.Kinds |= kindsOf[t]
		}
	}
	values := []any(nil)
	if s.Enum != nil {
		values = s.Enum.Values
	} else if s.Const != nil {
		values = []any{*s.Const}
	}
	if values != nil {
		narrow(p, valuesOf(values))
	}
	if s.Ref != nil {
		narrow(p, describe(s.Ref, depth+1))
	}
	for _, a := range s.AllOf {
		narrow(p, describe(a, depth+1))
	}
	for _, alternatives := range [][]*jsonschema.Schema{s.AnyOf, s.OneOf} {
		if len(alternatives) > 0 {
			narrow(p, either(alternatives, depth+1))
		}
	}
	return p
}

func firstLine(s *jsonschema.Schema) string {
	return strings.Join(strings.Fields(cmp.Or(s.Description, s.Title)), " ")
}

// valuesOf describes a list of values of which any may be sent.
func valuesOf(values []any) *config.PlanValue {
	p := &config.PlanValue{Texts: []string{}}
	var others []string
	for _, v := range values {
		p.Kinds |= kindOfValue(v)
		if s, ok := v.(string); ok {
			p.Texts = append(p.Texts, s)
		} else if b, err := json.Marshal(v); err == nil {
			others = append(others, string(b))
		}
	}
	if p.Kinds&config.StringKind == 0 {
		p.Texts = nil
	}
	p.Values = others
	return p
}

// narrow takes over what another description says as well.
func narrow(p, by *config.PlanValue) {
	p.Kinds &= by.Kinds
	if by.Texts != nil && p.Texts == nil {
		p.Texts = by.Texts
	}
	if by.Values != nil && p.Values == nil {
		p.Values = by.Values
	}
	if p.Kinds&config.StringKind == 0 {
		p.Texts = nil
	}
	p.Doc = cmp.Or(p.Doc, by.Doc)
}

// either describes alternatives.
func either(alternatives []*jsonschema.Schema, depth int) *config.PlanValue {
	p := &config.PlanValue{}
	free := false // any string will do
	for _, a := range alternatives {
		d := describe(a, depth)
		p.Kinds |= d.Kinds
		p.Values = append(p.Values, d.Values...)
		if d.Kinds&config.StringKind != 0 {
			free = free || d.Texts == nil
			p.Texts = append(p.Texts, d.Texts...)
		}
		if d.Values == nil && d.Kinds&^(config.StringKind|config.NullKind) != 0 {
			p.Values = nil
		}
	}
	if free {
		p.Texts = nil
	}
	return p
}

// constraint is what a schema asks for beside a type, "" for nothing else.
func constraint(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Pattern:
		return "the pattern " + k.Want
	case *kind.Format:
		return "the format " + k.Want
	case *kind.Minimum:
		return ">=" + decimal(k.Want)
	case *kind.Maximum:
		return "<=" + decimal(k.Want)
	case *kind.ExclusiveMinimum:
		return ">" + decimal(k.Want)
	case *kind.ExclusiveMaximum:
		return "<" + decimal(k.Want)
	case *kind.MultipleOf:
		return "multipleOf " + decimal(k.Want)
	case *kind.MinLength:
		return fmt.Sprint("minLength ", k.Want)
	case *kind.MaxLength:
		return fmt.Sprint("maxLength ", k.Want)
	case *kind.MinItems:
		return fmt.Sprint("minItems ", k.Want)
	case *kind.MaxItems:
		return fmt.Sprint("maxItems ", k.Want)
	case *kind.MinProperties:
		return fmt.Sprint("minProperties ", k.Want)
	case *kind.MaxProperties:
		return fmt.Sprint("maxProperties ", k.Want)
	case *kind.UniqueItems:
		return "uniqueItems"
	case *kind.AdditionalItems:
		return "additionalItems"
	case *kind.Not:
		return "not"
	case *kind.OneOf:
		if len(k.Subschemas) > 0 {
			return "oneOf: it fits two of its schemas"
		}
	case *kind.Contains, *kind.MinContains, *kind.MaxContains:
		return "contains"
	case *kind.ContentEncoding, *kind.ContentMediaType, *kind.ContentSchema:
		return "its encoding"
	}
	return ""
}

func decimal(r *big.Rat) string {
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'f', -1, 64)
}

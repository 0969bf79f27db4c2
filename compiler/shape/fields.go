package shape

import (
	"maps"
	"slices"
	"strings"

	"github.com/seguehq/segue/compiler/finding"
)

// Admits reports whether a value is of the sort that a shape asks for, or one of
// its alternatives does.
func (s *Shape) Admits(v any) bool {
	return s.Kind == Any || FitsKind(v, s) || slices.ContainsFunc(s.Alts,
		func(alt *Shape) bool { return alt.Admits(v) })
}

// AnyKnown reports whether a value has a field that the shape has.
func (s *Shape) AnyKnown(m map[string]any) bool {
	for k := range m {
		if _, ok := s.Fields[k]; ok {
			return true
		}
	}
	return false
}

// RefersToSecret reports whether a shape is that of a secret by its name, or of
// where one comes from.
func (s *Shape) RefersToSecret() bool {
	switch s.Definition {
	case "automation.#Secret", "project.#Secret", "project.#SecretSource", "project.#SecretSourceFields":
		return true
	}
	return false
}

// otherWords are what people call a field who have used another tool, by the
// field's name.
var otherWords = map[string][]string{
	"name":     {"title", "label", "displayName"},
	"trigger":  {"when", "on", "event", "if"},
	"payload":  {"body", "data", "message", "json", "content"},
	"url":      {"endpoint", "address", "uri", "href", "target"},
	"event":    {"action", "name", "eventName", "title"},
	"userId":   {"user", "id", "uid", "distinctId"},
	"groupId":  {"group", "id", "account", "accountId", "companyId", "organizationId", "orgId"},
	"platform": {"type", "kind", "provider", "engine"},
	"writeKey": {"key", "apiKey", "token", "secret"},
	"sample":   {"example", "default", "value"},
}

// Lacking returns the field that a value needs and does not have, and that is
// called k elsewhere; "" if there is none.
func (s *Shape) Lacking(k string, m map[string]any) string {
	for _, name := range s.Names() {
		f := s.Fields[name]
		needed := f.Required
		for _, count := range s.Counts {
			needed = needed || slices.Contains(count.Fields, name) &&
				!slices.ContainsFunc(count.Fields, func(k string) bool { _, ok := m[k]; return ok })
		}
		if _, has := m[name]; needed && !has && slices.Contains(otherWords[name], k) && f.Shape.Admits(m[k]) {
			return name
		}
	}
	return ""
}

// Mended returns the fields of a value with those of a misspelt block in the one
// that was meant, which is there too, so that nothing in it is missing. It is the
// value itself if nothing is to be mended.
func (s *Shape) Mended(m map[string]any) map[string]any {
	out := m
	for k, v := range m {
		inner, ok := v.(map[string]any)
		if _, known := s.Fields[k]; known || !ok || s.Rest != nil || s.Open {
			continue
		}
		near := finding.Nearest(k, s.Names())
		there, ok := m[near].(map[string]any)
		if !ok {
			continue
		}
		out = maps.Clone(m)
		whole := maps.Clone(there)
		for name := range inner {
			if _, ok := there[name]; !ok {
				whole[name] = Broken{}
			}
		}
		out[near] = whole
	}
	return out
}

// Free lists the fields that a value could still have: those that it does not
// have, or has from the schema.
func (s *Shape) Free(m map[string]any) []string {
	return slices.DeleteFunc(s.Names(), func(name string) bool {
		_, taken := m[name]
		return taken && !s.Fields[name].Given
	})
}

// Names lists the fields that an author can set, in order.
func (s *Shape) Names() []string {
	return slices.DeleteFunc(finding.SortedKeys(s.Fields), func(name string) bool {
		f := s.Fields[name]
		return f.Given && len(f.Shape.Consts) == 1 && f.Shape.Kind == Text && !f.defaulted
	})
}

// Home returns the field within which a field of that name belongs, "" if there
// is none.
func (s *Shape) Home(k string) string {
	for _, inner := range []string{"payload", "trigger", "traits", "properties"} {
		if s.Has(inner, k) {
			return inner
		}
	}
	return ""
}

// Has reports whether a field of a shape is a struct that has a field k.
func (s *Shape) Has(inner, k string) bool {
	f, ok := s.Fields[inner]
	if !ok {
		return false
	}
	_, ok = f.Shape.Fields[k]
	return ok
}

// Call returns the call that a shape is the message of, "" if it is none.
func (s *Shape) Call() string {
	if f, ok := s.Fields["type"]; ok && len(f.Shape.Consts) == 1 && strings.HasPrefix(s.Definition, "segment.") {
		return f.Shape.Consts[0]
	}
	return ""
}

package compiler

import (
	"maps"
	"slices"
	"strings"
)

// unknownField reports a field that the shape does not have, and returns the
// field that was probably meant.
func (c *checker) unknownField(k string, m map[string]any, s *shape, at valuePath) string {
	w := c.report("unknown-field", at, atLabel, "%s has no field %q", structName(at[:len(at)-1]), k)
	around := at[:len(at)-1]
	if near := Nearest(k, s.free(m)); near != "" {
		w.Suggestion, w.Help, w.meant = near, didYouMean(near), around.with(near)
		if c.fits(m[k], s.fields[near].shape, at) {
			c.found[len(c.found)-1].repair = &repair{how: rename, text: near}
		}
		return near
	}
	if other := s.lacking(k, m); other != "" {
		w.Suggestion, w.Help, w.meant = other, didYouMean(other), around.with(other)
		return other
	}
	call := s.call()
	own := "traits"
	if call == "track" {
		own = "properties"
	}
	switch inner := s.home(k); {
	case inner != "":
		w.Suggestion, w.meant = inner+"."+k, around.with(inner, k)
		w.Help = k + " belongs in " + inner + ": write " + inner + ": " + k + ": ..."
	case call != "" && len(callsWith(k)) > 0:
		w.Help = k + " belongs to a call of another kind: use " + oneOf(callsWith(k))
		if k == "traits" || k == "properties" {
			w.Help = "a call of this kind has " + own + "; " + w.Help
			w.meant = around.with(own)
		}
	case call != "" && s.has("context", k):
		w.Suggestion, w.meant = "context."+k, around.with("context", k)
		w.Help = k + " belongs in context: write context: " + k + ": ..."
	case call != "" && len(around) == 3 && automationField(call, k):
		w.Suggestion, w.meant = k, around[:2].with(k)
		w.Help = k + " belongs beside payload, not in it"
	case call != "":
		w.Help = "fields of your own go into " + own + ": " + own + ": " + labelSelector(k).String() + ": ..."
	default:
		w.Help = "its fields are " + oneOf(s.names())
	}
	return ""
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

// lacking returns the field that a value needs and does not have, and that is
// called k elsewhere; "" if there is none.
func (s *shape) lacking(k string, m map[string]any) string {
	for _, name := range s.names() {
		f := s.fields[name]
		needed := f.required
		for _, count := range s.counts {
			needed = needed || slices.Contains(count.fields, name) &&
				!slices.ContainsFunc(count.fields, func(k string) bool { _, ok := m[k]; return ok })
		}
		if _, has := m[name]; needed && !has && slices.Contains(otherWords[name], k) && f.shape.admits(m[k]) {
			return name
		}
	}
	return ""
}

// mended returns the fields of a value with those of a misspelt block in the one
// that was meant, which is there too, so that nothing in it is missing. It is the
// value itself if nothing is to be mended.
func (s *shape) mended(m map[string]any) map[string]any {
	out := m
	for k, v := range m {
		inner, ok := v.(map[string]any)
		if _, known := s.fields[k]; known || !ok || s.rest != nil || s.open {
			continue
		}
		near := Nearest(k, s.names())
		there, ok := m[near].(map[string]any)
		if !ok {
			continue
		}
		out = maps.Clone(m)
		whole := maps.Clone(there)
		for name := range inner {
			if _, ok := there[name]; !ok {
				whole[name] = broken{}
			}
		}
		out[near] = whole
	}
	return out
}

// structName says what a struct is called in a message.
func structName(p valuePath) string {
	if name := p.name(); name != "" {
		return name
	}
	if len(p) > 0 {
		return "an automation"
	}
	return "the project file"
}

// free lists the fields that a value could still have: those that it does not
// have, or has from the schema.
func (s *shape) free(m map[string]any) []string {
	return slices.DeleteFunc(s.names(), func(name string) bool {
		_, taken := m[name]
		return taken && !s.fields[name].given
	})
}

// names lists the fields that an author can set, in order.
func (s *shape) names() []string {
	return slices.DeleteFunc(sorted(s.fields), func(name string) bool {
		f := s.fields[name]
		return f.given && len(f.shape.consts) == 1 && f.shape.kind == textShape && !f.defaulted
	})
}

// home returns the field within which a field of that name belongs, "" if there
// is none.
func (s *shape) home(k string) string {
	for _, inner := range []string{"payload", "trigger", "traits", "properties"} {
		if s.has(inner, k) {
			return inner
		}
	}
	return ""
}

// has reports whether a field of a shape is a struct that has a field k.
func (s *shape) has(inner, k string) bool {
	f, ok := s.fields[inner]
	if !ok {
		return false
	}
	_, ok = f.shape.fields[k]
	return ok
}

// automationField reports whether an automation of a call has a field that its
// payload does not have.
func automationField(call, k string) bool {
	_, ok := callShapes()[call][0].fields[k]
	return ok
}

// call returns the call that a shape is the message of, "" if it is none.
func (s *shape) call() string {
	if f, ok := s.fields["type"]; ok && len(f.shape.consts) == 1 && strings.HasPrefix(s.definition, "segment.") {
		return f.shape.consts[0]
	}
	return ""
}

// callsWith lists the definitions of the calls whose messages have a field.
func callsWith(k string) []string {
	var out []string
	for _, name := range []string{"#Identify", "#Group", "#Track"} {
		if _, ok := shapeOf("segment." + name).fields[k]; ok {
			out = append(out, "automation."+name)
		}
	}
	return out
}

// fieldName checks the name of a field that the author chose.
func (c *checker) fieldName(k string, at valuePath) {
	if strings.Contains(k, "{{") {
		of := "a field"
		if len(at) > 1 && at[len(at)-2] == "headers" {
			of = "a header"
		}
		w := c.report("misplaced-placeholder", at, atLabel, "a placeholder can't stand in the name of %s: it would be sent as it is", of)
		w.Help = "give the field a fixed name and put the placeholder into the value"
	}
}

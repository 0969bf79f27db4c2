package trackingplan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seguehq/segue/compiler/finding"
)

// A rule is what a plan says of one event, or of all messages of a call.
type rule struct {
	doc *document
	// at leads to the rule, schemaAt to its schema.
	at, schemaAt pointer
	// call is track, identify, group, page, screen or alias; "" for all of them.
	call string
	// name is that of the event, page or screen.
	name    string
	version float64
	schema  any
	// below leads to the part of the message that the schema is about; nil for all of it.
	below []string
	// contextTraits says that the traits are in context, where RudderStack has them.
	contextTraits bool

	compiled compiled
}

// A layout reads the rules of a document.
type layout struct {
	doc      *document
	rules    []*rule
	pages    []page
	problems []Problem
	// events says that the document names the events that may be sent.
	events bool
}

// A page is a part of the answer of an API. next is the page that follows, "" for none.
type page struct {
	doc           *document
	at            pointer
	current, next string
	total         string
}

// wrappers are the fields that API answers and exports have around their rules.
var wrappers = []string{"data", "tracking_plan", "trackingPlan"}

// read reads the rules in any of the forms in docs/tracking-plans.md.
func (l *layout) read(v any, at pointer) {
	switch v := v.(type) {
	case []any:
		l.list(v, at)
	case map[string]any:
		l.object(v, at)
	default:
		l.problem(at, "see docs/tracking-plans.md for the forms of plans", "it is %s, and a plan is an object or a list",
			typeName(v))
	}
}

func (l *layout) problem(at pointer, help, format string, args ...any) {
	l.problems = append(l.problems, Problem{File: l.doc.name, Range: l.doc.place(at),
		Message: fmt.Sprintf(format, args...), Help: help})
}

// list reads rules, pages of rules or whole plans.
func (l *layout) list(list []any, at pointer) {
	l.events = true
	for i, e := range list {
		here := at.with(strconv.Itoa(i))
		m, ok := e.(map[string]any)
		switch {
		case ok && isPlan(m):
			l.object(m, here)
		case ok:
			l.rule(m, here, "track")
		default:
			l.problem(here, "see docs/tracking-plans.md for the forms of plans", "this rule is %s, and a rule is an object",
				typeName(e))
		}
	}
}

// isPlan reports whether an object holds rules, and is not one itself.
func isPlan(m map[string]any) bool {
	if _, ok := m["rules"].([]any); ok {
		return true
	}
	if rules, ok := m["rules"].(map[string]any); ok && isProtocols(rules) {
		return true
	}
	for _, key := range wrappers {
		if _, ok := m[key]; ok {
			return true
		}
	}
	return false
}

// protocolsParts are the parts of the rules that Segment Protocols exports.
var protocolsParts = []string{"events", "global", "identify", "group", "page", "screen", "identify_traits",
	"user_traits", "group_traits"}

// isProtocols reports whether an object has the rules of a plan by their calls. Each of
// the names could be that of a property too, in a schema; but not with such a value.
func isProtocols(m map[string]any) bool {
	if _, ok := m["events"].([]any); ok {
		return true
	}
	for _, key := range protocolsParts {
		switch v := m[key].(type) {
		case []any:
			return strings.HasSuffix(key, "_traits")
		case map[string]any:
			if _, schema := v["properties"]; schema && m["type"] == nil && m["properties"] == nil {
				return key != "events"
			}
		}
	}
	return false
}

func (l *layout) object(m map[string]any, at pointer) {
	if rules, ok := m["rules"].([]any); ok {
		l.page(m, at)
		l.list(rules, at.with("rules"))
		return
	}
	if rules, ok := m["rules"].(map[string]any); ok && isProtocols(rules) {
		l.protocols(rules, at.with("rules"))
		return
	}
	for _, key := range wrappers {
		switch inner := m[key].(type) {
		case map[string]any:
			if isPlan(inner) || isProtocols(inner) {
				l.object(inner, at.with(key))
				return
			} else if key != "data" {
				l.problem(at.with(key), "export its rules: see docs/tracking-plans.md",
					"it describes a tracking plan, and has none of its rules")
				return
			}
		case []any:
			if key == "data" {
				l.page(m, at)
				l.list(inner, at.with(key))
				return
			}
		}
	}
	switch rules, given := m["rules"]; {
	case isProtocols(m):
		l.page(m, at)
		l.protocols(m, at)
	case l.foreign(m, at):
	case given && len(m) > 1 && !isSchema(rules):
		l.problem(at.with("rules"), "see docs/tracking-plans.md for the forms of plans", "its rules are %s", typeName(rules))
	default:
		l.plain(m, at)
	}
}

// foreign reports what is not a plan, but often is taken for one.
func (l *layout) foreign(m map[string]any, at pointer) bool {
	if list, ok := m["errors"].([]any); ok && len(list) > 0 {
		text := "the API has answered with an error"
		if first, ok := list[0].(map[string]any); ok {
			if s, ok := first["message"].(string); ok {
				text += ": " + s
			}
		}
		l.problem(at.with("errors"), "export the plan again: see docs/tracking-plans.md", "%s", text)
		return true
	}
	if data, ok := m["data"].(map[string]any); ok {
		l.problem(at.with("data"), "export its rules: see docs/tracking-plans.md", "its data has no rules, only %s",
			cmp.Or(finding.OneOf(finding.SortedKeys(data)), "nothing"))
		return true
	}
	_, named := m["type"].(string)
	_, schema := m["$schema"].(string)
	if props, ok := m["properties"].(map[string]any); ok && (named || schema) && props != nil {
		l.problem(at, `write an object with the event's name around it: {"Report Exported": {...}}`,
			"it is one JSON Schema, and does not say of which event")
		return true
	}
	return false
}

// protocols reads what Segment Protocols exports, and what has its form: the events of
// RudderStack and Avo.
func (l *layout) protocols(m map[string]any, at pointer) {
	if events, ok := m["events"].([]any); ok {
		l.list(events, at.with("events"))
	}
	for _, key := range []string{"global", "identify", "group", "page", "screen"} {
		call := callsOf[key]
		if schema := embedded(m[key]); schema != nil {
			if empty, ok := schema.(map[string]any); ok && len(empty) == 0 {
				continue
			}
			l.add(&rule{at: at.with(key), schemaAt: at.with(key), call: call, schema: schema})
		}
	}
	for _, key := range []string{"identify_traits", "user_traits", "group_traits"} {
		call := "identify"
		if key == "group_traits" {
			call = "group"
		}
		if traits, ok := m[key].([]any); ok {
			l.traits(traits, at.with(key), call)
		}
	}
}

// traits reads a list of single traits, each with a name and a schema.
func (l *layout) traits(list []any, at pointer, call string) {
	for i, e := range list {
		m, _ := e.(map[string]any)
		name := firstString(m, "name", "key")
		if name == "" {
			l.problem(at.with(strconv.Itoa(i)), "give it its name", "this trait has no name")
			continue
		}
		schema, key := firstOf(m, "rules", "jsonSchema", "schema")
		if key == "" {
			schema = true
		}
		l.add(&rule{at: at.with(strconv.Itoa(i)), schemaAt: at.with(strconv.Itoa(i), key), call: call,
			below: []string{"traits", name}, schema: embedded(schema)})
	}
}

func firstString(m map[string]any, keys ...string) string {
	for _, key := range keys {
		if s, ok := m[key].(string); ok && s != "" {
			return s
		}
	}
	return ""
}

func firstOf(m map[string]any, keys ...string) (v any, key string) {
	for _, key := range keys {
		if v, ok := m[key]; ok {
			return v, key
		}
	}
	return nil, ""
}

// callsOf are the calls by the words that plans have for them. COMMON is for all.
var callsOf = map[string]string{"track": "track", "identify": "identify", "group": "group", "page": "page",
	"screen": "screen", "alias": "alias", "common": "", "global": ""}

// rule reads one rule of a list.
func (l *layout) rule(m map[string]any, at pointer, call string) {
	r := &rule{at: at, call: call, version: versionOf(m["version"])}
	if word := firstString(m, "type", "eventType", "event_type"); word != "" {
		known := false
		if r.call, known = callsOf[strings.ToLower(word)]; !known {
			l.problem(at, "it must be TRACK, IDENTIFY, GROUP, PAGE, SCREEN or COMMON", "this rule has the type %q", word)
			return
		}
	}
	r.name = firstString(m, "key", "name", "event")
	if r.call == "track" && r.name == "" {
		l.problem(at, "give it the name of its event", "this rule has no event")
		return
	}
	if r.call != "track" && r.call != "page" && r.call != "screen" {
		r.name = ""
	}
	schema, key := firstOf(m, "jsonSchema", "json_schema", "rules", "schema")
	switch key {
	case "":
		r.schema, r.schemaAt = true, at
	default:
		r.schema, r.schemaAt = embedded(schema), at.with(key)
	}
	switch firstString(m, "identitySection", "identity_section") {
	case "context.traits":
		r.contextTraits = true
	}
	if block := blockOf(r); block != "" {
		r.below = []string{block}
	}
	l.add(r)
}

// add takes a rule, unless its schema is none.
func (l *layout) add(r *rule) {
	r.doc = l.doc
	if !isSchema(r.schema) || r.schema == false {
		l.problem(r.schemaAt, "write an object", "a schema is an object, and this is %s", typeName(r.schema))
		return
	}
	l.rules = append(l.rules, r)
}

// isSchema reports whether a value can be a JSON Schema.
func isSchema(v any) bool {
	switch v.(type) {
	case map[string]any, bool:
		return true
	}
	return false
}

// plain reads an object with a schema of the properties for each event.
func (l *layout) plain(m map[string]any, at pointer) {
	l.events = true
	for _, name := range finding.SortedKeys(m) {
		if strings.HasPrefix(name, "$") {
			continue // such as $schema
		}
		here := at.with(name)
		schema := m[name]
		if !isSchema(schema) {
			l.problem(here, "see docs/tracking-plans.md for the forms of plans",
				"this is not a plan in a form that segue knows: %q is %s, and the schema of an event is an object", name,
				typeName(schema))
			return
		}
		l.add(&rule{at: here, schemaAt: here, call: "track", name: name, schema: schema,
			below: []string{"properties"}})
	}
}

// messageFields are the fields that messages have at their top.
var messageFields = []string{"anonymousId", "category", "channel", "context", "event", "groupId", "integrations",
	"messageId", "name", "originalTimestamp", "previousId", "projectId", "properties", "receivedAt", "sentAt",
	"timestamp", "traits", "type", "userId", "version", "writeKey"}

// blockOf tells which part of a message a rule's schema is about. Typewriter has the schema
// of the properties where Segment has that of the message.
func blockOf(r *rule) string {
	s, ok := r.schema.(map[string]any)
	block := blocks[r.call]
	if !ok || block == "" {
		return ""
	}
	props, _ := s["properties"].(map[string]any)
	for name, v := range props {
		if !slices.Contains(messageFields, name) || (name == "properties" || name == "traits" || name == "context") &&
			!mayBeObject(v) {
			return block
		}
	}
	if required, ok := s["required"].([]any); ok && len(props) == 0 {
		for _, name := range required {
			if name, ok := name.(string); ok && !slices.Contains(messageFields, name) && s["nameMapping"] == nil {
				return block
			}
		}
	}
	return ""
}

// blocks are the parts of messages that are the team's own, by call.
var blocks = map[string]string{"track": "properties", "page": "properties", "screen": "properties",
	"identify": "traits", "group": "traits"}

// mayBeObject reports whether a schema may be that of an object.
func mayBeObject(v any) bool {
	m, ok := v.(map[string]any)
	if !ok {
		return v != false
	}
	switch t := m["type"].(type) {
	case string:
		return t == "object" || t == "any"
	case []any:
		return slices.Contains(t, any("object")) || slices.Contains(t, any("any"))
	}
	return true
}

// versionOf reads the version of a rule: a number, or a string of one. Without it, it is 0.
func versionOf(v any) float64 {
	s := ""
	switch v := v.(type) {
	case json.Number:
		s = v.String()
	case string:
		s = v
	}
	n, _ := strconv.ParseFloat(s, 64)
	return n
}

// page remembers that an object is a page of the answer of an API.
func (l *layout) page(m map[string]any, at pointer) {
	p := page{doc: l.doc, at: at}
	if of, ok := m["pagination"].(map[string]any); ok {
		p.current, _ = of["current"].(string)
		p.next, _ = of["next"].(string)
		p.at = at.with("pagination")
		if n, ok := of["totalEntries"].(json.Number); ok {
			p.total = n.String()
		}
	} else if size, total := versionOf(m["pageSize"]), versionOf(m["total"]); size > 0 && total > 0 {
		current := max(versionOf(m["currentPage"]), 1)
		p.current, p.total, p.at = fmt.Sprint(current), fmt.Sprint(total), at.with("currentPage")
		if current*size < total {
			p.next = fmt.Sprint(current + 1)
		}
	}
	if p.current != "" || p.next != "" {
		l.pages = append(l.pages, p)
	}
}

// missingPages reports pages whose next one is in none of the files.
func missingPages(pages []page) (problems []Problem) {
	for _, p := range pages {
		if p.next == "" || slices.ContainsFunc(pages, func(o page) bool { return o.current == p.next }) {
			continue
		}
		of := ""
		if p.total != "" {
			of = " with " + p.total + " entries"
		}
		problems = append(problems, Problem{File: p.doc.name, Range: p.doc.place(p.at),
			Message: fmt.Sprintf("it is one page of a plan%s, and the next page is in none of the files", of),
			Help:    `export all pages, and name all files, as in jsonSchema: "plans/page-*.json"`})
	}
	return problems
}

// typeName is the type of a decoded value in words.
func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return "a value"
}

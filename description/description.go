// Package description describes an automation platform with its own REST API:
// its endpoints, and the mapping between a canonical automation and the
// platform's object.
//
// A description is written in CUE, with the schema in schema/platform. The
// compiler finds it under platforms in segue.cue and makes a [Platform] from it
// with [New], which returns errors as [Problem]s, each with its place. Package
// platform/rest uses the result:
//
//	object, err := p.Encode(description.Input{Automation: a, Marker: p.MarkerText(record), ...})
//	record, ours := p.Record(object)
//	content, err := p.Decode(object)
//	a := p.Restore(content, record)
//
// A [Platform] is safe for concurrent use. CUE is not, so a lock guards it.
package description

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cuelang.org/go/cue"
)

// A Platform is a description with its defaults filled in.
type Platform struct {
	Auth      Auth                   `json:"auth"`
	Headers   map[string]string      `json:"headers"`
	Endpoints Endpoints              `json:"endpoints"`
	Paging    Paging                 `json:"paging"`
	ID        Path                   `json:"id"`
	Revision  Revision               `json:"revision"`
	Marker    Marker                 `json:"marker"`
	Secrets   Secrets                `json:"secrets"`
	Errors    Errors                 `json:"errors"`
	Only      Only                   `json:"only"`
	Triggers  map[string]TriggerList `json:"triggers"`

	mapping mapping
}

// Auth says how a request authenticates. The zero Auth is a bearer token.
type Auth struct {
	Header string `json:"header"`
	Scheme string `json:"scheme"`
	Query  string `json:"query"`
	// Basic is the user name of Basic credentials, or nil for other
	// credentials.
	Basic *string `json:"basic"`
	None  bool    `json:"none"`
}

// Endpoints are the requests that segue makes.
type Endpoints struct {
	List   Endpoint `json:"list"`
	Create Endpoint `json:"create"`
	Update Endpoint `json:"update"`
	Delete Endpoint `json:"delete"`
	// Read is nil if no request reads a single object.
	Read *Endpoint `json:"read"`
}

// An Endpoint is one kind of request. {id} and {project} are filled in in its
// path and in the values of its query.
type Endpoint struct {
	Method string            `json:"method"`
	Path   string            `json:"path"`
	Query  map[string]string `json:"query"`
	// Body is the path of the object in the request's body.
	Body Path `json:"body"`
	// Answer is "object", "id" or "nothing".
	Answer string `json:"answer"`
	// Item is the path of the object in the answer, and Items is the path of
	// the list of objects.
	Item  Path `json:"item"`
	Items Path `json:"items"`
	// Whole is true if an answer holds the whole list, even if it mentions
	// further pages.
	Whole bool `json:"whole"`
}

// Paging says how a list is read. The zero Paging is for one page.
type Paging struct {
	// Kind is "", "page", "offset" or "cursor".
	Kind          string `json:"kind"`
	Parameter     string `json:"parameter"`
	First         int    `json:"first"`
	SizeParameter string `json:"sizeParameter"`
	Size          int    `json:"size"`
	Next          Path   `json:"next"`
	Total         Path   `json:"total"`
	Pages         Path   `json:"pages"`
}

// Revision says how to detect a change by somebody else. The zero Revision is
// for a platform that has no revisions.
type Revision struct {
	Field  Path   `json:"field"`
	Header string `json:"header"`
	// Condition is "if-match", "object", "query", "none" or "".
	Condition string `json:"condition"`
	Parameter string `json:"parameter"`
}

// Marker says where the object holds the marker.
type Marker struct {
	Field  Path   `json:"field"`
	Prefix string `json:"prefix"`
}

// Secrets says how the platform keeps secrets.
type Secrets struct {
	// Named is true if the platform still returns the names of hidden headers.
	Named bool `json:"named"`
}

// Errors gives the meanings of error answers.
type Errors struct {
	Exists   []int             `json:"exists"`
	Conflict []int             `json:"conflict"`
	Retry    []int             `json:"retry"`
	Message  Path              `json:"message"`
	Code     Path              `json:"code"`
	Codes    map[string]string `json:"codes"`
}

// Only lists the features that the platform supports. An empty list means all.
type Only struct {
	Methods  []string `json:"methods"`
	Triggers []string `json:"triggers"`
}

// A TriggerList is a request that lists patterns or journeys.
type TriggerList struct {
	Endpoint
	Paged bool `json:"paged"`

	decode cue.Value
}

// A Problem is an error in a description.
type Problem struct {
	// Path leads from the description to the error. Label is true if the error is
	// about the field's name, not its value.
	Path  []string
	Label bool
	// Code, Message and the others are those of the diagnostic.
	Code, Message, Help, Suggestion string
	// Cause is CUE's error, if it is one.
	Cause error
}

// New reads a description. v is the author's value with the fields of the
// schema's platform.#Platform; missing fields get the schema's defaults. All
// platforms from one cue.Context must share a lock. The platform is nil if there
// are problems.
func New(v cue.Value, lock *sync.Mutex) (*Platform, []Problem) {
	lock.Lock()
	defer lock.Unlock()
	p := &Platform{mapping: mapping{lock: lock}, ID: "id", Secrets: Secrets{Named: true}, Marker: Marker{Prefix: "segue:"},
		Paging: Paging{First: 1, Size: 100}, Revision: Revision{Condition: "if-match"}}
	sections := map[string]any{
		"auth": &p.Auth, "headers": &p.Headers, "endpoints": &p.Endpoints, "paging": &p.Paging, "id": &p.ID, "revision": &p.Revision,
		"marker": &p.Marker, "secrets": &p.Secrets, "errors": &p.Errors, "only": &p.Only,
	}
	var problems []Problem
	for _, name := range sortedKeys(sections) {
		section := v.LookupPath(cue.MakePath(cue.Str(name)))
		if !section.Exists() {
			continue
		}
		if err := decodeInto(section, sections[name]); err != nil {
			problems = append(problems, Problem{Path: []string{name}, Code: "platform-mapping", Cause: err})
		}
	}
	p.Triggers = map[string]TriggerList{}
	lists := v.LookupPath(cue.MakePath(cue.Str("triggers")))
	if fields, err := lists.Fields(); err == nil {
		for fields.Next() {
			name := fields.Selector().Unquoted()
			list, found := readTriggerList(fields.Value(), []string{"triggers", name})
			p.Triggers[name] = list
			problems = append(problems, found...)
		}
	}
	p.mapping.encode = v.LookupPath(cue.MakePath(cue.Str("encode")))
	p.mapping.decode = v.LookupPath(cue.MakePath(cue.Str("decode")))
	if len(problems) > 0 {
		return nil, problems
	}
	p.fillIn()
	if problems = p.contradictions(); len(problems) > 0 {
		return nil, problems
	}
	return p, nil
}

// decodeInto reads a concrete value through its JSON form.
func decodeInto(v cue.Value, out any) error {
	b, err := v.MarshalJSON()
	if err != nil {
		return err
	}
	return json.Unmarshal(b, out)
}

func readTriggerList(v cue.Value, at []string) (TriggerList, []Problem) {
	list := TriggerList{Paged: true}
	var problems []Problem
	for name, into := range map[string]any{"method": &list.Method, "path": &list.Path, "query": &list.Query, "items": &list.Items, "whole": &list.Whole, "paged": &list.Paged} {
		field := v.LookupPath(cue.MakePath(cue.Str(name)))
		if !field.Exists() {
			continue
		}
		if err := decodeInto(field, into); err != nil {
			problems = append(problems, Problem{Path: append(slices.Clone(at), name), Code: "platform-mapping", Cause: err})
		}
	}
	list.decode = v.LookupPath(cue.MakePath(cue.Str("decode")))
	return list, problems
}

// fillIn fills in the usual methods and statuses.
func (p *Platform) fillIn() {
	usual := func(e *Endpoint, method string) {
		if e.Method == "" {
			e.Method = method
		}
		if e.Answer == "" {
			e.Answer = "object"
		}
	}
	usual(&p.Endpoints.List, "GET")
	usual(&p.Endpoints.Create, "POST")
	usual(&p.Endpoints.Update, "PUT")
	usual(&p.Endpoints.Delete, "DELETE")
	if p.Endpoints.Read != nil {
		usual(p.Endpoints.Read, "GET")
	}
	for name, list := range p.Triggers {
		usual(&list.Endpoint, "GET")
		p.Triggers[name] = list
	}
	if p.Auth == (Auth{}) {
		p.Auth = Auth{Header: "Authorization", Scheme: "Bearer"}
	}
	if p.Errors.Conflict == nil {
		p.Errors.Conflict = []int{409, 412}
	}
}

// contradictions finds errors that the schema can't express.
func (p *Platform) contradictions() []Problem {
	var found []Problem
	report := func(path, code, help, format string, args ...any) {
		found = append(found, Problem{Path: strings.Split(path, " "), Code: code, Help: help, Message: fmt.Sprintf(format, args...)})
	}
	missing := func(path, field, help, why string) {
		at := strings.ReplaceAll(path, " ", ".")
		found = append(found, Problem{Path: strings.Split(path, " "), Label: true, Code: "missing-field", Help: help,
			Message: at + "." + field + " is missing: " + why})
	}
	endpoint := func(at string, e Endpoint, needsID bool) {
		if !strings.HasPrefix(e.Path, "/") {
			report(at+" path", "invalid-value", `write "/`+e.Path+`"`, "the path of an endpoint begins with a slash, got %q", e.Path)
		}
		hasID := false
		for _, text := range append([]string{e.Path}, sortedValues(e.Query)...) {
			names, err := variables(text)
			if err != nil {
				report(at+" path", "invalid-value", "write {id} or {project}, with both braces", "a brace is not closed in %q", text)
			}
			for _, name := range names {
				switch {
				case name == "project" || name == "id" && needsID:
					hasID = hasID || name == "id"
				case name == "id":
					report(at+" path", "invalid-value", "leave {id} out: only a stored automation has one", "{id} can't be filled in here: %q", text)
				default:
					report(at+" path", "invalid-value", "write {id} or {project}", "nothing can be filled in for {%s} in %q", name, text)
				}
			}
		}
		if needsID && !hasID {
			report(at+" path", "invalid-value", `put it where the API has it, as in "/rules/{id}"`, "the path lacks {id}, which says which automation is meant")
		}
	}
	endpoint("endpoints list", p.Endpoints.List, false)
	endpoint("endpoints create", p.Endpoints.Create, false)
	endpoint("endpoints update", p.Endpoints.Update, true)
	endpoint("endpoints delete", p.Endpoints.Delete, true)
	if p.Endpoints.Read != nil {
		endpoint("endpoints read", *p.Endpoints.Read, true)
	}
	for _, name := range sortedKeys(p.Triggers) {
		endpoint("triggers "+name, p.Triggers[name].Endpoint, false)
	}
	if p.Paging.Kind == "cursor" && p.Paging.Next == "" {
		missing("paging", "next", "add next: the path of the next cursor in the answer", "pages by cursor need it")
	}
	if r := p.Revision; r.Header != "" && p.Endpoints.Read == nil {
		missing("endpoints", "read", "add read: path: \"/.../{id}\"", "a list does not have the header "+r.Header)
	}
	if p.Revision.Condition == "query" && p.Revision.Parameter == "" {
		missing("revision", "parameter", "add parameter: the name of the query parameter", "the condition is sent in the query")
	}
	if p.Revision.Condition == "object" && p.Revision.Field == "" {
		report("revision condition", "conflicting-fields", `write condition: "if-match", or name the field`, "a revision from a header can't be sent in the object")
	}
	paths := map[string]Path{"id": p.ID, "marker field": p.Marker.Field, "revision field": p.Revision.Field,
		"endpoints list items": p.Endpoints.List.Items, "endpoints create item": p.Endpoints.Create.Item, "endpoints update item": p.Endpoints.Update.Item,
		"endpoints create body": p.Endpoints.Create.Body, "endpoints update body": p.Endpoints.Update.Body,
		"paging next": p.Paging.Next, "paging total": p.Paging.Total, "paging pages": p.Paging.Pages, "errors message": p.Errors.Message, "errors code": p.Errors.Code}
	for _, at := range sortedKeys(paths) {
		if !paths[at].valid() {
			report(at, "invalid-value", `write the names of fields with dots between them, as in "meta.id"`, "%q is not a path", paths[at])
		}
	}
	return found
}

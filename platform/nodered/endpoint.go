package nodered

import (
	"bytes"
	"regexp"
	"strings"
)

// endpointKind is the type of a node that is an endpoint.
const endpointKind = "http in"

// endpoints are the endpoints for POST of a configuration.
type endpoints struct {
	config *config
	// plain are those with a path as it stands, by path in lower case: Node-RED
	// tells no capital letters from small ones there.
	plain map[string][]entry
	// patterns are those with parameters and wildcards.
	patterns []endpointPattern
	// order is where a tab is among all, which Node-RED starts in that order.
	order map[string]int
}

type endpointPattern struct {
	entry
	path *regexp.Regexp
}

// endpoints finds the endpoints that are switched on.
func (c *config) endpoints() endpoints {
	all := endpoints{config: c, plain: map[string][]entry{}, order: map[string]int{}}
	for i, e := range c.entries {
		if e.kind == "tab" {
			all.order[e.id] = i
		}
	}
	for _, e := range active(c.entries) {
		if !strings.EqualFold(e.method, "post") {
			continue
		}
		if !strings.ContainsAny(e.url, `:*()[]{}?+\^$|`) {
			path := plainPath(e.url)
			all.plain[path] = append(all.plain[path], e)
		} else if path := routePattern(e.url); path != nil {
			all.patterns = append(all.patterns, endpointPattern{e, path})
		}
	}
	return all
}

// active returns the endpoints that are switched on, whatever their method, with
// their paths as Node-RED makes them out.
func active(entries []entry) []entry {
	tabs := map[string]entry{}
	for _, e := range entries {
		if e.kind == "tab" {
			tabs[e.id] = e
		}
	}
	var on []entry
	for _, e := range entries {
		if t := tabs[e.z]; e.kind == endpointKind && e.url != "" && !e.off && !t.off {
			e.url = t.pathOf(e)
			on = append(on, e)
		}
	}
	return on
}

// pathOf is the path of an endpoint on the tab.
func (t entry) pathOf(e entry) string {
	if e.url != pathReference || t.path == "" {
		return e.url
	}
	return t.path
}

// plainPath is how endpoints are compared.
func plainPath(url string) string { return strings.ToLower("/" + strings.Trim(url, "/")) }

// route is what Node-RED knows an endpoint by: when one is stopped, it forgets
// all that have the same.
func (e entry) route() string {
	return strings.ToLower(e.method) + " /" + strings.TrimPrefix(e.url, "/")
}

// holders returns the endpoints that get what is meant for an automation, or may
// get it, those of the automation itself left out. Those that take it are first:
// Node-RED gives a request to the endpoint that was started first, and starts
// the flows from left to right. One that has the very same path is behind that
// of the automation if its flow is.
func (all endpoints) holders(project, key, tabID string) (takers, behind []entry) {
	path := endpointPath(project, key)
	foreign := func(e entry) bool {
		t := all.config.get(e.z)
		return e.z != tabID && (t == nil || !t.own || t.marker.Project != project || t.marker.Key != key)
	}
	place, placed := all.order[tabID]
	for _, e := range all.plain[plainPath(path)] {
		if !foreign(e) {
			continue
		}
		if at, ok := all.order[e.z]; ok && placed && at > place && e.route() == "post "+path {
			behind = append(behind, e)
		} else {
			takers = append(takers, e)
		}
	}
	for _, p := range all.patterns {
		if p.path.MatchString(path) && foreign(p.entry) {
			takers = append(takers, p.entry)
		}
	}
	return takers, behind
}

// restartRoutes has those endpoints restarted that have the same route as one
// that this deploy stops: Node-RED forgets all of them with it. They are started
// in the order of their flows.
func (c *config) restartRoutes() {
	before, after, routes := map[string][]byte{}, map[string]entry{}, map[string]bool{}
	for _, e := range active(c.entries) {
		after[e.id] = e
	}
	for _, e := range active(c.before) {
		before[e.id] = e.raw
		if now, ok := after[e.id]; !ok || !bytes.Equal(now.raw, e.raw) {
			routes[e.route()] = true
		}
	}
	for i := range c.entries {
		e := &c.entries[i]
		was, running := before[e.id]
		now, stays := after[e.id]
		e.restart = running && stays && routes[now.route()] && bytes.Equal(was, e.raw)
	}
}

// nameOf is what people call a flow or a subflow.
func (c *config) nameOf(id string) string {
	e := c.get(id)
	if e == nil {
		return "flow " + printable(id)
	}
	n := e.node()
	name := "flow " + quoted([]byte(n.text("label")))
	if e.kind == "subflow" {
		name = "subflow " + quoted([]byte(n.text("name")))
	}
	return name + " (" + printable(id) + ")"
}

// with tells of an endpoint with parameters or wildcards what it has.
func (c *config) with(e entry, project, key string) string {
	if e.route() == "post "+endpointPath(project, key) {
		return c.nameOf(e.z)
	}
	return c.nameOf(e.z) + ", which has " + quoted([]byte(e.url))
}

// routeParts are what Express 4, which Node-RED has its endpoints from, reads in
// a path: escapes, parameters, and wildcards. It is that of path-to-regexp 0.1.
var routeParts = regexp.MustCompile(`\\.|(/)?(\.)?:(\w+)(\(.*?\))?(\*)?(\?)?|[.*]|/\(`)

// routePattern returns what a path with parameters and wildcards matches, nil if
// that can't be told.
func routePattern(url string) *regexp.Regexp {
	if !strings.HasPrefix(url, "/") {
		url = "/" + url
	}
	var out strings.Builder
	at := 0
	for _, m := range routeParts.FindAllStringSubmatchIndex(url, -1) {
		out.WriteString(url[at:m[0]])
		at = m[1]
		group := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return url[m[2*i]:m[2*i+1]]
		}
		switch part := url[m[0]:m[1]]; {
		case part[0] == '\\':
			out.WriteString(part)
		case part == ".":
			out.WriteString(`\.`)
		case part == "*":
			out.WriteString(`(.*)`)
		case part == "/(":
			out.WriteString(`/(?:`)
		default:
			slash, dot, capture := group(1), "", group(4)
			if group(2) != "" {
				dot = `\.`
			}
			if capture == "" {
				capture = `([^/` + dot + `]+?)`
			} else {
				capture = strings.Replace(capture, "*", "(.*)", 1)
			}
			more := ""
			if group(5) != "" {
				more = `((?:[/` + dot + `].+?)?)`
			}
			out.WriteString(`(?:` + dot + slash + capture + more + `)` + group(6))
		}
	}
	out.WriteString(url[at:])
	text := out.String()
	if strings.HasSuffix(text, "/") {
		text += "?"
	} else {
		text += "/?"
	}
	// What Go's expressions can't do is left to who writes them.
	pattern, _ := regexp.Compile(`(?i)^` + text + `$`)
	return pattern
}

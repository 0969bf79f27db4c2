package nodered

import (
	"bytes"
	"regexp"
	"strings"
)

// endpointKind is the type of an endpoint node.
const endpointKind = "http in"

// endpoints holds the endpoints for POST of a configuration.
type endpoints struct {
	config *config
	// plain are those with a literal path, by the path in lower case: Node-RED
	// ignores case there.
	plain map[string][]entry
	// patterns are those with parameters and wildcards.
	patterns []endpointPattern
	// order is the position of each tab; Node-RED starts the tabs in that
	// order.
	order map[string]int
}

type endpointPattern struct {
	entry
	path *regexp.Regexp
}

// endpoints finds the enabled endpoints.
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

// active returns the enabled endpoints of any method, with their paths as
// Node-RED resolves them.
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

// pathOf returns the path of an endpoint on the tab.
func (t entry) pathOf(e entry) string {
	if e.url != pathReference || t.path == "" {
		return e.url
	}
	return t.path
}

// plainPath returns a path in the form for comparisons.
func plainPath(url string) string { return strings.ToLower("/" + strings.Trim(url, "/")) }

// route returns the key of an endpoint in Node-RED: when an endpoint stops,
// Node-RED forgets all with the same key.
func (e entry) route() string {
	return strings.ToLower(e.method) + " /" + strings.TrimPrefix(e.url, "/")
}

// holders returns the other endpoints that get, or may get, the requests for an
// automation. takers are started first: Node-RED passes a request to the
// endpoint that was started first, and starts the flows from left to right.
// behind are endpoints with the same path in flows to the right of the
// automation's.
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

// restartRoutes restarts the endpoints with the same route as one that this
// deploy stops, because Node-RED forgets all of them. They are started in the
// order of their flows.
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

// nameOf returns the name of a flow or a subflow for people.
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

// with describes an endpoint with parameters or wildcards.
func (c *config) with(e entry, project, key string) string {
	if e.route() == "post "+endpointPath(project, key) {
		return c.nameOf(e.z)
	}
	return c.nameOf(e.z) + ", which has " + quoted([]byte(e.url))
}

// routeParts matches the special parts of a path in Express 4, which Node-RED
// uses: escapes, parameters, and wildcards. It is the expression of
// path-to-regexp 0.1.
var routeParts = regexp.MustCompile(`\\.|(/)?(\.)?:(\w+)(\(.*?\))?(\*)?(\?)?|[.*]|/\(`)

// routePattern returns an expression for a path with parameters and wildcards,
// or nil if that is impossible.
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
	// Ignore paths that Go's expressions don't support.
	pattern, _ := regexp.Compile(`(?i)^` + text + `$`)
	return pattern
}

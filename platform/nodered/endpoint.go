package nodered

import (
	"regexp"
	"strings"
)

// endpoints are the endpoints for POST of a configuration, those that are
// switched off left out.
type endpoints struct {
	config *config
	// plain are those with a path as it stands, by path in lower case: Node-RED
	// tells no capital letters from small ones there.
	plain map[string][]entry
	// patterns are those with parameters and wildcards.
	patterns []endpointPattern
}

type endpointPattern struct {
	entry
	path *regexp.Regexp
}

// endpoints finds the endpoints.
func (c *config) endpoints() endpoints {
	all := endpoints{config: c, plain: map[string][]entry{}}
	off := map[string]bool{}
	for _, e := range c.entries {
		if e.kind == "tab" && e.off {
			off[e.id] = true
		}
	}
	for _, e := range c.entries {
		if e.kind != "http in" || !strings.EqualFold(e.method, "post") || e.url == "" || e.off || off[e.z] {
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

// plainPath is how endpoints are compared.
func plainPath(url string) string { return strings.ToLower("/" + strings.Trim(url, "/")) }

// taker returns the flow that takes what is meant for an automation, by what
// people know it by, "" if there is none. Which of two endpoints gets a request
// depends on which was started first, so that each may take the other's.
func (all endpoints) taker(project, key, tabID string) string {
	path := endpointPath(project, key)
	foreign := func(e entry) bool { return e.z != tabID && !all.config.isCopy(project, key, e.z) }
	for _, e := range all.plain[plainPath(path)] {
		if foreign(e) {
			return all.config.nameOf(e.z)
		}
	}
	for _, p := range all.patterns {
		if p.path.MatchString(path) && foreign(p.entry) {
			return all.config.nameOf(p.z) + ", which has " + quoted([]byte(p.url))
		}
	}
	return ""
}

// isCopy reports whether a flow carries the marker of the project and the key:
// a copy that somebody has made, which the next plan deletes.
func (c *config) isCopy(project, key, id string) bool {
	e := c.get(id)
	return e != nil && e.marker != nil && e.marker.Project == project && e.marker.Key == key
}

// nameOf is what people call a flow or a subflow.
func (c *config) nameOf(id string) string {
	e := c.get(id)
	if e == nil {
		return "flow " + quoted([]byte(id))
	}
	n := e.node()
	if e.kind == "subflow" {
		return "subflow " + quoted([]byte(n.text("name")))
	}
	return "flow " + quoted([]byte(n.text("label")))
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

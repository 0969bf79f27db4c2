package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
)

// wellFormed is the repair of a malformed placeholder whose name is known, nil if
// it is not certain.
func (c *Checker) wellFormed(e automation.SyntaxError) *finding.Repair {
	name := e.Name
	if e.Problem == automation.BadName { // {{user id}}, {{ .userId }}, {{"userId"}}
		name = ""
		for _, known := range c.names() {
			if strings.Join(splitWords(finding.PlainName(e.Name)), "") == finding.PlainName(known) {
				name = known
			}
		}
	}
	if _, known := c.Catalog[name]; !known || e.Cast != "" || strings.Contains(e.Text, "|") {
		return nil
	}
	switch e.Problem {
	case automation.Unclosed, automation.Unopened, automation.ExtraBrace, automation.BadName:
		return &finding.Repair{How: finding.RewriteText, Text: automation.Reference{Name: name}.String(), Shared: true}
	}
	return nil
}

// otherCast is the repair of a cast, nil if it can't be told from the rest.
func otherCast(e automation.SyntaxError, right string) *finding.Repair {
	name, cast, _ := strings.Cut(e.Text, "|")
	if strings.Count(cast, e.Cast) != 1 {
		return nil
	}
	return &finding.Repair{How: finding.RewriteText, Text: name + "|" + strings.Replace(cast, e.Cast, right, 1)}
}

// fits reports whether nothing is wrong with a value in the place of another but
// what can be repaired for certain, too.
func (c *Checker) fits(v any, s *shape.Shape, p finding.Path) bool {
	sub := *c
	sub.Found = nil
	sub.Value(v, s, p)
	return !slices.ContainsFunc(sub.Found, func(f finding.Finding) bool { return finding.IsError(f) && f.Repair == nil })
}

// fitsPlan is fits for a field of the tracking plan.
func (c *planCheck) fitsPlan(v any, p *config.PlanValue, at finding.Path) bool {
	sub := *c
	inner := *c.Checker
	inner.Found, sub.Checker = nil, &inner
	sub.value(v, p, at)
	return len(inner.Found) == 0
}

// certainIn looks at what the repairs of a text's placeholders, which are found
// from an index on, would make of it. If that has other mistakes, they are not
// certain and are dropped.
func (c *Checker) certainIn(v string, s *shape.Shape, p finding.Path, from int) {
	repaired, n, trimmed := "", 0, false
	said := map[string]bool{}
	var parts []finding.Finding
	for _, f := range c.Found[from:] {
		said[f.Code+f.Message] = true
		if f.Repair == nil {
			continue
		}
		if f.Repair.How == finding.RewriteText {
			parts = append(parts, f)
		}
		trimmed = trimmed || f.Repair.How == finding.ReplaceLiteral && f.Code == "stray-blanks"
	}
	if len(parts) == 0 && !trimmed {
		return
	}
	slices.SortStableFunc(parts, func(a, b finding.Finding) int { return cmp.Compare(a.Offset, b.Offset) })
	for _, f := range parts {
		if f.Offset < n {
			continue
		}
		repaired += v[n:f.Offset] + f.Repair.Text
		n = f.Offset + len(f.Part)
	}
	if repaired += v[n:]; trimmed {
		repaired = strings.TrimSpace(repaired)
	}
	sub := *c
	sub.Found = nil
	sub.text(repaired, s, p)
	if slices.ContainsFunc(sub.Found, func(f finding.Finding) bool {
		return finding.IsError(f) && f.Repair == nil && !said[f.Code+f.Message]
	}) {
		for i := range c.Found[from:] {
			c.Found[from+i].Repair = nil
		}
	}
}

// certainLiteral repairs the last finding, which says that a value is of the
// wrong type, if the value fits once it gets quotes or loses them.
func (c *Checker) certainLiteral(v any, s *shape.Shape, p finding.Path) {
	w := &c.Found[len(c.Found)-1]
	if w.Suggestion == "" {
		return
	}
	var other any
	switch v := v.(type) {
	case string:
		switch v {
		case "true", "false":
			other = v == "true"
		default:
			other = json.Number(v)
		}
	case json.Number, bool:
		if p[len(p)-1] == "url" {
			return // quotes alone don't make one
		}
		other = fmt.Sprint(v)
	case shape.Bytes:
		other = string(v)
	default:
		return
	}
	w.Repair = &finding.Repair{How: finding.ReplaceLiteral, Text: w.Suggestion}
	if !c.fits(other, s, p) {
		w.Repair = nil
	}
}

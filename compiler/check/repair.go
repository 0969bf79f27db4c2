package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
)

// wellFormed is the repair of a malformed placeholder whose name is known, nil if
// it is not certain.
func (by Rules) wellFormed(e automation.SyntaxError) *finding.Repair {
	name := e.Name
	if e.Problem == automation.BadName { // {{user id}}, {{ .userId }}, {{"userId"}}
		name = ""
		for _, known := range by.Names() {
			if strings.Join(finding.Words(finding.PlainName(e.Name)), "") == finding.PlainName(known) {
				name = known
			}
		}
	}
	if _, known := by.Catalog[name]; !known || e.Cast != "" || strings.Contains(e.Text, "|") {
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
func (by Rules) fits(v any, s *shape.Shape, p finding.Path) bool {
	return !slices.ContainsFunc(by.Value(v, s, p),
		func(f finding.Finding) bool { return finding.IsError(f) && f.Repair == nil })
}

// certain looks at what the repairs of a string's placeholders would make of it. If
// that has other mistakes, they are not certain and are dropped from the findings.
func (by Rules) certain(found findings, v string, s *shape.Shape, p finding.Path) findings {
	repaired, n, trimmed := "", 0, false
	said := map[string]bool{}
	var parts []finding.Finding
	for _, f := range found {
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
		return found
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
	if slices.ContainsFunc(by.text(repaired, s, p), func(f finding.Finding) bool {
		return finding.IsError(f) && f.Repair == nil && !said[f.Code+f.Message]
	}) {
		for i := range found {
			found[i].Repair = nil
		}
	}
	return found
}

// otherLiteral is the repair of a value of the wrong type that fits once it gets
// quotes or loses them; nil if it does not. suggestion is how it is written then.
func (by Rules) otherLiteral(suggestion string, v any, s *shape.Shape, p finding.Path) *finding.Repair {
	if suggestion == "" {
		return nil
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
			return nil // quotes alone don't make one
		}
		other = fmt.Sprint(v)
	case shape.Bytes:
		other = string(v)
	default:
		return nil
	}
	if !by.fits(other, s, p) {
		return nil
	}
	return &finding.Repair{How: finding.ReplaceLiteral, Text: suggestion}
}

package check

import (
	"slices"
	"strings"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
)

// advised checks a value whose type, and that of all in it, the spec names and Segment does
// not enforce. Null is
// not a value of another type: it is how a trait is removed from a profile.
func (by Rules) advised(v any, s *shape.Shape, p finding.Path) findings {
	if v == nil {
		return nil
	}
	strict := *s
	strict.Advised = false
	found := by.Value(v, &strict, p)
	for i := range found {
		f := &found[i]
		if !aboutType[f.Code] {
			continue
		}
		f.Otherwise()
		f.Message = strings.Replace(f.Message, " must be ", " should be ", 1)
	}
	return found
}

// aboutType are the codes of findings that only say that a value is not of the type, or
// among the values, that the spec names.
var aboutType = map[string]bool{"wrong-type": true, "missing-cast": true, "placeholder-type": true,
	"invalid-time": true, "invalid-value": true, "out-of-range": true, "empty-value": true}

// misspelt warns of a field of one's own that is called nearly as a known one, which is
// not there itself: destinations only know the latter.
func misspelt(k string, m map[string]any, s *shape.Shape, at finding.Path) findings {
	near := nearField(k, m, s)
	if near == "" || k == "externalId" && typedIDs(m[k]) {
		return nil
	}
	w := finding.Newf("misspelt-field", at, finding.AtLabel, "%s is nearly called %s, which Segment's spec has",
		at.Name(), near)
	w.Suggestion, w.Help = near, finding.DidYouMean(near)
	return findings{w}
}

// typedIDs reports whether a value is a list of ids with their types alone, as some libraries
// send it in context.externalId: a field of their own, and not externalIds.
func typedIDs(v any) bool {
	l, ok := v.([]any)
	return ok && !slices.ContainsFunc(l, func(e any) bool {
		id, _ := e.(map[string]any)
		_, hasCollection := id["collection"]
		_, hasEncoding := id["encoding"]
		return id == nil || hasCollection || hasEncoding
	})
}

// nearField returns the one known field that a name differs from in case, in how its words
// are joined, or in a slip of the keyboard; "" if there is none.
func nearField(k string, m map[string]any, s *shape.Shape) string {
	if len(s.Fields) == 0 || strings.HasPrefix(k, "_") {
		return ""
	}
	plain, near := finding.PlainName(k), ""
	for _, name := range s.Names() {
		_, there := m[name]
		known := finding.PlainName(name)
		switch {
		case known == plain && there:
			return "" // both spellings are sent
		case known == plain:
			return name
		case near == "" && !there &&
			(finding.IsSlip(k, name) || s.Fields[name].Shape.Kind == shape.List && known == plain+"s"):
			near = name
		}
	}
	return near
}

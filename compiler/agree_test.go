package compiler

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"cuelang.org/go/cue"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/check"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// sortedJSON encodes a value with its fields in order.
func sortedJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// agreeCatalog has a placeholder of each type.
var agreeCatalog = func() automation.Catalog {
	both := []automation.TriggerKind{automation.Pattern, automation.Journey}
	return automation.Catalog{
		"text": {Type: automation.StringValue, Triggers: both}, "number": {Type: automation.NumberValue, Triggers: both},
		"flag": {Type: automation.BooleanValue, Triggers: both}, "time": {Type: automation.TimeValue, Triggers: both},
	}
}()

// candidates are values to put anywhere: of all types, right and wrong.
var candidates = []any{
	"text", "", "2026-01-31T09:30:00Z", "2026-01-31T09:30:00.5+02:00", "2026-02-30T09:30:00Z", "2026-01-31", "1990-02-30", "identify", "track", "us",
	"{{text}}", "{{ number | number }}", "{{flag | boolean}}", "{{time}}", "a {{text}}",
	json.Number("0"), json.Number("7"), json.Number("-3"), json.Number("2.5"), true, false, nil,
	[]any{}, []any{"a"}, []any{json.Number("1")}, map[string]any{}, map[string]any{"name": "a"}, map[string]any{"id": json.Number("1")},
}

// TestShapesAgreeWithCUE tests the property that everything depends on: a value has a finding if and only if
// CUE refuses it. Values are made by putting candidates into valid messages at random places.
func TestShapesAgreeWithCUE(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	messages := 1000
	if testing.Short() {
		messages = 50
	}
	for _, name := range []string{"segment.#Identify", "segment.#Group", "segment.#Track", "segment.#Page", "segment.#Screen", "segment.#Alias", "segment.#OrderCompleted", "segment.#CartViewed",
		"segment.#EmailOpened", "segment.#InstallAttributed", "segment.#VideoPlaybackStarted", "automation.#HTTP", "automation.#Trigger",
		"automation.#Header", "project.#Project", "project.#Source", "project.#Target", "project.#SecretSource", "placeholder.#Placeholder"} {
		pkg, def, _ := strings.Cut(name, ".")
		ctx, v := schemaValue(t, schema.Files(), pkg)
		s := shape.Of(name)
		definition := v.LookupPath(cue.ParsePath(def))
		disagree := 0
		for range messages {
			value := randomMessage(random, s)
			accepted := definition.Unify(ctx.Encode(plainNumbers(value))).Validate(cue.Concrete(true)) == nil
			rules := check.Rules{Catalog: agreeCatalog, Trigger: automation.Pattern, Templates: pkg == "segment"}
			var errs []string
			for _, f := range rules.Value(value, s, finding.Path{"automations", "a", "payload"}) {
				// Outside of messages, a misplaced placeholder replaces any other finding about the string.
				if f.Severity == diagnostic.Error && !isNullID(f, value) && (!beyondCUE(f) || !accepted && pkg != "segment") {
					errs = append(errs, f.Code+": "+f.Message)
				}
			}
			if accepted != (len(errs) == 0) {
				if disagree++; disagree < 8 {
					t.Errorf("%s: CUE takes it: %v; findings: %q\n%s", def, accepted, errs, sortedJSON(t, value))
				}
			}
		}
	}
}

// isNullID reports whether a finding is about a message whose only id is null, which CUE
// takes for one.
func isNullID(f finding.Finding, value any) bool {
	m, _ := value.(map[string]any)
	user, hasUser := m["userId"]
	anonymous, hasAnonymous := m["anonymousId"]
	return f.Code == "missing-field" && strings.Contains(f.Message, "needs userId") &&
		(hasUser && user == nil || hasAnonymous && anonymous == nil)
}

// beyondCUE reports whether a finding is about something that the schema does
// not express.
func beyondCUE(f finding.Finding) bool {
	switch f.Code {
	case "unknown-placeholder", "malformed-placeholder", "number-precision", "misplaced-placeholder", "placeholder-type",
		"invalid-time":
		return true // CUE takes any string for a time
	case "empty-value":
		return strings.HasSuffix(f.At.String(), "payload.timestamp") || strings.HasSuffix(f.At.String(), "payload.sentAt")
	}
	return false
}

// plainNumbers replaces json.Number by numbers that CUE can encode.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plainNumbers(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k := range v {
			out[k] = plainNumbers(v[k])
		}
		return out
	}
	return v
}

// randomMessage makes a value for a shape: most of it right, with some fields
// missing, wrong or unknown.
func randomMessage(r *rand.Rand, s *shape.Shape) any {
	return randomValue(r, s, 0)
}

func randomValue(r *rand.Rand, s *shape.Shape, depth int) any {
	if r.IntN(40) == 0 {
		return candidates[r.IntN(len(candidates))]
	}
	switch s.Kind {
	case shape.Struct:
		m := map[string]any{}
		for _, k := range finding.SortedKeys(s.Fields) {
			f := s.Fields[k]
			take := 1 + depth*depth*3
			if f.Given {
				m[k] = randomValue(r, f.Shape, depth+1)
				continue // CUE sets it where it is missing
			}
			if f.Required || k == "userId" {
				take = 1
				if r.IntN(30) == 0 {
					continue
				}
			} else if r.IntN(6*take) != 0 {
				continue
			}
			m[k] = randomValue(r, f.Shape, depth+1)
		}
		if s.Rest != nil && r.IntN(3) == 0 {
			m["name"] = randomValue(r, s.Rest, depth+1)
		}
		if r.IntN(25) == 0 {
			m[fmt.Sprintf("own%d", r.IntN(3))] = candidates[r.IntN(len(candidates))]
		}
		return m
	case shape.List:
		list := []any{}
		for range r.IntN(3) {
			list = append(list, randomValue(r, s.Elem, depth+1))
		}
		return list
	case shape.Union:
		return randomValue(r, s.Alts[r.IntN(len(s.Alts))], depth)
	case shape.Text:
		if len(s.Consts) > 0 {
			return s.Consts[r.IntN(len(s.Consts))]
		}
		return []string{"text", "{{text}}", "a {{text}} b", "https://x.y", "NAME", "30s"}[r.IntN(6)]
	case shape.Number:
		return []any{json.Number("7"), json.Number("2.5"), "{{number | number}}"}[r.IntN(3)]
	case shape.Integer:
		return []any{json.Number("7"), json.Number("7"), json.Number("0"), json.Number("65"), json.Number("2.5")}[r.IntN(5)]
	case shape.Boolean:
		return []any{true, false, "{{flag | boolean}}"}[r.IntN(3)]
	case shape.Time:
		return []any{"2026-01-31T09:30:00Z", "{{time}}"}[r.IntN(2)]
	case shape.Date:
		return []any{"2026-01-31T09:30:00Z", "2026-01-31", "{{time}}"}[r.IntN(3)]
	}
	return candidates[r.IntN(len(candidates))]
}

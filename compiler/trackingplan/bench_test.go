package trackingplan

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/seguehq/segue/compiler/config"
)

// largePlan is a plan in the form of Segment's public API, of so many events of so many
// properties each. Like the largest plans that are public, it holds types "any" and names
// with two spaces.
func largePlan(events, properties int) []byte {
	var rules []any
	for i := range events {
		fields := map[string]any{}
		for j := range properties {
			field := map[string]any{"description": fmt.Sprintf("Property %d of the event.", j), "type": "string"}
			switch j % 4 {
			case 1:
				field["type"] = []string{"integer", "null"}
			case 2:
				field["type"] = []string{"any"}
			case 3:
				field["enum"] = []string{"csv", "pdf"}
			}
			fields[fmt.Sprintf("property %d", j)] = field
		}
		rules = append(rules, map[string]any{"key": fmt.Sprintf("Report %d  Exported", i), "type": "TRACK", "version": 1,
			"jsonSchema": map[string]any{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
				"properties": map[string]any{"context": map[string]any{}, "traits": map[string]any{}, "properties": map[string]any{
					"type": "object", "properties": fields, "required": []string{"property 0"}}}}})
	}
	b, err := json.MarshalIndent(map[string]any{"data": map[string]any{"rules": rules}}, "", " ")
	if err != nil {
		panic(err) // never: it is plain data
	}
	return b
}

func noFile(name string) ([]byte, error) { return nil, fmt.Errorf("%s does not exist", name) }

// Reading and verifying a plan of 1,000 events of 50 properties.
func BenchmarkLargePlan(b *testing.B) {
	content := largePlan(1000, 50)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		p, problems := Read([]File{{Name: "plan.json", Content: content}}, noFile)
		if problems = append(problems, p.Verify()...); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}

// Comparing a message with one of its events.
func BenchmarkCheck(b *testing.B) {
	p, _ := Read([]File{{Name: "plan.json", Content: largePlan(10, 50)}}, noFile)
	m := config.PlannedMessage{Call: "track", Payload: map[string]any{"event": "Report 7  Exported", "userId": "u",
		"properties": map[string]any{"property 0": "x", "property 1": json.Number("3"), "property 3": "csv"}}}
	for b.Loop() {
		if found := p.Check(m); len(found) > 0 {
			b.Fatal(found)
		}
	}
}

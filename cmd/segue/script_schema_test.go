package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemas is where the published schemas of segue's JSON are.
const schemas = "../../docs/schema"

// validCommand holds a file of JSON documents against a published schema. A field that the schema does
// not name is an error here, though readers have to bear one: valid plan-v1 stdout
func validCommand(dir string) func(ts *testscript.TestScript, neg bool, args []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		arguments(ts, neg, args, 2, "valid schema file")
		schema, err := closedSchema(filepath.Join(dir, args[0]+".json"))
		ts.Check(err)
		// One document, or several as in a file with one a line.
		d := json.NewDecoder(strings.NewReader(ts.ReadFile(args[1])))
		d.UseNumber()
		for n := 0; ; n++ {
			var doc any
			err := d.Decode(&doc)
			if errors.Is(err, io.EOF) && n > 0 {
				return
			}
			ts.Check(err)
			ts.Check(schema.Validate(doc))
		}
	}
}

// closedSchema is a schema with no place for fields that it does not name.
func closedSchema(file string) (*jsonschema.Schema, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	closeObjects(doc)
	c := jsonschema.NewCompiler()
	if err := c.AddResource(file, doc); err != nil {
		return nil, err
	}
	c.UseLoader(published{filepath.Dir(file), closeObjects})
	return c.Compile(file)
}

// published loads the schemas that others refer to from the repository, where they are on
// the web once it is pushed.
type published struct {
	dir string
	// change is done to each.
	change func(any)
}

// Load implements [jsonschema.URLLoader].
func (p published) Load(url string) (any, error) {
	f, err := os.Open(filepath.Join(p.dir, path.Base(url)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	p.change(doc)
	return doc, err
}

func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["properties"].(map[string]any); ok {
			v["additionalProperties"] = false
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			closeObjects(v[name])
		}
	case []any:
		for _, one := range v {
			closeObjects(one)
		}
	}
}

// The schemas are schemas, and are strict enough to be worth their tests.
func TestPublishedSchemas(t *testing.T) {
	for name, wrong := range map[string]any{
		"plan-v1":     map[string]any{"format": "segue/plan/v2"},
		"result-v1":   map[string]any{"format": "segue/result/v1", "changes": []any{map[string]any{"key": "a"}}},
		"drift-v1":    map[string]any{"format": "segue/drift/v1", "found": []any{map[string]any{"kind": "moody"}}},
		"plans-v1":    map[string]any{"format": "segue/plans/v1", "plans": []any{map[string]any{"format": "segue/plan/v2"}}},
		"list-v1":     map[string]any{"format": "segue/list/v1", "project": "a", "target": "b", "automations": []any{map[string]any{"key": "a"}}},
		"audit-v1":    map[string]any{"format": "segue/audit/v1", "time": "noon", "apply": "a", "who": "b", "project": "c", "target": "d", "action": "create", "outcome": "done"},
		"findings-v1": map[string]any{"diagnostics": []any{map[string]any{}}},
	} {
		file := filepath.Join(schemas, name+".json")
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		c.UseLoader(published{schemas, func(any) {}})
		if err := c.AddResource(file, doc); err != nil {
			t.Fatal(err)
		}
		schema, err := c.Compile(file)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if schema.Validate(wrong) == nil {
			t.Errorf("%s takes %v", name, wrong)
		}
	}
}

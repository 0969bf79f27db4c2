package evaluate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/explain"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/message"
	"github.com/seguehq/segue/compiler/resolve"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// A TestResult is the result of one test, or of checking one automation's sample.
type TestResult struct {
	// Key is the key of the automation.
	Key string `json:"key"`
	// Test is the name of the test, empty for the sample.
	Test string `json:"test,omitempty"`
	// Passed means that there are no problems.
	Passed bool `json:"passed"`
	// File and Range are the place of the test, or of the automation. They are only set if there are problems.
	File  string           `json:"file,omitempty"`
	Range diagnostic.Range `json:"range,omitzero"`
	// Problems is empty if the test passed.
	Problems []TestProblem `json:"problems,omitempty"`
}

// A TestProblem is a difference between the message and the expected one.
type TestProblem struct {
	// Message describes the problem in one line.
	Message string `json:"message"`
	// Field is the field of the rendered message, such as "payload.traits.name".
	Field string `json:"field,omitempty"`
	// Want and Got are JSON, or a constraint in CUE; empty if they do not apply.
	Want string `json:"want,omitempty"`
	Got  string `json:"got,omitempty"`
	// File and Range are the place of the expectation.
	File  string           `json:"file,omitempty"`
	Range diagnostic.Range `json:"range,omitzero"`

	path finding.Path
}

// A TestRun selects the tests to run.
type TestRun struct {
	// Only restricts them by key and name. Samples are then not checked.
	Only *regexp.Regexp
}

// tested is an automation that was compiled and tested.
type tested struct {
	automation automation.Automation
	name       string
	// message is the checked automation.
	message *message.Checked
	results []TestResult
}

// test runs the tests of a compiled automation. They need CUE, and an automation's value lives no longer than
// its evaluation.
func (r *TestRun) test(v cue.Value, m *message.Checked, a *automation.Automation) *tested {
	t := &tested{automation: *a, name: m.At[1].(string), message: m}
	fields, err := v.LookupPath(finding.FieldPath("tests")).Fields()
	for err == nil && fields.Next() {
		name := source.LabelOf(fields)
		if r.Only == nil || r.Only.MatchString(a.Key+"/"+name) {
			t.results = append(t.results, TestResult{Key: a.Key, Test: name,
				Problems: t.run(fields.Value(), m.At.With("tests", name))})
		}
	}
	return t
}

// conclude checks the samples of a package's automations, and finds the places of the problems in tests and
// samples.
func (e *Evaluation) conclude(out *Package, all []*tested, samples *sampleSchema) error {
	var files *resolve.Opened // opened on first use
	for _, t := range all {
		if e.Tests.Only == nil {
			problems, err := samples.check(e.Loader.Disk, t)
			if err != nil {
				return err
			}
			t.results = slices.Insert(t.results, 0, TestResult{Key: t.automation.Key, Problems: problems})
		}
		for i := range t.results {
			if len(t.results[i].Problems) == 0 {
				continue
			}
			if files == nil {
				x := resolve.NewReader(e.Loader.Disk, e.Project.Catalog, nil)
				x.Loader.Tests = true
				var err error
				if files, err = x.Open(out.Dir, out.Name, nil); err != nil {
					return err
				}
			}
			t.place(&t.results[i], files.Index)
		}
		out.Tests = append(out.Tests, AutomationTests{Key: t.automation.Key, Name: t.name, Results: t.results})
	}
	return nil
}

// place sets the places of a test and of its problems.
func (t *tested) place(r *TestResult, files *source.Index) {
	at := finding.Path{"automations", t.name}
	if r.Test != "" {
		at = at.With("tests", r.Test)
	}
	d := files.Place(finding.Finding{At: at, Spot: finding.AtLabel}, token.NoPos)
	r.File, r.Range = d.File, d.Range
	for j := range r.Problems {
		problem := &r.Problems[j]
		d := files.Place(finding.Finding{At: problem.path}, token.NoPos)
		if len(problem.path) <= len(at) {
			d = diagnostic.Diagnostic{File: r.File, Range: r.Range}
		}
		problem.File, problem.Range = d.File, d.Range
	}
}

// render fills in the values, and samples for the others. refused is set if the request can be rendered but
// must not be sent.
func (t *tested) render(values map[string]any) (rendered automation.Rendered, refused, err error) {
	all := t.message.Catalog.Samples(t.automation.Trigger.Kind)
	for name, v := range values {
		all[name] = v
	}
	// The comparison does not need secrets.
	secret := func(string) (automation.Secret, bool) { return automation.Secret{}, true }
	rendered, err = t.automation.Action.Render(all, secret)
	if err == nil {
		refused = t.automation.CheckMessage(rendered, all)
	}
	return rendered, refused, err
}

// run runs one test.
func (t *tested) run(test cue.Value, at finding.Path) []TestProblem {
	var values map[string]any
	if given := test.LookupPath(finding.FieldPath("values")); given.Exists() {
		if err := source.Decode(given, &values); err != nil {
			return []TestProblem{{Message: "values must be known: " + err.Error(), path: at.With("values")}}
		}
	}
	rendered, refused, failure := t.render(values)
	prefix := "the values can't be filled in: "
	if refused != nil {
		failure, prefix = refused, "the message would not be sent: "
	}
	if want, err := test.LookupPath(finding.FieldPath("expectError")).String(); err == nil {
		switch {
		case failure == nil:
			return []TestProblem{{Message: "the message would be sent, but the test expects an error",
				Want: message.JSONText(want), path: at.With("expectError")}}
		case !strings.Contains(failure.Error(), want):
			return []TestProblem{{Message: "the message fails with another error",
				Want: message.JSONText(want), Got: message.JSONText(failure.Error()), path: at.With("expectError")}}
		}
		return nil
	}
	if failure != nil {
		return []TestProblem{{Message: prefix + failure.Error(), path: at}}
	}
	var problems []TestProblem
	if want, err := test.LookupPath(finding.FieldPath("expectURL")).String(); err == nil && want != rendered.URL {
		problems = append(problems, TestProblem{Message: "url differs from the expected value", Field: "url",
			Want: message.JSONText(want), Got: message.JSONText(rendered.URL), path: at.With("expectURL")})
	}
	expect := test.LookupPath(finding.FieldPath("expect"))
	if !expect.Exists() {
		return problems
	}
	c := comparison{}
	c.compare(expect, decoded(rendered.Body), "payload", at.With("expect"))
	return append(problems, c.problems...)
}

// decoded decodes a rendered body, nil if it is empty.
func decoded(body []byte) any {
	var v any
	if err := source.UnmarshalNumber(body, &v); err != nil {
		return nil
	}
	return v
}

// A comparison collects the differences between a rendered message and the expected one.
type comparison struct{ problems []TestProblem }

func (c *comparison) differ(field, want, got string, at finding.Path, format string, args ...any) {
	c.problems = append(c.problems, TestProblem{Message: fmt.Sprintf(format, args...), Field: field,
		Want: want, Got: got, path: at})
}

// compare compares a decoded value with the expected one: scalars and lists completely, but structs only in the
// fields that are given.
func (c *comparison) compare(want cue.Value, got any, field string, at finding.Path) {
	if want.IncompleteKind() == cue.StructKind {
		if fields, ok := got.(map[string]any); ok {
			c.fields(want, fields, field, at)
			return
		}
		c.differ(field, sourceText(want), compactJSON(got), at, "%s is not an object", field)
		return
	}
	open := want.Allows(cue.AnyIndex) // a list that ends in "..."
	if items, err := want.List(); err == nil && !open {
		list, ok := got.([]any)
		n, _ := want.Len().Int64()
		if !ok || int64(len(list)) != n {
			c.differ(field, sourceText(want), compactJSON(got), at, "%s differs from the expected value", field)
			return
		}
		for i := 0; items.Next(); i++ {
			c.compare(items.Value(), list[i], fmt.Sprintf("%s[%d]", field, i), at.With(i))
		}
		return
	}
	if want.IsConcrete() && !open {
		var value any
		if err := source.Decode(want, &value); err == nil && sameScalar(value, got) {
			return
		}
		c.differ(field, sourceText(want), compactJSON(got), at, "%s differs from the expected value", field)
		return
	}
	given := cuecontext.New().CompileString(compactJSON(got))
	if want.Unify(given).Validate(cue.Concrete(true)) != nil {
		c.differ(field, sourceText(want), compactJSON(got), at, "%s does not match the expected constraint", field)
	}
}

func (c *comparison) fields(want cue.Value, got map[string]any, field string, at finding.Path) {
	fields, err := want.Fields(cue.Optional(true))
	if err != nil {
		c.differ(field, "", compactJSON(got), at, "%s: the test is invalid: %v", field, err)
		return
	}
	for fields.Next() {
		name := source.LabelOf(fields)
		inner := field + "." + finding.Path{name}.String()
		v, present := got[name]
		optional := fields.Selector().ConstraintType() == cue.OptionalConstraint
		switch absent := fields.Value().IncompleteKind() == cue.BottomKind; {
		case present && absent:
			c.differ(inner, "", compactJSON(v), at.With(name), "%s is present, but the test expects that it is not", inner)
		case present:
			c.compare(fields.Value(), v, inner, at.With(name))
		case !optional:
			message := inner + " is missing"
			if near := finding.Nearest(name, finding.SortedKeys(got)); near != "" {
				message += "; " + finding.DidYouMean(near)
			}
			c.differ(inner, sourceText(fields.Value()), "", at.With(name), "%s", message)
		}
	}
}

// sameScalar compares decoded scalars, and numbers by value.
func sameScalar(a, b any) bool {
	x, ok1 := a.(json.Number)
	y, ok2 := b.(json.Number)
	if !ok1 || !ok2 {
		return a == b && ok1 == ok2
	}
	p, ok1 := new(big.Rat).SetString(x.String())
	q, ok2 := new(big.Rat).SetString(y.String())
	return ok1 && ok2 && p.Cmp(q) == 0
}

// sourceText shows a value as its author might write it.
func sourceText(v cue.Value) string {
	if b, err := v.MarshalJSON(); err == nil {
		return compactJSON(json.RawMessage(b))
	}
	return strings.Join(strings.Fields(fmt.Sprint(v)), " ")
}

// compactJSON encodes a decoded value in one line.
func compactJSON(v any) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(out.String())
}

// EncodeAutomation returns an automation as JSON, or CUE's error about it. It leaves out the expectations of
// its tests, because these may be constraints.
func EncodeAutomation(v cue.Value) ([]byte, error) {
	tests := v.LookupPath(finding.FieldPath("tests"))
	if !tests.Exists() {
		if err := v.Validate(cue.Concrete(true)); err != nil {
			return nil, err
		}
		return v.MarshalJSON()
	}
	if err := v.Err(); err != nil {
		return nil, err
	}
	return encodeStruct(v, func(name string, v cue.Value) ([]byte, error) {
		if name != "tests" {
			return encodeConcrete(v)
		}
		return encodeStruct(v, func(_ string, test cue.Value) ([]byte, error) {
			return encodeStruct(test, func(name string, v cue.Value) ([]byte, error) {
				if name == "expect" {
					return nil, nil
				}
				return encodeConcrete(v)
			})
		})
	})
}

func encodeConcrete(v cue.Value) ([]byte, error) {
	if err := v.Validate(cue.Concrete(true)); err != nil {
		return nil, err
	}
	return v.MarshalJSON()
}

// encodeStruct encodes a struct field by field. It leaves out a field if encode returns nil.
func encodeStruct(v cue.Value, encode func(name string, v cue.Value) ([]byte, error)) ([]byte, error) {
	fields, err := v.Fields(cue.Optional(true))
	if err != nil {
		return nil, err
	}
	out := map[string]json.RawMessage{}
	for fields.Next() {
		s := fields.Selector()
		switch s.ConstraintType() {
		case cue.OptionalConstraint:
			continue
		case cue.RequiredConstraint:
			return nil, v.Validate(cue.Concrete(true))
		}
		b, err := encode(s.Unquoted(), fields.Value())
		if err != nil {
			return nil, err
		}
		if b != nil {
			out[s.Unquoted()] = b
		}
	}
	return json.Marshal(out)
}

// problemOf formats an error from CUE about a rendered message.
func problemOf(err error) string {
	first := cueerrors.Errors(err)[0]
	return strings.TrimPrefix(explain.ErrorPath(first).String()+": "+source.PlainMessage(first), ": ")
}

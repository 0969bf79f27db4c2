package evaluate

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/check"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/message"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// concreteFiles is the schema of messages as they are sent: it allows no placeholders in the place of values.
var concreteFiles = sync.OnceValue(func() map[string][]byte {
	out := map[string][]byte{}
	for name, content := range schema.Files() {
		if path.Dir(name) != "segment" {
			continue
		}
		f, err := parser.ParseFile(name, content)
		if err != nil {
			panic(fmt.Sprintf("the embedded schema does not parse: %v", err))
		}
		for _, d := range f.Decls {
			field, ok := d.(*ast.Field)
			if !ok {
				continue
			}
			label, ok := source.FieldLabel(field)
			if ok && strings.HasPrefix(label, "#") && strings.HasSuffix(label, "Placeholder") {
				// No string matches this. An error here would be an error in every definition that refers to
				// it.
				field.Value = &ast.UnaryExpr{Op: token.NMAT, X: ast.NewString("")}
			}
		}
		if out[name], err = format.Node(f); err != nil {
			panic(fmt.Sprintf("the schema of sent messages can't be written: %v", err))
		}
	}
	return out
})

// A sampleSchema is the schema of sent messages. It is evaluated once for the packages of a chunk, and only if
// there is a sample to check.
type sampleSchema struct {
	context  *cue.Context
	messages cue.Value
}

// check renders an automation with the samples and checks the result.
func (s *sampleSchema) check(disk *workspace.Disk, t *tested) ([]TestProblem, error) {
	if s.context == nil {
		s.context = cuecontext.New()
		s.messages = s.context.BuildInstance(workspace.NewLoader(disk, concreteFiles()).SchemaPackage("segment"))
	}
	if err := s.messages.Err(); err != nil {
		return nil, fmt.Errorf("the schema of sent messages is broken: %w", err)
	}
	return t.sample(s.context, s.messages), nil
}

// sample returns the problems of the message that the samples make.
func (t *tested) sample(ctx *cue.Context, messages cue.Value) []TestProblem {
	rendered, refused, err := t.render(nil)
	at := finding.Path{"automations", t.name}
	if err != nil {
		return []TestProblem{{Message: "the samples can't be filled in: " + err.Error(), path: at}}
	}
	refusal := func() []TestProblem {
		if refused == nil {
			return nil
		}
		return []TestProblem{{Message: "the samples make a message that would not be sent: " + refused.Error(), path: at}}
	}
	if t.message.Call == "http" {
		return refusal() // the schema has no shape for its body
	}
	body := decoded(rendered.Body)
	var problems []TestProblem
	for _, def := range t.definitions(body) {
		value := messages.LookupPath(cue.MakePath(cue.Def(def)))
		err := value.Unify(ctx.CompileBytes(rendered.Body)).Validate(cue.Concrete(true))
		if err == nil {
			continue
		}
		// CUE has refused it; the shape tells why.
		problems = sampleProblems(check.Rules{}.Value(body, shape.Of("segment."+def), at.With("payload")), body)
		if len(problems) == 0 {
			problems = []TestProblem{{Message: "the message is invalid: " + problemOf(err), path: at.With("payload")}}
		}
	}
	for _, p := range sampleProblems(message.Sent(t.message.Plan, t.message.Call, body, at), body) {
		if !slices.ContainsFunc(problems, func(q TestProblem) bool { return q.Field == p.Field }) {
			problems = append(problems, p)
		}
	}
	if len(problems) == 0 {
		return refusal()
	}
	return problems
}

// definitions returns the schema's definitions that the message must satisfy: that of its call or, if the
// automation satisfies it, that of the semantic event.
func (t *tested) definitions(body any) []string {
	call := t.message.Call
	out := []string{"#" + strings.ToUpper(call[:1]) + call[1:]}
	fields, _ := body.(map[string]any)
	event, _ := fields["event"].(string)
	name, ok := schema.Events()[event]
	def := strings.TrimPrefix(name, "segment.")
	if !ok || call != "track" {
		return out
	}
	rules := check.Rules{Catalog: t.message.Catalog, Trigger: t.message.Trigger, Templates: true}
	if finding.AnyError(rules.Value(t.message.Raw["payload"], shape.Of("segment."+def), nil)) {
		return out // vet warns about that
	}
	return []string{def} // it includes the definition of the call
}

// sampleProblems returns the errors among the findings about a rendered message.
func sampleProblems(found []finding.Finding, body any) []TestProblem {
	var out []TestProblem
	for _, f := range found {
		// A sample may hold braces: they are sent unchanged.
		if f.Severity != diagnostic.Error || f.Code == "misplaced-placeholder" {
			continue
		}
		p := TestProblem{Message: "with the samples, " + f.Message, Field: f.At.Name(), path: f.At}
		if v, ok := valueAt(body, f.At[3:]); ok {
			p.Got = compactJSON(v)
		}
		out = append(out, p)
	}
	return out
}

// valueAt follows a path into a decoded value.
func valueAt(v any, p finding.Path) (any, bool) {
	for _, step := range p {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			inner, ok := m[step]
			if !ok {
				return nil, false
			}
			v = inner
		case int:
			l, _ := v.([]any)
			if step >= len(l) {
				return nil, false
			}
			v = l[step]
		}
	}
	return v, true
}

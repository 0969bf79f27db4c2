package explain

import (
	"fmt"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/check"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/diagnostic"
)

// A wording is the code and the text for a kind of error from CUE.
type wording struct {
	code, message, help string
	// byPosition means that CUE's position is closer to the mistake than the position of the value.
	byPosition bool
}

// translations maps CUE's messages, as format strings, to wordings. word gets the name of the value and the
// arguments of CUE's message.
var translations = []struct {
	format string // the start of CUE's message or, after "…", a part of it
	word   func(name string, args []string) wording
}{
	{"conflicting values", func(name string, args []string) wording {
		return wording{code: "conflicting-values",
			message: fmt.Sprintf("%s has two values: %s and %s", name, args[0], args[1]), help: "keep one of them"}
	}},
	{"…errors in empty disjunction", func(name string, _ []string) wording {
		return wording{code: "invalid-value", message: name + " is not one of the values allowed here",
			help: "write one of the allowed values"}
	}},
	{"…field not allowed", func(name string, _ []string) wording {
		return wording{code: "unknown-field", message: name + " is not allowed here",
			help: "remove it, or add it to the definition"}
	}},
	{"…required but not present", func(name string, _ []string) wording {
		return wording{code: "missing-field", message: name + " is missing", help: "add it"}
	}},
	{"invalid value %v (out of bound", func(name string, args []string) wording {
		return wording{code: "invalid-value", message: fmt.Sprintf("%s must be %s, got %s", name, boundWords(args[1]),
			args[0]), help: "write a value that the definition allows"}
	}},
	{"…does not satisfy", func(name string, args []string) wording {
		return wording{code: "invalid-value", message: fmt.Sprintf("%s must satisfy %s, got %s", name, args[1],
			args[0]), help: "write a value that the definition allows"}
	}},
	{"invalid value", func(name string, args []string) wording {
		return wording{code: "invalid-value", message: fmt.Sprintf("%s does not allow the value %s", name, args[0]),
			help: "write a value that the definition allows"}
	}},
	{"invalid interpolation", depends},
	{"incomplete", depends},
	{"non-concrete", depends},
	{"…cycle", func(name string, _ []string) wording {
		return wording{code: "cycle", message: name + " refers to itself",
			help: "break the cycle: give one of these fields a literal value"}
	}},
	{"index out of range", func(_ string, args []string) wording {
		return wording{code: "unknown-reference",
			message: fmt.Sprintf("there is no element %s in a list of %s; the first is 0", args[0], args[1]),
			help:    "correct the index", byPosition: true}
	}},
	{"cannot use", func(_ string, args []string) wording {
		if len(args) > 2 && args[2] == valueWords("bool") {
			return wording{code: "wrong-type", message: "true or false is required here, got " + args[0],
				help: "compare it with something, as in x == " + args[0] + ", or write true or false", byPosition: true}
		}
		if len(args) < 5 || args[4] == "matchN" {
			return wording{code: "wrong-type", message: "the value " + args[0] + " has the wrong type",
				help: "use a value of another type", byPosition: true}
		}
		return wording{code: "wrong-type", message: fmt.Sprintf("%s takes %s, got %s", args[4], valueWords(args[2]),
			args[0]), help: "use a value of that type", byPosition: true}
	}},
	{"cannot call", func(_ string, args []string) wording {
		return wording{code: "unknown-reference", message: args[0] + " is not a function", help: "correct the name",
			byPosition: true}
	}},
	{"cannot range over %s (incomplete", func(_ string, args []string) wording {
		return wording{code: "missing-value", message: args[0] +
			" has no value, so everything from the loop over it would be left out", help: "set it to a list or an object",
			byPosition: true}
	}},
	{"cannot range over", func(_ string, args []string) wording {
		return wording{code: "wrong-type", message: "a comprehension iterates over a list or an object, got " + args[0],
			help: "write a list, as in [" + args[0] + "]", byPosition: true}
	}},
	{"Addition of lists", func(string, []string) wording {
		return wording{code: "wrong-type", message: "lists can't be joined with +",
			help: `import "list", and write list.Concat([a, b])`, byPosition: true}
	}},
	{"Multiplication of lists", func(string, []string) wording {
		return wording{code: "wrong-type", message: "a list can't be repeated with *",
			help: `import "list", and write list.Repeat(a, n)`, byPosition: true}
	}},
	{"cannot reference optional field", func(_ string, args []string) wording {
		return wording{code: "missing-value", message: args[0] + " is optional, so it may have no value here",
			help: "give it a value, or a default where it is declared", byPosition: true}
	}},
	{"invalid operands", func(_ string, args []string) wording {
		return wording{code: "wrong-type", message: fmt.Sprintf("%s and %s can't be combined by %s", args[0], args[1],
			args[2]), help: `use two values of the same type; "\(…)" inserts a value into a string`, byPosition: true}
	}},
	{"invalid operand", func(_ string, args []string) wording {
		return wording{code: "wrong-type", message: "the operation does not accept " + strings.Join(args[:1], ""),
			help: "use a value of another type", byPosition: true}
	}},
	{"invalid operation", func(_ string, args []string) wording {
		return wording{code: "wrong-type", message: "the operation does not accept " + args[0],
			help: "use a value of another type", byPosition: true}
	}},
	{"failed arithmetic", func(name string, args []string) wording {
		if strings.Contains(args[0], "division by zero") {
			return wording{code: "invalid-value", message: name + " divides by zero", help: "divide by another number",
				byPosition: true}
		}
		return wording{code: "invalid-value", message: name + " can't be calculated", help: "correct the calculation",
			byPosition: true}
	}},
	{"unreferenced alias or let clause", func(_ string, args []string) wording {
		return wording{code: "unused-let", message: args[0] + " is not used", help: "remove it", byPosition: true}
	}},
	{"…import failed", func(string, []string) wording {
		return wording{code: "unknown-import", message: "the package can't be imported",
			help: "import a package that exists and has no mistakes"}
	}},
	{"undefined field", func(_ string, args []string) wording {
		return wording{code: "unknown-reference", message: "there is no field " + args[0], help: "correct the name",
			byPosition: true}
	}},
	{"explicit error", func(name string, _ []string) wording {
		return wording{code: "missing-value", message: name +
			" has no value: this is CUE's error value", help: "give it a value"}
	}},
	{"incompatible ", func(name string, args []string) wording {
		return wording{code: "conflicting-values",
			message: fmt.Sprintf("%s must be %s and %s, but no value is both", name,
				boundWords(args[0]), boundWords(args[1])), help: "correct one of them", byPosition: true}
	}},
	{"reference", func(_ string, args []string) wording {
		return wording{code: "unknown-reference", message: args[0] + " is not defined",
			help: "correct the name", byPosition: true}
	}},
}

func depends(name string, _ []string) wording {
	return wording{code: "missing-value", message: name + " depends on a value that is not set",
		help: "set every value that it refers to"}
}

// translate returns the wording for an error from CUE.
func (p *Evaluated) translate(e cueerrors.Error, at finding.Path) wording {
	format, raw := e.Msg()
	args := make([]string, max(2, len(raw)))
	for i, a := range raw {
		args[i] = Shown(fmt.Sprint(a))
	}
	for _, t := range translations {
		if part, anywhere := strings.CutPrefix(t.format, "…"); anywhere && strings.Contains(format, part) ||
			strings.HasPrefix(format, t.format) {
			return t.word(at.Subject(), args)
		}
	}
	return wording{code: "cue", message: Shown(source.PlainMessage(e)), help: "correct it",
		byPosition: true}
}

// Shown writes a value or message from CUE without internals of the schema. An object becomes just "an object".
func Shown(s string) string {
	s = hiddenName().ReplaceAllString(valueWords(s), "$1")
	return strings.ReplaceAll(s, "_|_", "a mistake")
}

var boundText = finding.Pattern(`^(>=|<=|>|<|!=|=~|!~)\s*(.*)$`)

// boundWords describes a bound such as >=1.
func boundWords(bound string) string {
	m := boundText().FindStringSubmatch(bound)
	if m == nil {
		return bound
	}
	words := map[string]string{">=": "at least ", "<=": "at most ", ">": "more than ", "<": "less than ",
		"!=": "other than ", "=~": "a string that matches ", "!~": "a string that does not match "}
	return words[m[1]] + m[2]
}

// refine adds details from the author's files to a finding from CUE's error: the block that lacks a field,
// similar names, the declaration.
func (p *Evaluated) refine(f *finding.Finding, e cueerrors.Error, places []token.Pos) (related []diagnostic.Related) {
	switch f.Code {
	case "missing-field":
		if len(f.At) > 1 {
			f.At, f.Spot = f.At[:len(f.At)-1], finding.AtLabel
			f.Position = token.NoPos
		}
	case "unknown-field":
		f.Spot = finding.AtLabel
		if len(f.At) < 2 {
			return nil
		}
		name, _ := f.At[len(f.At)-1].(string)
		f.Message = check.StructName(f.At[:len(f.At)-1]) + " has no field " + strconv.Quote(name)
		var known []string
		for _, s := range p.Index.Sites(f.At[:len(f.At)-1]) {
			known = append(known, p.Index.Labels(s.Value, 0)...)
		}
		if near := finding.Nearest(name, known); near != "" {
			f.Suggestion, f.Help = near, finding.DidYouMean(near)
			f.Repair = &finding.Repair{How: finding.RenameField, Text: near}
		}
	case "unknown-reference":
		p.misspeltField(f, places)
	case "invalid-value":
		for _, m := range p.mentions(places) {
			switch m.expr.(type) {
			case *ast.UnaryExpr, *ast.BinaryExpr:
				related = append(related, diagnostic.Related{Message: "declared here", File: m.src.Name,
					Range: m.span()})
			}
		}
	}
	return related
}

// misspeltField finds the selector of an unknown field, and suggests a known field with a similar name.
func (p *Evaluated) misspeltField(f *finding.Finding, places []token.Pos) {
	for _, pos := range places {
		src := p.Index.SourceOf(pos)
		ast.Walk(src.Syntax, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || sel.Sel.Pos().Offset() != pos.Offset() && sel.Pos().Offset() != pos.Offset() {
				return true
			}
			label, _, _ := ast.LabelName(sel.Sel)
			if id, ok := sel.X.(*ast.Ident); ok && source.IsClauseName(id) && p.lackingElement(f, id, label) {
				return false
			}
			known := p.Index.Labels(sel.X, 0)
			if len(known) == 0 {
				return true
			}
			f.File, f.Range = src.Name, p.Index.NodeRange(sel.Sel)
			f.Help = "its fields are " + finding.OneOf(known)
			if near := finding.Nearest(label, known); near != "" {
				f.Suggestion, f.Help = near, finding.DidYouMean(near)
				if _, plain := sel.Sel.(*ast.Ident); plain {
					f.Fix = finding.Rewrite(f.File, f.Range, near, near)
				}
			}
			return false
		}, nil)
	}
}

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

// A wording says of which kind CUE's error is, in a code and in words.
type wording struct {
	code, message, help string
	// byPosition says that the place that CUE gives is nearer to the mistake than
	// the value that it spoils.
	byPosition bool
}

// translations are CUE's messages, as format strings, and what they mean. They
// get the name of the value and the arguments of the message.
var translations = []struct {
	format string // how CUE's message starts or, behind "…", what it holds
	word   func(name string, args []string) wording
}{
	{"conflicting values", func(name string, args []string) wording {
		return wording{code: "conflicting-values",
			message: fmt.Sprintf("%s has two values: %s and %s", name, args[0], args[1]), help: "keep one of them"}
	}},
	{"…errors in empty disjunction", func(name string, _ []string) wording {
		return wording{code: "invalid-value", message: name + " is none of the values that are allowed here",
			help: "write one of those"}
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
			help: "break the circle: let one of the values in it stand for itself"}
	}},
	{"index out of range", func(_ string, args []string) wording {
		return wording{code: "unknown-reference",
			message: fmt.Sprintf("there is no element %s in a list of %s; the first is 0", args[0], args[1]),
			help:    "correct the index", byPosition: true}
	}},
	{"cannot use", func(_ string, args []string) wording {
		if len(args) > 2 && args[2] == valueWords("bool") {
			return wording{code: "wrong-type", message: "true or false is needed here, got " + args[0],
				help: "compare it with something, as in x == " + args[0] + ", or write true or false", byPosition: true}
		}
		if len(args) < 5 || args[4] == "matchN" {
			return wording{code: "wrong-type", message: "the value " + args[0] + " is of another type than is needed",
				help: "give it a value of another type", byPosition: true}
		}
		return wording{code: "wrong-type", message: fmt.Sprintf("%s takes %s, got %s", args[4], valueWords(args[2]),
			args[0]), help: "give it a value of that type", byPosition: true}
	}},
	{"cannot call", func(_ string, args []string) wording {
		return wording{code: "unknown-reference", message: args[0] + " is no function", help: "correct the name",
			byPosition: true}
	}},
	{"cannot range over %s (incomplete", func(_ string, args []string) wording {
		return wording{code: "missing-value", message: args[0] +
			" has no value: what a loop over it makes would be left out", help: "give it a value: a list or an object",
			byPosition: true}
	}},
	{"cannot range over", func(_ string, args []string) wording {
		return wording{code: "wrong-type", message: "a comprehension goes over a list or an object, got " + args[0],
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
		return wording{code: "missing-value", message: args[0] + " has no value here: it may be left out",
			help: "give it a value, or a default where it is declared", byPosition: true}
	}},
	{"invalid operands", func(_ string, args []string) wording {
		return wording{code: "wrong-type", message: fmt.Sprintf("%s and %s can't be combined by %s", args[0], args[1],
			args[2]), help: `give both the same type; "\(…)" puts a value into a string`, byPosition: true}
	}},
	{"invalid operand", func(_ string, args []string) wording {
		return wording{code: "wrong-type", message: "the operation can't take " + strings.Join(args[:1], ""),
			help: "give it a value of another type", byPosition: true}
	}},
	{"invalid operation", func(_ string, args []string) wording {
		return wording{code: "wrong-type", message: "the operation can't take " + args[0],
			help: "give it a value of another type", byPosition: true}
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
		return wording{code: "unused-let", message: "nothing uses " + args[0], help: "remove it", byPosition: true}
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
			" has no value: what stands here is CUE's sign for a mistake", help: "give it a value"}
	}},
	{"incompatible ", func(name string, args []string) wording {
		return wording{code: "conflicting-values",
			message: fmt.Sprintf("%s must be %s and %s, which nothing can be", name,
				boundWords(args[0]), boundWords(args[1])), help: "correct one of them", byPosition: true}
	}},
	{"reference", func(_ string, args []string) wording {
		return wording{code: "unknown-reference", message: "nothing here is called " + args[0],
			help: "correct the name", byPosition: true}
	}},
}

func depends(name string, _ []string) wording {
	return wording{code: "missing-value", message: name + " is made of a value that is still open",
		help: "give all that it is made of a value"}
}

// translate says in the domain's words what a CUE error means.
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
	return wording{code: "cue", message: Shown(source.PlainMessage(e)), help: "correct it; cue vet says more",
		byPosition: true}
}

// Shown writes a value or message of CUE's so that it says nothing of the
// schema's inside: a struct is just that.
func Shown(s string) string {
	s = hiddenName().ReplaceAllString(valueWords(s), "$1")
	return strings.ReplaceAll(s, "_|_", "a mistake")
}

var boundText = finding.Pattern(`^(>=|<=|>|<|!=|=~|!~)\s*(.*)$`)

// boundWords says what a bound such as >=1 asks for.
func boundWords(bound string) string {
	m := boundText().FindStringSubmatch(bound)
	if m == nil {
		return bound
	}
	words := map[string]string{">=": "at least ", "<=": "at most ", ">": "more than ", "<": "less than ",
		"!=": "other than ", "=~": "a string that matches ", "!~": "a string that does not match "}
	return words[m[1]] + m[2]
}

// refine makes a finding out of what CUE says better with what the files show:
// the block that lacks a field, the names that were meant, the declaration.
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

// misspeltField finds the selector that leads nowhere, and what was meant.
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

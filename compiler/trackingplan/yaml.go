package trackingplan

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/seguehq/segue/diagnostic"
)

// mostYAML bounds how many values a YAML file may come to: an alias repeats what it
// refers to.
const mostYAML = 2_000_000

func decodeYAML(name string, content []byte) (*document, *Problem) {
	var top yaml.Node
	if err := yaml.Unmarshal(content, &top); err != nil {
		return nil, yamlProblem(name, err)
	}
	if len(top.Content) == 0 {
		return nil, &Problem{File: name, Message: "the file is empty", Help: "export the plan again"}
	}
	text := strings.Split(string(content), "\n")
	r := yamlReader{left: mostYAML}
	v, err := r.value(top.Content[0], 0)
	if err != nil {
		return nil, &Problem{File: name, Range: yamlRange(text, r.at), Message: "it is not JSON in YAML: " + err.Error(),
			Help: "write only what JSON can say: objects, lists, strings, numbers, true, false and null"}
	}
	return &document{name: name, value: v, locate: func(at pointer) (diagnostic.Range, bool) {
		n := top.Content[0]
		for _, step := range at {
			if n = yamlChild(n, step); n == nil {
				return diagnostic.Range{}, false
			}
		}
		return yamlRange(text, n), true
	}}, nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func yamlProblem(name string, err error) *Problem {
	p := &Problem{File: name, Help: "correct the YAML"}
	m := yamlLine.FindStringSubmatch(err.Error())
	p.Message = "it is not YAML: " + err.Error()
	if m != nil {
		p.Message = "it is not YAML: " + strings.TrimPrefix(err.Error(), m[0])
		if line, err := strconv.Atoi(m[1]); err == nil {
			p.Range.Start = diagnostic.Position{Line: line, Column: 1}
			p.Range.End = diagnostic.Position{Line: line, Column: 2}
		}
	}
	return p
}

// yamlChild is the value of a key or at an index, nil if there is none.
func yamlChild(n *yaml.Node, step string) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == step {
				return n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, ok := index(step); ok && i < len(n.Content) {
			return n.Content[i]
		}
	}
	return nil
}

// yamlRange is the place of a value. The library counts characters, a range bytes.
func yamlRange(text []string, n *yaml.Node) diagnostic.Range {
	if n == nil || n.Line < 1 || n.Line > len(text) {
		return diagnostic.Range{}
	}
	line, column := text[n.Line-1], 0
	for range max(0, n.Column-1) {
		_, size := utf8.DecodeRuneInString(line[column:])
		column += size
	}
	start := diagnostic.Position{Line: n.Line, Column: column + 1}
	end := start
	end.Column = min(column+max(1, len(n.Value)), max(column+1, len(line))) + 1
	return diagnostic.Range{Start: start, End: end}
}

// A yamlReader makes decoded JSON of YAML. at is the value that it is at.
type yamlReader struct {
	left int
	at   *yaml.Node
}

func (r *yamlReader) value(n *yaml.Node, depth int) (any, error) {
	r.at = n
	if r.left--; r.left < 0 || depth > mostDepth {
		return nil, fmt.Errorf("it is too large, or an alias contains itself")
	}
	switch n.Kind {
	case yaml.AliasNode:
		return r.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, e := range n.Content {
			v, err := r.value(e, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
				r.at = key
				return nil, fmt.Errorf("this key is not a string")
			}
			v, err := r.value(n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			m[key.Value] = v
		}
		return m, nil
	}
	return yamlScalar(n)
}

func yamlScalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		err := n.Decode(&b)
		return b, err
	case "!!int":
		i, ok := new(big.Int).SetString(strings.ReplaceAll(n.Value, "_", ""), 0)
		if !ok {
			return nil, fmt.Errorf("the number %s can't be read", n.Value)
		}
		return json.Number(i.String()), nil
	case "!!float":
		var f float64
		if err := n.Decode(&f); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("%s is not a number of JSON", n.Value)
		}
		return jsonNumber(f), nil
	}
	return n.Value, nil // also dates, which JSON Schema has as strings
}

package lsp

import (
	"path"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/schema"
)

// A where is a place in a document, with what the schema says of it.
type where struct {
	*snapshot
	offset int
	// chain has the fields around the place, from the outermost on.
	chain []*node
	// literal is the string that the place is in, nil if it is in none.
	literal *stringLiteral
	// inValue means that the place is in the value of the innermost field, and not at a field within it.
	inValue bool
	// onLabel means that the place is in the label of the innermost field.
	onLabel bool
	// of is the automation that the place is in; its key is "" outside of automations.
	of automationOutline
}

// An automationOutline is an automation as far as its syntax tells.
type automationOutline struct {
	node *node
	name string
	// call is "identify", "group", "track" or "http"; "" if it is unknown.
	call string
	// kind is that of the trigger, "" if it is unknown.
	kind automation.TriggerKind
	// event is the event of a track call, "" if it is unknown.
	event string
}

// at finds out where an offset of the document is.
func (s *snapshot) at(offset int) *where {
	o := s.doc.outline()
	w := &where{snapshot: s, offset: offset, chain: o.chain(offset), literal: o.literalAt(offset)}
	if len(w.chain) > 0 {
		last := w.chain[len(w.chain)-1]
		w.onLabel = offset <= last.labelTo && !last.element
		w.inValue = !w.onLabel && !last.within(offset)
	}
	if len(w.chain) > 1 && w.chain[0].label == "automations" {
		w.of = s.outlineOf(w.chain[1])
	}
	return w
}

// outlineOf reads an automation.
func (s *snapshot) outlineOf(n *node) automationOutline {
	a := automationOutline{node: n, name: n.label}
	definitions := s.definitions(n)
	for call, definition := range schema.Calls {
		if slices.Contains(definitions, "automation."+definition) {
			a.call = call
		}
	}
	if a.call == "" && s.view != nil {
		a.call = s.view.callOf(s.key(n.label))
	}
	switch {
	case n.child("trigger", "journey") != nil:
		a.kind = automation.Journey
	case n.child("trigger", "pattern") != nil:
		a.kind = automation.Pattern
	}
	a.event = n.child("payload", "event").string()
	return a
}

// key returns the key of an automation in the document.
func (s *snapshot) key(name string) string { return finding.KeyOf(path.Dir(s.name), name) }

// definitions returns the definitions of the schema that a value refers to, such as "automation.#Group".
func (s *snapshot) definitions(n *node) []string {
	imports := s.doc.outline().imports
	var out []string
	for _, ref := range n.refs {
		name, definition, ok := strings.Cut(ref, ".")
		if pkg, found := strings.CutPrefix(imports[name], schema.ModulePath+"/"); ok && found {
			out = append(out, pkg+"."+definition)
		}
	}
	return out
}

// labels returns the labels of fields.
func labels(chain []*node) []string {
	var out []string
	for _, n := range chain {
		if n.element {
			out = append(out, "[]")
		} else {
			out = append(out, n.label)
		}
	}
	return out
}

// field returns the field of the schema for the innermost n fields of the chain, nil for one of the author's own.
func (s *snapshot) field(chain []*node) *shape.Field {
	f := s.root(chain)
	if f == nil {
		return nil
	}
	rest := chain
	if !s.isProject() {
		rest = chain[2:]
	}
	for i, n := range rest {
		next := below(f.Shape, n)
		if next == nil {
			return nil
		}
		if !s.isProject() {
			next = s.narrowed(next, chain[1], i, n)
		}
		f = next
	}
	return f
}

// isProject reports whether the document is segue.cue.
func (s *snapshot) isProject() bool { return s.name == config.ProjectFile }

// root returns the shape that a document's fields begin with: that of the project, or of an automation.
func (s *snapshot) root(chain []*node) *shape.Field {
	if s.isProject() {
		return &shape.Field{Shape: shape.Of("project.#Project")}
	}
	if len(chain) < 2 || chain[0].label != "automations" {
		return nil
	}
	a := s.outlineOf(chain[1])
	call, ok := shape.Calls()[a.call]
	if !ok {
		return nil
	}
	return &shape.Field{Shape: call.Automation}
}

// narrowed returns what the schema says of a field of an automation at a depth, where that depends on the
// automation: the payload is that of the call, or of the semantic event.
func (s *snapshot) narrowed(f *shape.Field, automation *node, depth int, n *node) *shape.Field {
	if depth != 0 || n.label != "payload" {
		return f
	}
	a := s.outlineOf(automation)
	payload := *f
	payload.Shape = shape.Calls()[a.call].Payload
	if event := shape.OfEvent(a.event); event != nil && a.call == "track" {
		payload.Shape = event
	}
	for _, name := range s.definitions(n) {
		if s := shape.All()[name]; s != nil && strings.HasPrefix(name, "segment.") {
			payload.Shape = s
		}
	}
	return &payload
}

// below returns the field that a node is in a shape.
func below(s *shape.Shape, n *node) *shape.Field {
	if n.element {
		if list := alternative(s, shape.List); list != nil && list.Elem != nil {
			return &shape.Field{Shape: list.Elem}
		}
		return nil
	}
	st := alternative(s, shape.Struct)
	switch {
	case st == nil:
		return nil
	case st.Fields[n.label] != nil:
		return st.Fields[n.label]
	case st.Rest != nil:
		return &shape.Field{Shape: st.Rest}
	}
	return nil
}

// alternative returns a shape, or that of its alternatives, which has a kind; nil if there is none.
func alternative(s *shape.Shape, kind shape.Kind) *shape.Shape {
	if s.Kind == kind || s.Kind == shape.Any && s.Fields != nil && kind == shape.Struct {
		return s
	}
	for _, alt := range s.Alts {
		if found := alternative(alt, kind); found != nil {
			return found
		}
	}
	return nil
}

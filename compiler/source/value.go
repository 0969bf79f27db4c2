package source

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"cuelang.org/go/cue"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
)

// errNotStruct is the error for a list in the place of a struct.
var errNotStruct = errors.New("not a struct")

// FieldsOf returns the fields of a struct. For a list that conflicts with something else it returns an error,
// where CUE would list the elements.
func FieldsOf(v cue.Value) (*cue.Iterator, error) {
	fields, err := v.Fields()
	if err != nil {
		return nil, err
	}
	for probe, _ := v.Fields(); probe.Next(); {
		if !probe.Selector().IsString() {
			return nil, cmp.Or(v.Err(), errNotStruct)
		}
	}
	return fields, nil
}

// LabelOf returns the name of the field that an iterator is at.
func LabelOf(fields *cue.Iterator) string {
	if s := fields.Selector(); s.IsString() {
		return s.Unquoted()
	}
	return fields.Selector().String()
}

// Selectors converts a path into CUE's form.
func Selectors(p finding.Path) cue.Path {
	out := make([]cue.Selector, len(p))
	for i, step := range p {
		switch step := step.(type) {
		case int:
			out[i] = cue.Index(step)
		case string:
			out[i] = finding.Selector(step)
		}
	}
	return cue.MakePath(out...)
}

// UnmarshalNumber decodes JSON and keeps numbers as they are written.
func UnmarshalNumber(b []byte, out any) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	return d.Decode(out)
}

// OriginOf returns the position of the value that a reference refers to, as far as CUE knows it: a field, or an
// element of a list.
func OriginOf(v cue.Value) token.Pos {
	parts := []cue.Value{v}
	if op, args := v.Expr(); op == cue.AndOp {
		parts = args
	}
	for _, part := range parts {
		if from := cue.Dereference(part).Pos(); from.IsValid() && from.Compare(part.Pos()) != 0 {
			return from
		}
	}
	return token.NoPos
}

// Decode reads a concrete value through its JSON form.
func Decode(v cue.Value, out any) error {
	b, err := v.MarshalJSON()
	if err != nil {
		return err
	}
	return UnmarshalNumber(b, out)
}

// PlainMessage returns an error's own text, without its path. For a wrapped error, it is the text of its cause.
func PlainMessage(e cueerrors.Error) string {
	for {
		cause, ok := errors.Unwrap(e).(cueerrors.Error)
		if !ok {
			break
		}
		e = cause
	}
	format, args := e.Msg()
	text := fmt.Sprintf(format, args...)
	if text == "" {
		text = e.Error()
	}
	return strings.Join(strings.Fields(text), " ")
}

// RangeOf converts CUE's positions, which count like those of diagnostics.
func RangeOf(from, to token.Pos) diagnostic.Range {
	r := diagnostic.Range{Start: diagnostic.Position{Line: from.Line(), Column: from.Column()}}
	r.End = r.Start
	if to.IsValid() {
		r.End = diagnostic.Position{Line: to.Line(), Column: to.Column()}
	}
	return r
}

package sync

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"

	"github.com/aymanbagabas/go-udiff/lcs"

	"github.com/seguehq/segue/automation"
)

// A comparison collects the differences between two JSON values.
type comparison struct {
	mask *automation.Mask
	// headers is true if the values are automations, whose headers are shown
	// whole.
	headers bool
	// place returns the code's place of a path; nil if places are not needed.
	place func(path []any) *Place
	found []Difference
	err   error // the first
}

// texts compares two values as JSON text.
func (c *comparison) texts(before, after []byte) error {
	var docs [2]any
	for i, b := range [][]byte{before, after} {
		var err error
		if docs[i], err = decode(b); err != nil {
			return err
		}
	}
	c.values(nil, docs[0], docs[1])
	return nil
}

// values compares two values at the same path.
func (c *comparison) values(path []any, before, after any) {
	if isHeader(path) && c.headers {
		// Half of a credential says little; show the header whole.
		if !reflect.DeepEqual(before, after) {
			shownBefore, shownAfter := hideCredentials(path[2].(string), before, after)
			c.add(path, &shownBefore, &shownAfter)
		}
		return
	}
	switch b := before.(type) {
	case map[string]any:
		if a, ok := after.(map[string]any); ok {
			c.objects(path, b, a)
			return
		}
	case []any:
		if a, ok := after.([]any); ok {
			c.lists(path, b, a)
			return
		}
	}
	if !reflect.DeepEqual(before, after) {
		c.add(path, &before, &after)
	}
}

func (c *comparison) objects(path []any, before, after map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(union(before, after))) {
		b, inBefore := before[name]
		a, inAfter := after[name]
		at := append(slices.Clip(path), name)
		switch {
		case inBefore && inAfter:
			c.values(at, b, a)
		case inBefore:
			c.one(at, &b, nil)
		default:
			c.one(at, nil, &a)
		}
	}
}

// lists compares two lists by the elements that they have in common.
func (c *comparison) lists(path []any, before, after []any) {
	for _, d := range lcs.DiffLines(c.elements(before), c.elements(after)) {
		removed, added := d.End-d.Start, d.ReplEnd-d.ReplStart
		for i := range max(removed, added) {
			was, is := d.Start+i, d.ReplStart+i
			switch {
			case i < removed && i < added:
				c.values(append(slices.Clip(path), is), before[was], after[is])
			case i < removed:
				c.one(append(slices.Clip(path), was), &before[was], nil)
			default:
				c.one(append(slices.Clip(path), is), nil, &after[is])
			}
		}
	}
}

// elements returns the elements of a list in a form that is equal for equal
// values.
func (c *comparison) elements(list []any) []string {
	texts := make([]string, len(list))
	for i, v := range list {
		b, err := encode(v)
		if err != nil && c.err == nil {
			c.err = err
		}
		texts[i] = string(b)
	}
	return texts
}

// one adds a value that is only on one side.
func (c *comparison) one(path []any, before, after *any) {
	if isHeader(path) && c.headers {
		name := path[2].(string)
		for _, side := range []**any{&before, &after} {
			if *side != nil {
				shown, _ := hideCredentials(name, **side, nil)
				*side = &shown
			}
		}
	}
	c.add(path, before, after)
}

// add adds a difference; nil means no value.
func (c *comparison) add(path []any, before, after *any) {
	d := Difference{Path: c.format(path), Before: c.shown(before), After: c.shown(after)}
	if c.place != nil {
		d.Place = c.place(path)
	}
	c.found = append(c.found, d)
}

// shown returns one side of a difference.
func (c *comparison) shown(v *any) json.RawMessage {
	if v == nil {
		return nil
	}
	b, err := encode(c.hide(*v))
	if err != nil && c.err == nil {
		c.err = err
	}
	return b
}

// isHeader reports whether a path leads to a header of an automation.
func isHeader(path []any) bool {
	return len(path) == 3 && path[0] == "action" && path[1] == "headers"
}

var errTrailing = errors.New("there is more after the JSON value")

// decode reads one JSON value, with numbers as they are written.
func decode(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errTrailing
	}
	return v, nil
}

// encode marshals a value without escaping for HTML.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

package evaluate

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/message"
)

// Packages are sent from a child to its parent, and cached, in a form that is quick to read: a run with few
// changes does hardly anything else.
//
//	strings      number, the length of each, then all of them concatenated
//	packages     number, and for each its fields in the order of the struct: numbers
//	             are unsigned varints, a string is its number, the rest is JSON with
//	             its length, empty for nothing; automations end with their canonical
//	             form, as [automation.Pack] gives it
//
// A change of this form needs a change of the version of keys in the compiler.

// rest has the fields that are empty for most packages.
type rest struct {
	Found       Findings          `json:"found,omitempty"`
	Withheld    Findings          `json:"withheld,omitempty"`
	Awaits      []string          `json:"awaits,omitempty"`
	Unexplained string            `json:"unexplained,omitempty"`
	Sourceless  bool              `json:"sourceless,omitempty"`
	Volatile    bool              `json:"volatile,omitempty"`
	Tests       []AutomationTests `json:"tests,omitempty"`
}

// Encode encodes packages to be sent or kept.
func Encode(packages []Package) ([]byte, error) {
	w := writer{known: map[string]int{}}
	w.number(len(packages))
	for i := range packages {
		if err := w.pkg(&packages[i]); err != nil {
			return nil, err
		}
	}
	out := binary.AppendUvarint(nil, uint64(len(w.strings)))
	for _, s := range w.strings {
		out = binary.AppendUvarint(out, uint64(len(s)))
	}
	for _, s := range w.strings {
		out = append(out, s...)
	}
	return append(out, w.out...), nil
}

type writer struct {
	strings []string
	known   map[string]int
	out     []byte
}

func (w *writer) number(n int) { w.out = binary.AppendUvarint(w.out, uint64(n)) }

func (w *writer) string(s string) {
	i, ok := w.known[s]
	if !ok {
		i = len(w.strings)
		w.known[s], w.strings = i, append(w.strings, s)
	}
	w.number(i)
}

func (w *writer) texts(all []string) {
	w.number(len(all))
	for _, s := range all {
		w.string(s)
	}
}

func (w *writer) bytes(b []byte) {
	w.number(len(b))
	w.out = append(w.out, b...)
}

func (w *writer) pkg(p *Package) error {
	w.string(p.Dir)
	w.string(p.Name)
	var others []byte
	if r := (rest{p.Found, p.Withheld, p.Awaits, p.Unexplained, p.Sourceless, p.Volatile, p.Tests}); !r.empty() {
		var err error
		if others, err = json.Marshal(r); err != nil {
			return err
		}
	}
	w.bytes(others)
	w.number(len(p.Automations))
	encoded := make([]automation.Encoded, len(p.Automations))
	for i := range p.Automations {
		c := &p.Automations[i]
		encoded[i] = c.Automation
		w.string(c.Name)
		w.string(c.Place.File)
		w.number(c.Place.Offset)
		w.texts(c.Facts.Targets)
		w.string(c.Facts.Call)
		w.string(c.Facts.Event)
		w.string(string(c.Facts.User))
		w.texts(c.Facts.Destinations)
		w.number(len(c.Facts.Fields))
		for _, f := range c.Facts.Fields {
			w.string(f.Name)
			w.number(int(f.Kind))
		}
		w.texts(c.Facts.Pending)
		w.out = append(w.out, c.Work[:]...)
	}
	compressed, ends := automation.Pack(encoded)
	for _, end := range ends {
		w.number(end)
	}
	w.bytes(compressed)
	return nil
}

func (r rest) empty() bool {
	return r.Found == nil && r.Withheld == nil && r.Awaits == nil && r.Unexplained == "" &&
		!r.Sourceless && !r.Volatile && r.Tests == nil
}

// errDamaged is the error for bytes that Encode has not made.
var errDamaged = errors.New("not encoded packages, or encoded by another version")

// Decode decodes packages from [Encode]. The bytes may be arbitrary.
func Decode(b []byte) ([]Package, error) {
	r := reader{in: b}
	r.readStrings()
	packages := make([]Package, r.count(1))
	for i := range packages {
		r.pkg(&packages[i])
	}
	if r.failed || len(r.in) > 0 {
		return nil, errDamaged
	}
	return packages, nil
}

// A reader reads until the first mistake, and then returns zeros.
type reader struct {
	in      []byte
	strings []string
	failed  bool
}

func (r *reader) fail() { r.failed, r.in = true, nil }

func (r *reader) number() int {
	n, size := binary.Uvarint(r.in)
	if size <= 0 || n > math.MaxInt32 {
		r.fail()
		return 0
	}
	r.in = r.in[size:]
	return int(n)
}

// count reads the number of the following elements, each of which takes at least the given number of bytes.
func (r *reader) count(bytes int) int {
	n := r.number()
	if n > len(r.in)/bytes {
		r.fail()
		return 0
	}
	return n
}

func (r *reader) bytes() []byte {
	n := r.count(1)
	b := r.in[:n:n]
	r.in = r.in[n:]
	return b
}

func (r *reader) readStrings() {
	r.strings = make([]string, r.count(1))
	ends := make([]int, len(r.strings))
	end := 0
	for i := range ends {
		end += r.number()
		ends[i] = end
	}
	if end > len(r.in) {
		r.fail()
		return
	}
	all := string(r.in[:end]) // all strings share it
	r.in = r.in[end:]
	start := 0
	for i, end := range ends {
		r.strings[i], start = all[start:end], end
	}
}

func (r *reader) string() string {
	i := r.number()
	if i >= len(r.strings) {
		r.fail()
		return ""
	}
	return r.strings[i]
}

func (r *reader) texts() []string {
	var all []string
	for range r.count(1) {
		all = append(all, r.string())
	}
	return all
}

func (r *reader) pkg(p *Package) {
	p.Dir, p.Name = r.string(), r.string()
	if others := r.bytes(); len(others) > 0 {
		var o rest
		if json.Unmarshal(others, &o) != nil {
			r.fail()
		}
		p.Found, p.Withheld, p.Awaits, p.Unexplained = o.Found, o.Withheld, o.Awaits, o.Unexplained
		p.Sourceless, p.Volatile, p.Tests = o.Sourceless, o.Volatile, o.Tests
	}
	n := r.count(1)
	if n == 0 {
		r.bytes()
		return
	}
	p.Automations = make([]Compiled, n)
	keys := make([]string, n)
	for i := range p.Automations {
		c := &p.Automations[i]
		c.Name = r.string()
		keys[i] = finding.KeyOf(p.Dir, c.Name)
		c.Place = place{File: r.string(), Offset: r.number()}
		c.Facts.Targets = r.texts()
		c.Facts.Call, c.Facts.Event = r.string(), r.string()
		c.Facts.User, c.Facts.Destinations = message.UserForm(r.string()), r.texts()
		if n := r.count(2); n > 0 {
			c.Facts.Fields = make([]message.FieldFact, n)
			for j := range c.Facts.Fields {
				c.Facts.Fields[j] = message.FieldFact{Name: r.string(), Kind: message.JSONKind(r.number())}
			}
		}
		c.Facts.Pending = r.texts()
		if len(r.in) < len(c.Work) {
			r.fail()
			return
		}
		r.in = r.in[copy(c.Work[:], r.in):]
	}
	ends := make([]int, n)
	for i := range ends {
		ends[i] = r.number()
	}
	encoded, err := automation.Unpack(keys, r.bytes(), ends)
	if err != nil || r.failed {
		r.fail()
		return
	}
	for i := range p.Automations {
		p.Automations[i].Automation = encoded[i]
	}
}

// Package draft writes automations of a platform that are not in a project yet as CUE, for an author to
// continue with.
//
//	for _, form := range draft.Forms(a, sources) {
//		text, err := form.Source("growth", "welcome", comments)
//		...
//	}
//
// Forms returns the ways to write an automation, the most specific first. Only the compiler can tell whether a
// form results in the same automation.
package draft

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/literal"
	cuejson "cuelang.org/go/encoding/json"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/message"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/schema"
)

// A Form is one way to write an automation.
type Form struct {
	// Definition is the definition in the package automation, such as "#Track".
	Definition string
	// Event is the definition in the package segment, such as "#OrderCompleted", "" if there is none.
	Event string

	a       automation.Automation
	source  string // the source to write, "" for none
	headers map[string]automation.Header
}

// Forms returns the ways to write an automation: as a semantic event, as a call of one
// of the sources, and as any HTTP request.
func Forms(a automation.Automation, sources map[string]config.Source) []Form {
	var forms []Form
	for _, call := range schema.CallNames() {
		for _, name := range finding.SortedKeys(sources) {
			if call == "http" || a.Action.Method != "POST" ||
				a.Action.Payload == nil || a.Action.URL != message.CallURL(sources[name], call) {
				continue
			}
			f := Form{Definition: schema.Calls[call], a: a, headers: withoutDefaults(a.Action.Headers)}
			if len(sources) > 1 {
				f.source = name
			}
			if isWriteKey(f.headers["Authorization"], sources[name]) {
				delete(f.headers, "Authorization")
			}
			if event := eventOf(a.Action.Payload); call == "track" && event != "" {
				semantic := f
				semantic.Event = event
				forms = append(forms, semantic)
			}
			forms = append(forms, f)
		}
	}
	http := Form{Definition: schema.Calls["http"], a: a, headers: withoutDefaults(a.Action.Headers)}
	for name, h := range http.headers {
		if Hidden(name, h) {
			delete(http.headers, name)
		}
	}
	return append(forms, http)
}

// Hidden reports whether a header's value may be a plain credential on the platform: it is never written to the
// code.
func Hidden(name string, h automation.Header) bool {
	return len(h.SecretNames()) == 0 && credentialHeader.MatchString(name)
}

// credentialHeader matches the names of headers that hold credentials.
var credentialHeader = regexp.MustCompile(`(?i)authorization|cookie|token|secret|password|api-?key|signature`)

// isWriteKey reports whether a header is segue's header for the write key of a source, or a plain value on the
// platform that is probably the same.
func isWriteKey(h automation.Header, s config.Source) bool {
	if len(h.SecretNames()) == 0 {
		return true
	}
	return h.Scheme == automation.Basic && h.Username.Secret == s.WriteKey.Name && h.Password == automation.Credential{}
}

// withoutDefaults returns the headers that must be written.
func withoutDefaults(headers map[string]automation.Header) map[string]automation.Header {
	out := maps.Clone(headers)
	if out == nil {
		out = map[string]automation.Header{}
	}
	for _, name := range []string{"Accept", "Content-Type"} {
		if out[name] == (automation.Header{Value: automation.Credential{Text: "application/json"}}) {
			delete(out, name)
		}
	}
	return out
}

// eventOf returns the definition of the semantic event in a payload, "" if there is none.
func eventOf(payload json.RawMessage) string {
	var track struct {
		Event string `json:"event"`
	}
	if json.Unmarshal(payload, &track) != nil {
		return ""
	}
	return eventDefinitions()[track.Event]
}

// eventDefinitions maps the names of semantic events to their definitions.
var eventDefinitions = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	for _, name := range finding.SortedKeys(shape.All()) {
		definition, inSegment := strings.CutPrefix(name, "segment.")
		event := shape.All()[name].Fields["event"]
		if inSegment && event != nil && len(event.Shape.Consts) == 1 {
			out[event.Shape.Consts[0]] = definition
		}
	}
	return out
})

// Source returns a formatted file of a package with the automation under a name. comments go above it, a line
// each.
func (f Form) Source(pkg, name string, comments []string) ([]byte, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "package %s\n\n", pkg)
	if f.Event == "" {
		fmt.Fprintf(&b, "import %q\n\n", schema.ModulePath+"/automation")
	} else {
		fmt.Fprintf(&b, "import (\n\t%q\n\t%q\n)\n\n", schema.ModulePath+"/automation", schema.ModulePath+"/segment")
	}
	for _, text := range comments {
		b.WriteString(comment(text))
	}
	fmt.Fprintf(&b, "automations: %s: automation.%s & {\n", quoted(name), f.Definition)
	if err := f.fields(&b); err != nil {
		return nil, err
	}
	b.WriteString("}\n")
	return format.Source([]byte(b.String()), format.Simplify())
}

// comment writes a string as lines of a comment.
func comment(text string) string {
	const most = 90
	var b strings.Builder
	line := "//"
	for _, word := range strings.Fields(text) {
		if len(line)+len(word) >= most && line != "//" {
			b.WriteString(line + "\n")
			line = "//"
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}

// fields writes the fields of the automation.
func (f Form) fields(b *strings.Builder) error {
	line := func(format string, args ...any) { fmt.Fprintf(b, "\t"+format+"\n", args...) }
	a := f.a
	line("name: %s", quoted(a.Name))
	line("trigger: %s: %s", a.Trigger.Kind, quoted(a.Trigger.Name))
	if !a.Enabled {
		line("enabled: false")
	}
	if a.Protect {
		line("protect: true")
	}
	if f.source != "" {
		line("source: %s", quoted(f.source))
	}
	if f.Definition == schema.Calls["http"] {
		line("url: %s", quoted(a.Action.URL))
		if a.Action.Method != "POST" {
			line("method: %s", quoted(a.Action.Method))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.headers)) {
		text, err := json.Marshal(f.headers[name])
		if err != nil {
			return err
		}
		value, err := expression(text)
		if err != nil {
			return err
		}
		line("headers: %s: %s", quoted(name), value)
	}
	if a.Action.Payload == nil {
		return nil
	}
	payload, err := f.payload()
	if err != nil {
		return err
	}
	line("payload: %s", payload)
	return nil
}

// payload returns the payload as CUE.
func (f Form) payload() (string, error) {
	if f.Event == "" {
		return expression(f.a.Action.Payload)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(f.a.Action.Payload, &fields); err != nil {
		return "", err
	}
	delete(fields, "event")
	rest, err := json.Marshal(fields)
	if err != nil {
		return "", err
	}
	text, err := expression(rest)
	return "segment." + f.Event + " & " + text, err
}

// expression writes JSON as CUE.
func expression(b []byte) (string, error) {
	e, err := cuejson.Extract("", b)
	if err != nil {
		return "", err
	}
	text, err := format.Node(e, format.Simplify())
	return string(text), err
}

// quoted writes a string as CUE.
func quoted(s string) string { return literal.String.Quote(s) }

// Slug makes a part of a key from a display name: lower-case letters and digits, with hyphens in between, "" if
// the name has none.
func Slug(name string) string {
	return strings.Trim(noSlug.ReplaceAllString(strings.ToLower(name), "-"), "-")
}

var noSlug = regexp.MustCompile(`[^a-z0-9]+`)

// PackageName makes the name of a package from its folder.
func PackageName(folder string) string {
	name := strings.Trim(noIdentifier.ReplaceAllString(path.Base(folder), "_"), "_")
	if !ast.IsValidIdent(name) || strings.HasPrefix(name, "_") {
		return "automations"
	}
	return name
}

var noIdentifier = regexp.MustCompile(`[^A-Za-z0-9_]+`)

package embedded

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// longestName is the maximum length of names in requests, in bytes: projects,
// keys, secrets, triggers.
const longestName = 256

// invalid returns the problem of an automation that the platform could not run.
func invalid(format string, args ...any) *problem {
	return newProblem(http.StatusUnprocessableEntity, "invalid-automation", "the automation can't be stored: "+format, args...)
}

// checkAutomation refuses an automation that could not be fired later.
func checkAutomation(a automation.Automation) error {
	switch {
	case a.Name == "":
		return invalid("it has no name")
	case a.Trigger.Kind != automation.Pattern && a.Trigger.Kind != automation.Journey:
		return invalid("trigger.kind is %s, want pattern or journey", quoted(string(a.Trigger.Kind)))
	case a.Trigger.Name == "":
		return invalid("trigger.name is empty")
	case a.Action.Kind != automation.KindHTTPRequest:
		return invalid("action.kind is %s, want %s", quoted(a.Action.Kind), automation.KindHTTPRequest)
	case !isToken(a.Action.Method) || a.Action.Method != strings.ToUpper(a.Action.Method) || a.Action.Method == "CONNECT":
		return invalid("action.method is %s, want one such as POST", quoted(a.Action.Method))
	}
	if err := checkURL(a.Action.URL); err != nil {
		return invalid("action.url: %v", err)
	}
	for name, h := range a.Action.Headers {
		if err := checkHeader(name, h); err != nil {
			return invalid("action.headers: %v", err)
		}
	}
	if a.Action.Payload != nil {
		if err := checkPayload(a.Action.Payload); err != nil {
			return invalid("action.payload: %v", err)
		}
	}
	for name, p := range a.Placeholders {
		switch {
		case !automation.ValidName(name):
			return invalid("placeholders: %s is not a placeholder's name", quoted(name))
		case p.MaxLength <= 0:
			return invalid("placeholders: maxLength of %s must be a number above 0", name)
		}
	}
	return nil
}

// checkURL accepts an absolute http or https URL with placeholders after the
// host only.
func checkURL(raw string) error {
	t, err := automation.ParseTemplate(raw)
	if err != nil {
		return err
	}
	before, rest, _ := strings.Cut(t.Texts()[0], "://")
	if len(t.References()) > 0 && !strings.ContainsAny(rest, "/?#") {
		return fmt.Errorf("placeholders are only allowed after the host")
	}
	u := automation.AbsoluteURL(strings.Join(t.Texts(), "x"))
	if u == nil || !strings.EqualFold(before, u.Scheme) {
		return fmt.Errorf("%s is not an absolute http or https URL", quoted(raw))
	}
	return nil
}

func checkHeader(name string, h automation.Header) error {
	switch {
	case !isToken(name):
		return fmt.Errorf("%s is not a header's name", quoted(name))
	case name != textproto.CanonicalMIMEHeaderKey(name):
		return fmt.Errorf("%s must be written %s", name, textproto.CanonicalMIMEHeaderKey(name))
	}
	for _, c := range []automation.Credential{h.Value, h.Username, h.Password} {
		if strings.ContainsFunc(c.Text, unicode.IsControl) {
			return fmt.Errorf("%s holds a control character", name)
		}
		if c.Secret != "" && !validName(c.Secret) {
			return fmt.Errorf("%s refers to a secret with an invalid name", name)
		}
	}
	if h.Scheme == "" && h.Value.Secret == "" {
		if _, err := automation.ParseTemplate(h.Value.Text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func checkPayload(payload json.RawMessage) error {
	if depth := automation.PayloadDepth(payload); depth > automation.DeepestPayload {
		return fmt.Errorf("is nested %d levels deep; the maximum is %d", depth, automation.DeepestPayload)
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return err
	}
	if tree == nil {
		return fmt.Errorf("is null; leave it out for a request without a body")
	}
	return checkTemplates(tree, "payload")
}

// checkTemplates looks for malformed placeholders in every string of a value.
func checkTemplates(v any, path string) error {
	switch v := v.(type) {
	case string:
		if _, err := automation.ParseTemplate(v); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	case []any:
		for i, e := range v {
			if err := checkTemplates(e, path+"["+strconv.Itoa(i)+"]"); err != nil {
				return err
			}
		}
	case map[string]any:
		for k, e := range v {
			if err := checkTemplates(e, path+"."+k); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkMarker checks a marker against the automation that it will be stored
// with.
func checkMarker(m *sync.Marker, a automation.Automation) error {
	switch {
	case m == nil:
		if names := a.SecretNames(); len(names) > 0 {
			return invalid("it uses the secret %s, but without a marker it belongs to no project, and only projects have secrets", quoted(names[0]))
		}
		return nil
	case !validName(m.Project):
		return invalid("marker.project %s is not a project's name", quoted(m.Project))
	case !validName(m.Key):
		return invalid("marker.key %s is not a key", quoted(m.Key))
	case m.Key != a.Key:
		return invalid("its key is %s, and its marker's is %s; they must be the same", quoted(a.Key), quoted(m.Key))
	case m.Hash == "" || len(m.Hash) > longestName:
		return invalid("marker.hash is missing or too long")
	case len(m.Made) > longestName:
		return invalid("marker.made is too long")
	}
	return nil
}

// validName accepts the names of projects, keys and secrets: any printable
// string that can be part of a URL path.
func validName(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= longestName && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r > '~' || r <= ' ' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// quoted quotes an untrusted string: at most 80 characters, and none that could
// disturb a terminal.
func quoted(s string) string {
	const most = 80
	runes := []rune(strings.ToValidUTF8(s, "\uFFFD"))
	if len(runes) > most {
		return strconv.Quote(string(runes[:most]) + "…")
	}
	return strconv.Quote(string(runes))
}

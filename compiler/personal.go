package compiler

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
)

// personalData warns of personal data among the properties of a track event: it
// belongs into the traits of an identify call, where it is sent once and can be
// found and deleted. What the spec of a semantic event asks for is fine.
func (m *message) personalData(payload map[string]any, at valuePath) {
	properties, ok := payload["properties"].(map[string]any)
	if !ok {
		return
	}
	var spec *shape
	event, _ := payload["event"].(string)
	if s := eventShapes()[event]; s != nil {
		if f := s.fields["properties"]; f != nil {
			spec = f.shape
		}
	}
	m.personalFields(properties, spec, at.with("properties"))
}

func (m *message) personalFields(fields map[string]any, spec *shape, at valuePath) {
	for _, k := range sorted(fields) {
		var inner *shape
		if spec != nil {
			if f := spec.fields[k]; f != nil {
				inner = f.shape
			}
		}
		m.personalValue(k, fields[k], inner, at.with(k))
	}
}

// personalValue looks at the value of a property, or at an element of its list.
// spec is nil where the spec does not have the property.
func (m *message) personalValue(name string, v any, spec *shape, at valuePath) {
	switch v := v.(type) {
	case map[string]any:
		m.personalFields(v, spec, at)
	case []any:
		var elem *shape
		if spec != nil {
			elem = spec.elem
		}
		for i, e := range v {
			m.personalValue(name, e, elem, at.with(i))
		}
	case json.Number:
		if spec == nil && personalKind(name) == phoneNumber && isPhone(v.String()) {
			m.personal(phoneNumber, at, true)
		}
	case string:
		if spec == nil {
			m.personalText(name, v, at)
		}
	}
}

func (m *message) personalText(name, v string, at valuePath) {
	kind := personalKind(name)
	t, err := automation.ParseTemplate(v)
	if err != nil {
		return // it has a finding
	}
	for _, r := range t.References() {
		inside := m.personalPlaceholder(r.Name)
		switch {
		case kind != "" && inside != "" || kind != "" && kind != anyName && m.mayBePersonal(r.Name):
			m.personal(kind, at, true)
			return
		case inside != "":
			if w := m.personal(inside, at, false); w != nil {
				partOf(w, v, r.Offset, r.Length)
			}
			return
		}
	}
	if len(t.References()) > 0 {
		return
	}
	address := personalAddress(v)
	switch {
	case kind == emailAddress && address != "", kind == phoneNumber && isPhone(v),
		kind == personName && strings.ContainsFunc(v, unicode.IsLetter):
		m.personal(kind, at, true)
	case address != "":
		if w := m.personal(emailAddress, at, false); w != nil {
			partOf(w, v, strings.Index(v, address), len(address))
		}
	}
}

// personal reports personal data, unless the value has a finding already.
func (m *message) personal(kind string, at valuePath, byName bool) *finding {
	for _, f := range m.found {
		if f.path.String() == at.String() {
			return nil
		}
	}
	spot := atValue
	if byName {
		spot = atLabel
	}
	if kind == anyName {
		kind = personName
	}
	w := m.report("personal-data", at, spot, "%s sends personal data, %s, with the properties of an event", at.name(), kind)
	w.Severity = diagnostic.Warning
	w.Help = "send it as a trait of an identify call; the userId ties the event to the user"
	return w
}

// The kinds of personal data.
const (
	emailAddress = "an email address"
	phoneNumber  = "a phone number"
	personName   = "a person's name"
	// anyName is what a field called name holds: the name of anything.
	anyName = "a name"
)

// personalKind says what personal data a field holds, by its name; "" for none.
func personalKind(name string) string {
	if !personalWord.MatchString(name) {
		return ""
	}
	words := splitWords(name)
	if len(words) == 0 {
		return ""
	}
	for i, w := range words {
		words[i] = strings.ToLower(w)
	}
	last, before := words[len(words)-1], ""
	if len(words) > 1 {
		before = words[len(words)-2]
	}
	switch {
	case slices.Contains([]string{"email", "emails", "emailaddress"}, last), before == "email" && last == "address", before == "e" && last == "mail":
		return emailAddress
	case slices.Contains([]string{"phone", "phones", "telephone", "cellphone", "phonenumber"}, last),
		last == "number" && slices.Contains([]string{"phone", "mobile", "cell", "telephone"}, before):
		return phoneNumber
	case slices.Contains([]string{"firstname", "lastname", "fullname", "surname", "givenname", "familyname", "middlename", "username"}, last),
		last == "name" && slices.Contains(whoseName, before):
		return personName
	case last == "name" && len(words) == 1:
		return anyName
	}
	return ""
}

// personalWord is in all names that can be personal.
var personalWord = regexp.MustCompile(`(?i)mail|phone|number|name`)

// whoseName are the words before "name" that make it the name of a person.
var whoseName = []string{"first", "last", "full", "given", "family", "middle", "sur",
	"user", "person", "customer", "contact", "invitee", "recipient", "employee", "attendee", "guest", "patient", "student"}

// personalPlaceholder says what personal data a placeholder stands for.
func (m *message) personalPlaceholder(name string) string {
	if kind := personalKind(name); kind != anyName && m.catalog[name].Type == automation.StringValue {
		return kind
	}
	return ""
}

// impersonal are placeholders that stand for something else than a person's data.
var impersonal = []string{"userId", "accountId", "accountName", "usagePatternName"}

// mayBePersonal reports whether a placeholder, in a field that is called after
// personal data, can be that.
func (m *message) mayBePersonal(name string) bool {
	entry, known := m.catalog[name]
	return known && entry.Type == automation.StringValue && !slices.Contains(impersonal, name)
}

var addressPattern = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}`)

// roles are mailboxes that belong to no person.
var roles = []string{"noreply", "donotreply", "support", "info", "hello", "help", "sales", "billing", "admin", "team", "contact",
	"marketing", "newsletter", "notifications", "security", "press", "jobs", "office", "events", "alerts", "feedback", "postmaster", "webmaster"}

// personalAddress returns the email address of a person in a text, "" if there
// is none.
func personalAddress(v string) string {
	for _, address := range addressPattern.FindAllString(v, -1) {
		mailbox, _, _ := strings.Cut(address, "@")
		mailbox, _, _ = strings.Cut(mailbox, "+")
		if !slices.Contains(roles, plainName(mailbox)) {
			return address
		}
	}
	return ""
}

// isPhone reports whether a text can be a phone number: seven digits and more,
// and nothing else but the signs between them.
func isPhone(v string) bool {
	digits := 0
	for _, r := range v {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case !strings.ContainsRune("+-(). /", r):
			return false
		}
	}
	return digits >= 7 && digits <= 15
}

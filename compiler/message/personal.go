package message

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/meaning"
	"github.com/seguehq/segue/compiler/shape"
)

// checkPersonalData warns of personal data among the properties of an event, a page or a screen: it
// belongs into the traits of an identify call, where it is sent once and can be
// found and deleted. What the spec of a semantic event asks for is fine.
func (m *Checked) checkPersonalData() findings {
	payload, _ := m.payload.(map[string]any)
	properties, ok := payload["properties"].(map[string]any)
	if !ok || MessageBlock(m.Call) != "properties" {
		return nil
	}
	event, _ := payload["event"].(string)
	spec := meaning.Spec(shape.OfEvent(event), "properties")
	if m.Call != "track" {
		spec = meaning.Spec(m.payloadShape(), "properties")
	}
	p := personalCheck{m: m}
	p.fields(properties, spec, m.At.With("payload", "properties"))
	return p.found
}

// A personalCheck looks for personal data among the properties of one event.
type personalCheck struct {
	m     *Checked
	found findings
}

func (p *personalCheck) fields(fields map[string]any, spec *shape.Shape, at finding.Path) {
	for _, k := range finding.SortedKeys(fields) {
		var inner *shape.Shape
		if spec != nil {
			if f := spec.Fields[k]; f != nil {
				inner = f.Shape
			}
		}
		p.value(k, fields[k], inner, at.With(k))
	}
}

// value looks at the value of a property, or at an element of its list.
// spec is nil where the spec does not have the property.
func (p *personalCheck) value(name string, v any, spec *shape.Shape, at finding.Path) {
	switch v := v.(type) {
	case map[string]any:
		p.fields(v, spec, at)
	case []any:
		var elem *shape.Shape
		if spec != nil {
			elem = spec.Elem
		}
		for i, e := range v {
			p.value(name, e, elem, at.With(i))
		}
	case json.Number:
		if spec == nil && personalKind(name) == phoneNumber && isPhone(v.String()) {
			p.report(phoneNumber, at, finding.AtLabel, "", 0)
		}
	case string:
		if spec == nil {
			p.text(name, v, at)
		}
	}
}

func (p *personalCheck) text(name, v string, at finding.Path) {
	kind := personalKind(name)
	t, err := automation.ParseTemplate(v)
	if err != nil {
		return // it has a finding
	}
	for _, r := range t.References() {
		inside := p.placeholder(r.Name)
		switch {
		case kind != "" && inside != "" || kind != "" && kind != anyName && p.mayBePersonal(r.Name):
			p.report(kind, at, finding.AtLabel, "", 0)
			return
		case inside != "":
			p.report(inside, at, finding.AtValue, v[r.Offset:r.Offset+r.Length], r.Offset)
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
		p.report(kind, at, finding.AtLabel, "", 0)
	case address != "":
		p.report(emailAddress, at, finding.AtValue, address, strings.Index(v, address))
	}
}

// report reports personal data, unless the value has a finding already. part is the
// part of a string that it is, at an offset; "" for all of it.
func (p *personalCheck) report(kind string, at finding.Path, spot finding.Spot, part string, offset int) {
	if p.m.told(at) || hasFinding(p.found, at) {
		return
	}
	if kind == anyName {
		kind = personName
	}
	w := finding.Newf("personal-data", at, spot, "%s sends personal data, %s, with the properties of %s", at.Name(),
		kind, subjectWords[p.m.Call])
	w.Help = "send it as a trait of an identify call; the userId ties the event to the user"
	w.Part, w.Offset = part, offset
	p.found = append(p.found, w)
}

// subjectWords are what the properties of a call describe.
var subjectWords = map[string]string{"track": "an event", "page": "a page", "screen": "a screen"}

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
	if !personalWord().MatchString(name) {
		return ""
	}
	words := finding.Words(name)
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
	case slices.Contains([]string{"email", "emails", "emailaddress"}, last), before == "email" && last == "address",
		before == "e" && last == "mail":
		return emailAddress
	case slices.Contains([]string{"phone", "phones", "telephone", "cellphone", "phonenumber"}, last),
		last == "number" && slices.Contains([]string{"phone", "mobile", "cell", "telephone"}, before):
		return phoneNumber
	case slices.Contains([]string{"firstname", "lastname", "fullname", "surname", "givenname", "familyname",
		"middlename", "username"}, last),
		last == "name" && slices.Contains(whoseName, before):
		return personName
	case last == "name" && len(words) == 1:
		return anyName
	}
	return ""
}

// personalWord is in all names that can be personal.
var personalWord = finding.Pattern(`(?i)mail|phone|number|name`)

// whoseName are the words before "name" that make it the name of a person.
var whoseName = []string{"first", "last", "full", "given", "family", "middle", "sur", "user", "person", "customer",
	"contact", "invitee", "recipient", "employee", "attendee", "guest", "patient", "student"}

// placeholder says what personal data a placeholder stands for.
func (p *personalCheck) placeholder(name string) string {
	if kind := personalKind(name); kind != anyName && p.m.Catalog[name].Type == automation.StringValue {
		return kind
	}
	return ""
}

// impersonal are placeholders that stand for something else than a person's data.
var impersonal = []string{"userId", "accountId", "accountName", "usagePatternName"}

// mayBePersonal reports whether a placeholder, in a field that is called after
// personal data, can be that.
func (p *personalCheck) mayBePersonal(name string) bool {
	entry, known := p.m.Catalog[name]
	return known && entry.Type == automation.StringValue && !slices.Contains(impersonal, name)
}

var addressPattern = finding.Pattern(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}`)

// roles are mailboxes that belong to no person.
var roles = []string{"noreply", "donotreply", "support", "info", "hello", "help", "sales", "billing", "admin", "team",
	"contact", "marketing", "newsletter", "notifications", "security", "press", "jobs", "office", "events", "alerts",
	"feedback", "postmaster", "webmaster"}

// personalAddress returns the email address of a person in a text, "" if there
// is none.
func personalAddress(v string) string {
	for _, address := range addressPattern().FindAllString(v, -1) {
		mailbox, _, _ := strings.Cut(address, "@")
		mailbox, _, _ = strings.Cut(mailbox, "+")
		if !slices.Contains(roles, finding.PlainName(mailbox)) {
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

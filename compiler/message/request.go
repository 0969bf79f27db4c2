package message

import (
	"encoding/json"
	"mime"
	"net/textproto"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/http/httpguts"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/credential"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
)

// checkURL checks a URL that the author gave.
func (m *Checked) checkURL() findings {
	given, ok := m.Raw["url"].(string)
	if !ok || given == "" {
		return nil
	}
	at := m.At.With("url")
	if in := credential.TemplatePattern().FindStringIndex(origin(given)); in != nil {
		w := finding.Newf("misplaced-placeholder", at, finding.AtValue, "the host of a URL can't hold a placeholder")
		w.In(given, in[0], in[1]-in[0])
		w.Help = "write the host; the path and the query can hold placeholders"
		return findings{w}
	}
	u := automation.AbsoluteURL(credential.TemplatePattern().ReplaceAllString(given, "x"))
	switch {
	case u == nil:
		w := finding.Newf("invalid-url", at, finding.AtValue, "%s is not an absolute http or https URL: %q", at.Name(), given)
		w.Help = "write it as in https://api.example.com/v1/events"
		return findings{w}
	case u.User != nil:
		w := finding.Newf("secret-in-code", at, finding.AtValue, "the URL holds a user name or password")
		w.Confidential = true
		w.Help = `use a header: headers: Authorization: basic: {username: secret: "NAME", password: secret: "NAME"}`
		return findings{w}
	}
	if m.Call != "http" {
		return m.segmentURL(u, given, at)
	}
	var found findings
	if method, _ := m.Raw["method"].(string); method == "GET" && m.Raw["payload"] != nil {
		w := finding.Newf("unexpected-payload", m.At.With("payload"), finding.AtLabel,
			"a GET request with a payload: most servers ignore it")
		w.Help = "remove the payload, or use another method"
		found = append(found, w)
	}
	m.url = given
	if region := regionOf(u.Hostname()); region != "" {
		found = append(found, m.foreignSegmentURL(u, region, at)...)
	}
	return found
}

// splitURL splits a URL into its host and what follows.
func splitURL(raw string) (host, rest string) {
	_, after, ok := strings.Cut(raw, "://")
	if !ok {
		return "", raw
	}
	if i := strings.IndexAny(after, "/?#"); i >= 0 {
		return after[:i], after[i:]
	}
	return after, ""
}

// origin is the part of a URL up to its path: the scheme and the host.
func origin(raw string) string {
	_, rest := splitURL(raw)
	if rest == raw {
		rest = ""
		if i := strings.IndexByte(raw, '/'); i >= 0 {
			rest = raw[i:]
		}
	}
	return strings.TrimSuffix(raw, rest)
}

// segmentURL checks the URL of a Segment call: it must be the one that the
// source and the call give.
func (m *Checked) segmentURL(u *url.URL, given string, at finding.Path) findings {
	if m.source.Region == "" || given == m.url {
		return nil
	}
	var w finding.Finding
	region := regionOf(u.Hostname())
	switch {
	case m.source.Endpoint != "":
		w = finding.Newf("wrong-url", at, finding.AtValue, "the source's endpoint gives another URL: %s", m.url)
		w.Help = "remove url, or change the endpoint of the source in segue.cue"
	case region == "":
		w = finding.Newf("wrong-url", at, finding.AtValue, "%s is not a host of Segment's", u.Host)
		w.Help = "remove url, or set endpoint on the source in segue.cue if a proxy receives the messages"
	case region != m.source.Region:
		w = finding.Newf("wrong-region", at, finding.AtValue,
			"the URL is in the region %s, and the source is in %s: Segment would lose the events without an error",
			region, m.source.Region)
		w.Suggestion, w.Help = m.url, "remove url, or write "+m.url
	case u.Scheme != "https":
		w = finding.Newf("wrong-url", at, finding.AtValue, "the URL is not https: the write key would be sent in the clear")
		w.Suggestion, w.Help = m.url, "write "+m.url
	default:
		w = finding.Newf("wrong-url", at, finding.AtValue, "the URL is not that of a call of the kind %s: %s", m.Call, given)
		w.Suggestion, w.Help = m.url, "remove url, or write "+m.url
	}
	return findings{w}
}

// foreignSegmentURL checks a request of the author's own making that goes to
// Segment.
func (m *Checked) foreignSegmentURL(u *url.URL, region string, at finding.Path) findings {
	regions := map[string]bool{}
	for _, s := range m.Sources {
		regions[s.Region] = true
	}
	if len(regions) > 0 && !regions[region] {
		w := finding.Newf("wrong-region", at, finding.AtValue,
			"the URL is in the region %s, where the project has no source: "+
				"Segment would lose the events without an error", region)
		w.Help = "use the URL of the source's region"
		return findings{w}
	}
	call := path.Base(u.Path)
	if _, ok := shape.Calls()[call]; ok && call != "http" {
		w := finding.Newf("unchecked-message", at, finding.AtValue,
			"the request is a %s call to Segment, but its payload is not checked", call)
		w.Help = "use automation.#" + strings.ToUpper(call[:1]) + call[1:]
		return findings{w}
	}
	return nil
}

// secretHeaders carry credentials.
var secretHeaders = []string{"Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "Api-Key", "X-Auth-Token",
	"X-Access-Token"}

// secretWords are what the name of a header that carries a credential has in it.
var secretWords = []string{"Secret", "Token", "Password", "Apikey", "Api-Key", "Credential", "Signature"}

// ownHeaders are set by whatever sends the request.
var ownHeaders = []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Trailer", "Te",
	"Keep-Alive"}

// checkHeaders brings the headers into their canonical form.
func (m *Checked) checkHeaders() (found findings) {
	m.headers = map[string]automation.Header{}
	given, _ := m.Raw["headers"].(map[string]any)
	from := map[string]string{} // the author's spelling by canonical name
	for _, name := range finding.SortedKeys(given) {
		at := m.At.With("headers", name)
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		bad, ok := m.headerName(name, canonical, at)
		if found = append(found, bad...); !ok {
			continue
		}
		h, bad, ok := m.header(canonical, given[name], at)
		if found = append(found, bad...); !ok {
			continue
		}
		if other, twice := from[canonical]; twice && m.headers[canonical] != h {
			w := finding.Newf("duplicate-header", at, finding.AtLabel, "the header %s is given twice, as %s and %s",
				canonical, other, name)
			w.Help = "keep one of them"
			found = append(found, w)
			continue
		}
		if _, twice := given[canonical]; name != canonical && !twice {
			w := finding.Newf("header-case", at, finding.AtLabel, "the header %s is sent as %s", name, canonical)
			w.Suggestion, w.Help = canonical, "write "+canonical
			w.Repair = &finding.Repair{How: finding.RenameField, Text: canonical, Shared: true}
			found = append(found, w)
		}
		from[canonical], m.headers[canonical] = name, h
	}
	for _, name := range []string{"Accept", "Content-Type"} {
		if _, ok := m.headers[name]; !ok {
			m.headers[name] = automation.Header{Value: automation.Credential{Text: "application/json"}}
		}
	}
	if m.Call != "http" {
		m.headers["Authorization"] = automation.Header{Scheme: automation.Basic,
			Username: automation.Credential{Secret: m.source.WriteKey.Name}}
	}
	return found
}

// checkSecrecy refuses to send a secret where others can read it on its way. Of a
// source's own endpoint, the project's file has the finding.
func (m *Checked) checkSecrecy() findings {
	if m.Call != "http" || !automation.ReadableOnTheWay(m.url) {
		return nil
	}
	for _, name := range finding.SortedKeys(m.headers) {
		if secrets := m.headers[name].SecretNames(); len(secrets) > 0 {
			w := finding.Newf("plain-http", m.At.With("url"), finding.AtValue,
				"the secret %s in the header %s would be sent over plain HTTP, which others can read on its way",
				secrets[0], name)
			w.Help = "write https://; only this machine itself, as localhost, gets secrets over plain HTTP"
			return findings{w}
		}
	}
	return nil
}

// headerName checks a header's name. A placeholder in it has a finding already.
func (m *Checked) headerName(name, canonical string, at finding.Path) (found findings, ok bool) {
	switch {
	case strings.Contains(name, "{{"):
		return nil, false
	case !httpguts.ValidHeaderFieldName(name):
		w := finding.Newf("invalid-header", at, finding.AtLabel, "%q can't be the name of a header", name)
		w.Help = "use letters, digits and '-'"
		return findings{w}, false
	case slices.Contains(ownHeaders, canonical):
		w := finding.Newf("reserved-header", at, finding.AtLabel, "the header %s is set by the platform", canonical)
		w.Help = "remove it"
		return findings{w}, false
	case m.Call != "http" && canonical == "Authorization":
		w := finding.Newf("reserved-header", at, finding.AtLabel,
			"the header Authorization is made from the source's write key")
		w.Confidential, w.Help = true, "remove it; sources in segue.cue say which secret holds the write key"
		return findings{w}, false
	}
	return nil, true
}

// header reads a header's value; ok is false if it has a finding.
func (m *Checked) header(canonical string, v any, at finding.Path) (h automation.Header, found findings, ok bool) {
	switch v := v.(type) {
	case string:
		switch {
		case slices.Contains(secretHeaders, canonical) && v != "":
			w := finding.Newf("secret-in-code", at, finding.AtValue, "the header %s holds a secret in the code", canonical)
			w.Confidential, w.Help = true, headerHelp(canonical)
			return h, findings{w}, false
		case slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(canonical, word) }) &&
			v != "" && !credential.TemplatePattern().MatchString(v):
			w := finding.Newf("secret-in-code", at, finding.AtValue, "the header %s seems to hold a secret in the code",
				canonical)
			w.Otherwise()
			w.Confidential, w.Help = true, headerHelp(canonical)
			found = append(found, w)
		case strings.ContainsFunc(v, unicode.IsControl):
			w := finding.Newf("invalid-header", at, finding.AtValue,
				"the header %s holds a line break or another control character", canonical)
			w.Help = "remove it"
			return h, findings{w}, false
		case strings.ContainsFunc(v, func(r rune) bool { return r > unicode.MaxASCII }):
			w := finding.Newf("invalid-header", at, finding.AtValue,
				"the header %s holds a character that is not ASCII, which many servers refuse: %q", canonical, v)
			w.Otherwise()
			w.Help = "write ASCII, or send the text in the payload"
			found = append(found, w)
		case canonical == "Content-Type" || canonical == "Accept":
			v = lowerMediaTypes(v)
		}
		if m.Call != "http" && canonical == "Content-Type" {
			if media, _, err := mime.ParseMediaType(v); err != nil || media != "application/json" {
				w := finding.Newf("invalid-header", at, finding.AtValue,
					"Segment takes JSON only, and the header Content-Type says %q", v)
				w.Suggestion, w.Help = "application/json", "remove it, or write application/json"
				return h, append(found, w), false
			}
		}
		return automation.Header{Value: automation.Credential{Text: canonicalTemplate(v)}}, found, true
	case map[string]any:
		if h, ok = structuredHeader(v); ok && h.Password.Text != "" {
			w := finding.Newf("secret-in-code", at.With("basic", "password"), finding.AtValue,
				"the header %s holds a password in the code", canonical)
			w.Confidential = true
			w.Help = `refer to a secret: password: secret: "NAME"; and if the value was ever committed, replace it`
			return h, findings{w}, false
		}
		if strings.Contains(h.Username.Text, ":") {
			w := finding.Newf("invalid-header", at.With("basic", "username"), finding.AtValue,
				"the user name of Basic credentials can't have a colon, where the password would begin")
			w.Confidential, w.Help = true, `write the user name alone, and refer to the password: password: secret: "NAME"`
			return h, findings{w}, false
		}
		return h, nil, ok
	}
	return h, nil, false
}

func headerHelp(canonical string) string {
	if canonical == "Authorization" || canonical == "Proxy-Authorization" {
		return `refer to a secret: bearer: secret: "NAME", or basic: {username: secret: "NAME", password: ""}; ` +
			"and if the value was ever committed, replace the secret"
	}
	return `refer to a secret: secret: "NAME"; and if the value was ever committed, replace it`
}

// structuredHeader reads a header that refers to secrets.
func structuredHeader(v map[string]any) (automation.Header, bool) {
	var h automation.Header
	b, err := json.Marshal(v)
	if err != nil {
		return h, false
	}
	// What does not fit has a finding from its shape.
	return h, h.UnmarshalJSON(b) == nil
}

// lowerMediaTypes writes media types in lower case and leaves their parameters.
func lowerMediaTypes(v string) string {
	parts := strings.Split(v, ",")
	for i, p := range parts {
		media, params, has := strings.Cut(p, ";")
		parts[i] = strings.ToLower(media)
		if has {
			parts[i] += ";" + params
		}
	}
	return strings.Join(parts, ",")
}

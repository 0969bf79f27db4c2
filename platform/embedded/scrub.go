package embedded

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
)

// A scrubber strikes secrets out of texts that came from elsewhere.
type scrubber struct{ forms []string } // longest first

// newScrubber knows the secrets in the forms in which an endpoint may give them
// back: as they are, in Base64, in hex, in JSON, in a URL, and as they were sent
// in these headers.
func newScrubber(secrets map[string]automation.Secret, headers http.Header, prepared map[string]automation.Header) scrubber {
	var forms []string
	for _, secret := range secrets {
		value := secret.Reveal()
		basic := value + ":" // Segment's form of Basic credentials
		for _, text := range []string{value, basic} {
			for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
				forms = append(forms, encoding.EncodeToString([]byte(text)))
			}
		}
		forms = append(forms, value, hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value))),
			url.QueryEscape(value), url.PathEscape(value))
		for _, escapeHTML := range []bool{true, false} {
			var b strings.Builder
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(escapeHTML)
			e.Encode(value) // a string never fails
			forms = append(forms, strings.Trim(strings.TrimSpace(b.String()), `"`))
		}
	}
	for name, h := range prepared {
		if len(h.SecretNames()) > 0 {
			value := headers.Get(name)
			forms = append(forms, value)
			if _, token, ok := strings.Cut(value, " "); ok && h.Scheme != "" {
				forms = append(forms, token)
			}
		}
	}
	forms = slices.DeleteFunc(forms, func(s string) bool { return s == "" })
	slices.SortFunc(forms, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return scrubber{slices.Compact(forms)}
}

// reach is how far a text must be known beyond its cut for a secret at the cut
// to be recognised.
func (s scrubber) reach() int {
	if len(s.forms) == 0 {
		return 0
	}
	return len(s.forms[0])
}

// clean returns the first limit bytes of text without secrets; one that begins
// among them and ends beyond is struck out whole.
func (s scrubber) clean(text string, limit int) string {
	var b strings.Builder
	limit = min(limit, len(text))
next:
	for i := 0; i < limit; {
		for _, form := range s.forms {
			if strings.HasPrefix(text[i:], form) {
				b.WriteString("(secret)")
				i += len(form)
				continue next
			}
		}
		b.WriteByte(text[i])
		i++
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}

package embedded

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/seguehq/segue/automation"
)

// prepareRequest fills in an action's placeholders and leaves its secrets as
// references. stored reports whether a secret is stored: a request with a
// missing secret could never be sent.
//
// For a request that must not be sent, it returns both the request and the
// reason as an error.
func prepareRequest(a automation.Automation, values map[string]any, project string, stored func(name string) bool) (*PreparedRequest, error) {
	action := a.Action
	if err := checkSecrecy(action.URL, action.Headers); err != nil {
		return nil, err
	}
	texts, headers := map[string]automation.Header{}, map[string]automation.Header{}
	for name, h := range action.Headers {
		for _, secret := range h.SecretNames() {
			if !stored(secret) {
				return nil, missingSecret(project, secret)
			}
		}
		if isText(h) {
			texts[name] = h
		} else {
			headers[name] = h // credentials hold no placeholders
		}
	}
	action.Headers = texts
	rendered, err := action.Render(values, noSecrets)
	if err != nil {
		return nil, err
	}
	for name := range texts {
		headers[name] = automation.Header{Value: automation.Credential{Text: rendered.Header.Get(name)}}
	}
	return &PreparedRequest{Method: rendered.Method, URL: rendered.URL, Headers: headers, Body: string(rendered.Body)},
		a.CheckMessage(rendered, values)
}

// resolveHeaders returns the headers with the secrets filled in. It does not
// render the other values again: they may contain braces.
func resolveHeaders(request PreparedRequest, project string, secrets map[string]automation.Secret) (http.Header, error) {
	headers := request.Headers
	if err := checkSecrecy(request.URL, headers); err != nil {
		return nil, err
	}
	resolved, open := http.Header{}, map[string]automation.Header{}
	for name, h := range headers {
		for _, secret := range h.SecretNames() {
			if _, ok := secrets[secret]; !ok {
				return nil, missingSecret(project, secret)
			}
		}
		if isText(h) {
			resolved.Set(name, h.Value.Text)
		} else {
			open[name] = h
		}
	}
	// Only the headers matter: the package automation knows how to build
	// credentials.
	rendered, err := automation.Request{Kind: automation.KindHTTPRequest, Method: http.MethodGet, URL: "https://example.com/", Headers: open}.
		Render(nil, func(name string) (automation.Secret, bool) { s, ok := secrets[name]; return s, ok })
	if err != nil {
		return nil, err
	}
	for name, values := range rendered.Header {
		resolved[name] = values
	}
	return resolved, nil
}

// checkSecrecy refuses to send a secret over an unencrypted connection.
func checkSecrecy(url string, headers map[string]automation.Header) error {
	if !automation.ReadableOnTheWay(url) {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if secrets := headers[name].SecretNames(); len(secrets) > 0 {
			return fmt.Errorf("the secret %s would be sent over plain HTTP, which others can read in transit; write https:// in the URL", secrets[0])
		}
	}
	return nil
}

// isText reports whether a header is a plain string, which may contain
// placeholders, and not built from credentials.
func isText(h automation.Header) bool { return h.Scheme == "" && h.Value.Secret == "" }

func noSecrets(string) (automation.Secret, bool) { return automation.Secret{}, false }

func missingSecret(project, name string) error {
	return fmt.Errorf("the secret %s of project %s is not stored on the platform; apply stores it", name, project)
}

package reach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seguehq/segue/automation"
)

const token = "TOKsecretVALUE77y"

func get(t *testing.T, transport http.RoundTripper, url string) (*http.Response, string, error) {
	t.Helper()
	client := NewClient(transport, automation.NewMask(automation.NewSecret(token)))
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

func TestClientHidesSecretsInWhatIsForMessages(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		media, status := r.URL.Query().Get("media"), 0
		_, _ = fmt.Sscan(r.URL.Query().Get("status"), &status)
		w.Header().Set("Content-Type", media)
		w.Header().Set("Location", "http://"+token+".example/")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"echo": "`+r.Header.Get("Authorization")+`"}`)
	}))
	defer server.Close()
	for query, want := range map[string]string{
		"?status=422&media=application/json":           `{"echo": "Bearer (secret)"}`,
		"?status=500&media=application/problem%2Bjson": `{"echo": "Bearer (secret)"}`,
		"?status=302&media=text/plain":                 `{"echo": "Bearer (secret)"}`,
		"?status=200&media=text/html":                  `{"echo": "Bearer (secret)"}`,
		// Stored objects are not masked, because they are compared with the
		// code.
		"?status=200&media=application/json": `{"echo": "Bearer ` + token + `"}`,
	} {
		res, body, err := get(t, nil, server.URL+query)
		if err != nil || body != want {
			t.Errorf("%s: got %q, %v; want %q", query, body, err, want)
			continue
		}
		if res.StatusCode != 200 && strings.Contains(res.Header.Get("Location"), token) {
			t.Errorf("%s: the Location holds the token", query)
		}
	}
}

// fails is a transport that does not get an answer.
type fails struct{ err error }

func (f fails) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

func TestClientHidesSecretsInErrors(t *testing.T) {
	_, _, err := get(t, fails{fmt.Errorf("proxy says: no to %s: %w", token, context.DeadlineExceeded)}, "http://127.0.0.1:1/")
	if err == nil || strings.Contains(err.Error(), token) || !strings.Contains(Root(err).Error(), "no to (secret)") {
		t.Errorf("got %v", err)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not tell its cause any more", err)
	}
}

func TestClientFollowsNoRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the redirect was followed, with Authorization %q", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	server := httptest.NewTLSServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	res, _, err := get(t, server.Client().Transport, server.URL)
	if err != nil || res.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("got %v, %v", res, err)
	}
}

func TestClientGivesLongAnswersWhole(t *testing.T) {
	const size = maskedBytes + 100_000
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, strings.Repeat("x", size))
	}))
	defer server.Close()
	_, body, err := get(t, nil, server.URL)
	if err != nil || len(body) != size {
		t.Errorf("got %d bytes, %v; want %d", len(body), err, size)
	}
}

package n8n

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seguehq/segue/sync"
)

// otherVersion makes an n8n report another version; "" hides its own pages.
func otherVersion(version string) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil || strings.HasPrefix(r.URL.Path, "/api/") {
			return res, err
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if version == "" {
			res.StatusCode, body = http.StatusForbidden, nil
		}
		if m := sentryTag.FindSubmatch(body); m != nil {
			other := base64.StdEncoding.EncodeToString([]byte(`{"dsn":"","release":"n8n@` + version + `"}`))
			body = bytes.Replace(body, m[1], []byte(other), 1)
		}
		res.Body = io.NopCloser(bytes.NewReader(body))
		return res, err
	})
}

// A plan shows the version of n8n if n8n returns it.
func TestVersion(t *testing.T) {
	t.Parallel()
	eachRelease(t, func(t *testing.T, s *server) {
		product, warnings, err := s.platform(Options{}).product(t.Context())
		if product != "n8n "+s.release.version || len(warnings) > 0 || err != nil {
			t.Errorf("it is %q, %q, %v", product, warnings, err)
		}
		for version, want := range map[string]struct {
			product, warning string
			refused          bool
		}{
			"1.122.5":     {refused: true},
			"0.236.0":     {refused: true},
			"1.123.0":     {product: "n8n 1.123.0"},
			"2.9.4":       {product: "n8n 2.9.4"},
			"2.41.2":      {product: "n8n 2.41.2", warning: "n8n at " + s.url + " has version 2.41.2, but segue was tested up to 2.41.1"},
			"3.0.0-rc.1":  {product: "n8n 3.0.0", warning: "has version 3.0.0, but"},
			"":            {product: "n8n", warning: "the version of n8n at " + s.url + " is unknown"},
			"\\u001b[31m": {product: "n8n " + s.release.version}, // an invalid version is read elsewhere
		} {
			product, warnings, err := s.platform(Options{Transport: otherVersion(version)}).product(t.Context())
			if want.refused {
				wantError(t, err, sync.Refused, "n8n at "+s.url+" has version "+version+", which segue does not support: update it to n8n 1.123 or later")
				continue
			}
			if version == "\\u001b[31m" && product == "n8n" {
				want.product, want.warning = "n8n", "is unknown" // this release shows it nowhere else without a login
			}
			if err != nil || product != want.product || !strings.Contains(strings.Join(warnings, "\n"), want.warning) || (len(warnings) > 0) != (want.warning != "") {
				t.Errorf("%q: it is %q, %q, %v; want %q, %q", version, product, warnings, err, want.product, want.warning)
			}
		}
	})
}

func TestOlder(t *testing.T) {
	for _, test := range []struct {
		version, than string
		want          bool
	}{
		{"1.122.9", "1.123", true}, {"1.123.0", "1.123", false}, {"1.123.81", "1.123", false}, {"0.999.999", "1.123", true},
		{"2.41.1", "2.41.1", false}, {"2.41.1", "2.41.2", true}, {"2.9.0", "2.41.1", true}, {"10.0.0", "2.41.1", false},
	} {
		if got := older(test.version, test.than); got != test.want {
			t.Errorf("older(%s, %s) = %t", test.version, test.than, got)
		}
	}
}

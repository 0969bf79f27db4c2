package automation

import "testing"

func TestReadableOnTheWay(t *testing.T) {
	for url, want := range map[string]bool{
		"https://example.com/x":            false,
		"http://localhost:8080/{{userId}}": false,
		"http://LOCALHOST":                 false,
		"http://127.0.0.1:1880":            false,
		"http://127.8.9.10/":               false,
		"http://[::1]:8377/v1":             false,
		"http://[::ffff:127.0.0.1]":        false,
		"HTTPS://example.com":              false,
		"http://example.com/{{ userId }}?": true,
		"HTTP://example.com":               true,
		"http://10.0.0.1":                  true,
		"http://0.0.0.0:80":                true,
		"http://[fe80::1]":                 true,
		"http://localhost.example.com":     true,
		"http://127.0.0.1.example.com":     true,
		"http://127.0.0.1@example.com/":    true,
		"http://localhost:80@example.com":  true,
		`http://example.com\@localhost/`:   true,
		"http://example.com#@localhost":    true,
		"http://127.1":                     true, // not every resolver treats it as 127.0.0.1
		"http://[::1":                      true,
		"http:localhost":                   true,
	} {
		if got := ReadableOnTheWay(url); got != want {
			t.Errorf("%s: got %v, want %v", url, got, want)
		}
	}
}

func TestAbsoluteURL(t *testing.T) {
	for raw, want := range map[string]bool{
		"https://example.com":        true,
		"http://127.0.0.1:8377/v1?a": true,
		"https://[::1]:65535":        true,
		"https://u:p@example.com/":   true,
		"":                           false,
		"example.com":                false,
		"/v1":                        false,
		"ftp://example.com":          false,
		"https://":                   false,
		"https://:8377":              false,
		"https://example.com:0":      false,
		"https://example.com:65536":  false,
		"https://example.com/a b":    false,
		"https://example.com/\ta":    false,
		"https://exa mple.com":       false,
		"https:example.com":          false,
	} {
		if got := AbsoluteURL(raw) != nil; got != want {
			t.Errorf("%q: got %v, want %v", raw, got, want)
		}
	}
}

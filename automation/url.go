package automation

import (
	"net"
	"net/url"
	"strconv"
	"strings"
)

// AbsoluteURL parses a URL for requests: an absolute http or https URL with a host,
// optionally a port between 1 and 65535, and without whitespace. It returns nil for any
// other URL.
func AbsoluteURL(raw string) *url.URL {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" ||
		strings.ContainsAny(raw, " \t") {
		return nil
	}
	if u.Port() != "" {
		if port, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || port == 0 {
			return nil
		}
	}
	return u
}

// ReadableOnTheWay reports whether others can read requests to a URL, because
// it uses plain HTTP to another machine. A malformed URL counts if it begins
// with "http:".
func ReadableOnTheWay(raw string) bool {
	scheme, rest, _ := strings.Cut(raw, ":")
	if !strings.EqualFold(strings.TrimSpace(scheme), "http") {
		return false
	}
	// Placeholders, which are not valid in a URL, may follow the host.
	if host, ok := strings.CutPrefix(rest, "//"); ok {
		if end := strings.IndexAny(host, `/?#\`); end >= 0 {
			host = host[:end]
		}
		if u, err := url.Parse("http://" + host); err == nil {
			return !IsLoopback(u.Hostname())
		}
	}
	return true
}

// IsLoopback reports whether a host can only be this machine: localhost, an
// address in 127.0.0.0/8, or ::1.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

package check

import (
	"net/url"
	"strconv"
	"strings"
)

// AbsoluteURL parses a URL that requests can be sent to: an absolute http or https URL,
// with a host, a port between 1 and 65535 if it has one, and no whitespace. It returns
// nil for any other.
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

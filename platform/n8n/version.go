package n8n

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/seguehq/segue/sync"
)

// The versions of n8n that this package is made for: from oldest on. Newer ones
// than newestTested may work.
const (
	oldest       = "1.123"
	newestTested = "2.41.1"
)

// Versions says which n8n this package is made for.
const Versions = "n8n " + oldest + " or later"

// editorLimit is how much of the editor's first page is read.
const editorLimit = 1 << 20

// sentryTag is where the editor's first page has its own version, encoded.
var sentryTag = regexp.MustCompile(`<meta name="n8n:config:sentry" content="([A-Za-z0-9+/=]+)">`)

// aVersion finds a version's first three numbers.
var aVersion = regexp.MustCompile(`^(\d{1,6})\.(\d{1,6})\.(\d{1,6})`)

// product names n8n and its version, and says what follows from that. It fails
// with [sync.Refused] for one that is too old. n8n's API does not tell its version;
// the editor's first page does, to anybody. Where that can't be had, nothing is
// known.
func (p *Platform) product(ctx context.Context) (product string, warnings []string, err error) {
	version := p.version(ctx)
	switch {
	case version == "":
		return "n8n", []string{fmt.Sprintf("the version of n8n at %s is unknown, since it does not show its editor there; segue works with %s, and was tested up to %s",
			p.base, Versions, newestTested)}, nil
	case older(version, oldest):
		return "", nil, &sync.Error{Kind: sync.Refused, Message: fmt.Sprintf("n8n at %s is of version %s, which segue can't work with: update it to %s",
			p.base, version, Versions)}
	case older(newestTested, version):
		warnings = []string{fmt.Sprintf("n8n at %s is of version %s, and segue was tested up to %s", p.base, version, newestTested)}
	}
	return "n8n " + version, warnings, nil
}

// version returns n8n's version, "" if it is not known.
func (p *Platform) version(ctx context.Context) string {
	if said, ok := p.page(ctx, "/"); ok {
		if m := sentryTag.FindSubmatch(said); m != nil {
			var sentry struct{ Release string }
			b, err := base64.StdEncoding.DecodeString(string(m[1]))
			if err == nil && json.Unmarshal(b, &sentry) == nil {
				if v := versionIn(strings.TrimPrefix(sentry.Release, "n8n@")); v != "" {
					return v
				}
			}
		}
	}
	_, version := p.settings(ctx)
	return version
}

// page reads a page that anybody can read. The API key is not sent.
func (p *Platform) page(ctx context.Context, path string) ([]byte, bool) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+path, nil)
	if err != nil {
		return nil, false
	}
	req.Header.Set("User-Agent", "segue")
	res, err := p.http.Do(req)
	if err != nil {
		return nil, false
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, editorLimit))
	return said, err == nil && res.StatusCode == http.StatusOK
}

// settings asks n8n's own pages whether it is up, and for its version, "" where
// n8n does not give it out.
func (p *Platform) settings(ctx context.Context) (started bool, version string) {
	answer, ok := p.page(ctx, "/rest/settings")
	var said struct {
		Data *struct{ VersionCli string }
	}
	if !ok || json.Unmarshal(answer, &said) != nil || said.Data == nil {
		return false, ""
	}
	return true, versionIn(said.Data.VersionCli)
}

// versionIn returns the version that a text starts with, "" if there is none.
func versionIn(s string) string { return aVersion.FindString(s) }

// older reports whether a version is before another one. Both are numbers with
// dots between; what is left out is 0.
func older(version, than string) bool {
	a, b := strings.Split(version, "."), strings.Split(than, ".")
	for i := range 3 {
		x, y := 0, 0
		if i < len(a) {
			x, _ = strconv.Atoi(a[i]) // they are numbers
		}
		if i < len(b) {
			y, _ = strconv.Atoi(b[i])
		}
		if x != y {
			return x < y
		}
	}
	return false
}

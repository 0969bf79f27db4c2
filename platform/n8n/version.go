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

// The supported versions of n8n, from oldest on. Versions after newestTested
// may work.
const (
	oldest       = "1.123"
	newestTested = "2.41.1"
)

// Versions describes the supported versions of n8n.
const Versions = "n8n " + oldest + " or later"

// editorLimit is the number of bytes read of the editor's first page.
const editorLimit = 1 << 20

// sentryTag matches the encoded version in the editor's first page.
var sentryTag = regexp.MustCompile(`<meta name="n8n:config:sentry" content="([A-Za-z0-9+/=]+)">`)

// aVersion finds a version's first three numbers.
var aVersion = regexp.MustCompile(`^(\d{1,6})\.(\d{1,6})\.(\d{1,6})`)

// product returns the name and version of n8n, with warnings. It fails with
// [sync.Refused] if the version is too old. n8n's API does not return its version,
// but the editor's first page does, without a login. If that is not accessible, the
// version is unknown.
func (p *Platform) product(ctx context.Context) (product string, warnings []string, err error) {
	version := p.version(ctx)
	switch {
	case version == "":
		return "n8n", []string{fmt.Sprintf("the version of n8n at %s is unknown, because it does not show its editor there; segue works with %s, and was tested up to %s",
			p.base, Versions, newestTested)}, nil
	case older(version, oldest):
		return "", nil, &sync.Error{Kind: sync.Refused, Message: fmt.Sprintf("n8n at %s has version %s, which segue does not support: update it to %s",
			p.base, version, Versions)}
	case older(newestTested, version):
		warnings = []string{fmt.Sprintf("n8n at %s has version %s, but segue was tested up to %s", p.base, version, newestTested)}
	}
	return "n8n " + version, warnings, nil
}

// version returns n8n's version, "" if it is unknown.
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

// page reads a public page, without the API key.
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

// settings asks n8n's own pages whether it is running, and for its version, ""
// if n8n does not return it.
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

// versionIn returns the version at the start of a string, "" if there is none.
func versionIn(s string) string { return aVersion.FindString(s) }

// older reports whether a version is before another one. Both are numbers
// separated by dots; missing numbers are 0.
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

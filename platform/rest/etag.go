package rest

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/seguehq/segue/sync"
)

// An entity tag that comes with an answer need not be one that If-Match takes. A proxy
// that compresses gives the compressed form a tag of its own ("7-gzip"), and marks the
// tag of what it changes on the way as weak (W/"7"), which If-Match never matches by RFC
// 9110, section 13.1.1; some servers give weak tags alone, and compare them all the same.

// encoded is what servers and proxies put behind the tag of a compressed form: Apache
// "-gzip", others ";gzip", "--gzip" or ":br".
var encoded = regexp.MustCompile(`[-;:+_.]+(?:gzip|gz|br|brotli|deflate|df|zstd)"$`)

// tagForms returns the forms in which a tag may be taken, the likeliest first. The last
// one is no tag at all: what was read right before has to do.
func tagForms(tag string) []string {
	opaque, weak := strings.CutPrefix(strings.TrimSpace(tag), "W/")
	bare := encoded.ReplaceAllString(opaque, `"`)
	if !weak && bare == opaque {
		return []string{tag} // a strong one, as it was given
	}
	forms := []string{tag, opaque, bare}
	if weak && bare != opaque {
		forms = append(forms, "W/"+bare)
	}
	var out []string
	for _, form := range append(forms, "") {
		if len(out) == 0 || out[len(out)-1] != form {
			out = append(out, form)
		}
	}
	return out
}

// matching makes a change with the tag that was read in If-Match. Where the tag is one
// that the platform may not take back, and it says that the automation has changed, what
// is there decides: if nothing has changed, the next form of the tag is tried.
func (p *platform) matching(ctx context.Context, c call, now item, change func(c call, into func(any) any) error) error {
	revision := now.revision
	last := int(p.tagForm.Load()) // that of the automation before is the likeliest
	tried := map[int]bool{}
	for {
		forms := tagForms(now.tag)
		at := -1
		for _, i := range append([]int{last}, indexes(len(forms))...) {
			if i < len(forms) && !tried[i] {
				at = i
				break
			}
		}
		if at < 0 {
			return &sync.Error{Kind: sync.Conflict, Message: "somebody else has changed it"}
		}
		c.ifMatch = forms[at]
		tried[at] = true
		err := change(c, nil)
		var failed *sync.Error
		switch {
		case err == nil:
			p.tagForm.Store(int32(at))
			return nil
		case !errors.As(err, &failed) || failed.Kind != sync.Conflict && failed.Status != http.StatusBadRequest,
			len(tried) >= len(forms):
			return err
		}
		again, readErr := p.unchanged(ctx, c, revision)
		if readErr != nil {
			return readErr
		}
		if now = again; len(tagForms(now.tag)) <= 1 {
			return err
		}
	}
}

func indexes(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

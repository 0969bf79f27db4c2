package rest

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/seguehq/segue/sync"
)

// If-Match may not accept an entity tag as it was received. A compressing proxy gives the
// compressed form its own tag ("7-gzip"), and marks the tag of an answer that it changes
// as weak (W/"7"). By RFC 9110, section 13.1.1, If-Match never matches weak tags, yet
// some servers only have weak tags and compare them nevertheless.

// encoded matches the suffix that servers and proxies append to the tag of a
// compressed form: Apache "-gzip", others ";gzip", "--gzip" or ":br".
var encoded = regexp.MustCompile(`[-;:+_.]+(?:gzip|gz|br|brotli|deflate|df|zstd)"$`)

// tagForms returns the forms of a tag that the platform may accept, likeliest first.
// The last form is no tag: the check right before the change must suffice.
func tagForms(tag string) []string {
	opaque, weak := strings.CutPrefix(strings.TrimSpace(tag), "W/")
	bare := encoded.ReplaceAllString(opaque, `"`)
	if !weak && bare == opaque {
		return []string{tag} // a strong tag, as received
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

// matching makes a change with the received tag in If-Match. If the platform may not
// accept the tag and says that the automation has changed, matching reads the
// automation. If it is unchanged, matching tries the next form of the tag.
func (p *platform) matching(ctx context.Context, c call, now item, change func(c call, into func(any) any) error) error {
	revision := now.revision
	last := int(p.tagForm.Load()) // the form that the last change used is the likeliest
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

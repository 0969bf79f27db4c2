package rest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seguehq/segue/description"
)

// Names of fields, in lower case and without punctuation, with which APIs say
// that a list is incomplete.
var (
	// nextNames refer to another page.
	nextNames = []string{"next", "nextcursor", "nextpage", "nextpagetoken", "nexttoken", "nextlink", "nexturl", "nextoffset", "odatanextlink"}
	// moreNames say that there is another page.
	moreNames = []string{"hasmore", "hasnext", "hasnextpage", "more"}
	// totalNames count all objects.
	totalNames = []string{"total", "totalcount", "totalitems", "totalresults", "totalrecords", "totalelements", "totalsize"}
	// aboutNames are objects with such fields.
	aboutNames = []string{"meta", "metadata", "responsemetadata", "paging", "pagination", "page", "pageinfo", "links", "cursor", "cursors"}
)

// hint returns an error if the supposed last page says that there is more.
func (r *pageReader) hint(a answer) error {
	kind := r.paging.Kind
	byPosition := kind == "page" || kind == "offset" // these were read until a page was empty
	if kind == "" && linksToNext(a.header.Values("Link")) {
		return r.partial("its header Link leads to another page")
	}
	for path, fields := range aboutList(a.body, r.call.Items) {
		for name, v := range fields {
			word := letters(name)
			full := strings.TrimPrefix(path+"."+name, ".")
			more := leads(v) && (slices.Contains(nextNames, word) || kind == "" && word == "cursor") ||
				v == true && slices.Contains(moreNames, word)
			if more && !byPosition {
				return r.partial("its answer has " + printable(full) + ", which leads to another page")
			}
			n, ok := v.(json.Number)
			if total, err := strconv.Atoi(n.String()); ok && err == nil && slices.Contains(totalNames, word) && total > r.count {
				return r.partial(fmt.Sprintf("%s says that there are %d, and it lists %d", printable(full), total, r.count))
			}
		}
	}
	return nil
}

// partial returns the error of an incomplete list.
func (r *pageReader) partial(why string) error {
	what, remedy := "the list of "+r.call.Path+" is incomplete: ", "check paging"
	if r.paging.Kind == "" {
		remedy = "describe its pages in paging"
	}
	return unevenError{r.strange(what + why + "; " + remedy + ", or write whole: true beside the path of the list if that field means something else"), r.moving}
}

// aboutList returns the objects of an answer that may describe its list, by
// path.
func aboutList(body any, items description.Path) map[string]map[string]any {
	about := map[string]map[string]any{}
	add := func(path string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		about[path] = m
		for name, v := range m {
			if inner, ok := v.(map[string]any); ok && slices.Contains(aboutNames, letters(name)) {
				about[strings.TrimPrefix(path+"."+name, ".")] = inner
			}
		}
	}
	add("", body)
	names := strings.Split(string(items), ".")
	for i := range names {
		if i > 0 {
			path := strings.Join(names[:i], ".")
			v, _ := description.Path(path).Look(body)
			add(path, v)
		}
	}
	return about
}

// letters returns a name in lower case, without punctuation between its words.
func letters(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("_-.@ ", r) {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

// leads reports whether a value can refer to another page.
func leads(v any) bool {
	switch v := v.(type) {
	case string:
		return v != ""
	case json.Number:
		return v != "0"
	case map[string]any:
		href, _ := v["href"].(string)
		return href != ""
	}
	return false
}

// linksToNext reports whether a Link header of RFC 8288 has a next page.
func linksToNext(values []string) bool {
	for _, link := range strings.Split(strings.Join(values, ","), ",") {
		_, parameters, _ := strings.Cut(link, ">")
		for _, parameter := range strings.Split(parameters, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
			if strings.EqualFold(strings.TrimSpace(name), "rel") && slices.Contains(strings.Fields(strings.Trim(strings.TrimSpace(value), `"`)), "next") {
				return true
			}
		}
	}
	return false
}

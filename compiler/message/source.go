package message

import (
	"slices"
	"strings"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
)

// regionURLs are the base URLs of Segment's tracking API by region. Events that
// are sent to the wrong region are lost without an error.
var regionURLs = map[string]string{
	"us": "https://api.segment.io/v1",
	"eu": "https://events.eu1.segmentapis.com/v1",
}

// regionOf returns the region that a host belongs to, "" for a foreign host.
func regionOf(host string) string {
	for region, base := range regionURLs {
		if h, _ := splitURL(base); h == host {
			return region
		}
	}
	return ""
}

// checkSource picks the source that receives a Segment call, and the URL that it gives.
func (m *Checked) checkSource() (found findings) {
	if m.Call == "http" {
		return nil
	}
	at := m.At.With("source")
	names := finding.SortedKeys(m.Sources)
	name, given := m.Raw["source"].(string)
	if _, ok := m.Raw["source"].(shape.Broken); ok {
		return nil
	}
	switch {
	case !m.Gaps.Knows("sources"), !given && m.Partial[m.At.String()]:
	case given:
		if _, ok := m.Sources[name]; !ok {
			w := finding.Newf("unknown-source", at, finding.AtValue, "segue.cue has no source %q", name)
			if near := finding.Nearest(name, names); near != "" {
				w.Suggestion, w.Help = near, finding.DidYouMean(near)
				w.Repair = finding.Quoted(near)
			} else if len(names) > 0 {
				w.Help = "its sources are " + finding.OneOf(names)
			} else {
				w.Help = "add it to segue.cue, under sources"
			}
			found = append(found, w)
		}
	case len(names) == 1:
		name = names[0]
	case slices.Contains(names, "segment"):
		name = "segment"
	case len(names) == 0:
		m.Sourceless = true // one finding for all
	default:
		w := finding.Newf("unknown-source", m.At, finding.AtLabel,
			"segue.cue has several sources, and none is called segment")
		w.Help = "say which one receives the message: source: " + finding.OneOf(names)
		w.Lacks = []finding.Path{at}
		found = append(found, w)
	}
	m.source = m.Sources[name]
	if m.source.Region == "" {
		return found
	}
	m.url = CallURL(m.source, m.Call)
	return found
}

// CallURL is where a call goes that a source receives.
func CallURL(s config.Source, call string) string {
	base := regionURLs[s.Region]
	if s.Endpoint != "" {
		base = strings.TrimSuffix(s.Endpoint, "/")
	}
	return base + "/" + call
}

package main

import (
	"runtime/debug"
	"testing"
)

func TestBuiltFrom(t *testing.T) {
	stamped := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"},
		{Key: "vcs.time", Value: "2026-11-28T09:30:00Z"}}
	for name, c := range map[string]struct {
		version      string
		settings     []debug.BuildSetting
		commit, date string
	}{
		"a checkout of a tag": {"v1.2.3", stamped, "0123456789abcdef0123456789abcdef01234567", "2026-11-28T09:30:00Z"},
		"a checkout with changes": {"v1.2.4-0.20261128093000-0123456789ab+dirty", append(stamped, debug.BuildSetting{Key: "vcs.modified", Value: "true"}),
			"0123456789abcdef0123456789abcdef01234567, with changes", "2026-11-28T09:30:00Z"},
		"go install of a commit after a tag":   {"v1.2.4-0.20261128093000-0123456789ab", nil, "0123456789ab", "2026-11-28T09:30:00Z"},
		"go install of a commit without a tag": {"v0.0.0-20261128093000-0123456789ab", nil, "0123456789ab", "2026-11-28T09:30:00Z"},
		"go install of a tag":                  {"v1.2.3", nil, "of the tag v1.2.3", "unknown"},
		"go install of a candidate":            {"v1.2.3-rc.1", nil, "of the tag v1.2.3-rc.1", "unknown"},
		"go build without a checkout":          {"(devel)", nil, "unknown", "unknown"},
		"no build information":                 {"", nil, "unknown", "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			info := &debug.BuildInfo{Main: debug.Module{Version: c.version}, Settings: c.settings}
			if commit, date := builtFrom(info); commit != c.commit || date != c.date {
				t.Errorf("got %q, %q; want %q, %q", commit, date, c.commit, c.date)
			}
		})
	}
}

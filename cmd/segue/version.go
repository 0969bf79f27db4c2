package main

import (
	"cmp"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/schema"
)

const versionHelp = `Version prints the version of segue, the commit that it was built from with its
date, and the versions of the schema and of CUE within it.

A program that go install has built from a released version knows the version alone, and
that is the tag of its commit.

EXAMPLE:
   segue version`

func versionCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "print the versions of segue, its schema and CUE", Description: versionHelp,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			t.showVersions()
			return nil
		},
	}
}

func (t *terminal) showVersions() {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	commit, date := builtFrom(info)
	t.printf("segue %s\ncommit %s\ndate %s\nschema %s\ncue %s\n", version(), commit, date, schema.Version(), moduleVersion("cuelang.org/go"))
}

// version is the version that the binary was built as.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// pseudoVersion is the end of a version that go install makes of a commit without a tag: its
// date in UTC and the first digits of its hash.
var pseudoVersion = regexp.MustCompile(`[-.](\d{14})-([0-9a-f]{12})(?:\+.*)?$`)

// builtFrom returns the commit that a program was built from, and its date in UTC. A checkout
// is stamped with both, a pseudo-version contains them, and a tag is the name of its commit.
func builtFrom(info *debug.BuildInfo) (commit, date string) {
	stamps := map[string]string{}
	for _, s := range info.Settings {
		stamps[s.Key] = s.Value
	}
	if commit = stamps["vcs.revision"]; commit != "" {
		if stamps["vcs.modified"] == "true" {
			commit += ", with changes"
		}
		return commit, cmp.Or(stamps["vcs.time"], "unknown")
	}
	version := info.Main.Version
	if m := pseudoVersion.FindStringSubmatch(version); m != nil {
		if at, err := time.Parse("20060102150405", m[1]); err == nil {
			return m[2], at.Format(time.RFC3339)
		}
	}
	if version == "" || version == "(devel)" {
		return "unknown", "unknown"
	}
	return "of the tag " + version, "unknown"
}

// moduleVersion is the version of a module that is built in.
func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "unknown"
}

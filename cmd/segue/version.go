package main

import (
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/schema"
)

func versionCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "print the versions of segue, its schema and CUE",
		Description: "EXAMPLE:\n   segue version",
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
	t.printf("segue %s\nschema %s\ncue %s\n", version(), schema.Version(), moduleVersion("cuelang.org/go"))
}

// version is the version that the binary was built as.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
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

package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

const listHelp = `List prints the project's automations in the code and on a target: key,
name, trigger, whether they are enabled, the webhook if the
platform has one, the platform's identifier, and whether they are
up to date. It reads no secret except the target's own credential, and changes
nothing. Patterns and --only restrict it like a plan.

EXAMPLES:
   segue list
   segue list ./growth/...
   segue list --target local --format json`

func listCommand(t *terminal) *cli.Command {
	return t.evaluating(&cli.Command{
		Name: "list", Usage: "list the automations on a target", Description: listHelp, ArgsUsage: "[PATTERN...]",
		Flags: slices.Concat([]cli.Flag{
			targetFlag(),
			&cli.StringFlag{Name: "format", Value: "text", Usage: "print the list as `FORMAT`: text or json"},
			onlyFlag(),
		}, trustFlags()),
		Action: func(c *cli.Context) error {
			if err := oneOfFormats(c.String("format"), "text", "json"); err != nil {
				return err
			}
			s, err := t.open(c, c.String("target"), toLook)
			if err != nil {
				return err
			}
			defer s.platform.Close()
			entries, err := sync.Inventory(c.Context, s.platform, s.desired, s.only, s.readCalls())
			if err != nil {
				return err
			}
			if c.String("format") == "json" {
				return diagnostic.EncodeJSON(t.stdout, listed{Format: listFormat, Project: s.desired.Project, Target: s.desired.Target, Automations: entries})
			}
			return t.showEntries(s.desired, entries)
		},
	})
}

// listFormat names the layout of a list as JSON.
const listFormat = "segue/list/v1"

// listed is a list as JSON.
type listed struct {
	Format      string       `json:"format"`
	Project     string       `json:"project"`
	Target      string       `json:"target"`
	Automations []sync.Entry `json:"automations"`
}

// showEntries prints a list for people.
func (t *terminal) showEntries(in sync.Desired, entries []sync.Entry) error {
	if len(entries) == 0 {
		t.printf("There are no automations of the project %s, in the code or on %s.\n", in.Project, diagnostic.Printable(in.Target))
		return nil
	}
	urls := slices.ContainsFunc(entries, func(e sync.Entry) bool { return e.URL != "" })
	w := tabwriter.NewWriter(t.stdout, 0, 8, 2, ' ', 0)
	row := func(url string, cells ...string) {
		if urls {
			cells = append(cells, url)
		}
		for i, cell := range cells {
			if i > 0 {
				_, _ = io.WriteString(w, "\t")
			}
			_, _ = io.WriteString(w, cell) // Flush has the error
		}
		_, _ = io.WriteString(w, "\n")
	}
	row("WEBHOOK", "KEY", "NAME", "TRIGGER", "ENABLED", "STATE", "ID")
	for _, e := range entries {
		enabled, id := "yes", e.ID
		if !e.Enabled {
			enabled = "no"
		}
		if id == "" {
			id = "-"
		}
		row(diagnostic.Printable(e.URL), diagnostic.Printable(e.Key), diagnostic.Printable(e.Name),
			diagnostic.Printable(fmt.Sprintf("%s %s", e.Trigger.Kind, e.Trigger.Name)), enabled, stateText(e), diagnostic.Printable(id))
	}
	return w.Flush()
}

// stateText describes whether an automation is up to date.
func stateText(e sync.Entry) string {
	switch e.Reason {
	case "":
		return "up to date"
	case sync.New:
		return "not there"
	case sync.CodeChanged:
		return "changed in the code"
	case sync.Drifted:
		return "changed on the platform"
	case sync.CodeChangedAndDrifted:
		return "changed in the code and on the platform"
	case sync.Removed:
		return "gone from the code"
	case sync.Elsewhere:
		return "only for other targets"
	case sync.Duplicate:
		return "a second one"
	case sync.Moved:
		return "under a former name"
	default:
		return "to be written again"
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/platform/embedded"
)

const fireHelp = `Fire makes a trigger happen on the target: every enabled automation of that trigger
is rendered and sent, with retries, and shown with its outcome. The values of the
placeholders come from a JSON object in a file (- for the standard input). On n8n
and Node-RED, segue posts them to the webhook of each automation, one after the
other; a described platform (rest) has no way to do so.

With --dry-run nothing is sent, and the requests are shown; without --data they
are filled in from the catalog's samples.

EXAMPLES:
   segue platform fire --kind pattern --name "Account activated" --dry-run
   segue platform fire --kind pattern --name "Account activated" --data values.json`

func fireCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "fire", Usage: "make a trigger happen", Description: fireHelp,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "kind", Usage: "the trigger's `KIND`: pattern or journey"},
			&cli.StringFlag{Name: "name", Usage: "the trigger's `NAME`"},
			&cli.StringFlag{Name: "data", Usage: "take the placeholders' values from `FILE`, a JSON object"},
			&cli.BoolFlag{Name: "dry-run", Usage: "show the requests and send nothing"},
			targetFlag(),
		}, trustFlags()...),
		Action: func(c *cli.Context) error { return t.fire(c) },
	}
}

func (t *terminal) fire(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if c.String("kind") == "" || c.String("name") == "" {
		return errors.New("name the trigger that happens with --kind and --name; see segue platform fire --help")
	}
	kind := automation.TriggerKind(c.String("kind"))
	if kind != automation.Pattern && kind != automation.Journey {
		return fmt.Errorf("a trigger is a pattern or a journey, not %q", kind)
	}
	dryRun, file := c.Bool("dry-run"), c.String("data")
	if file == "" && !dryRun {
		return errors.New("give the values with --data FILE, or use --dry-run to see the requests for the samples")
	}
	project, name, target, err := t.target(c.Context, c.String("target"))
	if err != nil {
		return err
	}
	values, err := t.fireValues(c.Context, project, kind, file)
	if err != nil {
		return err
	}
	use := toWrite
	if dryRun {
		use = toRead
	}
	trigger := automation.Trigger{Kind: kind, Name: c.String("name")}
	if target.Platform != config.Embedded {
		return t.fireEndpoints(c, connecting{project: project, name: name, target: target, use: use}, trigger, values)
	}
	platform, err := t.connectAlone(c, project, name, target, use)
	if err != nil {
		return err
	}
	defer platform.Close()
	occurrence := embedded.Occurrence{Kind: kind, Name: trigger.Name, Data: values}
	if dryRun {
		previews, err := platform.Preview(c.Context, occurrence)
		if err != nil {
			return err
		}
		return t.showPreviews(trigger, t.previewsOf(previews))
	}
	result, err := platform.Fire(c.Context, occurrence)
	if err != nil {
		return err
	}
	return t.showDeliveries(trigger, result.Deliveries)
}

// fireValues reads the placeholders' values, or takes the samples.
func (t *terminal) fireValues(ctx context.Context, project *config.Project, kind automation.TriggerKind, file string) (json.RawMessage, error) {
	if file == "" {
		return json.Marshal(project.Catalog.Samples(kind))
	}
	values, err := t.readValues(ctx, file, project.Catalog)
	if err != nil {
		return nil, err
	}
	return json.Marshal(values)
}

// nothingFired returns the error for a trigger without automations.
func nothingFired(trigger automation.Trigger) error {
	return fmt.Errorf("no enabled automation has the %s %q; segue apply creates automations on the platform", trigger.Kind, trigger.Name)
}

// A preview is a request that would be sent. show prints it; nil if it can't be rendered. problem is the reason why
// it can't be, or would not be sent, "" for none.
type preview struct {
	key     string
	show    func()
	problem string
}

// previewsOf returns the previews of an embedded platform.
func (t *terminal) previewsOf(list []embedded.Preview) []preview {
	out := make([]preview, len(list))
	for i, p := range list {
		out[i] = preview{key: p.Automation.Key, problem: p.Error}
		if r := p.Request; r != nil {
			out[i].show = func() { t.showRequest(r.Method, r.URL, r.Headers, nil, []byte(r.Body)) }
		}
	}
	return out
}

func (t *terminal) showPreviews(trigger automation.Trigger, previews []preview) error {
	if len(previews) == 0 {
		return nothingFired(trigger)
	}
	failed := 0
	for i, p := range previews {
		if i > 0 {
			t.printf("\n")
		}
		t.printf("%s\n", t.faint("# "+diagnostic.Printable(p.key)))
		if p.show == nil {
			failed++
			t.printf("can't be rendered: %s\n", diagnostic.Printable(p.problem))
			continue
		}
		p.show()
		if p.problem != "" {
			failed++
			t.printf("would not be sent: %s\n", printableLines(p.problem))
		}
	}
	t.printf("\nNothing was sent: %s would be.\n", diagnostic.Plural(len(previews)-failed, "request"))
	if failed > 0 {
		return statusError(statusFailed)
	}
	return nil
}

// notDelivered returns the error for messages that did not arrive.
func notDelivered(failed []string) error {
	return fmt.Errorf("%s not delivered:\n  %s", diagnostic.Plural(len(failed), "message"), strings.Join(failed, "\n  "))
}

func (t *terminal) showDeliveries(trigger automation.Trigger, deliveries []embedded.Delivery) error {
	if len(deliveries) == 0 {
		return nothingFired(trigger)
	}
	var failed []string
	for _, d := range deliveries {
		where := ""
		if d.Request != nil {
			where = ", " + d.Request.Method + " " + d.Request.URL
		}
		t.printf("%s: %s%s (%s)\n", diagnostic.Printable(d.Automation.Key), d.Status, diagnostic.Printable(where), diagnostic.Plural(len(d.Attempts), "attempt"))
		if d.Request != nil && d.Request.Body != "" {
			t.printf("  %s\n", diagnostic.Printable(d.Request.Body))
		}
		if d.Status != embedded.Delivered {
			failed = append(failed, d.Automation.Key+": "+d.Error)
		}
	}
	if len(failed) > 0 {
		return notDelivered(failed)
	}
	return nil
}

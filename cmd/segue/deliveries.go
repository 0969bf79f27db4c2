package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/common/model"
	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/platform/embedded"
	"github.com/seguehq/segue/sync"
)

const deliveriesHelp = `Deliveries shows the sent, pending and failed messages of an embedded
platform. A delivery has failed when its message could not be rendered, its endpoint
refused it, or all attempts failed. The platform keeps it until somebody retries
or discards it.

EXAMPLES:
   segue platform deliveries list --status failed
   segue platform deliveries retry --all`

const deliveriesListHelp = `List prints the deliveries of the project's automations, the newest first.

EXAMPLES:
   segue platform deliveries list
   segue platform deliveries list --status failed --since 2h
   segue platform deliveries list --key growth/account-activated --format json`

const deliveriesShowHelp = `Show prints a delivery with its request and all its attempts.

EXAMPLES:
   segue platform fire --kind pattern --name "Account activated" --data values.json
   segue platform deliveries show 1
   segue platform deliveries show 1 --format json`

const deliveriesRetryHelp = `Retry sends failed deliveries again, and waits for their outcome. Each gets as
many attempts as a new one, and its request is the same as before. With --render it
is rendered again, from the values of the trigger and the current automation;
so is the request of a message that was never sent.

EXAMPLES:
   segue platform deliveries retry --all
   segue platform deliveries retry --all --key growth/account-activated --since 2h --render`

const deliveriesDiscardHelp = `Discard removes failed deliveries for good. Their messages will not be sent.

EXAMPLES:
   segue platform deliveries discard --all --key growth/account-activated
   segue platform deliveries discard --all --auto-approve`

func deliveriesCommand(t *terminal) *cli.Command {
	format := func() cli.Flag {
		return &cli.StringFlag{Name: "format", Value: "text", Usage: "print them as `FORMAT`: text or json"}
	}
	all := func() cli.Flag {
		return &cli.BoolFlag{Name: "all", Usage: "take all failed deliveries that the other flags select"}
	}
	flags := func(groups ...[]cli.Flag) []cli.Flag {
		return append(slices.Concat(groups...), append(trustFlags(), targetFlag())...)
	}
	return &cli.Command{
		Name: "deliveries", Usage: "show deliveries, and retry failed ones", Description: deliveriesHelp,
		UsageText: "segue platform deliveries COMMAND",
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "print deliveries, the newest first", Description: deliveriesListHelp,
				Flags: flags(selectionFlags(), []cli.Flag{
					&cli.StringFlag{Name: "status", Usage: "only those with this `STATUS`: pending, delivered or failed"},
					&cli.IntFlag{Name: "limit", Value: 50, Usage: "print at most `N`"}, format(),
				}),
				Action: t.listDeliveries,
			},
			{
				Name: "show", Usage: "print a delivery with its attempts", Description: deliveriesShowHelp, ArgsUsage: "ID",
				Flags:  flags([]cli.Flag{format()}),
				Action: t.showDelivery,
			},
			{
				Name: "retry", Usage: "send failed deliveries again", Description: deliveriesRetryHelp, ArgsUsage: "[ID...]",
				Flags: flags(selectionFlags(), []cli.Flag{all(),
					&cli.BoolFlag{Name: "render", Usage: "render the request again, with the current automation"}}),
				Action: t.onDeliveries(t.retryDeliveries),
			},
			{
				Name: "discard", Usage: "remove failed deliveries", Description: deliveriesDiscardHelp, ArgsUsage: "[ID...]",
				Flags: flags(selectionFlags(), []cli.Flag{all(),
					&cli.BoolFlag{Name: "auto-approve", Usage: "do not ask before removing anything"}}),
				Action: t.onDeliveries(t.discardDeliveries),
			},
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return unknownCommand("segue platform deliveries", c.Command.Subcommands, c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

// selectionFlags select deliveries.
func selectionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "key", Usage: "only those of the automation with this `KEY`"},
		&cli.StringFlag{Name: "occurrence", Usage: "only those of the occurrence with this `ID`"},
		&cli.StringFlag{Name: "since", Usage: "only those since `TIME`, such as 2h, 7d or 2026-03-14T09:00:00Z"},
		&cli.BoolFlag{Name: "all-projects", Usage: "also those of other projects' automations"},
	}
}

// selection reads the flags that select deliveries of a project.
func selection(c *cli.Context, project string, now time.Time) (q embedded.DeliveryQuery, err error) {
	q = embedded.DeliveryQuery{Project: project, Key: c.String("key"), Occurrence: c.String("occurrence")}
	if c.Bool("all-projects") {
		q.Project = ""
	}
	text := c.String("since")
	if text == "" {
		return q, nil
	}
	if ago, err := model.ParseDuration(text); err == nil {
		q.Since = now.Add(-time.Duration(ago))
	} else if q.Since, err = time.Parse(time.RFC3339, text); err != nil {
		return q, fmt.Errorf("--since %s is not a time; write it like 2h, 7d or 2026-03-14T09:00:00Z", shellWord(text))
	}
	return q, nil
}

func (t *terminal) listDeliveries(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if err := oneOfFormats(c.String("format"), "text", "json"); err != nil {
		return err
	}
	status, limit := embedded.DeliveryStatus(c.String("status")), c.Int("limit")
	if !slices.Contains([]embedded.DeliveryStatus{"", embedded.Pending, embedded.Delivered, embedded.Failed}, status) {
		return fmt.Errorf("there is no status %s; write pending, delivered or failed", shellWord(string(status)))
	}
	if limit < 1 {
		return errors.New("--limit takes a number from 1 on")
	}
	project, platform, err := t.embeddedPlatform(c, toRead)
	if err != nil {
		return err
	}
	defer platform.Close()
	q, err := selection(c, project, time.Now())
	if err != nil {
		return err
	}
	q.Status, q.Limit = status, limit+1 // one more shows whether there are more
	all, err := platform.Deliveries(c.Context, q)
	if err != nil {
		return err
	}
	shown := all[:min(limit, len(all))]
	if c.String("format") == "json" {
		return diagnostic.EncodeJSON(t.stdout, map[string]any{"deliveries": append([]embedded.Delivery{}, shown...)})
	}
	t.showDeliveryTable(shown)
	if len(all) > limit {
		t.printf("There are more; --limit shows them.\n")
	}
	return nil
}

func (t *terminal) showDeliveryTable(all []embedded.Delivery) {
	if len(all) == 0 {
		t.printf("No deliveries.\n")
		return
	}
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSINCE\tSTATUS\tATTEMPTS\tAUTOMATION\tERROR")
	for _, d := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", diagnostic.Printable(d.ID), d.CreatedAt.Format(time.RFC3339), d.Status,
			len(d.Attempts), diagnostic.Printable(d.Automation.Key), diagnostic.Printable(d.Error))
	}
	w.Flush() // the terminal keeps the error
}

func (t *terminal) showDelivery(c *cli.Context) error {
	if c.NArg() != 1 {
		return errors.New("name one delivery by its ID; segue platform deliveries list shows them")
	}
	if err := oneOfFormats(c.String("format"), "text", "json"); err != nil {
		return err
	}
	_, platform, err := t.embeddedPlatform(c, toRead)
	if err != nil {
		return err
	}
	defer platform.Close()
	d, err := platform.Delivery(c.Context, c.Args().First())
	if err != nil {
		return err
	}
	if c.String("format") == "json" {
		return diagnostic.EncodeJSON(t.stdout, d)
	}
	t.printf("delivery    %s\noccurrence  %s\nautomation  %s\nstatus      %s\n", diagnostic.Printable(d.ID), diagnostic.Printable(d.Occurrence),
		diagnostic.Printable(d.Automation.Key), d.Status)
	if d.Error != "" {
		t.printf("error       %s\n", diagnostic.Printable(d.Error))
	}
	t.printf("since       %s\n", d.CreatedAt.Format(time.RFC3339))
	if d.DueAt != nil {
		t.printf("next try    %s\n", d.DueAt.Format(time.RFC3339))
	}
	for _, a := range d.Attempts {
		outcome := a.Error
		if outcome == "" {
			outcome = fmt.Sprintf("answered %d %s", a.Status, http.StatusText(a.Status))
		}
		t.printf("attempt %-3d %s, %d ms: %s\n", a.Number, a.StartedAt.Format(time.RFC3339), a.DurationMS, diagnostic.Printable(outcome))
		if a.Answer != "" {
			t.printf("            %s\n", diagnostic.Printable(strings.TrimSpace(a.Answer)))
		}
	}
	if d.Request != nil {
		t.printf("\n")
		t.showRequest(d.Request.Method, d.Request.URL, d.Request.Headers, nil, []byte(d.Request.Body))
	}
	return nil
}

// someDeliveries returns the IDs of a command's deliveries: the named ones, or
// with --all the failed ones that are selected.
func someDeliveries(c *cli.Context, project string, platform *embedded.Platform) ([]string, error) {
	if c.Bool("all") == c.Args().Present() {
		return nil, errors.New("name deliveries by their IDs, or all that have failed with --all")
	}
	q, err := selection(c, project, time.Now())
	if err != nil {
		return nil, err
	}
	if !c.Bool("all") {
		if q.Key != "" || q.Occurrence != "" || !q.Since.IsZero() {
			return nil, errors.New("--key, --occurrence and --since select among all that have failed; add --all, or name IDs alone")
		}
		return c.Args().Slice(), nil
	}
	q.Status = embedded.Failed
	var ids []string
	err = platform.EachDelivery(c.Context, q, func(d embedded.Delivery) { ids = append(ids, d.ID) })
	slices.Reverse(ids) // the oldest first, as they came
	return ids, err
}

// onDeliveries calls do with the selected deliveries, if there are any.
func (t *terminal) onDeliveries(do func(*cli.Context, *embedded.Platform, []string) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		project, platform, err := t.embeddedPlatform(c, toWrite)
		if err != nil {
			return err
		}
		defer platform.Close()
		ids, err := someDeliveries(c, project, platform)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			t.printf("No delivery has failed.\n")
			return nil
		}
		return do(c, platform, ids)
	}
}

func (t *terminal) retryDeliveries(c *cli.Context, platform *embedded.Platform, ids []string) error {
	var sent, problems []string
	var err error
	for _, id := range ids {
		if err = retryPatiently(c.Context, platform, id, c.Bool("render")); err == nil {
			sent = append(sent, id)
			continue
		}
		problem := ofOne(err)
		if problem == "" {
			break
		}
		problems, err = append(problems, problem), nil
	}
	for _, id := range sent {
		d, err := platform.Await(c.Context, id)
		if err != nil {
			return fmt.Errorf("wait for delivery %s: %w; pending deliveries are still sent", id, err)
		}
		t.printf("%s %s: %s (%s)\n", diagnostic.Printable(d.ID), diagnostic.Printable(d.Automation.Key), d.Status, diagnostic.Plural(len(d.Attempts), "attempt"))
		if d.Status != embedded.Delivered {
			problems = append(problems, "delivery "+d.ID+": "+d.Error)
		}
	}
	if err != nil {
		return fmt.Errorf("%d of %d deliveries were tried again: %w", len(sent), len(ids), err)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%d of %d did not succeed:\n  %s", len(problems), len(ids), strings.Join(problems, "\n  "))
	}
	return nil
}

// retryPatiently retries a delivery, and waits while the queue is full.
func retryPatiently(ctx context.Context, platform *embedded.Platform, id string, render bool) error {
	for {
		_, err := platform.Retry(ctx, id, render)
		var refused *sync.Error
		if !errors.As(err, &refused) || refused.Status != http.StatusTooManyRequests {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(max(time.Second, refused.RetryAfter)):
		}
	}
}

// ofOne returns the message of an error about a single delivery, after which the
// next may succeed; "" for any other error.
func ofOne(err error) string {
	var refused *sync.Error
	if errors.As(err, &refused) &&
		slices.Contains([]int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity}, refused.Status) {
		return refused.Message
	}
	return ""
}

func (t *terminal) discardDeliveries(c *cli.Context, platform *embedded.Platform, ids []string) error {
	if !c.Bool("auto-approve") {
		if !interactive(t.stdin) {
			return errors.New("discard asks before it removes anything, but there is no terminal; use --auto-approve")
		}
		yes, err := t.confirm(c.Context, "Discard "+diagnostic.Plural(len(ids), "failed message")+" for good?")
		if err != nil {
			return err
		}
		if !yes {
			return errors.New("nothing was discarded")
		}
	}
	var problems []string
	for _, id := range ids {
		err := platform.Discard(c.Context, id)
		if problem := ofOne(err); problem != "" {
			problems = append(problems, problem)
		} else if err != nil {
			return err
		}
	}
	t.printf("Discarded %d.\n", len(ids)-len(problems))
	if len(problems) > 0 {
		return fmt.Errorf("%d of %d not discarded:\n  %s", len(problems), len(ids), strings.Join(problems, "\n  "))
	}
	return nil
}

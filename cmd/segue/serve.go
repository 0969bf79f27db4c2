package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/prometheus/common/model"
	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/embedded"
)

const serveHelp = `Serve runs the embedded platform over HTTP until Ctrl-C. Clients need the bearer
token in the environment variable SEGUE_PLATFORM_TOKEN; without one, the
platform is served on a loopback address only. GET /healthz tells whether it works,
and GET /metrics has its metrics in Prometheus' format.

Delivered messages are removed after the time of --keep, and the oldest ones
earlier if the data file comes near the size of --max-size. Pending and failed
ones are kept. While --queue deliveries wait, or there is no room, occurrences
are refused with status 429 until there is room again.

A message whose endpoint does not answer within 10 seconds, or answers 408, 429 or
5xx, is sent up to 6 times, within two minutes unless the endpoint asks for more
with Retry-After, which is obeyed up to an hour. Then the delivery has failed, and
segue platform deliveries shows and retries it.

EXAMPLES:
   segue platform serve
   segue platform serve --data automations.db
   segue platform serve --keep 7d --max-size 500MB --log-format json
   SEGUE_PLATFORM_TOKEN=... segue platform serve --listen 0.0.0.0:8377`

// tokenVariable holds the bearer token that the served platform asks for.
const tokenVariable = "SEGUE_PLATFORM_TOKEN"

func serveCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "serve", Usage: "serve the embedded platform over HTTP", Description: serveHelp,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:8377", Usage: "listen on `ADDR`, a host and a port"},
			&cli.StringFlag{Name: "data", Value: ".segue/platform.db", Usage: "keep the data in `FILE`"},
			&cli.StringFlag{Name: "keep", Value: "30d", Usage: "remove messages when they have been delivered for this `TIME`, such as 12h or 30d; 0 for never"},
			&cli.StringFlag{Name: "max-size", Value: "4GB", Usage: "limit the data file to `SIZE`; 0 for no limit"},
			&cli.IntFlag{Name: "queue", Value: 100_000, Usage: "refuse occurrences while `N` deliveries wait to be sent"},
			&cli.IntFlag{Name: "parallel", Value: 8, Usage: "send `N` messages at the same time"},
			&cli.StringFlag{Name: "log-format", Value: "text", Usage: "write the log as `FORMAT`: text or json"},
			&cli.StringFlag{Name: "log-level", Value: "info", Usage: "log messages of this `LEVEL` or above: info, warn or error"},
		},
		Action: t.serve,
	}
}

func (t *terminal) serve(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	options, err := serveOptions(c, t.stderr)
	if err != nil {
		return err
	}
	options.Ready = func(addr string) { t.printf("%s; stop it with Ctrl-C.\n", servedAt(addr)) }
	err = embedded.Serve(c.Context, options)
	if errors.Is(err, embedded.ErrNoToken) {
		return fmt.Errorf("%w, or provide a token in %s", err, tokenVariable)
	}
	return err
}

// serveOptions reads the flags and the token.
func serveOptions(c *cli.Context, log io.Writer) (o embedded.ServeOptions, err error) {
	o = embedded.ServeOptions{Listen: c.String("listen"), Data: c.String("data")}
	o.Limits.Pending, o.Delivery.Parallel = c.Int("queue"), c.Int("parallel")
	if o.Limits.Pending < 1 || o.Delivery.Parallel < 1 {
		return o, errors.New("--queue and --parallel take a number from 1 on")
	}
	if o.Limits.Keep, err = keepTime(c.String("keep")); err != nil {
		return o, err
	}
	if o.Limits.Bytes, err = maxSize(c.String("max-size")); err != nil {
		return o, err
	}
	if o.Logger, err = newLogger(log, c.String("log-format"), c.String("log-level")); err != nil {
		return o, err
	}
	o.Token, err = serveToken()
	return o, err
}

// keepTime reads the value of --keep, 0 for ever.
func keepTime(text string) (time.Duration, error) {
	keep, err := model.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("--keep %s is not a time; write it like 12h or 30d, or 0 to keep everything", shellWord(text))
	case keep > 0 && time.Duration(keep) < time.Minute:
		return 0, fmt.Errorf("--keep %s is too short; give at least 1m", shellWord(text))
	}
	return time.Duration(keep), nil
}

// leastSize is the smallest size of the data file that can be asked for.
const leastSize = 10_000_000

// maxSize reads the value of --max-size, in bytes, 0 for any.
func maxSize(text string) (int64, error) {
	size, err := humanize.ParseBytes(text)
	switch {
	case err != nil || size > math.MaxInt64:
		return 0, fmt.Errorf("--max-size %s is not a size; write it like 500MB or 4GB, or 0 for any size", shellWord(text))
	case size > 0 && size < leastSize:
		return 0, fmt.Errorf("--max-size %s is too small; give at least %s", shellWord(text), bytesText(leastSize))
	}
	return int64(size), nil
}

// newLogger writes records of a level or worse as text or JSON.
func newLogger(w io.Writer, format, level string) (*slog.Logger, error) {
	if err := oneOfFormats(format, "text", "json"); err != nil {
		return nil, err
	}
	levels := map[string]slog.Level{"info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	least, ok := levels[level]
	if !ok {
		return nil, fmt.Errorf("there is no log level %s; write info, warn or error", shellWord(level))
	}
	options := &slog.HandlerOptions{Level: least}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return slog.New(slog.NewTextHandler(w, options)), nil
}

// servedAt says where a platform can be reached that listens on an address.
func servedAt(addr string) string {
	listen, err := netip.ParseAddrPort(addr)
	if err != nil || !listen.Addr().IsUnspecified() {
		return "The platform is at http://" + addr
	}
	urls := []string{}
	for _, a := range machineAddresses() {
		if a.Is4() || listen.Addr().Is6() {
			urls = append(urls, "http://"+netip.AddrPortFrom(a, listen.Port()).String())
		}
	}
	return fmt.Sprintf("The platform listens on port %d of all addresses of this machine: %s", listen.Port(), strings.Join(urls, ", "))
}

// machineAddresses are those under which this machine can be reached. Link-local ones
// need to be told the interface as well, and are left out.
func machineAddresses() []netip.Addr {
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var all []netip.Addr
	for _, i := range interfaces {
		prefix, err := netip.ParsePrefix(i.String())
		if err == nil && !prefix.Addr().IsLinkLocalUnicast() {
			all = append(all, prefix.Addr())
		}
	}
	return all
}

// serveToken returns the token that clients must have, an empty one for none.
func serveToken() (automation.Secret, error) {
	text := os.Getenv(tokenVariable)
	if text == "" {
		return automation.Secret{}, nil
	}
	token, err := automation.ParseSecret(text)
	if err != nil {
		return automation.Secret{}, fmt.Errorf("the environment variable %s %w; provide the token alone, or unset it", tokenVariable, err)
	}
	return token, nil
}

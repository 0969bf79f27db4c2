package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/embedded"
)

const serveHelp = `Serve runs the embedded platform over HTTP until Ctrl-C. Clients need the bearer
token that the environment variable SEGUE_PLATFORM_TOKEN holds; without one, the
platform is served on a loopback address only.

EXAMPLES:
   segue platform serve
   segue platform serve --data automations.db
   SEGUE_PLATFORM_TOKEN=... segue platform serve --listen 0.0.0.0:8377`

// tokenVariable holds the bearer token that the served platform asks for.
const tokenVariable = "SEGUE_PLATFORM_TOKEN"

func serveCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "serve", Usage: "serve the embedded platform over HTTP", Description: serveHelp,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:8377", Usage: "listen on `ADDR`, a host and a port"},
			&cli.StringFlag{Name: "data", Value: ".segue/platform.db", Usage: "keep the data in `FILE`"},
		},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			token, err := serveToken()
			if err != nil {
				return err
			}
			err = embedded.Serve(c.Context, embedded.ServeOptions{
				Listen: c.String("listen"), Data: c.String("data"), Token: token,
				Logger: slog.New(slog.NewTextHandler(t.stderr, nil)),
				Ready:  func(addr string) { t.printf("The platform is at http://%s; stop it with Ctrl-C.\n", addr) },
			})
			if errors.Is(err, embedded.ErrNoToken) {
				return fmt.Errorf("%w, or provide a token in %s", err, tokenVariable)
			}
			return err
		},
	}
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

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/compiler/cache"
	"github.com/seguehq/segue/compiler/limits"
	"github.com/seguehq/segue/diagnostic"
)

const cacheHelp = `Cache manages the results of packages that segue keeps, so that unchanged packages
are not evaluated again.

EXAMPLES:
   segue cache info
   segue cache clean`

const cacheInfoHelp = `Info prints the folder of the results, and its size. Environment variables
configure it: SEGUE_CACHE_DIR, the folder, or off for none;
SEGUE_CACHE_SIZE, its maximum size; SEGUE_CACHE_URL, a server that machines
share, with SEGUE_CACHE_TOKEN and SEGUE_CACHE_READONLY.

EXAMPLES:
   segue cache info
   segue cache info --format json`

const cacheCleanHelp = `Clean removes all results from the folder on this machine. They are made
again when they are needed. Results on a server stay.

EXAMPLES:
   segue cache clean`

func cacheCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "cache", Usage: "show or remove cached results", Description: cacheHelp, UsageText: "segue cache COMMAND",
		Subcommands: []*cli.Command{
			{
				Name: "info", Usage: "print the folder of the results, and its size", Description: cacheInfoHelp,
				Flags:  []cli.Flag{&cli.StringFlag{Name: "format", Value: "text", Usage: "print it as `FORMAT`: text or json"}},
				Action: t.cacheInfo,
			},
			{
				Name: "clean", Usage: "remove the results on this machine", Description: cacheCleanHelp,
				Action: t.cleanCache,
			},
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return unknownCommand("segue cache", c.Command.Subcommands, c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

// cacheUse is the output of segue cache info.
type cacheUse struct {
	// Dir is the folder, "" for none, and Limit its maximum size, in bytes.
	Dir     string `json:"dir"`
	Limit   int64  `json:"limit"`
	Entries int    `json:"entries"`
	Bytes   int64  `json:"bytes"`
	// Server is the server's URL, "" for none.
	Server   string `json:"server"`
	ReadOnly bool   `json:"readOnly"`
}

func (t *terminal) cacheInfo(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	format := c.String("format")
	if err := oneOfFormats(format, "text", "json"); err != nil {
		return err
	}
	config, err := cache.FromEnvironment(os.Getenv)
	if err != nil {
		return err
	}
	use := cacheUse{Dir: config.Dir, Limit: config.Limit}
	if config.Dir != "" {
		held, err := cache.Measure(config.Dir)
		if err != nil {
			return err
		}
		use.Entries, use.Bytes = held.Entries, held.Bytes
	}
	if config.Remote != nil {
		use.Server, use.ReadOnly = config.Remote.String(), config.Remote.ReadOnly()
	}
	if format == "json" {
		return diagnostic.EncodeJSON(t.stdout, use)
	}
	folder := "none"
	if use.Dir != "" {
		folder = fmt.Sprintf("%s: %s, %s of %s", use.Dir, diagnostic.Plural(use.Entries, "result"), bytesText(use.Bytes), bytesText(use.Limit))
	}
	server := "none"
	if use.Server != "" {
		server = use.Server
		if use.ReadOnly {
			server += ", which is only read from"
		}
	}
	t.printf("folder  %s\nserver  %s\n", diagnostic.Printable(folder), diagnostic.Printable(server))
	return nil
}

func bytesText(n int64) string { return limits.FormatMemory(uint64(n)) }

func (t *terminal) cleanCache(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	config, err := cache.FromEnvironment(os.Getenv)
	if err != nil {
		return err
	}
	if config.Dir == "" {
		return errors.New("there is no folder to clean: SEGUE_CACHE_DIR is off, or the user has no cache folder")
	}
	removed, err := cache.Clean(config.Dir)
	if err != nil {
		return err
	}
	t.printf("Removed %s, %s, from %s.\n", diagnostic.Plural(removed.Entries, "result"), bytesText(removed.Bytes), diagnostic.Printable(config.Dir))
	return nil
}

// openCache opens the cache that the command may use, nil if it may use none.
func (t *terminal) openCache() *cache.Cache {
	if t.cacheConfig == nil {
		return nil
	}
	if t.cache == nil {
		t.cacheConfig.Warn = func(note string) { fmt.Fprintf(t.stderr, "note: %s\n", diagnostic.Printable(note)) }
		t.cache = cache.Open(*t.cacheConfig)
	}
	return t.cache
}

// cacheClosing is the time that the end of a command waits for uploads to a server.
// Another run uploads the rest.
const cacheClosing = 5 * time.Second

// closeCache closes the cache, if it was opened.
func (t *terminal) closeCache(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, cacheClosing)
	defer cancel()
	t.cache.Close(ctx)
}

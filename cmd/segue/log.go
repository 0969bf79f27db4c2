package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/diagnostic"
)

// logVariable says how much is logged: debug, info, warn, error or off.
const logVariable = "SEGUE_LOG"

func logFlags(hidden bool) []cli.Flag {
	return []cli.Flag{&cli.StringFlag{Name: "log", Hidden: hidden,
		Usage: "append to `FILE` the requests to platforms and their answers; " + logVariable + "=info leaves headers and bodies out"}}
}

// startLog starts the log that the command line or the environment asks for: lines of
// JSON in a file, or of text on the standard error.
func (t *terminal) startLog(c *cli.Context) error {
	if t.log != nil || len(c.Command.Subcommands) > 0 && !c.IsSet("log") {
		return nil // a command below may have the flag
	}
	level, err := logLevel(os.Getenv(logVariable), c.IsSet("log"))
	if err != nil || level == nil {
		return err
	}
	options := &slog.HandlerOptions{Level: level}
	if !c.IsSet("log") {
		t.log = slog.New(slog.NewTextHandler(t.stderr, options))
		return nil
	}
	name := c.String("log")
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("--log: can't write %s: %w", name, cause(err))
	}
	t.logFile = &output{to: file, mask: t.mask}
	t.log = slog.New(slog.NewJSONHandler(t.logFile, options))
	return nil
}

// logLevel is the level that a text names, nil for no log. Without a text, a file gets
// everything.
func logLevel(text string, inFile bool) (slog.Leveler, error) {
	switch strings.ToLower(text) {
	case "":
		if inFile {
			return slog.LevelDebug, nil
		}
		return nil, nil
	case "off":
		return nil, nil
	case "debug", "info", "warn", "error":
		var level slog.Level
		err := level.UnmarshalText([]byte(text))
		return level, err
	}
	return nil, fmt.Errorf("%s can't be %q: it takes debug, info, warn, error or off", logVariable, text)
}

// endLog closes the log.
func (t *terminal) endLog() {
	if t.logFile == nil {
		return
	}
	err := t.logFile.err
	if closing := fileOf(t.logFile).Close(); err == nil {
		err = closing
	}
	if err != nil {
		fmt.Fprintf(t.stderr, "note: the log could not be written: %s\n", diagnostic.Printable(cause(err).Error()))
	}
}

package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/compiler/cache"
	"github.com/seguehq/segue/compiler/limits"
)

// The flags of commands that evaluate packages.
const (
	timeLimitFlag   = "limit-time"
	memoryLimitFlag = "limit-memory"
	noCacheFlag     = "no-cache"
	cacheFlag       = "cache"
	evaluateAllFlag = "evaluate-all"
)

// evaluating adds the flags for evaluating packages to a command.
func (t *terminal) evaluating(c *cli.Command) *cli.Command {
	c.Flags = append(c.Flags,
		&cli.StringSliceFlag{Name: inputFlag, Usage: "give an input of segue.cue another value: `NAME=VALUE`; may be given several times"},
		&cli.StringFlag{Name: timeLimitFlag, DefaultText: "that of segue.cue, or by the size of its files",
			Usage: "let the evaluation of one package take `TIME` of processor time, such as 30s"},
		&cli.StringFlag{Name: memoryLimitFlag, DefaultText: "that of segue.cue, or by the size of its files",
			Usage: "let the evaluation of one package take `MEMORY`, such as 2GB"},
	)
	if c.Name == "vet" || c.Name == "compile" {
		c.Flags = append(c.Flags, &cli.BoolFlag{Name: evaluateAllFlag,
			Usage: "let CUE evaluate packages of plain data too, without the cache: slower, with the same result"})
	}
	if c.Name == "apply" {
		// Anybody who can write to a shared cache could make apply send
		// automations that are not in the code.
		c.Flags = append(c.Flags, &cli.BoolFlag{Name: cacheFlag,
			Usage: "use cached results of packages; by default, apply evaluates all packages itself"})
	} else {
		c.Flags = append(c.Flags, &cli.BoolFlag{Name: noCacheFlag, Usage: "neither use nor keep cached results of packages"})
	}
	c.Before = t.prepareEvaluation
	return c
}

// prepareEvaluation reads the flags of evaluating.
func (t *terminal) prepareEvaluation(c *cli.Context) error {
	var err error
	if t.inputs, err = inputsOf(c.StringSlice(inputFlag)); err != nil {
		return err
	}
	if text := c.String(timeLimitFlag); c.IsSet(timeLimitFlag) {
		if t.limits.Time, err = limits.ParseTime(text); err != nil {
			return fmt.Errorf("--%s: %w", timeLimitFlag, err)
		}
	}
	if text := c.String(memoryLimitFlag); c.IsSet(memoryLimitFlag) {
		if t.limits.Memory, err = limits.ParseMemory(text); err != nil {
			return fmt.Errorf("--%s: %w", memoryLimitFlag, err)
		}
	}
	t.evaluateAll = c.Bool(evaluateAllFlag)
	if c.Bool(noCacheFlag) || t.evaluateAll || c.Command.Name == "apply" && !c.Bool(cacheFlag) {
		return nil
	}
	config, err := cache.FromEnvironment(os.Getenv)
	t.cacheConfig = &config
	return err
}

// inputFlag gives an input.
const inputFlag = "input"

// inputsOf reads NAME=VALUE of --input.
func inputsOf(given []string) (map[string]string, error) {
	inputs := map[string]string{}
	last := ""
	for _, text := range given {
		name, value, ok := strings.Cut(text, "=")
		if !ok && last != "" {
			inputs[last] += "," + text // the library splits a value at its commas
			continue
		}
		last = name
		if !ok || name == "" {
			return nil, fmt.Errorf("--%s wants NAME=VALUE, got %q", inputFlag, text)
		}
		inputs[name] = value
	}
	return inputs, nil
}

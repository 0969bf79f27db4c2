package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/seguehq/segue/compiler/limits"
)

// overrunVariable carries, from a process that went over a limit to the one that
// replaces it, what is to be evaluated alone and what is to be given up.
const overrunVariable = "SEGUE_OVERRUN"

// overruns is what overrunVariable holds.
type overruns struct {
	Alone   []string          `json:"alone,omitempty"`
	GivenUp map[string]string `json:"givenUp,omitempty"`
}

// limits bound the evaluation of packages. CUE can't be interrupted, so that a
// process in which a package goes over a limit replaces itself by one that does
// without that package. Commands compile before they do anything else, so that
// nothing is done twice.
func (t *terminal) limits() limits.Limits {
	var known overruns
	if text := os.Getenv(overrunVariable); text != "" {
		// What is not understood was not written by segue, and is of no use.
		_ = json.Unmarshal([]byte(text), &known)
	}
	return limits.Limits{Alone: known.Alone, GivenUp: known.GivenUp, OverBudget: func(o limits.Overrun) {
		known.add(o)
		err := t.restart(known)
		fmt.Fprintf(t.stderr, "error: the evaluation of %v went over its %s limit, and segue could not start anew: %v\n", o.Folders, o.Limit, err)
		os.Exit(statusFailed)
	}}
}

// add notes an overrun: one folder is to blame, of several each is tried alone.
func (o *overruns) add(over limits.Overrun) {
	if len(over.Folders) > 1 {
		o.Alone = append(o.Alone, over.Folders...)
		slices.Sort(o.Alone)
		o.Alone = slices.Compact(o.Alone)
		return
	}
	if o.GivenUp == nil {
		o.GivenUp = map[string]string{}
	}
	o.GivenUp[over.Folders[0]] = over.Limit
}

// restart replaces the process by a new one of the same command line. It returns
// only if that fails.
func (t *terminal) restart(known overruns) error {
	text, err := json.Marshal(known)
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Chdir(t.start); err != nil {
		return err
	}
	if err := os.Setenv(overrunVariable, string(text)); err != nil {
		return err
	}
	return syscall.Exec(exe, os.Args, os.Environ())
}

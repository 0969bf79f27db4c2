package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/diagnostic"
)

const (
	processorProfile = "cpuprofile"
	memoryProfile    = "memprofile"
)

// profileFlags are flags of segue and of each command, where help does not show them
// again.
func profileFlags(hidden bool) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: processorProfile, Hidden: hidden, Usage: "write a profile of processor time to `FILE`, for go tool pprof"},
		&cli.StringFlag{Name: memoryProfile, Hidden: hidden, Usage: "write a profile of memory to `FILE`, for go tool pprof"},
	}
}

// A profile is a file that is written when the command ends.
type profile struct {
	file *os.File
	end  func() error
}

// startProfiles starts the profiles that a command line asks for. With one, packages are
// evaluated in this process, so that they are in it.
func (t *terminal) startProfiles(c *cli.Context) error {
	for _, name := range []string{processorProfile, memoryProfile} {
		if !c.IsSet(name) || t.profiles[name] != nil {
			continue
		}
		file, err := os.Create(c.String(name))
		if err != nil {
			return fmt.Errorf("--%s: can't write %s: %w", name, c.String(name), cause(err))
		}
		p := &profile{file: file, end: func() error {
			runtime.GC() // the profile shows the memory after the last collection
			return pprof.Lookup("allocs").WriteTo(file, 0)
		}}
		if name == processorProfile {
			if err := pprof.StartCPUProfile(file); err != nil {
				return fmt.Errorf("--%s: %w", name, err)
			}
			p.end = func() error {
				pprof.StopCPUProfile()
				return nil
			}
		}
		t.profiles[name] = p
	}
	return nil
}

// endProfiles writes the profiles.
func (t *terminal) endProfiles() {
	for _, p := range t.profiles {
		err := p.end()
		if closing := p.file.Close(); err == nil {
			err = closing
		}
		if err != nil {
			fmt.Fprintf(t.stderr, "note: can't write the profile: %s\n", diagnostic.Printable(err.Error()))
		}
	}
}

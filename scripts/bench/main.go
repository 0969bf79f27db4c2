// Command bench measures segue beside cue, both built here, on generated projects,
// and prints the ratios. Machines are noisy, so the compared commands run in turn,
// and the medians count.
//
//	go run ./scripts/bench              all cases
//	go run ./scripts/bench -scale 0.1   at a tenth of the size, as CI does
//	go run ./scripts/bench -run cold    the cases whose names match
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"time"
)

// cueCommand is the version of cue to compare with.
const cueCommand = "cuelang.org/go/cmd/cue@v0.17.1"

func main() {
	log.SetFlags(0)
	scale := flag.Float64("scale", 1, "the size of the projects, 1 for 10,000 automations and more")
	rounds := flag.Int("rounds", 3, "how often each command is measured")
	only := flag.String("run", "", "measure the cases whose names match `REGEXP`")
	keep := flag.String("dir", "", "make the projects in `DIR`, and keep them")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err != nil {
		log.Fatal(err)
	}
	if err := bench(*scale, *rounds, pattern, *keep); err != nil {
		log.Fatal(err)
	}
}

// A rig holds the settings and the programs of the cases.
type rig struct {
	segue, cue string
	dir        string
	scale      float64
	rounds     int
}

func bench(scale float64, rounds int, only *regexp.Regexp, dir string) error {
	if dir == "" {
		made, err := os.MkdirTemp("", "segue-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(made)
		dir = made
	}
	r := &rig{segue: filepath.Join(dir, "bin", "segue"), cue: filepath.Join(dir, "bin", "cue"), dir: dir, scale: scale, rounds: rounds}
	if err := r.build(); err != nil {
		return err
	}
	fmt.Printf("%d processors, %s; the medians of %d rounds, in turn\n\n", runtime.NumCPU(), runtime.Version(), rounds)
	fmt.Println("| work | beside | time | processor time | memory | goal |\n| --- | --- | --- | --- | --- | --- |")
	for _, c := range cases {
		if !only.MatchString(c.name) {
			continue
		}
		if err := c.run(r, c); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// build builds segue from here and cue from the module proxy.
func (r *rig) build() error {
	bin := filepath.Dir(r.segue)
	if err := os.MkdirAll(bin, 0o777); err != nil {
		return err
	}
	for _, args := range [][]string{{"build", "-o", r.segue, "./cmd/segue"}, {"install", cueCommand}} {
		cmd := exec.Command("go", args...)
		cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=-buildvcs=false")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %v: %w\n%s", args, err, out)
		}
	}
	return nil
}

// n scales a number of automations.
func (r *rig) n(full int) int { return max(int(float64(full)*r.scale), 20) }

// A command is run and measured.
type command struct {
	dir  string
	args []string
	env  []string
	// before runs before each run, and is not measured.
	before func() error
	// fails is true if the command exits with a status other than 0.
	fails bool
}

// A measure is the cost of a run.
type measure struct {
	wall, processor time.Duration
	// memory is the peak memory of the process and its children, in bytes.
	memory int64
}

// run runs a command once.
func (c command) run() (measure, error) {
	if c.before != nil {
		if err := c.before(); err != nil {
			return measure{}, err
		}
	}
	cmd := exec.Command(c.args[0], c.args[1:]...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stderr = os.Stderr
	if c.fails {
		cmd.Stderr = nil
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return measure{}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	peak := make(chan int64)
	go func() { peak <- watchMemory(ctx, cmd.Process.Pid) }()
	err := cmd.Wait()
	wall := time.Since(start)
	cancel()
	m := measure{wall: wall, processor: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), memory: <-peak}
	if err != nil && !c.fails {
		return m, fmt.Errorf("%v: %w", c.args, err)
	}
	return m, nil
}

// inTurn measures commands in turn.
func (r *rig) inTurn(commands ...command) ([]measure, error) {
	all := make([][]measure, len(commands))
	for range r.rounds {
		for i, c := range commands {
			m, err := c.run()
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], m)
		}
	}
	out := make([]measure, len(commands))
	for i, of := range all {
		out[i] = measure{
			wall:      median(of, func(m measure) time.Duration { return m.wall }),
			processor: median(of, func(m measure) time.Duration { return m.processor }),
			memory:    median(of, func(m measure) int64 { return m.memory }),
		}
	}
	return out, nil
}

func median[T cmp.Ordered](all []measure, of func(measure) T) T {
	var values []T
	for _, m := range all {
		values = append(values, of(m))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// row prints the cost of one measure relative to another.
func row(work, beside, goal string, a, b measure) {
	memory := "-"
	if a.memory > 0 && b.memory > 0 {
		memory = fmt.Sprintf("%.2f (%d of %d MB)", float64(a.memory)/float64(b.memory), a.memory>>20, b.memory>>20)
	}
	ratio := func(x, y time.Duration) string {
		return fmt.Sprintf("%.3f (%s of %s)", float64(x)/float64(max(y, 1)), x.Round(time.Millisecond), y.Round(time.Millisecond))
	}
	fmt.Printf("| %s | %s | %s | %s | %s | %s |\n", work, beside, ratio(a.wall, b.wall), ratio(a.processor, b.processor), memory, goal)
}

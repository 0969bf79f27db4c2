// Command load measures the capacity of the embedded platform: occurrences per second
// with their deliveries, the size of the data file, and the start after a crash. It
// builds segue, serves a platform in a temporary folder, and receives its messages. Run
// it in the repository:
//
//	go run ./scripts/load
//	go run ./scripts/load -deliveries 1000000 -backlog 100000
//
// It prints Markdown. The figures are for the whole setup: the writers, the platform
// and the endpoint share the machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	deliveries := flag.Int("deliveries", 100_000, "measure the file's size after `N` deliveries")
	backlog := flag.Int("backlog", 20_000, "leave `N` deliveries to a platform that is killed")
	seconds := flag.Int("seconds", 10, "let each number of writers write for `N` seconds")
	flag.Parse()
	// Ctrl-C ends the platform, too.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *deliveries, *backlog, time.Duration(*seconds)*time.Second)
	stop()
	if err != nil {
		log.Fatal("load: ", err)
	}
}

func run(ctx context.Context, deliveries, backlog int, each time.Duration) error {
	dir, err := os.MkdirTemp("", "segue-load-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bench := &bench{dir: dir, segue: filepath.Join(dir, "segue"), data: filepath.Join(dir, "platform.db")}
	if out, err := exec.Command("go", "build", "-o", bench.segue, "./cmd/segue").CombinedOutput(); err != nil {
		return fmt.Errorf("build segue: %w\n%s", err, out)
	}
	bench.endpoint = startEndpoint()
	defer bench.endpoint.close()
	fmt.Printf("%s\n\n", machine())
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return bench.throughput(ctx, each) },
		func(ctx context.Context) error { return bench.size(ctx, deliveries) },
		func(ctx context.Context) error { return bench.crash(ctx, backlog) },
		bench.retention,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// machine describes the machine of the figures.
func machine() string {
	model := runtime.GOARCH
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d processors (%s), %s, %s.", runtime.NumCPU(), model, runtime.GOOS, runtime.Version())
}

package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// watchMemory samples the memory of a process and its children until ctx is done,
// and returns the peak, or 0 on systems without /proc.
func watchMemory(ctx context.Context, pid int) int64 {
	const interval = 5 * time.Millisecond
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var most int64
	for {
		most = max(most, held(pid))
		select {
		case <-ctx.Done():
			return most
		case <-tick.C:
		}
	}
}

// held returns the private memory of a process and its children, in bytes.
func held(pid int) int64 {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	var bytes int64
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return 0 // it has ended
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			if kB, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64); err == nil {
				bytes = kB << 10
			}
		}
	}
	lists, _ := filepath.Glob(filepath.Join(dir, "task", "*", "children")) // the pattern is valid
	for _, list := range lists {
		children, err := os.ReadFile(list)
		if err != nil {
			continue
		}
		for _, child := range strings.Fields(string(children)) {
			if id, err := strconv.Atoi(child); err == nil {
				bytes += held(id)
			}
		}
	}
	return bytes
}

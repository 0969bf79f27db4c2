//go:build !unix

package limits

import "time"

var started = time.Now()

// processorTime stands for what the process has used of the processors: the time
// that has passed, where nothing better is to be had.
func processorTime() time.Duration { return time.Since(started) }

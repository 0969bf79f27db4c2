package limits

import (
	"runtime/metrics"
	"slices"
	"sync"
	"time"

	"github.com/seguehq/segue/diagnostic"
)

// Limits bound what the evaluation of a package may take. CUE can't be
// interrupted, so that all a limit can do is to call OverBudget.
type Limits struct {
	// Time is for one package, [DefaultTime] if it is zero. A package gets
	// more for what is in it: Time again for every 2 MB of its files, up to
	// twice Time in all.
	Time time.Duration
	// Memory is what the whole process may hold, in bytes; [DefaultMemory] if
	// it is zero.
	Memory uint64
	// OverBudget is called when a limit is passed, from a goroutine of its own
	// and once. It gets the folders that were being evaluated, and must end the
	// process or replace it; what is going on does not stop otherwise. Nil
	// switches the limits off.
	OverBudget func(Overrun)
	// Alone are folders to be evaluated last and one at a time, so that it can
	// be told which of them goes over a limit.
	Alone []string
	// GivenUp are folders that are not evaluated but reported, with the limit
	// that they went over.
	GivenUp map[string]string
}

// The limits that hold unless others are given.
const (
	DefaultTime   = 4 * time.Second
	DefaultMemory = 900 << 20
)

// An Overrun says which limit was passed, and by what.
type Overrun struct {
	// Limit is "time" or "memory".
	Limit string
	// Folders are those that were being evaluated: the one to blame if there is
	// one, else it is among them.
	Folders []string
}

// A Watchdog watches over the packages that are being evaluated.
type Watchdog struct {
	limits Limits
	Stop   chan struct{}

	mu      sync.Mutex
	running map[*watched]bool
}

// watched is what one worker is doing: the folders, and since when.
type watched struct {
	dog     *Watchdog
	folders []string
	since   time.Time
	used    time.Duration // of the processors, by the process, until then
	bytes   int64         // in the folders' files
}

// watchInterval is how often the limits are looked at.
const watchInterval = 20 * time.Millisecond

func NewWatchdog(l Limits) *Watchdog {
	if l.Time == 0 {
		l.Time = DefaultTime
	}
	if l.Memory == 0 {
		l.Memory = DefaultMemory
	}
	w := &Watchdog{limits: l, Stop: make(chan struct{}), running: map[*watched]bool{}}
	if l.OverBudget != nil {
		go w.watch()
	}
	return w
}

// Begin registers work on some folders. The clock starts anew with each call of
// on.
func (w *Watchdog) Begin(folders []string, bytes int64) *watched {
	work := &watched{dog: w, folders: folders, since: time.Now(), used: processorTime(), bytes: bytes}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[work] = true
	return work
}

// On says that the work has come to one of its folders.
func (work *watched) On(folder string, bytes int64) {
	work.dog.mu.Lock()
	defer work.dog.mu.Unlock()
	work.folders, work.since, work.used, work.bytes = []string{folder}, time.Now(), processorTime(), bytes
}

// allowed is how long the work may take.
func (work *watched) allowed() time.Duration {
	limit := work.dog.limits.Time
	return limit + min(limit, time.Duration(work.bytes)*limit/(2<<20))
}

func (work *watched) End() {
	work.dog.mu.Lock()
	defer work.dog.mu.Unlock()
	delete(work.dog.running, work)
}

// watch looks at the limits until the evaluation is over or one is passed.
func (w *Watchdog) watch() {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-w.Stop:
			return
		case <-tick.C:
		}
		if over := w.overrun(memoryHeld(), time.Now(), processorTime()); over != nil {
			w.limits.OverBudget(*over)
			return
		}
	}
}

// overrun returns which limit is passed, if one is.
func (w *Watchdog) overrun(memory uint64, now time.Time, used time.Duration) *Overrun {
	w.mu.Lock()
	defer w.mu.Unlock()
	over := &Overrun{Limit: "time"}
	for work := range w.running {
		// On a machine that others keep busy, time passes without work.
		if allowed := work.allowed(); now.Sub(work.since) > allowed && used-work.used > allowed*3/4 {
			over.Folders = append(over.Folders, work.folders...)
		}
	}
	if len(over.Folders) == 0 && memory > w.limits.Memory {
		over.Limit = "memory"
		for work := range w.running {
			over.Folders = append(over.Folders, work.folders...)
		}
	}
	if len(over.Folders) == 0 {
		return nil
	}
	slices.Sort(over.Folders)
	return over
}

// memoryHeld is what the process has from the operating system.
func memoryHeld() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}

// GivenUp is the finding about a package that went over a limit.
func GivenUp(folder, limit, file string) diagnostic.Diagnostic {
	what := "too long"
	if limit == "memory" {
		what = "too much memory"
	}
	return diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "over-budget", File: file,
		Message: folder + " was given up: its evaluation takes " + what,
		Help:    "look for a comprehension or a list that multiplies, or split it"}
}

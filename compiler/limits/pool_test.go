package limits

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

func newPool(t *testing.T, size int) *Pool {
	t.Helper()
	pool := &Pool{Command: mode("serve"), Version: "1", Size: size}
	t.Cleanup(func() {
		pool.Close()
	})
	return pool
}

// do does a task, and describes how each item ended.
func do(t *testing.T, pool *Pool, task Task) []string {
	t.Helper()
	out := make([]string, len(task.Items))
	var mu sync.Mutex
	err := pool.Do(t.Context(), task, func(i int, result []byte, err error) {
		if !mu.TryLock() {
			t.Error("two at a time")
		}
		defer mu.Unlock()
		if out[i] != "" {
			t.Errorf("item %d ended twice", i)
		}
		out[i] = describe(result, err)
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func describe(result []byte, err error) string {
	if over, ok := errors.AsType[*Overrun](err); ok {
		return strings.TrimSpace(fmt.Sprintf("%s: %s", over.Limit, over.Detail))
	}
	if err != nil {
		return "error: " + err.Error()
	}
	return string(result)
}

// The expected ends of the tests' items, independent of the other items.
func verdicts() map[string]string {
	killed := "crash: signal: killed"
	if runtime.GOOS == "windows" {
		killed = "crash: exit status 1"
	}
	return map[string]string{
		"echo 1":      "1",
		"echo 2":      "2",
		"print 3":     "3",
		"fail so":     "error: so",
		"skip":        "error: the evaluation skipped it",
		"spin":        "time:",
		"spin-before": "time:",
		"allocate":    "memory:",
		"huge":        "memory:",
		"overflow":    "depth:",
		"panic":       "crash: panic: (*struct { at [3]int }) 0x…",
		"unreadable":  "crash: panic: before any item",
		"exit":        "crash: exit status 7",
		"kill":        killed,
		"garbage":     "crash: it wrote something of its own on standard output",
		"lies":        "crash: it wrote something of its own on standard output",
		"mute":        killed,
	}
}

// strictly returns a task of items which have as little as they need to end as they do.
func strictly(payloads ...string) Task {
	t := limited(generous, payloads...)
	for i, payload := range payloads {
		if slices.Contains(payloads, "spin-before") {
			// Between items, the largest of their limits holds.
			t.Items[i].Limits.Time = strict.Time
		}
		switch payload {
		case "spin", "spin-before":
			t.Items[i].Limits.Time = strict.Time
		case "allocate":
			t.Items[i].Limits.Memory = strict.Memory
		case "huge":
			t.Items[i].Limits.Memory = maxBody * 2
		}
	}
	return t
}

func TestVerdicts(t *testing.T) {
	for payload, want := range verdicts() {
		t.Run(payload, func(t *testing.T) {
			got := do(t, newPool(t, 1), strictly("echo before", payload, "echo after"))
			if want := []string{"before", want, "after"}; !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// However the items are divided into tasks, and in which order, each ends the same.
func TestVerdictsDoNotDependOnCompany(t *testing.T) {
	want := verdicts()
	delete(want, "spin-before") // it makes the limits of the others strict, and some need more
	var payloads []string
	for payload := range want {
		payloads = append(payloads, payload)
	}
	slices.Sort(payloads)
	for seed := range uint64(2) {
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		r.Shuffle(len(payloads), func(i, j int) { payloads[i], payloads[j] = payloads[j], payloads[i] })
		pool := newPool(t, 2)
		for chunk := range slices.Chunk(payloads, 2+r.IntN(8)) {
			for i, got := range do(t, pool, strictly(chunk...)) {
				if got != want[chunk[i]] {
					t.Errorf("%s in %q: got %q, want %q", chunk[i], chunk, got, want[chunk[i]])
				}
			}
		}
	}
}

func TestErrorOfAll(t *testing.T) {
	got := do(t, newPool(t, 1), task("echo 1", "refused", "echo 2"))
	if want := []string{"error: refused", "error: refused", "error: refused"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// An item is not blamed for memory that others left in the child.
func TestInnocentIsTriedAgain(t *testing.T) {
	l := Limits{Time: generous.Time, Memory: 300 * megabyte}
	got := do(t, newPool(t, 1), limited(l, "fill 100", "fill 100", "fill 100", "fill 100", "fill 100", "fill 400"))
	if want := []string{"filled", "filled", "filled", "filled", "filled", "memory:"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAllowed(t *testing.T) {
	pool := newPool(t, 1)
	err := pool.Do(t.Context(), limited(strict, "spin"), func(_ int, _ []byte, err error) {
		over, ok := errors.AsType[*Overrun](err)
		if !ok || over.Allowed != strict {
			t.Errorf("got %v, want what is allowed alone", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A listener that items call.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// accept waits for a connection, and returns the process number that it sends.
func accept(t *testing.T, l net.Listener) (net.Conn, int) {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var pid int
	if _, err := fmt.Fscanln(conn, &pid); err != nil {
		t.Fatal(err)
	}
	return conn, pid
}

// gone waits until the process at the other end of the connection has ended.
func gone(t *testing.T, conn net.Conn) {
	t.Helper()
	// A reset is an end, too.
	_, _ = io.Copy(io.Discard, conn)
}

// An item that waits uses nothing, and is not given up while another one uses all that
// both are allowed.
func TestTimeIsProcessorTime(t *testing.T) {
	l := listen(t)
	pool := newPool(t, 2)
	ended := make(chan error, 1)
	var waited string
	go func() {
		waiting := limited(strict, "dial "+l.Addr().String(), "echo after")
		ended <- pool.Do(t.Context(), waiting, func(_ int, result []byte, err error) {
			waited += describe(result, err) + ";"
		})
	}()
	conn, _ := accept(t, l)
	if got := do(t, pool, limited(strict, "spin")); got[0] != "time:" {
		t.Error(got)
	}
	if got := do(t, pool, limited(strict, "spin")); got[0] != "time:" {
		t.Error(got)
	}
	fmt.Fprint(conn, "at last")
	conn.Close()
	if err := <-ended; err != nil || waited != "at last;after;" {
		t.Errorf("got %q, %v", waited, err)
	}
}

func TestAtMostSizeWork(t *testing.T) {
	const size, tasks = 2, 8
	l := listen(t)
	pool := newPool(t, size)
	var wg sync.WaitGroup
	for range tasks {
		wg.Go(func() {
			// The panic makes each need two more children.
			do(t, pool, task("dial "+l.Addr().String(), "panic", "dial "+l.Addr().String()))
		})
	}
	// Size calls are open at once; from then on each is ended when it comes.
	var open []net.Conn
	for i := range 2 * tasks {
		conn, _ := accept(t, l)
		pool.mu.Lock()
		if n := len(pool.children); n > size {
			t.Errorf("%d children", n)
		}
		pool.mu.Unlock()
		open = append(open, conn)
		if i < size-1 {
			continue
		}
		for _, conn := range open {
			conn.Close()
		}
		open = nil
	}
	wg.Wait()
}

func pidOf(t *testing.T, pool *Pool) string {
	t.Helper()
	return do(t, pool, task("pid"))[0]
}

func TestChildrenAreUsedAgain(t *testing.T) {
	pool := newPool(t, 2)
	first := pidOf(t, pool)
	if again := pidOf(t, pool); again != first {
		t.Errorf("process %s, then %s", first, again)
	}
	// One that an error has come from is sound.
	if got := do(t, pool, task("fail so", "pid"))[1]; got != first {
		t.Errorf("process %s, then %s", first, got)
	}
}

func TestRecycleAbove(t *testing.T) {
	pool := newPool(t, 1)
	pool.RecycleAbove = 200 * megabyte
	first := pidOf(t, pool)
	if got := do(t, pool, task("fill 200", "pid"))[1]; got != first {
		t.Errorf("process %s, then %s within a task", first, got)
	}
	if again := pidOf(t, pool); again == first {
		t.Error("a child that holds much is used again")
	}
}

func TestWarm(t *testing.T) {
	pool := newPool(t, 2)
	pool.Warm()
	pool.Warm()
	if n := len(pool.idle); n != 1 {
		t.Fatalf("%d children wait", n)
	}
	pid := fmt.Sprint(pool.idle[0].cmd.Process.Pid)
	if got := pidOf(t, pool); got != pid {
		t.Errorf("process %s worked, not %s", got, pid)
	}
}

func TestProcessors(t *testing.T) {
	pool := newPool(t, 1)
	pool.Processors = 3
	if got := do(t, pool, task("getenv GOMAXPROCS"))[0]; got != "3" {
		t.Errorf("GOMAXPROCS=%s", got)
	}
}

// A child that somebody has ended while it waited is not missed.
func TestIdleChildIsKilled(t *testing.T) {
	pool := newPool(t, 1)
	first := pidOf(t, pool)
	c := pool.idle[0]
	c.kill()
	if _, err := c.out.Peek(1); err == nil {
		t.Fatal("it still talks")
	}
	got := do(t, pool, task("pid", "echo 1"))
	if got[0] == first || strings.Contains(got[0], "crash") || got[1] != "1" {
		t.Errorf("got %q", got)
	}
}

func TestCancel(t *testing.T) {
	l := listen(t)
	pool := newPool(t, 2)
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	ended := make(chan error)
	for range 4 { // of which two wait for their turn
		go func() {
			ended <- pool.Do(ctx, task("echo 1", "dial-spin "+l.Addr().String()), func(i int, result []byte, err error) {
				if i != 0 {
					t.Errorf("item %d ended: %s", i, describe(result, err))
				}
			})
		}()
	}
	one, _ := accept(t, l)
	other, _ := accept(t, l)
	cancel(interrupted)
	gone(t, one)
	gone(t, other)
	for range 4 {
		if err := <-ended; err != interrupted {
			t.Error(err)
		}
	}
	if n := len(pool.children); n != 0 {
		t.Errorf("%d children are left", n)
	}
	if got := do(t, pool, task("echo 1")); got[0] != "1" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestCancelBeforehand(t *testing.T) {
	pool := newPool(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := pool.Do(ctx, task("echo 1"), func(int, []byte, error) { t.Error("an item has ended") })
	if err != context.Canceled || len(pool.children) != 0 {
		t.Errorf("%v, %d children", err, len(pool.children))
	}
}

func TestClose(t *testing.T) {
	l := listen(t)
	pool := newPool(t, 1)
	ended := make(chan error)
	go func() {
		ended <- pool.Do(t.Context(), task("dial-spin "+l.Addr().String()), func(_ int, result []byte, err error) {
			t.Errorf("an item has ended: %s", describe(result, err))
		})
	}()
	conn, _ := accept(t, l)
	pool.Close()
	gone(t, conn)
	if err := <-ended; err != errClosed {
		t.Error(err)
	}
	pool.Warm()
	if err := pool.Do(t.Context(), task("echo 1"), nil); err != errClosed {
		t.Error(err)
	}
	pool.Close()
}

// The child of a parent that is killed ends, although it is in the midst of something.
func TestParentIsKilled(t *testing.T) {
	l := listen(t)
	cmd := mode("parent", l.Addr().String())()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn, pid := accept(t, l)
	if pid == cmd.Process.Pid {
		t.Fatal("the parent has done it")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	gone(t, conn)
}

func TestChildCanNotStart(t *testing.T) {
	for want, pool := range map[string]*Pool{
		"can't start an evaluation: ":                                                {Command: func() *exec.Cmd { return exec.Command("/does/not/exist") }},
		"an evaluation can't be started: panic: not today":                           {Command: mode("gone")},
		"the program was replaced while it ran: this is 2, but \"1\" is on disk now": {Command: mode("serve"), Version: "2"},
	} {
		err := pool.Do(t.Context(), task("echo 1", "echo 2"), func(int, []byte, error) { t.Error("an item has ended") })
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		pool.Warm()
		pool.Close()
	}
}

// The parent looks after a child that does not look after itself.
func TestOversee(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the system does not tell what children use")
	}
	for what, want := range map[string]string{"spin": "time:", "allocate": "memory:"} {
		l := Limits{Time: generous.Time, Memory: 100 * megabyte}
		if what == "spin" {
			l = Limits{Time: 1, Memory: generous.Memory}
		}
		pool := &Pool{Command: mode("unwatched", what), Version: "1"}
		if got := do(t, pool, limited(l, "anything")); got[0] != want {
			t.Errorf("got %q, want %q", got, want)
		}
		pool.Close()
	}
}

package limits

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// modeVariable makes the test binary something else than tests.
const modeVariable = "LIMITS_TEST_MODE"

func TestMain(m *testing.M) {
	switch os.Getenv(modeVariable) {
	case "":
		os.Exit(m.Run())
	case "serve":
		Serve("1", work)
	case "unwatched":
		unwatched()
	case "parent":
		parent(os.Args[1])
	case "gone":
		fmt.Fprintln(os.Stderr, "panic: not today")
		os.Exit(1)
	}
}

// mode returns a command that runs the test binary in a mode.
func mode(mode string, args ...string) func() *exec.Cmd {
	return func() *exec.Cmd {
		cmd := Self(args...)()
		cmd.Env = append(os.Environ(), modeVariable+"="+mode)
		return cmd
	}
}

// work is the evaluation of the tests: the payload of an item is an instruction.
func work(w *Work) error {
	for _, item := range w.Items {
		if string(item.Payload) == "unreadable" {
			panic("before any item")
		}
		if string(item.Payload) == "refused" {
			return errors.New("refused")
		}
	}
	var context [][]byte // shared by the items, as an evaluator's context is
	for i, item := range w.Items {
		verb, rest, _ := strings.Cut(string(item.Payload), " ")
		if verb == "skip" {
			continue
		}
		if verb == "spin-before" {
			spin()
		}
		w.Do(i, func() ([]byte, error) {
			if verb == "fill" {
				n, err := strconv.Atoi(rest)
				context = append(context, filled(n<<20))
				return []byte("filled"), err
			}
			return evaluate(verb, rest)
		})
	}
	if len(context) > 0 {
		context[0][0]++
	}
	return nil
}

func filled(n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += 4096 { // so that each page is held
		b[i] = 1
	}
	return b
}

// stdout is where the frames go.
var stdout = os.Stdout

func evaluate(verb, rest string) ([]byte, error) {
	switch verb {
	case "echo":
		return []byte(rest), nil
	case "print":
		fmt.Println("a stray word")
		return []byte(rest), nil
	case "fail":
		return nil, errors.New(rest)
	case "pid":
		return strconv.AppendInt(nil, int64(os.Getpid()), 10), nil
	case "getenv":
		return []byte(os.Getenv(rest)), nil
	case "spin":
		spin()
	case "allocate":
		allocate()
	case "overflow":
		return []byte{byte(overflow([100]int{1}))}, nil
	case "panic":
		panic(&struct{ at [3]int }{})
	case "exit":
		os.Exit(7)
	case "kill":
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return nil, err
		}
		if err := self.Kill(); err != nil {
			return nil, err
		}
		select {}
	case "garbage":
		fmt.Fprintln(stdout, strings.Repeat("garbage ", 100))
		select {}
	case "lies":
		// A frame that announces more than there may be.
		stdout.Write([]byte{doneFrame, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
		select {}
	case "mute":
		stdout.Close()
		select {}
	case "huge":
		return make([]byte, maxBody+1), nil
	case "dial", "dial-spin":
		return dial(rest, verb == "dial-spin")
	}
	return nil, fmt.Errorf("no such work: %s", verb)
}

func spin() {
	for i := 0; ; i++ {
		if i < 0 {
			i = 0
		}
	}
}

// allocated keeps the memory of allocate.
var allocated [][]byte

func allocate() {
	for {
		allocated = append(allocated, filled(1<<20))
	}
}

func overflow(n [100]int) int {
	if n[0] == 0 {
		return 0
	}
	n[n[0]%100]++
	return overflow(n) + 1
}

// dial connects to an address and returns the answer, or spins. The connection ends with the process.
func dial(address string, forever bool) ([]byte, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(conn, os.Getpid())
	if forever {
		spin()
	}
	return io.ReadAll(conn)
}

// unwatched is a child that does not measure its use.
func unwatched() {
	s := &server{out: os.Stdout}
	s.send(frame{kind: helloFrame, item: noItem, body: []byte("1")})
	s.send(frame{kind: beginFrame})
	if os.Args[1] == "allocate" {
		allocate()
	}
	spin()
}

// parent is a process with a pool, whose child calls the address and spins.
func parent(address string) {
	pool := &Pool{Command: mode("serve"), Version: "1"}
	err := pool.Do(context.Background(), task("dial-spin "+address), func(int, []byte, error) {})
	fmt.Fprintln(os.Stderr, err)
}

// generous limits are never reached.
var generous = Limits{Time: time.Hour, Memory: 8 * gigabyte}

// strict limits are for items that go over them.
var strict = Limits{Time: 300 * time.Millisecond, Memory: 400 * megabyte}

func limited(l Limits, payloads ...string) Task {
	var t Task
	for _, payload := range payloads {
		t.Items = append(t.Items, Item{Payload: []byte(payload), Limits: l})
	}
	return t
}

func task(payloads ...string) Task { return limited(generous, payloads...) }

func TestFrames(t *testing.T) {
	held := binary.BigEndian.AppendUint64(nil, 7)
	c := &child{version: "1", greeted: true}
	for _, tt := range []struct {
		name   string
		frames []frame
		done   bool
	}{
		{"in order", []frame{{kind: beginFrame}, {kind: doneFrame}, {kind: finishedFrame, item: noItem, body: held}}, true},
		{"failed before it was begun", []frame{{kind: failedFrame}, {kind: finishedFrame, item: noItem, body: held}}, true},
		{"greets twice", []frame{{kind: helloFrame, item: noItem, body: []byte("1")}}, false},
		{"done before it was begun", []frame{{kind: doneFrame}}, false},
		{"begun twice", []frame{{kind: beginFrame}, {kind: beginFrame}}, false},
		{"done twice", []frame{{kind: beginFrame}, {kind: doneFrame}, {kind: doneFrame}}, false},
		{"item out of range", []frame{{kind: beginFrame, item: 1}}, false},
		{"negative item", []frame{{kind: beginFrame, item: -2}}, false},
		{"none begun", []frame{{kind: beginFrame, item: noItem}}, false},
		{"none done", []frame{{kind: doneFrame, item: noItem}}, false},
		{"finished too early", []frame{{kind: finishedFrame, item: noItem, body: held}}, false},
		{"finished without a number", []frame{{kind: failedFrame}, {kind: finishedFrame, item: noItem}}, false},
		{"a task for the parent", []frame{{kind: taskFrame, item: noItem}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			talk := newConversation(c, request{Items: make([]Item, 1)}, func(int, []byte, error) {})
			var done bool
			var err error
			for _, f := range tt.frames {
				if done, err = talk.hear(f); err != nil {
					break
				}
			}
			if done != tt.done || tt.done != (err == nil) || err != nil && !errors.Is(err, errProtocol) {
				t.Errorf("done: %v, error: %v", done, err)
			}
		})
	}
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seguehq/segue/platform/platformtest"
)

// TestMain makes segue, and the programs that the scripts need beside it,
// commands of the scripts.
func TestMain(m *testing.M) {
	// Programs with the race detector would each wait a second at their end.
	if os.Getenv("GORACE") == "" {
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	testscript.Main(m, map[string]func(){
		"segue":   main,
		"request": requestMain,
		"sqlite":  sqliteMain,
		"lock":    lockMain,
		"dump":    dumpMain,
	})
}

// TestScript runs the scripts in testdata/script, which show what each command
// does as a terminal would. The language is that of [testscript]; the commands
// that are added to it are explained in the README there. After a change of
// words, renew the output in the scripts with
//
//	SEGUE_UPDATE=1 go test ./cmd/segue -run TestScript
//
// and read every line of the difference as its reader would. No secret of a script may be in
// the output of segue, or in a file that it leaves: see [searched]. With -short, which is for the
// race detector, only those in which several things happen at once are run.
func TestScript(t *testing.T) {
	const dir = "../../testdata/script"
	whole, some := dir, []string(nil)
	if testing.Short() {
		whole = ""
		for _, name := range []string{"apply", "apply_parallel", "cache", "deliveries", "interrupt", "serve", "targets", "test", "watch"} {
			some = append(some, filepath.Join(dir, name+".txtar"))
		}
	}
	testscript.RunT(&searched{T: t}, testscript.Params{
		Dir:                whole,
		Files:              some,
		UpdateScripts:      os.Getenv("SEGUE_UPDATE") != "",
		RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("SOURCE", absolute(t, "../.."))
			e.Setenv("TERM", "xterm-256color")
			e.Setenv("SEGUE_CACHE_DIR", filepath.Join(e.WorkDir, ".cache", "segue"))
			stage := newStage()
			// A script is a subtest, which is what it runs real programs for.
			test := e.T().(*searched)
			test.dir, stage.t = e.WorkDir, test
			e.Values[stageKey{}] = stage
			return nil
		},
		Condition: scriptCondition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": statusCommand,
			"absent": absentCommand,
			"theirs": theirsCommand,
			"repeat": repeatCommand,
			"fill":   fillCommand,
			"take":   takeCommand,
			"valid":  validCommand(absolute(t, schemas)),

			"start":     startCommand,
			"await":     awaitCommand,
			"type":      typeCommand,
			"interrupt": interruptCommand,
			"hangup":    hangUpCommand,
			"end":       endCommand,

			"listen":   listenCommand,
			"received": receivedCommand,
			"sent":     sentCommand,
			"answer":   answerCommand,
			"echo":     echoCommand,
			"asked":    askedCommand,
			"hold":     holdCommand,
			"held":     heldCommand,
			"release":  releaseCommand,

			"authority": authorityCommand,
			"secure":    secureCommand,
			"proxy":     proxyCommand,

			"nodered": noderedCommand,
			"slay":    slayCommand,
			"revive":  reviveCommand,

			"action":    actionCommand,
			"gitlab":    gitlabCommand,
			"buildkite": buildkiteCommand,
			"jenkins":   jenkinsCommand,
			"github":    gitHubCommand,
			"comment":   commentCommand,
			"comments":  commentsCommand,
			"merged":    mergedCommand,
			"summary":   summaryCommand,
			"files":     filesCommand,

			"readonly": readonlyCommand,
			"disk":     diskCommand,
		},
	})
}

// A stage is what a script has set up: processes and servers by their names.
type stage struct {
	t         testing.TB
	processes map[string]*process
	servers   map[string]*server
	nodeREDs  map[string]*platformtest.Process
	// authority signs the certificates of the script, nil until there is one.
	authority *platformtest.Authority
	gitHubs   map[string]*gitHub
	// digests are those of plans that were shown, by which they are named.
	digests []string
}

type stageKey struct{}

func newStage() *stage {
	return &stage{processes: map[string]*process{}, servers: map[string]*server{}, nodeREDs: map[string]*platformtest.Process{},
		gitHubs: map[string]*gitHub{}}
}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

// arguments ends a script whose command has the wrong number of arguments.
func arguments(ts *testscript.TestScript, neg bool, args []string, least int, usage string) {
	if neg {
		ts.Fatalf("there is no ! %s", usage)
	}
	if len(args) < least {
		ts.Fatalf("usage: %s", usage)
	}
}

// statusCommand runs a program that ends with an exit status: status 2 segue ...
func statusCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "status N program [argument...]")
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

// fillCommand writes a file with the variables in a template filled in:
// fill template file
func fillCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "fill template file")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o666))
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	full, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return full
}

// takeCommand sets a variable to the first group of an expression that matches in a file:
// take file regexp variable
func takeCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 3, "take file regexp variable")
	expression, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	found := expression.FindStringSubmatch(ts.ReadFile(args[0]))
	if len(found) != 2 {
		ts.Fatalf("%s has nothing that matches %s", args[0], args[1])
	}
	ts.Setenv(args[2], found[1])
}

// repeatCommand writes a file that holds a template several times, with the
// numbers from 1 on in place of NUMBER: repeat 300 template.cue many.cue
func repeatCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 3, "repeat N template file")
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	head, item, _ := bytes.Cut([]byte(ts.ReadFile(args[1])), []byte("\n---\n"))
	var out bytes.Buffer
	out.Write(head)
	out.WriteByte('\n')
	for i := range n {
		out.Write(bytes.ReplaceAll(item, []byte("NUMBER"), []byte(strconv.Itoa(i+1))))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), out.Bytes(), 0o666))
}

func unknownCondition(name string) error { return fmt.Errorf("there is no condition %q", name) }

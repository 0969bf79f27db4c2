package compiler

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seguehq/segue/compiler/cache"
	"github.com/seguehq/segue/compiler/limits"
	"github.com/seguehq/segue/compiler/workspace"
)

// failingChild, in the environment, has this program be a child whose evaluations fail,
// and rightChild one that evaluates.
const (
	failingChild = "SEGUE_TEST_FAILING_CHILD"
	rightChild   = "SEGUE_TEST_CHILD"
)

func TestMain(m *testing.M) {
	if os.Getenv(rightChild) != "" {
		Serve("test")
	}
	if os.Getenv(failingChild) != "" {
		limits.Serve("test", func(work *limits.Work) error {
			for i := range work.Items {
				work.Do(i, func() ([]byte, error) { return nil, errors.New("the disk is on fire") })
			}
			return nil
		})
	}
	os.Exit(m.Run())
}

// evaluated is a package that CUE has to evaluate.
const evaluated = `package growth

import "github.com/seguehq/segue/schema/automation"

_name: "A"
automations: a: automation.#Identify & {
	name: _name
	trigger: pattern: "P"
	payload: userId: "{{userId}}"
}
`

func evaluatedProject(t *testing.T, files map[string]string) string {
	t.Helper()
	all := map[string]string{
		"segue.cue":              "project: \"test\"\nsources: segment: writeKey: secret: \"SEGMENT_WRITE_KEY\"\n",
		workspace.ModuleFileName: workspace.ModuleFile("test.example@v0"),
		"growth/automations.cue": evaluated,
	}
	maps.Copy(all, files)
	return writePlain(t, all)
}

// withChildren are options with a cache, and children of the kind that the environment
// names. started, if there is one, is called before each child is started.
func withChildren(t *testing.T, dir, kind string, started func()) Options {
	t.Helper()
	pool := &limits.Pool{Version: "test", Size: 1, Command: func() *exec.Cmd {
		if started != nil {
			started()
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), kind+"=1")
		return cmd
	}}
	t.Cleanup(pool.Close)
	c := cache.Open(cache.Config{Dir: t.TempDir()})
	t.Cleanup(func() { c.Close(context.Background()) })
	return Options{Dir: dir, Version: "test", Cache: c, Children: pool}
}

// An evaluation that fails says nothing of the package: nothing is kept of it, or the
// next run would take the package for one without automations.
func TestFailedEvaluationIsNotKept(t *testing.T) {
	dir := evaluatedProject(t, nil)
	opts := withChildren(t, dir, failingChild, nil)
	session := NewSession(opts)
	session.Again()
	if _, err := session.Compile(t.Context(), "", nil); err == nil || !strings.Contains(err.Error(), "on fire") {
		t.Fatalf("the error is %v", err)
	}
	if n := opts.Cache.Counts().Stored; n != 0 {
		t.Errorf("%d results were kept", n)
	}
	for _, s := range []*Session{session, NewSession(opts)} {
		s.opts.Children = nil
		result, err := s.Compile(t.Context(), "", nil)
		if err != nil || len(result.Document.Automations) != 1 {
			t.Errorf("afterwards there are %d automations, %v: %v", len(result.Document.Automations), result.Diagnostics, err)
		}
	}
}

// A file that is saved after its key was made, and before it is evaluated, gives a result
// that is not kept under that key. The child is started in between.
func TestFileSavedMeanwhile(t *testing.T) {
	for name, change := range map[string][2]string{
		"of the package": {"growth/automations.cue", strings.Replace(evaluated, `"A"`, `"B"`, 1)},
		"another one":    {"growth/more.cue", "package growth\n\nautomations: a: enabled: false\n"},
		"segue.cue":      {"segue.cue", "project: \"test\"\nsources: segment: writeKey: secret: \"OTHER_KEY\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := evaluatedProject(t, nil)
			file := filepath.Join(dir, filepath.FromSlash(change[0]))
			before, missing := os.ReadFile(file)
			opts := withChildren(t, dir, rightChild, func() {
				if err := os.WriteFile(file, []byte(change[1]), 0o666); err != nil {
					t.Error(err)
				}
			})
			session := NewSession(opts)
			session.Again()
			compiled := func(s *Session) string {
				t.Helper()
				result, err := s.Compile(t.Context(), "", nil)
				if err != nil {
					t.Fatal(err)
				}
				document, err := result.Document.Canonical()
				if err != nil || len(result.Document.Automations) != 1 {
					t.Fatalf("%d automations, %v: %v", len(result.Document.Automations), result.Diagnostics, err)
				}
				return string(document)
			}
			changed := compiled(session)
			if n := opts.Cache.Counts().Stored; n != 0 {
				t.Errorf("%d results were kept", n)
			}
			if missing != nil {
				os.Remove(file)
			} else if err := os.WriteFile(file, before, 0o666); err != nil {
				t.Fatal(err)
			}
			for _, s := range []*Session{session, NewSession(opts)} {
				s.opts.Children = nil
				if compiled(s) == changed {
					t.Error("the files as they were give what they gave with another one")
				}
			}
		})
	}
}

// The limits of an evaluation depend on the size of all files that it reads.
func TestLimitsCountAllFiles(t *testing.T) {
	dir := evaluatedProject(t, map[string]string{
		"growth/automations.cue": "@extern(embed)\n\n" + strings.Replace(evaluated, "\n_name: \"A\"", "\nimport \"test.example/shared\"\n\n_name: shared.name\n_data: _ @embed(file=data.json)", 1),
		"growth/data.json":       `"` + strings.Repeat("x", 300_000) + `"`,
		"shared/shared.cue":      "package shared\n\nname: \"A\"\n// " + strings.Repeat("x", 200_000) + "\n",
	})
	s := NewSession(Options{Dir: dir})
	o, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.compilation(o, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.size("growth"); got < 500_000 || got > 510_000 {
		t.Errorf("growth goes by %d bytes", got)
	}
	if got := c.size("shared"); got < 200_000 || got > 201_000 {
		t.Errorf("shared goes by %d bytes", got)
	}
}

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// A benchCase is one or more rows of the table.
type benchCase struct {
	name, work, goal string
	run              func(r *rig, c benchCase) error
}

// cases are in the order of docs/performance.md.
var cases = []benchCase{
	{"cold-packages", "10,000 in 1,000 packages, without cache", "0.30 time, 0.25 memory", func(r *rig, c benchCase) error {
		return r.besideExport(c, r.n(10_000), 10, false)
	}},
	{"cold-packages-cue", "the same, evaluated by CUE alone", "", func(r *rig, c benchCase) error {
		return r.besideExport(c, r.n(10_000), 10, true)
	}},
	{"cold-one-package", "10,000 in one package, without cache", "0.40 time, 0.40 memory", func(r *rig, c benchCase) error {
		return r.besideExport(c, r.n(10_000), r.n(10_000), false)
	}},
	{"large", "100,000 in packages of ten", "11 time, 1.5 memory", large},
	{"busy", "20,000 in one package, nice -n 19 beside four busy loops", "the same bytes", busy},
	{"again", "10,000 in 1,000 packages again, nothing changed", "0.05 time", func(r *rig, c benchCase) error { return r.again(c, false) }},
	{"again-one-file", "the same, one file changed", "0.06 time", func(r *rig, c benchCase) error { return r.again(c, true) }},
	{"mistakes", "100 mistakes among 10,000", "1.15 time", mistakes},
	{"quickstart", "segue vet of examples/quickstart", "1.0 time", quickstart},
}

// uncached disables segue's cache.
var uncached = []string{"SEGUE_CACHE_DIR=off"}

func (r *rig) compile(dir string, args ...string) command {
	return command{dir: dir, args: append([]string{r.segue, "compile", "--compact"}, args...), env: uncached}
}

func (r *rig) besideExport(c benchCase, automations, perPackage int, evaluateAll bool) error {
	dir, err := r.make(automations, perPackage, 0)
	if err != nil {
		return err
	}
	segue := r.compile(dir)
	if evaluateAll {
		segue = r.compile(dir, "--evaluate-all")
	}
	m, err := r.inTurn(segue, command{dir: dir, args: []string{r.cue, "export", "./..."}})
	if err != nil {
		return err
	}
	row(c.work, "cue export", c.goal, m[0], m[1])
	return nil
}

func large(r *rig, c benchCase) error {
	small, err := r.make(r.n(10_000), 10, 0)
	if err != nil {
		return err
	}
	large, err := r.make(r.n(100_000), 10, 0)
	if err != nil {
		return err
	}
	m, err := r.inTurn(r.compile(large), r.compile(small))
	if err != nil {
		return err
	}
	row(c.work, "10,000", c.goal, m[0], m[1])
	return nil
}

// busy compiles on an overloaded machine.
func busy(r *rig, c benchCase) error {
	dir, err := r.make(r.n(20_000), r.n(20_000), 0)
	if err != nil {
		return err
	}
	quiet, crowded := filepath.Join(r.dir, "quiet.json"), filepath.Join(r.dir, "crowded.json")
	once := *r
	once.rounds = 1
	m, err := once.inTurn(r.compile(dir, "-o", quiet))
	if err != nil {
		return err
	}
	for range 4 {
		loop := exec.Command("sh", "-c", "while :; do :; done")
		if err := loop.Start(); err != nil {
			return err
		}
		defer func() {
			_ = loop.Process.Kill() // it runs until then
			_ = loop.Wait()
		}()
	}
	nice := r.compile(dir, "-o", crowded)
	nice.args = append([]string{"nice", "-n", "19"}, nice.args...)
	n, err := once.inTurn(nice)
	if err != nil {
		return err
	}
	a, err := os.ReadFile(quiet)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(crowded)
	if err != nil {
		return err
	}
	same := "the same bytes"
	if string(a) != string(b) {
		same = "OTHER BYTES"
	}
	row(fmt.Sprintf("%s: %s", c.work, same), "without the loops", c.goal, n[0], m[0])
	return nil
}

// again compiles with the cache of an earlier run.
func (r *rig) again(c benchCase, change bool) error {
	dir, err := r.make(r.n(10_000), 10, 0)
	if err != nil {
		return err
	}
	kept := filepath.Join(r.dir, "cache")
	if err := os.RemoveAll(kept); err != nil {
		return err
	}
	warm := r.compile(dir)
	warm.env = []string{"SEGUE_CACHE_DIR=" + kept}
	if _, err := warm.run(); err != nil {
		return err
	}
	name, n := filepath.Join(dir, filepath.FromSlash(packageFile(7))), 0
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if change {
		defer func() { _ = os.WriteFile(name, content, 0o666) }() // other cases use the same file
		warm.before = func() error {
			n++
			return os.WriteFile(name, fmt.Appendf(content[:len(content):len(content)], "// edit %d\n", n), 0o666)
		}
	}
	m, err := r.inTurn(warm, r.compile(dir))
	if err != nil {
		return err
	}
	row(c.work, "without cache", c.goal, m[0], m[1])
	return nil
}

func mistakes(r *rig, c benchCase) error {
	n := r.n(10_000)
	right, err := r.make(n, 10, 0)
	if err != nil {
		return err
	}
	wrong, err := r.make(n, 10, max(n/100, 1))
	if err != nil {
		return err
	}
	vet := func(dir string, fails bool) command {
		return command{dir: dir, args: []string{r.segue, "vet", "--format", "json"}, env: uncached, fails: fails}
	}
	m, err := r.inTurn(vet(wrong, true), vet(right, false))
	if err != nil {
		return err
	}
	row(c.work, "none", c.goal, m[0], m[1])
	return nil
}

func quickstart(r *rig, c benchCase) error {
	dir, err := filepath.Abs("examples/quickstart")
	if err != nil {
		return err
	}
	many := *r
	many.rounds = 7 * r.rounds // they are short
	m, err := many.inTurn(
		command{dir: dir, args: []string{r.segue, "vet"}, env: uncached},
		command{dir: dir, args: []string{r.segue, "vet"}, env: []string{"SEGUE_CACHE_DIR=" + filepath.Join(r.dir, "quickstart-cache")}},
		command{dir: dir, args: []string{r.cue, "vet", "-c", "./..."}})
	if err != nil {
		return err
	}
	row(c.work+", without cache", "cue vet -c", c.goal, m[0], m[2])
	row(c.work+", again", "cue vet -c", c.goal, m[1], m[2])
	return nil
}

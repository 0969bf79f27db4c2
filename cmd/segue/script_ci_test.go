package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/encoding/yaml"
	"github.com/rogpeppe/go-internal/testscript"
)

// The commands of this file run the steps of CI files with bash, in the current folder as
// the checkout. They know as much of each CI's language as the files in this repository use,
// and refuse the rest.

// A ciFile is a CI's file in YAML.
type ciFile map[string]any

func readCI(ts *testscript.TestScript, name string) ciFile {
	syntax, err := yaml.Extract(name, ts.ReadFile(name))
	ts.Check(err)
	var file ciFile
	ts.Check(cuecontext.New().BuildFile(syntax).Decode(&file))
	return file
}

// fields returns an object within a file, nil if it is not there.
func fields(v any) map[string]any {
	object, _ := v.(map[string]any)
	return object
}

// assignments reads arguments such as name=value, and @FILE, which holds one on each line.
func assignments(ts *testscript.TestScript, args []string) map[string]string {
	values := map[string]string{}
	for _, a := range args {
		if file, ok := strings.CutPrefix(a, "@"); ok {
			maps.Copy(values, assignments(ts, strings.Split(strings.TrimSpace(ts.ReadFile(file)), "\n")))
			continue
		}
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			ts.Fatalf("%q is not name=value", a)
		}
		values[name] = digestNamed(ts, value)
	}
	return values
}

var planDigest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// comparable is text in which the script's folder is $WORK, and the digests of plans, which
// differ from one run to the next with the revisions on the platform, are sha256:plan1,
// sha256:plan2 and so on, in the order in which they first appear.
func comparable(ts *testscript.TestScript, text string) string {
	stage := stageOf(ts)
	text = strings.ReplaceAll(text, ts.Getenv("WORK"), "$WORK")
	return planDigest.ReplaceAllStringFunc(text, func(digest string) string {
		i := slices.Index(stage.digests, digest)
		if i < 0 {
			i, stage.digests = len(stage.digests), append(stage.digests, digest)
		}
		return fmt.Sprintf("sha256:plan%d", i+1)
	})
}

// digestNamed is the digest that comparable gives a name; any other string is itself.
func digestNamed(ts *testscript.TestScript, name string) string {
	for i, digest := range stageOf(ts).digests {
		if name == fmt.Sprintf("sha256:plan%d", i+1) {
			return digest
		}
	}
	return name
}

// summaryCommand writes the summary that jobs have written: summary
func summaryCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 0, "summary")
	_, _ = fmt.Fprint(ts.Stdout(), comparable(ts, ts.ReadFile(filepath.Join(ts.Getenv("WORK"), "summary.md"))))
}

// ending ends a command that has run steps: with neg, one of them must have failed.
func ending(ts *testscript.TestScript, neg bool, log string, err error) {
	_, _ = fmt.Fprint(ts.Stdout(), comparable(ts, log))
	switch {
	case err != nil && !neg:
		ts.Fatalf("%v", err)
	case err == nil && neg:
		ts.Fatalf("unexpected success")
	}
}

// bash runs a script in a folder, with variables added to those of the test script.
func bash(ts *testscript.TestScript, dir string, env map[string]string, script string) (output string, err error) {
	file := filepath.Join(ts.Getenv("WORK"), ".step.sh")
	ts.Check(os.WriteFile(file, []byte("exec 2>&1\n"+script), 0o600))
	args := []string{"-C", ts.MkAbs(dir)}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		args = append(args, name+"="+env[name])
	}
	err = ts.Exec("env", append(args, "bash", "--noprofile", "--norc", "-eo", "pipefail", file)...)
	return ts.ReadFile("stdout"), err
}

// An actionRun is a composite action of GitHub that is being carried out.
type actionRun struct {
	ts *testscript.TestScript
	// context are the values of expressions by their names, such as github.sha.
	context map[string]string
	log     strings.Builder
	err     error // of the first step that failed
}

// actionCommand carries out a composite action as GitHub's runner does. Steps that use other
// actions are printed: action FILE [inputs.name=value | github.name=value | @FILE...]
// The files of GITHUB_STEP_SUMMARY and RUNNER_TEMP are $WORK/summary.md and $WORK/runner.
func actionCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: action FILE [name=value...]")
	}
	file := readCI(ts, args[0])
	r := &actionRun{ts: ts, context: assignments(ts, args[1:])}
	for name, input := range fields(file["inputs"]) {
		if _, given := r.context["inputs."+name]; !given {
			r.context["inputs."+name] = r.filled(fmt.Sprint(fields(input)["default"]))
		}
	}
	steps, _ := fields(file["runs"])["steps"].([]any)
	for _, step := range steps {
		r.step(fields(step))
	}
	ending(ts, neg, r.log.String(), r.err)
}

func (r *actionRun) step(step map[string]any) {
	condition, _ := step["if"].(string)
	condition = strings.TrimSuffix(strings.TrimPrefix(condition, "${{"), "}}")
	if !strings.Contains(condition, "cancelled()") && r.err != nil {
		return
	}
	if condition != "" && !truth(r.value(condition)) {
		return
	}
	if uses, ok := step["uses"].(string); ok {
		fmt.Fprintf(&r.log, "uses %s\n", uses)
		with := fields(step["with"])
		for _, name := range slices.Sorted(maps.Keys(with)) {
			fmt.Fprintf(&r.log, "  %s: %s\n", name, strings.Join(strings.Fields(r.filled(fmt.Sprint(with[name]))), " "))
		}
		return
	}
	r.run(step)
}

// run runs the script of a step, and takes over what it has written for the steps behind it.
func (r *actionRun) run(step map[string]any) {
	script, _ := step["run"].(string)
	if strings.Contains(script, "${{") {
		r.ts.Fatalf("a script must get values by env, since bash would run what is in them: %s", script)
	}
	work, env := r.ts.Getenv("WORK"), map[string]string{}
	for name, value := range fields(step["env"]) {
		env[name] = r.filled(fmt.Sprint(value))
	}
	outputs, path := filepath.Join(work, ".outputs"), filepath.Join(work, ".path")
	for _, name := range []string{outputs, path} {
		r.ts.Check(os.WriteFile(name, nil, 0o600))
	}
	r.ts.Check(os.MkdirAll(filepath.Join(work, "runner"), 0o700))
	maps.Copy(env, map[string]string{
		"RUNNER_OS": "Linux", "RUNNER_ARCH": "X64", "RUNNER_TEMP": filepath.Join(work, "runner"), "GITHUB_ACTIONS": "true",
		"GITHUB_OUTPUT": outputs, "GITHUB_PATH": path, "GITHUB_STEP_SUMMARY": filepath.Join(work, "summary.md"),
	})
	dir, _ := step["working-directory"].(string)
	output, err := bash(r.ts, r.filled(dir), env, script)
	r.log.WriteString(output)
	id, _ := step["id"].(string)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("the step %s: %w", id, err)
	}
	for line := range strings.Lines(r.ts.ReadFile(outputs)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		r.context["steps."+id+".outputs."+name] = value
	}
	for line := range strings.Lines(r.ts.ReadFile(path)) {
		r.ts.Setenv("PATH", strings.TrimSuffix(line, "\n")+string(os.PathListSeparator)+r.ts.Getenv("PATH"))
	}
}

var expression = regexp.MustCompile(`\$\{\{(.*?)\}\}`)

// filled is a string with its expressions replaced by their values.
func (r *actionRun) filled(s string) string {
	return expression.ReplaceAllStringFunc(s, func(e string) string { return r.value(expression.FindStringSubmatch(e)[1]) })
}

func truth(value string) bool { return value != "" && value != "false" }

// value evaluates an expression without brackets. What is not in the context is empty.
func (r *actionRun) value(e string) string {
	if all := strings.Split(e, "||"); len(all) > 1 {
		for _, one := range all {
			if v := r.value(one); truth(v) {
				return v
			}
		}
		return ""
	}
	if all := strings.Split(e, "&&"); len(all) > 1 {
		for _, one := range all {
			if !truth(r.value(one)) {
				return "false"
			}
		}
		return "true"
	}
	if a, b, ok := strings.Cut(e, "!="); ok {
		return fmt.Sprint(r.value(a) != r.value(b))
	}
	if a, b, ok := strings.Cut(e, "=="); ok {
		return fmt.Sprint(r.value(a) == r.value(b))
	}
	switch e = strings.TrimSpace(e); {
	case strings.HasPrefix(e, "!"):
		return fmt.Sprint(!truth(r.value(e[1:])))
	case strings.HasPrefix(e, "'"):
		return strings.Trim(e, "'")
	case e == "cancelled()":
		return "false"
	case strings.ContainsAny(e, "()[] "):
		r.ts.Fatalf("the expression %q is not known here", e)
	}
	return r.context[e]
}

// gitlabCommand runs a job of a GitLab file: gitlab FILE JOB [VARIABLE=value...]
func gitlabCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: gitlab FILE JOB [VARIABLE=value...]")
	}
	file := readCI(ts, args[0])
	job := fields(file[args[1]])
	if job == nil {
		ts.Fatalf("%s has no job %s", args[0], args[1])
	}
	env := map[string]string{"CI_PROJECT_DIR": ts.MkAbs(".")}
	for name, value := range fields(file["variables"]) {
		env[name] = fmt.Sprint(value)
	}
	maps.Copy(env, assignments(ts, args[2:]))
	base, _ := job["extends"].(string)
	lines := slices.Concat(words(fields(file[base])["before_script"]), words(job["script"]))
	output, err := bash(ts, ".", env, strings.Join(lines, "\n"))
	ending(ts, neg, output, err)
}

// words is a list of strings in a file.
func words(v any) []string {
	list, _ := v.([]any)
	all := make([]string, len(list))
	for i, one := range list {
		all[i] = fmt.Sprint(one)
	}
	return all
}

// buildkiteCommand runs the commands of a step of a Buildkite file: buildkite FILE KEY
func buildkiteCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: buildkite FILE KEY")
	}
	steps, _ := readCI(ts, args[0])["steps"].([]any)
	for _, step := range steps {
		if fields(step)["key"] == args[1] {
			output, err := bash(ts, ".", nil, strings.Join(words(fields(step)["commands"]), "\n"))
			ending(ts, neg, output, err)
			return
		}
	}
	ts.Fatalf("%s has no step %s", args[0], args[1])
}

// jenkinsCommand runs the script of a stage of a Jenkinsfile: jenkins FILE STAGE
func jenkinsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: jenkins FILE STAGE")
	}
	_, stage, _ := strings.Cut(ts.ReadFile(args[0]), "stage('"+args[1]+"')")
	stage, _, _ = strings.Cut(stage, "stage('")
	_, script, _ := strings.Cut(stage, "sh '''")
	script, _, ok := strings.Cut(script, "'''")
	if !ok {
		ts.Fatalf("%s has no stage %s with a script", args[0], args[1])
	}
	output, err := bash(ts, ".", nil, script)
	ending(ts, neg, output, err)
}

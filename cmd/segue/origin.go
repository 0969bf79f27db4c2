package main

import (
	"bytes"
	"cmp"
	"context"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"time"
)

// An origin says who changes a target, and from where, according to the environment:
// whoever controls that can forge it.
type origin struct {
	// Who is the person for whom a pipeline runs, or the user of this machine.
	Who string `json:"who"`
	// Run is the URL of the pipeline's job, "" elsewhere.
	Run string `json:"run,omitempty"`
	// Commit is the commit of the code, "" if it is unknown. Modified is true if files
	// of the project differed from it.
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"`
}

// A pipeline has the variables in which a CI system describes its job.
type pipeline struct {
	// set is the variable by which it is known.
	set string
	// who and commit are variables; the first that is set counts.
	who, commit []string
	// job returns the URL of the job.
	job func(getenv func(string) string) string
}

// pipelines are the CI systems that segue knows.
var pipelines = []pipeline{
	{"GITHUB_RUN_ID", []string{"GITHUB_ACTOR"}, []string{"GITHUB_SHA"}, func(getenv func(string) string) string {
		return getenv("GITHUB_SERVER_URL") + "/" + getenv("GITHUB_REPOSITORY") + "/actions/runs/" + getenv("GITHUB_RUN_ID")
	}},
	{"CI_JOB_URL", []string{"GITLAB_USER_LOGIN"}, []string{"CI_COMMIT_SHA"}, variableNamed("CI_JOB_URL")},
	{"BUILDKITE_BUILD_URL", []string{"BUILDKITE_BUILD_AUTHOR", "BUILDKITE_BUILD_CREATOR"}, []string{"BUILDKITE_COMMIT"}, variableNamed("BUILDKITE_BUILD_URL")},
	{"CIRCLE_BUILD_URL", []string{"CIRCLE_USERNAME"}, []string{"CIRCLE_SHA1"}, variableNamed("CIRCLE_BUILD_URL")},
	{"BUILD_URL", []string{"BUILD_USER_ID", "BUILD_USER"}, []string{"GIT_COMMIT"}, variableNamed("BUILD_URL")}, // Jenkins
}

func variableNamed(name string) func(getenv func(string) string) string {
	return func(getenv func(string) string) string { return getenv(name) }
}

// pipelineOf is the CI system that runs this, nil for none.
func pipelineOf(getenv func(string) string) *pipeline {
	for i := range pipelines {
		if getenv(pipelines[i].set) != "" {
			return &pipelines[i]
		}
	}
	return nil
}

// originOf returns the origin, from the pipeline, and otherwise from Git and the system.
func originOf(ctx context.Context, getenv func(string) string) origin {
	var o origin
	if p := pipelineOf(getenv); p != nil {
		o.Who, o.Commit, o.Run = firstOf(getenv, p.who), firstOf(getenv, p.commit), p.job(getenv)
	}
	if !isCommit(o.Commit) { // Buildkite says HEAD of a build that nobody has pushed
		o.Commit, o.Modified = gitState(ctx)
	}
	o.Who = cmp.Or(o.Who, userAndMachine())
	return o
}

func firstOf(getenv func(string) string, names []string) string {
	for _, name := range names {
		if value := getenv(name); value != "" {
			return value
		}
	}
	return ""
}

// isCommit reports whether a string is the full name of a commit.
func isCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// gitTimeout is the time that Git may take to return the commit.
const gitTimeout = 10 * time.Second

// gitState asks Git for the commit of the current folder, and whether CUE files below it
// differ from it. Without Git, or a repository, it is "".
func gitState(ctx context.Context) (commit string, modified bool) {
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	// The repository's own configuration must not name a program to run, and nothing is
	// written: somebody else may be at work in it.
	cmd := exec.CommandContext(ctx, "git", "-c", "core.fsmonitor=false", "status", "--porcelain=v2", "--branch",
		"--untracked-files=all", "--ignore-submodules=all", "--", "*.cue")
	cmd.Env = append(os.Environ(), "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return "", false
	}
	for line := range bytes.Lines(out) {
		line := strings.TrimSpace(string(line))
		switch oid, found := strings.CutPrefix(line, "# branch.oid "); {
		case found && isCommit(oid):
			commit = oid
		case line != "" && line[0] != '#':
			modified = true
		}
	}
	return commit, modified && commit != ""
}

// userAndMachine is who is logged in where.
func userAndMachine() string {
	name, machine := "somebody", "an unknown machine"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		machine = host
	}
	return name + "@" + machine
}

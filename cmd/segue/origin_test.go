package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each CI system says in its own variables who runs what.
func TestOriginInPipelines(t *testing.T) {
	const commit = "1b8a0e5c3c3f4e3a9a5d2f2f1f0e9d8c7b6a5f4e"
	for name, test := range map[string]struct {
		env  map[string]string
		want origin
	}{
		"GitHub": {map[string]string{"GITHUB_RUN_ID": "7", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/events",
			"GITHUB_ACTOR": "ada", "GITHUB_SHA": commit}, origin{Who: "ada", Run: "https://github.com/acme/events/actions/runs/7", Commit: commit}},
		"GitLab": {map[string]string{"CI_JOB_URL": "https://gitlab.example/jobs/7", "GITLAB_USER_LOGIN": "ada", "CI_COMMIT_SHA": commit},
			origin{Who: "ada", Run: "https://gitlab.example/jobs/7", Commit: commit}},
		"Buildkite": {map[string]string{"BUILDKITE_BUILD_URL": "https://buildkite.example/7", "BUILDKITE_BUILD_AUTHOR": "Ada", "BUILDKITE_COMMIT": commit},
			origin{Who: "Ada", Run: "https://buildkite.example/7", Commit: commit}},
		"CircleCI": {map[string]string{"CIRCLE_BUILD_URL": "https://circleci.example/7", "CIRCLE_USERNAME": "ada", "CIRCLE_SHA1": commit},
			origin{Who: "ada", Run: "https://circleci.example/7", Commit: commit}},
		"Jenkins": {map[string]string{"BUILD_URL": "https://jenkins.example/7", "BUILD_USER_ID": "ada", "GIT_COMMIT": commit},
			origin{Who: "ada", Run: "https://jenkins.example/7", Commit: commit}},
		"Jenkins without the user": {map[string]string{"BUILD_URL": "https://jenkins.example/7", "GIT_COMMIT": commit},
			origin{Who: userAndMachine(), Run: "https://jenkins.example/7", Commit: commit}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, originOf(t.Context(), func(name string) string { return test.env[name] })); diff != "" {
				t.Errorf("origin (-want +got):\n%s", diff)
			}
		})
	}
}

// A name that is no commit is left to Git.
func TestOriginTakesNoNameForACommit(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("GIT_CEILING_DIRECTORIES", "/")
	env := map[string]string{"BUILDKITE_BUILD_URL": "https://buildkite.example/7", "BUILDKITE_COMMIT": "HEAD"}
	if o := originOf(t.Context(), func(name string) string { return env[name] }); o.Commit != "" || o.Modified {
		t.Errorf("got %+v", o)
	}
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
)

// A gitHub is a stand-in for the part of GitHub's REST API that action.yml calls, by its
// documentation: the comments on a pull request, and the pull requests of a commit.
type gitHub struct {
	mu       sync.Mutex
	comments []gitHubComment
	merged   []gitHubPull
}

type gitHubComment struct {
	ID   int    `json:"id"`
	Body string `json:"body"`
	User struct {
		Login string `json:"login"`
	} `json:"user"`
	number string
}

type gitHubPull struct {
	Number   int    `json:"number"`
	MergedAt string `json:"merged_at,omitempty"`
	sha      string
}

// gitHubLogin is who writes comments with the token of a job.
const gitHubLogin = "github-actions[bot]"

// gitHubCommand starts a stand-in for GitHub's API, which takes the token "job-token":
// github NAME
func gitHubCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "github NAME")
	g := &gitHub{}
	stageOf(ts).gitHubs[args[0]] = g
	mux := http.NewServeMux()
	mux.HandleFunc("GET /repos/{owner}/{name}/issues/{number}/comments", g.list)
	mux.HandleFunc("POST /repos/{owner}/{name}/issues/{number}/comments", g.create)
	mux.HandleFunc("PATCH /repos/{owner}/{name}/issues/comments/{id}", g.update)
	mux.HandleFunc("GET /repos/{owner}/{name}/commits/{sha}/pulls", g.pulls)
	serve(ts, args[0], func(_ *server, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer job-token" {
			http.Error(w, `{"message": "Bad credentials"}`, http.StatusUnauthorized)
			return
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		mux.ServeHTTP(w, r)
	})
}

func gitHubOf(ts *testscript.TestScript, name string) *gitHub {
	g := stageOf(ts).gitHubs[name]
	if g == nil {
		ts.Fatalf("there is no stand-in for GitHub %s", name)
	}
	return g
}

// gitHubAnswer writes a value, which can be written as JSON.
func gitHubAnswer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // whoever asked has gone
}

func (g *gitHub) list(w http.ResponseWriter, r *http.Request) {
	var all []gitHubComment
	for _, c := range g.comments {
		if c.number == r.PathValue("number") {
			all = append(all, c)
		}
	}
	size, _ := strconv.Atoi(r.FormValue("per_page"))
	page, _ := strconv.Atoi(r.FormValue("page"))
	if size < 1 || size > 100 || page < 1 {
		http.Error(w, `{"message": "bad page"}`, http.StatusUnprocessableEntity)
		return
	}
	from := min((page-1)*size, len(all))
	gitHubAnswer(w, http.StatusOK, append([]gitHubComment{}, all[from:min(from+size, len(all))]...))
}

// body reads the body of a comment that is written; it answers itself if that is not possible.
func (g *gitHub) body(w http.ResponseWriter, r *http.Request) (string, bool) {
	var sent struct{ Body string }
	b, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(b, &sent)
	}
	if n := utf8.RuneCountInString(sent.Body); err != nil || n == 0 || n > 65536 {
		http.Error(w, `{"message": "Validation Failed"}`, http.StatusUnprocessableEntity)
		return "", false
	}
	return strings.TrimSpace(sent.Body), true
}

func (g *gitHub) add(number, login, body string) gitHubComment {
	c := gitHubComment{ID: 1000 + len(g.comments), Body: body, number: number}
	c.User.Login = login
	g.comments = append(g.comments, c)
	return c
}

func (g *gitHub) create(w http.ResponseWriter, r *http.Request) {
	if body, ok := g.body(w, r); ok {
		gitHubAnswer(w, http.StatusCreated, g.add(r.PathValue("number"), gitHubLogin, body))
	}
}

func (g *gitHub) update(w http.ResponseWriter, r *http.Request) {
	body, ok := g.body(w, r)
	for i := range g.comments {
		if c := &g.comments[i]; ok && strconv.Itoa(c.ID) == r.PathValue("id") {
			c.Body = body
			gitHubAnswer(w, http.StatusOK, c)
			return
		}
	}
	if ok {
		http.NotFound(w, r)
	}
}

func (g *gitHub) pulls(w http.ResponseWriter, r *http.Request) {
	all := []gitHubPull{}
	for _, p := range g.merged {
		if p.sha == r.PathValue("sha") {
			all = append(all, p)
		}
	}
	gitHubAnswer(w, http.StatusOK, all)
}

// commentCommand has somebody write a comment on a pull request, several times if N is
// given: comment NAME NUMBER LOGIN FILE [N]
func commentCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 4, "comment NAME NUMBER LOGIN FILE [N]")
	g, n := gitHubOf(ts, args[0]), 1
	if len(args) > 4 {
		var err error
		n, err = strconv.Atoi(args[4])
		ts.Check(err)
	}
	text := ts.ReadFile(args[3])
	g.mu.Lock()
	defer g.mu.Unlock()
	for range n {
		g.add(args[1], args[2], text)
	}
}

// commentsCommand writes the comments on a pull request that a job has written:
// comments NAME NUMBER
func commentsCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "comments NAME NUMBER")
	g := gitHubOf(ts, args[0])
	g.mu.Lock()
	defer g.mu.Unlock()
	out := ts.Stdout() // also where there is none
	for _, c := range g.comments {
		if c.number == args[1] && c.User.Login == gitHubLogin {
			fmt.Fprintf(out, "%s\n", comparable(ts, c.Body))
		}
	}
}

// mergedCommand says that a pull request was merged with a commit: merged NAME NUMBER SHA
func mergedCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 3, "merged NAME NUMBER SHA")
	number, err := strconv.Atoi(args[1])
	ts.Check(err)
	g := gitHubOf(ts, args[0])
	g.mu.Lock()
	defer g.mu.Unlock()
	g.merged = append(g.merged, gitHubPull{Number: number, MergedAt: "2026-11-28T09:30:00Z", sha: args[2]})
}

// filesCommand serves a folder: files NAME FOLDER
func filesCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "files NAME FOLDER")
	files := http.FileServer(http.Dir(ts.MkAbs(args[1])))
	serve(ts, args[0], func(s *server, w http.ResponseWriter, r *http.Request) {
		s.note(r)
		files.ServeHTTP(w, r)
	})
}

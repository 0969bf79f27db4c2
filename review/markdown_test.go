package review

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/seguehq/segue/sync"
)

// planOf returns a plan that creates n automations.
func planOf(n int, payload string) *sync.Plan {
	p := &sync.Plan{Format: sync.PlanFormat, Project: "growth", Target: "prod"}
	for i := range n {
		a := sample(fmt.Sprintf("team-%02d/automation-%04d", i%20, i), payload)
		if i%3 == 1 {
			a.Trigger.Name = "Lead"
		}
		c := sync.Change{Key: a.Key, Action: sync.Create, Reason: sync.New, Name: a.Name, Content: &a}
		if i%3 == 2 {
			c.Action, c.Reason, c.Base = sync.Update, sync.CodeChanged, &sync.Base{ID: "id", Revision: "1"}
			c.Differences = []sync.Difference{{Path: "name", Before: json.RawMessage(`"Old"`), After: fmt.Appendf(nil, `"New %d"`, i)}}
		}
		p.Changes = append(p.Changes, c)
	}
	return p
}

func TestMarkdown(t *testing.T) {
	var b bytes.Buffer
	if err := Markdown(&b, samplePlan(t)); err != nil {
		t.Fatal(err)
	}
	golden(t, "plan.md", b.Bytes())
	b.Reset()
	p := planOf(1, `{}`)
	p.SecretsUnknown, p.Blocks = true, []sync.Block{{Message: "growth/a is protected and would be deleted from prod", Remedy: "put it back"}}
	if err := Markdown(&b, p); err != nil {
		t.Fatal(err)
	}
	golden(t, "blocked.md", b.Bytes())
	b.Reset()
	if err := Markdown(&b, &sync.Plan{Project: "growth", Target: "prod", Unchanged: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	golden(t, "empty.md", b.Bytes())
}

// Plans for several targets share one comment. Room that one of them does not need is
// left to the others.
func TestMarkdownOfSeveralTargets(t *testing.T) {
	small, large := planOf(2, `{"event":"E"}`), planOf(1000, `{"event":"E"}`)
	large.Target = "staging"
	for _, plans := range [][]*sync.Plan{{small, large}, {large, small}, {large, large, large}} {
		var b bytes.Buffer
		if err := Markdown(&b, plans...); err != nil {
			t.Fatal(err)
		}
		if b.Len() > CommentLimit {
			t.Errorf("a comment of %d bytes is too long", b.Len())
		}
		for _, want := range []string{"<!-- segue plan: growth on ", "### segue plan for <code>staging</code>", "left out"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("the comment of %d plans has no %q", len(plans), want)
			}
		}
		if n := strings.Count(b.String(), "<!--"); n != 1 {
			t.Errorf("the comment has %d marks to find it by", n)
		}
		if short := CommentLimit - b.Len(); short > CommentLimit/10 {
			t.Errorf("%d bytes are left, and so are changes", short)
		}
	}
}

// A comment never exceeds GitHub's limit, and mentions the parts that it leaves
// out.
func TestMarkdownFitsAComment(t *testing.T) {
	long := `{"event":"` + strings.Repeat("long ", 2000) + `"}`
	for _, test := range []struct {
		n       int
		payload string
		want    string
	}{
		{10, `{"event":"E"}`, ""},
		{400, `{"event":"E","properties":{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6}}`, "**The details of "},
		{1000, `{"event":"E"}`, "**The details of "},
		{1000, long, "**The details of "},
		{1500, long, "changes are left out, and the details of "},
	} {
		p := planOf(test.n, test.payload)
		if test.n > 1000 {
			p.Warnings = []string{strings.Repeat("warning ", 30000)}
			p.Secrets = make([]sync.SecretChange, 3000)
		}
		for i := range p.Secrets {
			p.Secrets[i] = sync.SecretChange{Name: fmt.Sprintf("SECRET_%d", i), Action: sync.Create}
		}
		var b bytes.Buffer
		if err := Markdown(&b, p); err != nil {
			t.Fatal(err)
		}
		if b.Len() > CommentLimit {
			t.Errorf("%d changes: %d bytes", test.n, b.Len())
		}
		text := b.String()
		if strings.Contains(text, "left out") != (test.want != "") || !strings.Contains(text, test.want) {
			t.Errorf("%d changes: the end is %q, want %q", test.n, text[max(0, len(text)-300):], test.want)
		}
		shown := strings.Count(text, "<code>team-")
		left := 0
		_, after, _ := strings.Cut(text, "\n**")
		_, _ = fmt.Sscanf(after, "%d changes are left out", &left)
		if shown+left != test.n {
			t.Errorf("%d changes: %d are shown and %d left out", test.n, shown, left)
		}
		if strings.Count(text, "<details>") != strings.Count(text, "</details>") {
			t.Error("a detail is cut in half")
		}
	}
}

// No content of a plan can end its block or mention somebody.
func TestMarkdownIsNoMarkup(t *testing.T) {
	evil := "@everyone </details> ``` <img src=x> --> #1 https://evil.example **bold**"
	a := sample("growth/"+evil, "{\"event\":\"`````\"}")
	a.Name = evil + "\n```\n# Heading"
	p := &sync.Plan{Project: evil, Target: evil, Warnings: []string{evil}, Changes: []sync.Change{{Key: a.Key, Action: sync.Create, Content: &a,
		Taken: &sync.Bystander{Title: evil}}, {Key: "growth/b", Action: sync.Delete, Reason: sync.Duplicate, Name: evil, Base: &sync.Base{ID: evil}}}}
	var b bytes.Buffer
	if err := Markdown(&b, p); err != nil {
		t.Fatal(err)
	}
	fence := ""
	for l := range strings.Lines(b.String()) {
		l = strings.TrimSuffix(l, "\n")
		switch {
		case fence == "" && strings.HasPrefix(l, "```"):
			fence = strings.TrimRight(l, "abcdefghijklmnopqrstuvwxyz")
		case fence != "" && l == fence:
			fence = ""
		case fence == "" && !strings.HasPrefix(l, "<!--"):
			for _, bad := range []string{"@everyone", "<img", "**bold", "https://", "```"} {
				if strings.Contains(l, bad) {
					t.Errorf("outside of a block: %s", l)
				}
			}
		}
	}
	if fence != "" {
		t.Error("a block does not end")
	}
	first, _, _ := strings.Cut(b.String(), "\n")
	if strings.Count(first, "-->") != 1 || !strings.HasSuffix(first, " -->") {
		t.Errorf("the first line: %s", first)
	}
}

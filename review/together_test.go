package review

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/seguehq/segue/sync"
)

// An edit of a part that all automations share is one entry, and other updates remain.
func TestUpdatesTogether(t *testing.T) {
	p := &sync.Plan{Format: sync.PlanFormat, Project: "growth", Target: "prod"}
	edited := sync.Difference{Path: "action.kind", Before: []byte(`"http_request (changed by hand: the subflow segue: growth)"`), After: []byte(`"http_request"`)}
	for i := range 25 {
		a := sample(fmt.Sprintf("growth/a%02d", i), `{}`)
		c := sync.Change{Key: a.Key, Action: sync.Update, Reason: sync.Drifted, Name: a.Name, Content: &a,
			Base: &sync.Base{ID: fmt.Sprint(i), Revision: "1"}, Differences: []sync.Difference{edited}}
		switch i {
		case 3:
			c.Differences = differing(t, `{"a":1}`, `{"a":2}`)
		case 7:
			c.Taken = &sync.Bystander{Kind: sync.Copy, ID: "f1", Title: "flow Mine", Key: "growth/a07"}
		}
		p.Changes = append(p.Changes, c)
	}
	var b bytes.Buffer
	if err := Text(&b, p, TextOptions{Width: 80}); err != nil {
		t.Fatal(err)
	}
	golden(t, "together.txt", b.Bytes())
	b.Reset()
	if err := Markdown(&b, p); err != nil {
		t.Fatal(err)
	}
	golden(t, "together.md", b.Bytes())
	b.Reset()
	if err := Drift(&b, p.Drift(), TextOptions{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "together_drift.txt", b.Bytes())
}

package sync

import (
	"strings"
	"testing"
)

func TestSeal(t *testing.T) {
	m := Marker{Project: "growth", Key: "growth/a", Hash: "sha256:1"}
	seal := m.Seal("7")
	for name, c := range map[string]struct {
		marker            Marker
		project, id, seal string
		edited            bool
	}{
		"as it was written":           {m, "growth", "7", seal, false},
		"another hash":                {Marker{Project: "growth", Key: "growth/a", Hash: "sha256:2"}, "growth", "7", seal, false},
		"of an older segue":           {m, "growth", "7", "", false},
		"another key":                 {Marker{Project: "growth", Key: "growth/b"}, "growth", "7", seal, true},
		"another project":             {Marker{Project: "other", Key: "growth/a"}, "growth", "7", seal, true},
		"another project, which asks": {Marker{Project: "other", Key: "growth/a"}, "other", "7", seal, true},
		"another identifier":          {m, "growth", "8", seal, true},
		"what concerns nobody here":   {Marker{Project: "other", Key: "growth/b"}, "third", "7", seal, false},
	} {
		err := c.marker.CheckSeal(c.project, c.id, c.seal, `workflow "A" (7)`)
		if (err != nil) != c.edited {
			t.Errorf("%s: error %v", name, err)
		}
		if err != nil && !strings.Contains(err.Error(), `workflow "A" (7)`) {
			t.Errorf("%s: error %v does not name the automation", name, err)
		}
	}
}

package platformtest

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheConformanceTableIsCurrent(t *testing.T) {
	if updating() {
		if err := renewTable(here()); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(docsFile(here()))
	if err != nil {
		t.Fatal(err)
	}
	want, err := withTable(string(page), here())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(page)); diff != "" {
		t.Errorf("docs/platforms.md is stale; renew it with SEGUE_UPDATE=1 (-want +is):\n%s", diff)
	}
}

func TestTableSaysWhatIsMissing(t *testing.T) {
	got := table([]platformResults{
		{Platform: "a", Product: "A 1", Checks: []checkResult{{Check: "it works"}, {Check: "it sings", Missing: "it has no voice"}}},
		{Platform: "b", Product: "B 2", Checks: []checkResult{{Check: "it works"}}},
	})
	want := `| | a | b |
| --- | --- | --- |
| tested with | A 1 | B 2 |
| it works | yes | yes |
| it sings | no (1) | not checked |

1. a: it has no voice
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

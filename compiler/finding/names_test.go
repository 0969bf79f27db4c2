package finding

import "testing"

// A candidate that is given twice is still one.
func TestNearestOfTheSameTwice(t *testing.T) {
	if got := Nearest("evnt", []string{"event", "event", "name"}); got != "event" {
		t.Errorf("%q", got)
	}
}

package review

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/seguehq/segue/sync"
)

// fewest is the number of equal updates from which they are shown together.
const fewest = 3

// together puts updates together that are the same but for the automation, as after an edit
// of a part that automations share. Each takes the place of the first and has the keys of
// the others.
func together(changes []Change) []Change {
	first := map[string]int{} // into out, by content
	of, count := make([]string, len(changes)), map[string]int{}
	for i, c := range changes {
		of[i] = content(c)
		count[of[i]]++
	}
	var out []Change
	for i, c := range changes {
		at, known := first[of[i]]
		switch {
		case of[i] == "" || count[of[i]] < fewest:
			out = append(out, c)
		case known:
			out[at].Others = append(out[at].Others, c.Key)
		default:
			first[of[i]] = len(out)
			out = append(out, c)
		}
	}
	return out
}

// content identifies everything about an update but the automation; "" for a change that
// is shown alone.
func content(c Change) string {
	if c.Action != sync.Update || c.Moves != "" || c.Refused != "" || len(c.Facts) > 0 {
		return ""
	}
	text, err := json.Marshal([]any{c.Reason, c.Fields})
	if err != nil {
		return ""
	}
	return string(text)
}

// subject names the automations of a change.
func (c Change) subject() string {
	if len(c.Others) == 0 {
		return c.Key
	}
	return fmt.Sprintf("%s, and %d more in the same way", c.Key, len(c.Others))
}

// others lists the further automations of a change, "" if there are none.
func (c Change) others() string {
	if len(c.Others) == 0 {
		return ""
	}
	return "also " + strings.Join(c.Others, ", ")
}

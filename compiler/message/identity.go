package message

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/meaning"
)

// perSubject are the placeholders that are the same in all messages about one user, one
// account or one pattern.
var perSubject = []string{"userId", "userEmail", "userName", "accountId", "accountName", "usagePatternName"}

// checkIdentity checks the ids of a message, and the fields that tell one message from
// another.
func (m *Checked) checkIdentity() (found findings) {
	payload, ok := m.payload.(map[string]any)
	if !ok || m.Call == "http" {
		return nil
	}
	at := m.At.With("payload")
	found = append(found, m.checkEmptyIDs(payload, at)...)
	for _, k := range []string{"userId", "anonymousId", "groupId", "previousId"} {
		if id, ok := payload[k].(string); ok && blocked(id) {
			w := finding.Newf("blocked-id", at.With(k), finding.AtValue,
				"%s is %q, which Segment's profiles do not take for an id", at.With(k).Name(), id)
			w.Help = "send the id, or leave the field out"
			found = append(found, w)
		} else if ok && k != "groupId" && meaning.Constant(id) && !m.told(at.With(k)) {
			found = append(found, fixed(at.With(k), "all users would become one", "{{userId}}"))
		}
	}
	for _, k := range []string{"timestamp", "sentAt"} {
		if t, ok := payload[k].(string); ok && meaning.Constant(t) && !m.told(at.With(k)) {
			found = append(found, fixed(at.With(k), "all messages would have the same time", "{{clientTimestampEndTime}}"))
		}
	}
	if !m.told(at.With("messageId")) {
		found = append(found, m.checkMessageID(payload, at)...)
	}
	user, ok := payload["userId"].(string)
	if group, _ := payload["groupId"].(string); ok && group != "" && group == user && !meaning.Constant(user) {
		w := finding.Newf("group-of-one", at.With("groupId"), finding.AtValue,
			"payload.groupId is the id of the user: each user would be a group of their own")
		w.Help = "send the id of the account, as in {{accountId}}"
		found = append(found, w)
	}
	return found
}

func fixed(at finding.Path, effect, placeholder string) finding.Finding {
	w := finding.Newf("fixed-value", at, finding.AtValue, "%s is the same in every message: %s", at.Name(), effect)
	w.Help = "write a placeholder, as in " + placeholder
	return w
}

// checkEmptyIDs reports ids that are there and empty: an error if the message has no other
// id, for then Segment drops it.
func (m *Checked) checkEmptyIDs(payload map[string]any, at finding.Path) (found findings) {
	ids := []string{"userId", "anonymousId"}
	filled := slices.ContainsFunc(ids, func(k string) bool { return !emptyText(payload[k]) && payload[k] != nil })
	for _, k := range ids {
		if !emptyText(payload[k]) {
			continue
		}
		w := finding.Newf("empty-value", at.With(k), finding.AtValue, "%s must not be empty", at.With(k).Name())
		w.Help = "give it a value"
		if filled {
			w.Otherwise()
			w.Message = at.With(k).Name() + " is empty"
			w.Help = "give it a value, or leave the field out"
		}
		found = append(found, w)
	}
	return found
}

func emptyText(v any) bool {
	s, ok := v.(string)
	return ok && strings.TrimSpace(s) == ""
}

// checkMessageID reports an id of messages that several messages have: Segment drops all
// but the first within 24 hours and more (https://segment.com/docs/guides/duplicate-data/).
func (m *Checked) checkMessageID(payload map[string]any, at finding.Path) findings {
	id, ok := payload["messageId"].(string)
	if !ok {
		return nil
	}
	at = at.With("messageId")
	if strings.TrimSpace(id) == "" {
		w := finding.Newf("empty-value", at, finding.AtValue, "%s is empty", at.Name())
		w.Otherwise()
		w.Help = "leave the field out: Segment gives each message an id of its own"
		return findings{w}
	}
	t, err := automation.ParseTemplate(id)
	if err != nil {
		return nil
	}
	subjects := map[string]bool{}
	for _, r := range t.References() {
		if !slices.Contains(perSubject, r.Name) {
			return nil
		}
		if r.Name != "usagePatternName" {
			subjects[r.Name] = true
		}
	}
	w := finding.Newf("fixed-message-id", at, finding.AtValue,
		"%s is the same in every message: Segment drops all but the first as duplicates", at.Name())
	if len(subjects) > 0 {
		w.Otherwise()
		w.Message = fmt.Sprintf("%s is the same in all messages with one {{%s}}: Segment drops all but the first "+
			"of a day as duplicates", at.Name(), strings.Join(finding.SortedKeys(subjects), "}} and {{"))
	}
	w.Help = "leave the field out: Segment gives each message an id of its own"
	return findings{w}
}

// blocked reports whether an id is one that Segment advises to block as an identifier, such
// as zeros and "anonymous" (https://segment.com/docs/unify/identity-resolution/), or one
// that a program writes for a value that it does not have.
func blocked(id string) bool {
	id = strings.ToLower(strings.TrimSpace(id))
	return zeros().MatchString(id) || slices.Contains(blockedIDs, id)
}

var (
	zeros      = finding.Pattern(`^[0-]+$|^-1$`)
	blockedIDs = []string{"null", "nil", "none", "undefined", "nan", "anonymous", "unknown", "guest", "n/a", "na",
		"todo", "tbd", "true", "false", "[object object]", "void", "empty"}
)

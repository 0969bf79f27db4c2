package message

import (
	"slices"
	"strconv"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/meaning"
)

// externalIDParts are those that each entry of context.externalIds needs: without one, it
// does not become an identifier of a profile
// (https://segment.com/docs/unify/identity-resolution/externalids/).
var externalIDParts = []string{"id", "type", "collection", "encoding"}

// checkRouting checks what decides where a message goes: the ids of profiles, and the
// destinations.
func (m *Checked) checkRouting() (found findings) {
	payload, ok := m.payload.(map[string]any)
	if !ok || m.Call == "http" {
		return nil
	}
	context, _ := payload["context"].(map[string]any)
	ids, _ := context["externalIds"].([]any)
	for i, id := range ids {
		if id, ok := id.(map[string]any); ok {
			found = append(found, checkExternalID(id, m.At.With("payload", "context", "externalIds", i))...)
		}
	}
	integrations, _ := payload["integrations"].(map[string]any)
	if all, ok := integrations["All"].(bool); ok && !all && !slices.ContainsFunc(finding.SortedKeys(integrations),
		func(k string) bool { return k != "All" && integrations[k] != false }) {
		at := m.At.With("payload", "integrations")
		w := finding.Newf("no-destination", at, finding.AtLabel,
			"no destination gets the message: All is false, and none is named")
		w.Help = `name those that get it, as in integrations: {All: false, "Google Analytics 4": true}`
		found = append(found, w)
	}
	return found
}

func checkExternalID(id map[string]any, at finding.Path) (found findings) {
	var missing []string
	for _, part := range externalIDParts {
		if _, ok := id[part]; !ok {
			missing = append(missing, part)
		}
	}
	if len(missing) > 0 {
		w := finding.Newf("missing-field", at, finding.AtLabel,
			"%s needs id, type, collection and encoding: %s is missing", at.Name(), finding.OneOf(missing))
		w.Help = `write all four, as in {id: "…", type: "crm_id", collection: "users", encoding: "none"}`
		for _, part := range missing {
			w.Lacks = append(w.Lacks, at.With(part))
		}
		found = append(found, w)
	}
	if collection, ok := id["collection"].(string); ok && meaning.Constant(collection) &&
		!slices.Contains([]string{"users", "accounts"}, collection) {
		w := finding.Newf("invalid-value", at.With("collection"), finding.AtValue,
			`%s must be "users" or "accounts", got %q`, at.With("collection").Name(), collection)
		w.Help = `write "users" or "accounts"`
		if near := finding.Nearest(collection, []string{"users", "accounts"}); near != "" {
			w.Suggestion, w.Help, w.Repair = near, finding.DidYouMean(strconv.Quote(near)), finding.Quoted(near)
		}
		found = append(found, w)
	}
	return found
}

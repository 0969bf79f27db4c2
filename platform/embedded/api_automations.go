package embedded

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
)

// automationPage is a page of automations.
type automationPage struct {
	Automations []storedAutomation `json:"automations"`
	NextCursor  string             `json:"nextCursor,omitempty"`
}

func (a *api) listAutomations(w http.ResponseWriter, r *http.Request) error {
	query, err := readQuery(r, "project", "key", "cursor", "limit")
	if err != nil {
		return err
	}
	f := automationFilter{project: query["project"], key: query["key"]}
	if f.key != "" && f.project == "" {
		return badParameter("key needs project: a key is unique only in its project")
	}
	if f.after, f.limit, err = readPage(query, "a"); err != nil {
		return err
	}
	page, next, err := a.store.automations(r.Context(), f)
	if err != nil {
		return err
	}
	return sendJSON(w, http.StatusOK, automationPage{page, nextCursor("a", next)})
}

// automationBody is the body of POST and PUT.
type automationBody struct {
	// A PUT without a marker keeps the stored one; null removes it.
	Marker     json.RawMessage        `json:"marker,omitempty"`
	Automation *automation.Automation `json:"automation"`
}

// read reads the body and makes all checks that do not need the store.
func (b *automationBody) read(r *http.Request) (markerChange, error) {
	if err := readJSON(r, b); err != nil {
		return markerChange{}, err
	}
	if b.Automation == nil {
		return markerChange{}, malformed("the body has no automation")
	}
	change := markerChange{keep: b.Marker == nil}
	if !change.keep && !bytes.Equal(b.Marker, []byte("null")) {
		d := json.NewDecoder(bytes.NewReader(b.Marker))
		d.DisallowUnknownFields()
		if err := d.Decode(&change.marker); err != nil {
			return change, malformed("marker: %s", decodeText(err))
		}
	}
	return change, checkAutomation(*b.Automation)
}

func (a *api) createAutomation(w http.ResponseWriter, r *http.Request) error {
	var body automationBody
	change, err := body.read(r)
	if err == nil {
		err = checkMarker(change.marker, *body.Automation)
	}
	if err != nil {
		return err
	}
	stored, err := a.store.createAutomation(r.Context(), change.marker, *body.Automation)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/automations/"+stored.ID)
	return sendAutomation(w, http.StatusCreated, stored)
}

func (a *api) getAutomation(w http.ResponseWriter, r *http.Request) error {
	stored, err := a.store.automationByID(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return sendAutomation(w, http.StatusOK, stored)
}

func (a *api) replaceAutomation(w http.ResponseWriter, r *http.Request) error {
	match, err := readIfMatch(r)
	if err != nil {
		return err
	}
	var body automationBody
	change, err := body.read(r)
	if err != nil {
		return err
	}
	stored, err := a.store.replaceAutomation(r.Context(), r.PathValue("id"), match, change, *body.Automation)
	if err != nil {
		return err
	}
	return sendAutomation(w, http.StatusOK, stored)
}

func (a *api) deleteAutomation(w http.ResponseWriter, r *http.Request) error {
	match, err := readIfMatch(r)
	if err != nil {
		return err
	}
	if err := a.store.deleteAutomation(r.Context(), r.PathValue("id"), match); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func sendAutomation(w http.ResponseWriter, status int, a storedAutomation) error {
	w.Header().Set("ETag", `"`+a.Revision+`"`)
	return sendJSON(w, status, a)
}

// readIfMatch reads the header of RFC 9110, section 13.1.1: * or a list of
// entity tags. Weak tags never match.
func readIfMatch(r *http.Request) (func(revision string) bool, error) {
	given := strings.Join(r.Header.Values("If-Match"), ",")
	if strings.TrimSpace(given) == "" {
		return nil, newProblem(http.StatusPreconditionRequired, "if-match-missing",
			"a change needs the header If-Match with the ETag of the revision that it is based on")
	}
	var tags []string
	for tag := range strings.SplitSeq(given, ",") {
		tags = append(tags, strings.TrimSpace(tag))
	}
	return func(revision string) bool {
		return slices.Contains(tags, `"`+revision+`"`) || slices.Contains(tags, "*")
	}, nil
}

package embedded

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/seguehq/segue/automation"
)

// occurrenceBody is the body of a POST of an occurrence.
type occurrenceBody struct {
	Occurrence
	// DryRun returns the requests, and stores and sends nothing.
	DryRun bool `json:"dryRun,omitempty"`
}

// previewList is the answer to a dry run.
type previewList struct {
	Requests []Preview `json:"requests"`
}

var occurrenceID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (a *api) postOccurrence(w http.ResponseWriter, r *http.Request) error {
	var body occurrenceBody
	if err := readJSON(r, &body); err != nil {
		return err
	}
	if err := body.check(); err != nil {
		return err
	}
	if body.DryRun {
		previews, err := a.store.preview(r.Context(), body.Occurrence)
		if err != nil {
			return err
		}
		return sendJSON(w, http.StatusOK, previewList{previews})
	}
	if err := a.store.addOccurrence(r.Context(), body.Occurrence); err != nil {
		return err
	}
	a.dispatcher.Start()
	a.dispatcher.Wake()
	stored, err := a.store.occurrence(r.Context(), body.ID)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/occurrences/"+stored.ID)
	return sendJSON(w, http.StatusAccepted, stored)
}

// check validates an occurrence, sets its defaults, and compacts its JSON
// values.
func (o *occurrenceBody) check() error {
	refuse := func(what string) error {
		return newProblem(http.StatusUnprocessableEntity, "invalid-occurrence", "the occurrence can't be stored: %s", what)
	}
	switch {
	case o.Kind != automation.Pattern && o.Kind != automation.Journey:
		return refuse("kind must be pattern or journey")
	case o.Name == "":
		return refuse("it has no name")
	case o.ID != "" && !occurrenceID.MatchString(o.ID):
		return refuse("id must have up to 64 letters, digits, '-' and '_'")
	}
	if o.ID == "" {
		o.ID = rand.Text()
	}
	if o.Data == nil {
		o.Data = json.RawMessage("{}")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, o.Data); err != nil || !strings.HasPrefix(compact.String(), "{") {
		return refuse("data must be a JSON object with the values of the placeholders")
	}
	o.Data = compact.Bytes()
	return nil
}

func (a *api) getOccurrence(w http.ResponseWriter, r *http.Request) error {
	stored, err := a.store.occurrence(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return sendJSON(w, http.StatusOK, stored)
}

// deliveryPage is a page of deliveries.
type deliveryPage struct {
	Deliveries []Delivery `json:"deliveries"`
	NextCursor string     `json:"nextCursor,omitempty"`
}

func (a *api) listDeliveries(w http.ResponseWriter, r *http.Request) error {
	query, err := readQuery(r, "project", "key", "occurrence", "status", "since", "cursor", "limit")
	if err != nil {
		return err
	}
	f := deliveryFilter{DeliveryQuery: DeliveryQuery{Project: query["project"], Key: query["key"], Occurrence: query["occurrence"],
		Status: DeliveryStatus(query["status"])}}
	if !slices.Contains([]DeliveryStatus{"", Pending, Delivered, Failed}, f.Status) {
		return badParameter("status is %s, want pending, delivered or failed", quoted(query["status"]))
	}
	if f.Since, err = parseSince(query["since"]); err != nil {
		return err
	}
	if f.before, f.Limit, err = readPage(query, "d"); err != nil {
		return err
	}
	page, next, err := a.store.deliveries(r.Context(), f)
	if err != nil {
		return err
	}
	return sendJSON(w, http.StatusOK, deliveryPage{page, nextCursor("d", next)})
}

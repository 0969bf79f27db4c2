package embedded

import (
	"encoding/json"
	"time"

	"github.com/seguehq/segue/automation"
)

// An Occurrence is one firing of a trigger.
type Occurrence struct {
	// ID makes a repeated Fire harmless: one ID is one occurrence. It has up to
	// 64 letters, digits, '-' and '_'; empty means a random ID.
	ID string `json:"id,omitempty"`
	// Kind and Name are those of the trigger.
	Kind automation.TriggerKind `json:"kind"`
	Name string                 `json:"name"`
	// Data is a JSON object with a value for each placeholder: a string, a
	// number or a boolean. Nil means the empty object.
	Data json.RawMessage `json:"data,omitempty"`
}

// A FireResult is the outcome of an occurrence.
type FireResult struct {
	// ID is the ID of the occurrence.
	ID string
	// Deliveries are all final, in the order in which the automations were
	// created. There are none if no enabled automation has the trigger.
	Deliveries []Delivery
}

// A DeliveryStatus is the state of a delivery.
type DeliveryStatus string

// The states of a delivery. The last two are final.
const (
	Pending   DeliveryStatus = "pending"
	Delivered DeliveryStatus = "delivered" // the endpoint answered 2xx
	Failed    DeliveryStatus = "failed"
)

// A Delivery is the request of one automation for one occurrence, and its
// outcome.
type Delivery struct {
	ID         string         `json:"id"`
	Occurrence string         `json:"occurrence"`
	Automation AutomationRef  `json:"automation"`
	Status     DeliveryStatus `json:"status"`
	// Error says why the delivery failed, or why the last attempt of a pending
	// one failed. It holds no secret.
	Error string `json:"error,omitempty"`
	// Request is nil if it could not be rendered.
	Request   *PreparedRequest `json:"request,omitempty"`
	Attempts  []Attempt        `json:"attempts"`
	CreatedAt time.Time        `json:"createdAt"`
	// DueAt is the time of the next attempt; nil unless the delivery is pending.
	DueAt *time.Time `json:"dueAt,omitempty"`
	// FinishedAt is nil while the delivery is pending.
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
}

// An AutomationRef names an automation. The automation may have been changed or
// deleted since. Project is empty for one without a marker.
type AutomationRef struct {
	ID      string `json:"id"`
	Project string `json:"project,omitempty"`
	Key     string `json:"key"`
	Name    string `json:"name"`
}

// A PreparedRequest is a request with its placeholders filled in. Secrets are
// still references: their values are filled in when the request is sent, and
// not stored with it.
type PreparedRequest struct {
	Method  string                       `json:"method"`
	URL     string                       `json:"url"`
	Headers map[string]automation.Header `json:"headers"`
	// Body is JSON, empty if the request has none.
	Body string `json:"body,omitempty"`
}

// An Attempt is one attempt to send a delivery.
type Attempt struct {
	// Number counts from 1.
	Number    int       `json:"number"`
	StartedAt time.Time `json:"startedAt"`
	// DurationMS is the time until the last byte read of the answer, in
	// milliseconds.
	DurationMS int64 `json:"durationMs"`
	// Status is the HTTP status of the answer, 0 if there was none.
	Status int `json:"status,omitempty"`
	// Answer is the start of the answer's body, 2 KiB at most, with the values of
	// all the project's secrets masked.
	Answer string `json:"answer,omitempty"`
	// Error says why the attempt failed.
	Error string `json:"error,omitempty"`
}

// A Preview is a request that an occurrence would send, or the reason why it would
// not. Request is nil if it could not be rendered. Both Request and Error are set
// if the request must not be sent.
type Preview struct {
	Automation AutomationRef    `json:"automation"`
	Request    *PreparedRequest `json:"request,omitempty"`
	Error      string           `json:"error,omitempty"`
}

// A DeliveryQuery selects deliveries; an empty field does not filter.
type DeliveryQuery struct {
	Project, Key string
	Occurrence   string
	Status       DeliveryStatus
	// Since leaves out older deliveries.
	Since time.Time
	// Limit is the maximum number of deliveries; 0 means 50.
	Limit int
}

// occurrenceRecord is an occurrence as the API gives it.
type occurrenceRecord struct {
	ID        string                 `json:"id"`
	Kind      automation.TriggerKind `json:"kind"`
	Name      string                 `json:"name"`
	Data      json.RawMessage        `json:"data"`
	CreatedAt time.Time              `json:"createdAt"`
	Counts    deliveryCounts         `json:"counts"`
	// Deliveries are the first deliveries, oldest first.
	Deliveries []Delivery `json:"deliveries"`
}

type deliveryCounts struct {
	Pending   int `json:"pending"`
	Delivered int `json:"delivered"`
	Failed    int `json:"failed"`
}

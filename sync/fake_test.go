package sync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	stdsync "sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seguehq/segue/automation"
)

// when says at what point of a call a fault strikes.
type when int

const (
	before when = iota // the work is not done
	after              // the work is done, the answer is lost
	late               // the work is done some calls later
)

// A fault is what goes wrong with one call.
type fault struct {
	when when
	err  error
}

// memory is a platform that keeps everything in memory and fails on demand. It
// drives the engine through a fault model; it claims nothing of a real platform.
type memory struct {
	// unique makes a Create of a key that is taken fail, as some platforms do.
	unique bool
	// trims makes the platform trim the names that it is sent.
	trims bool
	// fault, if not nil, is asked about every call, numbered from 0.
	fault func(n int, op, key string) *fault

	mu      stdsync.Mutex
	stored  map[string]Stored
	secrets map[string]map[string]string
	calls   []string
	nextID  int
	rev     int
	pending []func()
}

func newMemory() *memory {
	return &memory{unique: true, stored: map[string]Stored{}, secrets: map[string]map[string]string{}}
}

// do runs work under the fault model.
func do[T any](ctx context.Context, m *memory, op, key string, work func() (T, error)) (T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	n := len(m.calls)
	m.calls = append(m.calls, op+" "+key)
	if len(m.pending) > 0 && n%3 == 0 {
		m.land()
	}
	var f *fault
	if m.fault != nil {
		f = m.fault(n, op, key)
	}
	switch {
	case f == nil:
		v, err := work()
		if ctx.Err() != nil { // a client does not wait for the answer any more
			return none, ctx.Err()
		}
		return v, err
	case f.when == after:
		_, _ = work()
	case f.when == late:
		m.pending = append(m.pending, func() { _, _ = work() })
	}
	return none, f.err
}

// write is do for work that returns nothing.
func (m *memory) write(ctx context.Context, op, key string, work func() error) error {
	_, err := do(ctx, m, op, key, func() (struct{}, error) { return struct{}{}, work() })
	return err
}

// land does the work of calls that were late.
func (m *memory) land() {
	for _, work := range m.pending {
		work()
	}
	m.pending = nil
}

func (m *memory) List(ctx context.Context, project string) ([]Stored, error) {
	return do(ctx, m, "list", project, func() (found []Stored, err error) {
		for _, id := range slices.Sorted(maps.Keys(m.stored)) {
			found = append(found, m.stored[id]) // of other projects too: the engine must not mind
		}
		return found, nil
	})
}

func (m *memory) Find(ctx context.Context, project, key string) ([]Stored, error) {
	return do(ctx, m, "find", key, func() ([]Stored, error) { return m.find(project, key), nil })
}

func (m *memory) find(project, key string) (found []Stored) {
	for _, id := range slices.Sorted(maps.Keys(m.stored)) {
		if s := m.stored[id]; s.Marker.Project == project && s.Marker.Key == key {
			found = append(found, s)
		}
	}
	return found
}

// put stores an automation as a person would, without any check.
func (m *memory) put(id string, marker Marker, a automation.Automation) Stored {
	if id == "" {
		m.nextID++
		id = fmt.Sprintf("id%04d", m.nextID)
	}
	m.rev++
	s := Stored{ID: id, Revision: strconv.Itoa(m.rev), Marker: marker, Automation: a}
	m.stored[id] = s
	return s
}

func (m *memory) Create(ctx context.Context, project string, a automation.Automation) (Stored, error) {
	return do(ctx, m, "create", a.Key, func() (Stored, error) {
		if m.unique && len(m.find(project, a.Key)) > 0 {
			return Stored{}, &Error{Kind: Exists, Status: 409, Message: "taken"}
		}
		return m.put("", MarkerOf(project, a), m.trim(a)), nil
	})
}

func (m *memory) trim(a automation.Automation) automation.Automation {
	if m.trims {
		a.Name = strings.TrimSpace(a.Name)
	}
	return a
}

func (m *memory) current(old Stored) error {
	switch now, ok := m.stored[old.ID]; {
	case !ok:
		return &Error{Kind: NotFound, Status: 404, Message: "gone"}
	case now.Revision != old.Revision:
		return &Error{Kind: Conflict, Status: 412, Message: "changed"}
	}
	return nil
}

func (m *memory) Update(ctx context.Context, old Stored, next Marker, a automation.Automation) (Stored, error) {
	return do(ctx, m, "update", a.Key, func() (Stored, error) {
		if err := m.current(old); err != nil {
			return Stored{}, err
		}
		return m.put(old.ID, next, m.trim(a)), nil
	})
}

func (m *memory) Delete(ctx context.Context, old Stored) error {
	return m.write(ctx, "delete", old.Marker.Key, func() error {
		if err := m.current(old); err != nil {
			return err
		}
		delete(m.stored, old.ID)
		return nil
	})
}

func (m *memory) Secrets(ctx context.Context, project string, want map[string]automation.Secret) (map[string]SecretState, error) {
	return do(ctx, m, "secrets", project, func() (map[string]SecretState, error) {
		states := map[string]SecretState{}
		for name, value := range m.secrets[project] {
			switch w, ok := want[name]; {
			case !ok:
				states[name] = Unchecked
			case w.Reveal() == value:
				states[name] = Same
			default:
				states[name] = Different
			}
		}
		return states, nil
	})
}

func (m *memory) PutSecret(ctx context.Context, project, name string, value automation.Secret) error {
	return m.write(ctx, "putSecret", name, func() error {
		if m.secrets[project] == nil {
			m.secrets[project] = map[string]string{}
		}
		m.secrets[project][name] = value.Reveal()
		return nil
	})
}

func (m *memory) DeleteSecret(ctx context.Context, project, name string) error {
	return m.write(ctx, "deleteSecret", name, func() error {
		delete(m.secrets[project], name)
		return nil
	})
}

// count returns how many calls of op there were.
func (m *memory) count(op string) int {
	n := 0
	for _, c := range m.calls {
		if len(c) > len(op) && c[:len(op)+1] == op+" " {
			n++
		}
	}
	return n
}

// keys returns the keys of what project owns, one for each automation.
func (m *memory) keys(project string) []string {
	var keys []string
	for _, s := range m.stored {
		if s.Marker.Project == project {
			keys = append(keys, s.Marker.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

// make builds an automation whose content depends on version. It refers to the
// secrets.
func makeAutomation(key string, version int, secrets ...string) automation.Automation {
	a := automation.Automation{
		Key: key, Name: "Name of " + key, Enabled: true,
		Trigger: automation.Trigger{Kind: automation.Pattern, Name: "Account activated"},
		Action: automation.Request{
			Kind: automation.KindHTTPRequest, Method: "POST", URL: "https://api.segment.io/v1/group",
			Headers: map[string]automation.Header{"Content-Type": {Value: automation.Credential{Text: "application/json"}}},
			Payload: fmt.Appendf(nil, `{"groupId":"{{accountId}}","traits":{"version":%d},"userId":"{{userId}}"}`, version),
		},
	}
	for i, name := range secrets {
		header := textproto.CanonicalMIMEHeaderKey(fmt.Sprintf("X-Secret-%d", i))
		a.Action.Headers[header] = automation.Header{Value: automation.Credential{Secret: name}}
	}
	return a
}

// desired is what project growth wants of the platform local. Each secret's
// value is "value of NAME".
func desired(automations ...automation.Automation) Desired {
	in := Desired{Project: "growth", Target: "local", Automations: automations, Secrets: map[string]automation.Secret{}}
	for _, a := range automations {
		for _, name := range a.SecretNames() {
			in.Secrets[name] = automation.NewSecret("value of " + name)
		}
	}
	return in
}

// quick makes calls without pauses to speak of.
var quick = Calls{Timeout: time.Minute, Tries: 6, BackOff: func() backoff.BackOff { return &backoff.ZeroBackOff{} }}

func mustPlan(t *testing.T, p Platform, in Desired) *Plan {
	t.Helper()
	plan, err := MakePlan(t.Context(), p, in, PlanOptions{AllowMassDelete: true, Calls: quick})
	if err != nil {
		t.Fatalf("MakePlan: %v", err)
	}
	return plan
}

// heal plans and applies without faults, as the next run would, and fails
// unless the platform then is exactly as wanted.
func heal(t *testing.T, m *memory, in Desired) {
	t.Helper()
	m.fault = nil
	m.mu.Lock()
	m.land()
	m.mu.Unlock()
	plan := mustPlan(t, m, in)
	if _, err := Apply(t.Context(), m, plan, in, ApplyOptions{Calls: quick}); err != nil {
		t.Fatalf("healing apply: %v", err)
	}
	checkSettled(t, m, in)
}

// checkSettled fails unless each wanted automation and secret is there exactly
// once, nothing else of the project is, and a plan is empty.
func checkSettled(t *testing.T, m *memory, in Desired) {
	t.Helper()
	var want []string
	for _, a := range in.Automations {
		want = append(want, a.Key)
		found := m.find(in.Project, a.Key)
		if len(found) != 1 || !matches(a.Hash(), found[0]) {
			t.Errorf("%s: stored %d times, or not as wanted", a.Key, len(found))
		}
	}
	slices.Sort(want)
	if got := m.keys(in.Project); !slices.Equal(got, want) {
		t.Errorf("stored keys = %q, want %q", got, want)
	}
	secrets := map[string]string{}
	for name, value := range in.usedSecrets() {
		secrets[name] = value.Reveal()
	}
	if !maps.Equal(m.secrets[in.Project], secrets) {
		t.Errorf("stored secrets = %q, want %q", m.secrets[in.Project], secrets)
	}
	if plan := mustPlan(t, m, in); !plan.Empty() {
		t.Errorf("the next plan is not empty: %+v", plan)
	}
}

// faults are all the ways in which one call can fail.
var faults = map[string]*fault{
	"429 before":          {before, &Error{Kind: Temporary, Status: 429, RetryAfter: time.Microsecond, Message: "slow down"}},
	"429 after":           {after, &Error{Kind: Temporary, Status: 429, Message: "slow down"}},
	"503 before":          {before, &Error{Kind: Temporary, Status: 503, Message: "busy"}},
	"503 after":           {after, &Error{Kind: Temporary, Status: 503, Message: "busy"}},
	"reset before":        {before, &Error{Kind: Temporary, Message: "connection reset"}},
	"reset after":         {after, &Error{Kind: Temporary, Message: "connection reset"}},
	"timeout before":      {before, context.DeadlineExceeded},
	"timeout after":       {after, context.DeadlineExceeded},
	"timeout late":        {late, context.DeadlineExceeded},
	"400 before":          {before, &Error{Kind: Refused, Status: 400, Message: "refused"}},
	"400 after":           {after, &Error{Kind: Refused, Status: 400, Message: "SQLITE_ERROR"}},
	"401 before":          {before, &Error{Kind: Unauthorized, Status: 401, Message: "unauthorized"}},
	"409 exists, before":  {before, &Error{Kind: Exists, Status: 409, Message: "taken"}},
	"412 before":          {before, &Error{Kind: Conflict, Status: 412, Message: "changed"}},
	"412 after":           {after, &Error{Kind: Conflict, Status: 412, Message: "changed"}},
	"404 before":          {before, &Error{Kind: NotFound, Status: 404, Message: "gone"}},
	"404 after":           {after, &Error{Kind: NotFound, Status: 404, Message: "gone"}},
	"given up on inside":  {before, &Error{Kind: Temporary, Message: "gave up", Err: backoff.Permanent(errors.New("busy"))}},
	"foreign error":       {before, errors.New("no idea")},
	"foreign error after": {after, errors.New("no idea")},
}

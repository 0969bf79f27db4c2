package embedded

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/sync"
)

// untouched is a transport that fails the test when it is used.
type untouched struct{ t *testing.T }

func (u untouched) RoundTrip(r *http.Request) (*http.Response, error) {
	u.t.Errorf("a request was sent to %s, with Authorization %q", r.URL, r.Header.Get("Authorization"))
	return nil, errors.New("no network here")
}

func TestNoSecretIsSentOverPlainHTTP(t *testing.T) {
	delivery := fast()
	delivery.Transport = untouched{t}
	p := openLocal(t, dataFile(t), LocalOptions{Delivery: delivery})
	if err := p.PutSecret(t.Context(), "growth", writeKey, automation.NewSecret("a-secret-1")); err != nil {
		t.Fatal(err)
	}
	must(p.Create(t.Context(), "growth", sample("growth/a", "http://segment.example/v1/identify")))(t)
	const want = "the secret SEGMENT_WRITE_KEY would be sent over plain HTTP"
	previews := must(p.Preview(t.Context(), activated))(t)
	if len(previews) != 1 || previews[0].Request != nil || !strings.Contains(previews[0].Error, want) {
		t.Errorf("a dry run shows %+v", previews)
	}
	result := must(p.Fire(t.Context(), activated))(t)
	if d := result.Deliveries[0]; d.Status != Failed || !strings.Contains(d.Error, want) || len(d.Attempts) != 0 {
		t.Errorf("got %+v", d)
	}
}

func TestPlainHTTPIsForWhatHoldsNoSecret(t *testing.T) {
	target := newEndpoint(t)
	p := openLocal(t, dataFile(t), LocalOptions{Delivery: fast()})
	if err := p.PutSecret(t.Context(), "growth", writeKey, automation.NewSecret("a-secret-1")); err != nil {
		t.Fatal(err)
	}
	must(p.Create(t.Context(), "growth", sample("growth/this-machine", target.URL)))(t)
	open := sample("growth/no-secret", "http://segment.example/")
	delete(open.Action.Headers, "Authorization")
	must(p.Create(t.Context(), "growth", open))(t)
	for _, preview := range must(p.Preview(t.Context(), activated))(t) {
		if preview.Request == nil {
			t.Errorf("%s can't be sent: %s", preview.Automation.Key, preview.Error)
		}
	}
}

func TestADeepPayloadIsRefusedBeforeItCanNotBeListed(t *testing.T) {
	for name, p := range platforms(t) {
		deep := func(levels int) automation.Automation {
			a := sample("growth/deep", "https://example.com/")
			a.Action.Payload = json.RawMessage(strings.Repeat("[", levels) + strings.Repeat("]", levels))
			return a
		}
		for _, levels := range []int{automation.DeepestPayload + 1, 9_990, 9_997} {
			if _, err := p.Create(t.Context(), "growth", deep(levels)); sync.KindOf(err) != sync.Refused || !strings.Contains(err.Error(), "deep") {
				t.Errorf("%s: %d levels: got %v", name, levels, err)
			}
		}
		must(p.Create(t.Context(), "growth", deep(automation.DeepestPayload)))(t)
		if all := must(p.List(t.Context(), "growth"))(t); len(all) != 1 || all[0].Automation.Hash() != deep(automation.DeepestPayload).Hash() {
			t.Errorf("%s: the list has %d automations, or another one", name, len(all))
		}
	}
}

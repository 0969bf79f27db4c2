package embedded

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seguehq/segue/sync"
)

// Fire makes a trigger happen, and waits until every delivery is final. An error
// is about the platform; the result has the outcomes of the deliveries. After an
// error, and after the context has ended, the platform still sends the
// deliveries that it has stored.
func (p *Platform) Fire(ctx context.Context, o Occurrence) (FireResult, error) {
	if o.ID == "" {
		o.ID = rand.Text() // so that it can be sent again without harm
	}
	err := p.retry(ctx, func() error {
		_, err := p.call(ctx, call{method: "POST", path: "/v1/occurrences", in: o, out: &struct{}{}})
		return err
	})
	if err != nil {
		return FireResult{}, fmt.Errorf("fire %s %s: %w", o.Kind, quoted(o.Name), err)
	}
	result := FireResult{ID: o.ID}
	pause := &backoff.ExponentialBackOff{InitialInterval: 10 * time.Millisecond, MaxInterval: time.Second, Multiplier: 1.5}
	for {
		pending, err := p.Deliveries(ctx, DeliveryQuery{Occurrence: o.ID, Status: Pending, Limit: 1})
		if err != nil {
			return result, fmt.Errorf("wait for the deliveries of occurrence %s: %w", o.ID, err)
		}
		if len(pending) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return result, fmt.Errorf("wait for the deliveries of occurrence %s: %w", o.ID, ctx.Err())
		case <-time.After(pause.NextBackOff()):
		}
	}
	all, err := p.Deliveries(ctx, DeliveryQuery{Occurrence: o.ID, Limit: int(^uint(0) >> 1)})
	if err != nil {
		return result, fmt.Errorf("read the deliveries of occurrence %s: %w", o.ID, err)
	}
	slices.Reverse(all)
	result.Deliveries = all
	return result, nil
}

// Preview returns the requests that an occurrence would send, in the order in
// which the automations were created. Nothing is stored or sent.
func (p *Platform) Preview(ctx context.Context, o Occurrence) ([]Preview, error) {
	var out previewList
	_, err := p.call(ctx, call{method: "POST", path: "/v1/occurrences", in: occurrenceBody{Occurrence: o, DryRun: true}, out: &out})
	return out.Requests, err
}

// Deliveries returns deliveries, newest first.
func (p *Platform) Deliveries(ctx context.Context, q DeliveryQuery) ([]Delivery, error) {
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	var all []Delivery
	err := p.EachDelivery(ctx, q, func(d Delivery) { all = append(all, d) })
	if err != nil {
		return nil, err
	}
	return all, nil
}

// EachDelivery calls a function with each delivery, newest first. It reads them page
// by page. A Limit of 0 means no limit.
func (p *Platform) EachDelivery(ctx context.Context, q DeliveryQuery, each func(Delivery)) error {
	query := url.Values{}
	for name, value := range map[string]string{"project": q.Project, "key": q.Key, "occurrence": q.Occurrence, "status": string(q.Status)} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if !q.Since.IsZero() {
		query.Set("since", q.Since.UTC().Format(time.RFC3339Nano))
	}
	for seen := 0; ; {
		size := pageLimit
		if q.Limit > 0 {
			size = min(size, q.Limit-seen)
		}
		query.Set("limit", fmt.Sprint(size))
		var page deliveryPage
		err := p.retry(ctx, func() error {
			page = deliveryPage{}
			_, err := p.call(ctx, call{method: "GET", path: "/v1/deliveries", query: query, out: &page})
			return err
		})
		if err != nil {
			return err
		}
		for _, d := range page.Deliveries {
			each(d)
		}
		seen += len(page.Deliveries)
		if page.NextCursor == "" || q.Limit > 0 && seen >= q.Limit {
			return nil
		}
		if page.NextCursor == query.Get("cursor") {
			return p.strange("the list of deliveries does not end")
		}
		query.Set("cursor", page.NextCursor)
	}
}

// Delivery returns the delivery with this ID.
func (p *Platform) Delivery(ctx context.Context, id string) (d Delivery, err error) {
	err = p.retry(ctx, func() error {
		d = Delivery{}
		_, err := p.call(ctx, call{method: "GET", path: deliveryPath(id), out: &d})
		return err
	})
	return d, err
}

// Retry makes the platform send a failed delivery again, with as many attempts as a
// new one, and returns the updated delivery. With render, the platform renders the
// request again, from the occurrence's values and the current automation. It always
// does so for a delivery that was never sent.
func (p *Platform) Retry(ctx context.Context, id string, render bool) (d Delivery, err error) {
	_, err = p.call(ctx, call{method: "POST", path: deliveryPath(id) + "/retry", in: retry{Render: render}, out: &d})
	return d, err
}

// Discard removes a failed delivery.
func (p *Platform) Discard(ctx context.Context, id string) error {
	_, err := p.call(ctx, call{method: "DELETE", path: deliveryPath(id)})
	return err
}

func deliveryPath(id string) string { return "/v1/deliveries/" + url.PathEscape(id) }

// Await waits until a delivery is final, and returns it.
func (p *Platform) Await(ctx context.Context, id string) (Delivery, error) {
	pause := &backoff.ExponentialBackOff{InitialInterval: 10 * time.Millisecond, MaxInterval: time.Second, Multiplier: 1.5}
	for {
		d, err := p.Delivery(ctx, id)
		if err != nil || d.Status != Pending {
			return d, err
		}
		select {
		case <-ctx.Done():
			return d, ctx.Err()
		case <-time.After(pause.NextBackOff()):
		}
	}
}

// retry repeats f for a short time while its error is temporary.
func (p *Platform) retry(ctx context.Context, f func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := f()
		if err != nil && sync.KindOf(err) != sync.Temporary {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxTries(4), backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 200 * time.Millisecond, MaxInterval: 2 * time.Second, Multiplier: 2, RandomizationFactor: 0.5}))
	return err
}

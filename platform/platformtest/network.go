package platformtest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	gosync "sync"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// A Toxic is one way in which the network spoils a connection, by the words of Shopify's
// toxiproxy. A [FaultProxy] answers wrongly; a toxic leaves half an answer, or none.
type Toxic string

// The toxics. What breaks the request off keeps the work from being done; what breaks the
// answer off hides that it was done.
const (
	Latency      Toxic = "latency"
	Bandwidth    Toxic = "bandwidth"
	ResetRequest Toxic = "reset_peer of the request"
	ResetAnswer  Toxic = "reset_peer of the answer"
	// CutRequest ends the connection within the body of a longer request.
	CutRequest Toxic = "limit_data of the request"
	// CutAnswer ends it within the body of an answer, CutHeader before that.
	CutAnswer Toxic = "limit_data of the answer"
	CutHeader Toxic = "limit_data of the answer's header"
)

// AllToxics are all of them.
var AllToxics = []Toxic{Latency, Bandwidth, ResetRequest, ResetAnswer, CutRequest, CutAnswer, CutHeader}

// specified are the toxics as toxiproxy's API takes them: milliseconds, kilobytes a second,
// and bytes. They are short, since a client that gives up leaves work that is done late.
var specified = map[Toxic]string{
	Latency:      `{"type": "latency", "stream": "downstream", "attributes": {"latency": 20}}`,
	Bandwidth:    `{"type": "bandwidth", "stream": "downstream", "attributes": {"rate": 500}}`,
	ResetRequest: `{"type": "reset_peer", "stream": "upstream", "attributes": {"timeout": 0}}`,
	ResetAnswer:  `{"type": "reset_peer", "stream": "downstream", "attributes": {"timeout": 0}}`,
	CutRequest:   `{"type": "limit_data", "stream": "upstream", "attributes": {"bytes": 400}}`,
	CutAnswer:    `{"type": "limit_data", "stream": "downstream", "attributes": {"bytes": 300}}`,
	CutHeader:    `{"type": "limit_data", "stream": "downstream", "attributes": {"bytes": 20}}`,
}

// A Network has, for each toxic, the address of a proxy of toxiproxy's that leads to a
// server and spoils every connection.
//
// Toxiproxy's own toxicity, the chance that a connection is spoilt, draws from a source
// that takes no seed, and nobody hears whether it has struck. So that chance is up to
// [Network.Transport], which is given a seed and tells.
type Network map[Toxic]string

// StartNetwork starts the proxies in front of the server at an address, such as
// 127.0.0.1:8377, and stops them when the test ends.
func StartNetwork(t testing.TB, server string) Network {
	t.Helper()
	network := Network{}
	control := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	for _, toxic := range AllToxics {
		proxy := toxiproxy.NewProxy(control, string(toxic), "127.0.0.1:0", server)
		if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(specified[toxic])); err != nil {
			t.Fatalf("%s: %v", toxic, err)
		}
		if err := proxy.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(proxy.Stop)
		network[toxic] = proxy.Listen
	}
	return network
}

// Transport returns a transport that sends requests to where they go, each over a
// connection of its own, or with the probability rate, from 0 to 1, through one of the
// toxics. The seed decides which requests those are, by their order. Struck hears of each
// toxic that did something to a request or its answer; it is called by several goroutines.
func (n Network) Transport(seed uint64, rate float64, struck func(Toxic)) http.RoundTripper {
	tr := &toxicTransport{
		clear: &http.Transport{DisableKeepAlives: true}, spoilt: map[Toxic]*http.Transport{},
		rate: rate, struck: struck, random: rand.New(rand.NewPCG(seed, 0)), chosen: int(seed % uint64(len(AllToxics))),
	}
	for toxic, address := range n {
		tr.spoilt[toxic] = &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, address)
			},
		}
	}
	return tr
}

type toxicTransport struct {
	clear  *http.Transport
	spoilt map[Toxic]*http.Transport
	rate   float64
	struck func(Toxic)

	mu     gosync.Mutex
	random *rand.Rand
	chosen int // how often
}

// choose returns the toxic for the next request, "" for none. All come in turn.
func (tr *toxicTransport) choose() Toxic {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.random.Float64() >= tr.rate {
		return ""
	}
	tr.chosen++
	return AllToxics[tr.chosen%len(AllToxics)]
}

// RoundTrip implements [http.RoundTripper].
func (tr *toxicTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	toxic := tr.choose()
	through, ok := tr.spoilt[toxic]
	if !ok {
		return tr.clear.RoundTrip(r)
	}
	res, err := through.RoundTrip(r)
	switch {
	case err != nil, toxic == Latency, toxic == Bandwidth:
		tr.struck(toxic)
	default:
		res.Body = &spoiltBody{ReadCloser: res.Body, struck: func() { tr.struck(toxic) }}
	}
	if err != nil {
		return nil, fmt.Errorf("%w (by %s)", err, toxic)
	}
	return res, nil
}

// A spoiltBody is the body of an answer that may be cut off.
type spoiltBody struct {
	io.ReadCloser
	struck func()
	once   gosync.Once
}

func (b *spoiltBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.once.Do(b.struck)
	}
	return n, err
}

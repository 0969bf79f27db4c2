package embedded

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/seguehq/segue/automation"
)

func TestServeRefusesToBeOpenToOthers(t *testing.T) {
	for _, listen := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.com:0"} {
		path := dataFile(t)
		err := Serve(t.Context(), ServeOptions{Listen: listen, Data: path})
		if err == nil || !strings.Contains(err.Error(), "needs a token") {
			t.Errorf("%s: %v", listen, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the data file was created nevertheless", listen)
		}
	}
	if err := Serve(t.Context(), ServeOptions{Listen: "8377", Data: dataFile(t)}); err == nil || !strings.Contains(err.Error(), "not an address such as 127.0.0.1:8377") {
		t.Errorf("a lone port: %v", err)
	}
	if err := Serve(t.Context(), ServeOptions{Listen: "0.0.0.0", Data: dataFile(t)}); err == nil || !strings.Contains(err.Error(), "it has no port; write 0.0.0.0:8377") {
		t.Errorf("no port: %v", err)
	}
}

func TestServeWithoutTokenAnswersThisMachineOnly(t *testing.T) {
	url := served(t, ServeOptions{Data: dataFile(t)})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	for host, want := range map[string]int{
		"": 200, "localhost": 200, "LOCALHOST:" + port: 200, "127.0.0.1:" + port: 200, "[::1]:" + port: 200, "[::1]": 200,
		"evil.example": 403, "evil.example:" + port: 403, "localhost.evil.example": 403, "192.0.2.1": 403,
	} {
		r := must(http.NewRequest("GET", url+"/v1/automations", nil))(t)
		r.Host = host
		res := must(http.DefaultClient.Do(r))(t)
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("Host %q: %d, want %d", host, res.StatusCode, want)
		}
	}
}

func TestServeSaysThatTheAddressIsTaken(t *testing.T) {
	taken := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer taken.Close()
	err := Serve(t.Context(), ServeOptions{Listen: taken.Addr().String(), Data: dataFile(t)})
	if err == nil || !strings.Contains(err.Error(), "already in use") {
		t.Errorf("got %v", err)
	}
}

func TestServeSendsWhatIsPending(t *testing.T) {
	target := newEndpoint(t)
	s := openStore(t, dataFile(t))
	p := platformOver(t, s)
	fill(t, p, sample("growth/a", target.URL))
	o := activated
	o.ID = "left"
	if err := s.addOccurrence(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	log := newLogBook()
	served(t, ServeOptions{Data: s.path, Delivery: fast(), Logger: log.logger()})
	<-log.attempted
	if all := waitFinal(t, p, "left"); all[0].Status != Delivered {
		t.Errorf("got %+v", all[0])
	}
}

func TestServeFinishesRequestsAtItsEnd(t *testing.T) {
	reached, end := make(chan struct{}), make(chan struct{})
	target := newEndpoint(t, func(http.ResponseWriter, *http.Request) { close(reached); <-end })
	path := dataFile(t)
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- Serve(ctx, ServeOptions{Listen: "127.0.0.1:0", Data: path, Delivery: fast(), Ready: func(addr string) { ready <- addr }})
	}()
	p := must(NewClient("http://"+<-ready, automation.Secret{}, ClientOptions{}))(t)
	fill(t, p, sample("growth/a", target.URL))
	if _, err := p.call(t.Context(), call{method: "POST", path: "/v1/occurrences", in: activated}); err != nil {
		t.Fatal(err)
	}
	<-reached
	cancel()
	close(end)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if all := must(openLocal(t, path, LocalOptions{}).Deliveries(t.Context(), DeliveryQuery{}))(t); len(all) != 1 || all[0].Status != Delivered {
		t.Errorf("got %+v", all)
	}
}

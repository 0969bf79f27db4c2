package reach_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seguehq/segue/platform/reach"
	"github.com/seguehq/segue/sync"
)

// ask sends a request and returns the failure, with URL for the place.
func ask(t *testing.T, url string, trust http.RoundTripper, timeout time.Duration) *sync.Error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", url+"/path?token=s3cret", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: trust}).Do(req)
	if err != nil {
		return reach.Failure(err, url, "is it running?")
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reach.Mismatch(res.StatusCode, body, url)
}

func TestFailures(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	closes := listen(t, func(c net.Conn) {})
	alerts := listen(t, func(c net.Conn) { _, _ = c.Write([]byte{0x15, 3, 1, 0, 2, 2, 10}) })
	silent := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, test := range []struct {
		name, url string
		kind      sync.ErrorKind
		want      string
	}{
		{"https where http is spoken", strings.Replace(plain.URL, "http:", "https:", 1), sync.Refused, "can't reach URL: it speaks plain HTTP; write http:// in the url, or the port of its HTTPS"},
		{"http where https is spoken", strings.Replace(secure.URL, "https:", "http:", 1), sync.Refused, "can't reach URL: it speaks HTTPS; write https:// in the url"},
		{"http where TLS answers", alerts, sync.Refused, "can't reach URL: it speaks HTTPS; write https:// in the url"},
		{"an unknown certificate", secure.URL, sync.Refused, "can't reach URL: its certificate is not accepted (x509: certificate signed by unknown authority). If it is signed by an authority of your own, set ca on the target"},
		{"a closed connection", closes, sync.Temporary, "URL closed the connection without an answer; if that happens again, check that it does not want https"},
		{"nobody there", gone.URL, sync.Temporary, "can't reach URL: connection refused; is it running?"},
		{"no answer", silent, sync.Temporary, "no answer from URL in time"},
	} {
		t.Run(test.name, func(t *testing.T) {
			timeout := time.Minute
			if test.url == silent {
				timeout = 50 * time.Millisecond
			}
			e := ask(t, test.url, http.DefaultTransport.(*http.Transport).Clone(), timeout)
			if e == nil {
				t.Fatal("no failure")
			}
			text := strings.ReplaceAll(e.Message, test.url, "URL")
			if e.Kind != test.kind || !strings.HasPrefix(text, test.want) {
				t.Errorf("kind %d: %s\nwant kind %d: %s", e.Kind, text, test.kind, test.want)
			}
			if strings.Contains(fmt.Sprintf("%v %v", e, e.Err), "s3cret") {
				t.Errorf("the error holds the query: %v, %v", e, e.Err)
			}
		})
	}
	if e := ask(t, secure.URL, &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, time.Minute); e != nil {
		t.Errorf("an unexpected failure: %v", e)
	}
}

// Answers of other servers to plain HTTP at their HTTPS port.
func TestMismatch(t *testing.T) {
	for body, want := range map[string]bool{
		"<center>The plain HTTP request was sent to HTTPS port</center>":          true,
		"Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />": true,
		"Client sent an HTTP request to an HTTPS server.\n":                       true,
		`{"message": "a rule needs a name"}`:                                      false,
	} {
		if got := reach.Mismatch(http.StatusBadRequest, []byte(body), "x") != nil; got != want {
			t.Errorf("%q: %v, want %v", body, got, want)
		}
	}
	if reach.Mismatch(http.StatusOK, []byte("HTTP request to an HTTPS server"), "x") != nil {
		t.Error("a successful answer is reported as a mismatch")
	}
}

// listen accepts connections and returns the URL.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 4096)
				_, _ = c.Read(b)
				serve(c)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

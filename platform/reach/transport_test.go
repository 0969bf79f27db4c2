package reach

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// secure starts a server that speaks TLS.
func secure(t *testing.T, config *tls.Config) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := "nobody"
		if certs := r.TLS.PeerCertificates; len(certs) > 0 {
			who = certs[0].Subject.CommonName
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, "%q", who)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = config
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// failureOf is what a person reads when a request fails, "" if it does not.
func failureOf(t *testing.T, transport http.RoundTripper, address string) (body string, failed *sync.Error) {
	t.Helper()
	res, body, err := get(t, transport, address)
	if err != nil {
		return "", Failure(err, "the platform", "is it running?")
	}
	if e := Mismatch(res.StatusCode, []byte(body), "the platform"); e != nil {
		return "", e
	}
	return body, nil
}

func transportWith(t *testing.T, o TLS) http.RoundTripper {
	t.Helper()
	transport, err := NewTransport(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeIdle(transport) })
	return transport
}

func TestAuthorities(t *testing.T) {
	own, other := platformtest.NewAuthority(t, "Acme"), platformtest.NewAuthority(t, "Other")
	server := secure(t, own.Serve(t, "127.0.0.1", 2*time.Hour, nil))
	elsewhere := secure(t, own.Serve(t, "platform.example", 2*time.Hour, nil))
	expired := secure(t, own.Serve(t, "127.0.0.1", 30*time.Minute, nil))
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, own.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, url, certFile string
		ca                  []byte
		want                string // of the failure, "" for none
	}{
		{"an authority that nobody knows", server.URL, "", nil, "can't reach the platform: its certificate is not accepted (x509: certificate signed by unknown authority). " +
			"If it is signed by an authority of your own, set ca on the target to a file in the project with the certificate of that authority, or name the file in SSL_CERT_FILE"},
		{"ca", server.URL, "", own.PEM, ""},
		{"SSL_CERT_FILE", server.URL, file, nil, ""},
		{"another ca", server.URL, file, other.PEM, "can't reach the platform: its certificate is not accepted (x509: certificate signed by unknown authority"},
		{"several", server.URL, "", append(append([]byte(nil), other.PEM...), own.PEM...), ""},
		{"another name", elsewhere.URL, "", own.PEM, "can't reach the platform: its certificate is for another name (x509: "},
		{"an expired certificate", expired.URL, "", own.PEM, "can't reach the platform: its certificate is not valid now (x509: certificate has expired"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(authorityVariable, test.certFile)
			body, failed := failureOf(t, transportWith(t, TLS{CA: test.ca}), test.url)
			switch {
			case test.want == "" && (failed != nil || body != `"nobody"`):
				t.Errorf("got %s, %v", body, failed)
			case test.want != "" && (failed == nil || failed.Kind != sync.Refused || !strings.HasPrefix(failed.Message, test.want)):
				t.Errorf("got %v\nwant %s", failed, test.want)
			}
		})
	}
}

func TestClientCertificates(t *testing.T) {
	own, other := platformtest.NewAuthority(t, "Acme"), platformtest.NewAuthority(t, "Other")
	server := secure(t, own.Serve(t, "127.0.0.1", 2*time.Hour, own))
	nginx := behindNginx(t, own)
	cert, key := own.Issue(t, "segue", 2*time.Hour)
	strange, strangeKey := other.Issue(t, "somebody", 2*time.Hour)
	const wants = "the platform: it asks for a client certificate; set clientCert and clientKey on the target"
	const refuses = "the platform: it does not accept the client certificate"
	for _, test := range []struct {
		name, url string
		cert, key []byte
		want      string // the start of the failure, "" for none
	}{
		{"none", server.URL, nil, nil, wants},
		{"the right one", server.URL, cert, key, ""},
		{"another authority's", server.URL, strange, strangeKey, refuses + " (tls: "},
		{"none, nginx", nginx, nil, nil, wants},
		{"the right one, nginx", nginx, cert, key, ""},
		{"another authority's, nginx", nginx, strange, strangeKey, refuses + "; check clientCert"},
	} {
		t.Run(test.name, func(t *testing.T) {
			transport := transportWith(t, TLS{CA: own.PEM, ClientCert: test.cert, ClientKey: automation.NewSecret(string(test.key))})
			body, failed := failureOf(t, transport, test.url)
			switch {
			case test.want == "" && (failed != nil || body != `"segue"`):
				t.Errorf("got %s, %v", body, failed)
			case test.want != "" && (failed == nil || failed.Kind != sync.Refused || !strings.HasPrefix(failed.Message, test.want)):
				t.Errorf("got %s, %v\nwant %s", body, failed, test.want)
			}
		})
	}
}

// behindNginx starts Debian's nginx, which asks for a client certificate.
func behindNginx(t *testing.T, clients *platformtest.Authority) string {
	t.Helper()
	dir := t.TempDir()
	cert, key := clients.Issue(t, "127.0.0.1", 2*time.Hour)
	for name, content := range map[string][]byte{"cert.pem": cert, "key.pem": key, "ca.pem": clients.PEM} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port := platformtest.FreePort(t)
	platformtest.StartNginx(t, dir, fmt.Sprintf(`server {
		listen 127.0.0.1:%d ssl;
		ssl_certificate DIR/cert.pem;
		ssl_certificate_key DIR/key.pem;
		ssl_client_certificate DIR/ca.pem;
		ssl_verify_client on;
		default_type application/json;
		return 200 '"segue"';
	}`, port))
	return fmt.Sprintf("https://127.0.0.1:%d", port)
}

// What can't be used is an error before anything is sent, and holds nothing of a key.
func TestUnusableCertificates(t *testing.T) {
	own := platformtest.NewAuthority(t, "Acme")
	cert, key := own.Issue(t, "segue", 2*time.Hour)
	_, otherKey := own.Issue(t, "segue", 2*time.Hour)
	for _, test := range []struct {
		name, certFile string
		o              TLS
		want           string
	}{
		{"no CA in the file", "", TLS{CA: []byte("certificate")}, "the file that ca names holds no certificate in PEM"},
		{"a key in the file", "", TLS{ClientCert: append(append([]byte(nil), cert...), key...), ClientKey: automation.NewSecret(string(key))},
			"the file that clientCert names holds a private key, which must not be there for all to read"},
		{"another key", "", TLS{ClientCert: cert, ClientKey: automation.NewSecret(string(otherKey))}, "clientCert and clientKey can't be used together: tls: private key does not match public key"},
		{"no key", "", TLS{ClientCert: cert, ClientKey: automation.NewSecret("s3cret-that-is-no-key")}, "clientCert and clientKey can't be used together: tls: failed to find any PEM data in key input"},
		{"no such file", "/no/such/file", TLS{}, "the file that SSL_CERT_FILE names, /no/such/file, can't be read: no such file or directory"},
		{"an empty file", os.DevNull, TLS{}, "the file that SSL_CERT_FILE names, " + os.DevNull + ", holds no certificate in PEM"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(authorityVariable, test.certFile)
			_, err := NewTransport(test.o)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got %v\nwant %s", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error holds the key: %v", err)
			}
		})
	}
}

// proxy starts a proxy that answers to CONNECT with a status, and connects if that is 200.
func proxy(t *testing.T, status int) *url.URL {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status != http.StatusOK || r.Method != http.MethodConnect {
			w.WriteHeader(status)
			return
		}
		to, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		from, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			_, _ = io.Copy(to, from)
			to.Close()
		}()
		_, _ = io.Copy(from, to)
		from.Close()
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestProxies(t *testing.T) {
	own := platformtest.NewAuthority(t, "Acme")
	server := secure(t, own.Serve(t, "127.0.0.1", 2*time.Hour, nil))
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	gone := proxy(t, http.StatusOK)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Host = listener.Addr().String()
	listener.Close()
	through := func(p *url.URL) proxied {
		transport := transportWith(t, TLS{CA: own.PEM}).(proxied)
		transport.Proxy = http.ProxyURL(p)
		return transport
	}
	if body, failed := failureOf(t, through(proxy(t, http.StatusOK)), server.URL); failed != nil || body != `"nobody"` {
		t.Errorf("through a proxy: got %s, %v", body, failed)
	}
	for _, test := range []struct {
		name  string
		proxy *url.URL
		url   string
		kind  sync.ErrorKind
		want  string
	}{
		{"forbids", proxy(t, http.StatusForbidden), server.URL, sync.Refused, "can't reach the platform: the proxy PROXY answered 403 Forbidden; have it let this machine through; " +
			"name the platform's host in NO_PROXY if it can be reached without a proxy"},
		{"wants a password", proxy(t, http.StatusProxyAuthRequired), server.URL, sync.Refused, "can't reach the platform: the proxy PROXY answered 407 Proxy Authentication Required; " +
			"write its user and password into HTTPS_PROXY, as in http://USER:PASSWORD@PROXY"},
		{"wants a password, without TLS", proxy(t, http.StatusProxyAuthRequired), plain.URL, sync.Refused, "can't reach the platform: the proxy PROXY answered 407"},
		{"does not get there", proxy(t, http.StatusBadGateway), server.URL, sync.Temporary, "can't reach the platform: the proxy PROXY answered 502 Bad Gateway; name the platform's host in NO_PROXY"},
		{"is away", gone, server.URL, sync.Temporary, "can't reach the platform: the proxy PROXY can't be reached: connection refused; check HTTPS_PROXY and HTTP_PROXY"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.proxy.User = url.UserPassword("ada", "proxy-Password-1")
			_, failed := failureOf(t, through(test.proxy), test.url)
			if failed == nil {
				t.Fatal("no failure")
			}
			text := strings.ReplaceAll(failed.Message, test.proxy.Host, "PROXY")
			if failed.Kind != test.kind || !strings.HasPrefix(text, test.want) {
				t.Errorf("got kind %d: %s\nwant kind %d: %s", failed.Kind, text, test.kind, test.want)
			}
			if strings.Contains(fmt.Sprint(failed, errors.Unwrap(failed)), "proxy-Password-1") {
				t.Errorf("the error holds the password: %v", failed)
			}
		})
	}
}

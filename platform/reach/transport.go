package reach

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/seguehq/segue/automation"
)

// authorityVariable names a file with certificates of authorities that are trusted beside
// those of the system. Go knows it on most systems, and segue on the others as well.
const authorityVariable = "SSL_CERT_FILE"

// TLS says whom a platform is believed to be, and who segue is, where a connection is
// encrypted. The zero value trusts the system's authorities, with no certificate of segue's own.
type TLS struct {
	// CA holds the certificates, in PEM, of the authorities that the platform's
	// certificate has to be signed by; nil for those that the system trusts and those in
	// the file that SSL_CERT_FILE names.
	CA []byte
	// ClientCert holds the certificate, in PEM, by which the platform knows segue, with
	// those between it and its authority; nil for none. ClientKey is its private key.
	ClientCert []byte
	ClientKey  automation.Secret
}

// NewTransport returns a transport like [http.DefaultTransport], with its proxies of the
// environment, whose errors say if a proxy is to blame.
func NewTransport(o TLS) (http.RoundTripper, error) {
	config, err := o.config()
	if err != nil {
		return nil, err
	}
	t := newTransport()
	if config != nil {
		t.TLSClientConfig = config
	}
	return t, nil
}

func newTransport() proxied {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.OnProxyConnectResponse = func(_ context.Context, proxy *url.URL, _ *http.Request, res *http.Response) error {
		if res.StatusCode != http.StatusOK {
			return &ProxyError{Proxy: proxy.Host, Status: res.StatusCode}
		}
		return nil
	}
	return proxied{t}
}

// config returns nil for the configuration of [http.DefaultTransport].
func (o TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	switch file := os.Getenv(authorityVariable); {
	case o.CA != nil:
		config.RootCAs = x509.NewCertPool() // no other authority is believed
		if !config.RootCAs.AppendCertsFromPEM(o.CA) {
			return nil, errors.New("the file that ca names holds no certificate in PEM")
		}
	case file != "":
		content, err := os.ReadFile(file)
		if err != nil {
			var path *os.PathError
			if errors.As(err, &path) {
				err = path.Err
			}
			return nil, fmt.Errorf("the file that %s names, %s, can't be read: %w", authorityVariable, printable(file), err)
		}
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool()
		}
		if !config.RootCAs.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("the file that %s names, %s, holds no certificate in PEM", authorityVariable, printable(file))
		}
	case o.ClientCert == nil:
		return nil, nil
	}
	if o.ClientCert != nil {
		if holdsKey(o.ClientCert) {
			return nil, errors.New("the file that clientCert names holds a private key, which must not be there for all to read: " +
				"take it out, make a new one if anybody else could read it, and give it as clientKey, by the name of a secret")
		}
		pair, err := tls.X509KeyPair(o.ClientCert, []byte(o.ClientKey.Reveal()))
		if err != nil {
			// What it says of the key does not hold any of it.
			return nil, fmt.Errorf("clientCert and clientKey can't be used together: %w", err)
		}
		// It is sent whatever authorities the platform names: that it does not accept this one
		// says more than that it has got none.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return config, nil
}

// holdsKey reports whether there is a private key in PEM.
func holdsKey(content []byte) bool {
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			return false
		}
		if block.Type != "CERTIFICATE" {
			return true
		}
	}
}

// A ProxyError says that a proxy has not passed a connection on.
type ProxyError struct {
	// Proxy is its host, with the port if it was given.
	Proxy string
	// Status is the HTTP status of its answer, 0 if there was none.
	Status int
	// Err is why there was no answer.
	Err error
}

// Error gives the proxy's answer.
func (e *ProxyError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("the proxy %s answered %d %s", e.Proxy, e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("the proxy %s can't be reached: %v", e.Proxy, Root(e.Err))
}

// Unwrap returns why there was no answer.
func (e *ProxyError) Unwrap() error { return e.Err }

// A proxied transport tells errors of a proxy from those of the platform.
type proxied struct{ *http.Transport }

// RoundTrip implements [http.RoundTripper].
func (t proxied) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.Transport.RoundTrip(req)
	switch {
	case err != nil:
		var told *ProxyError
		var op *net.OpError
		if errors.As(err, &told) || !errors.As(err, &op) || op.Op != "proxyconnect" {
			return nil, err
		}
		return nil, &ProxyError{Proxy: t.proxyOf(req), Err: op.Err}
	case res.StatusCode == http.StatusProxyAuthRequired:
		// Without TLS, the proxy answers in the platform's place.
		_ = res.Body.Close()
		return nil, &ProxyError{Proxy: t.proxyOf(req), Status: res.StatusCode}
	}
	return res, nil
}

// proxyOf is the host of the proxy that a request goes through.
func (t proxied) proxyOf(req *http.Request) string {
	if proxy, err := t.Proxy(req); err == nil && proxy != nil {
		return proxy.Host
	}
	return "before the platform"
}

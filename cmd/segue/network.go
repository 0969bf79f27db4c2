package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/platform/reach"
)

// mostCertificates is how long a file with certificates may be, in bytes.
const mostCertificates = 1 << 20

// certificates are the contents of the files that a target names, in PEM.
type certificates struct {
	CA         string `json:"ca,omitempty"`
	ClientCert string `json:"clientCert,omitempty"`
}

// certificatesOf reads the files that a target names.
func certificatesOf(project *config.Project, name string, target config.Target) (found certificates, err error) {
	for _, one := range []struct {
		field, file string
		to          *string
	}{{"ca", target.CA, &found.CA}, {"clientCert", target.ClientCert, &found.ClientCert}} {
		if one.file == "" {
			continue
		}
		if *one.to, err = readCertificates(project.Dir, one.file); err != nil {
			return found, fmt.Errorf("the target %s has the %s %s, and that file %w", name, one.field, one.file, err)
		}
	}
	return found, nil
}

// readCertificates reads a file of the project. The error continues a sentence.
func readCertificates(dir, name string) (string, error) {
	if !filepath.IsLocal(name) {
		return "", errors.New("is not in the project; put it there, or name it in SSL_CERT_FILE")
	}
	f, err := os.OpenInRoot(dir, name)
	if err != nil {
		return "", fmt.Errorf("can't be read: %w", cause(err))
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, mostCertificates+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("can't be read: %w", cause(err))
	case len(content) > mostCertificates:
		return "", fmt.Errorf("is too long: over %d MB", mostCertificates>>20)
	case len(content) == 0:
		return "", errors.New("is empty")
	}
	return string(content), nil
}

// transport returns the transport that reaches a target over the network.
func (t *terminal) transport(to connecting) (http.RoundTripper, error) {
	t.hideProxyCredentials()
	certs := to.certs
	if certs == nil {
		read, err := certificatesOf(to.project, to.name, to.target)
		if err != nil {
			return nil, err
		}
		certs = &read
	}
	o := reach.TLS{ClientKey: to.secrets[to.target.ClientKey.Name]}
	if certs.CA != "" {
		o.CA = []byte(certs.CA)
	}
	if certs.ClientCert != "" {
		o.ClientCert = []byte(certs.ClientCert)
	}
	transport, err := reach.NewTransport(o)
	if err != nil {
		return nil, fmt.Errorf("the target %s can't be reached: %w", to.name, err)
	}
	return reach.Traced(transport, t.log, t.mask), nil
}

// hideProxyCredentials keeps the passwords of proxies out of all that is shown.
func (t *terminal) hideProxyCredentials() {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		if u, err := url.Parse(os.Getenv(name)); err == nil && u.User != nil {
			if password, ok := u.User.Password(); ok {
				t.mask.Add(automation.NewSecret(password))
			}
		}
	}
}

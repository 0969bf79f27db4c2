package embedded

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// serving is the folder with the examples of docs/serving.md.
const serving = "../../docs/serving"

// replaced returns a file of the examples after replacements. The file must have
// each old string.
func replaced(t *testing.T, file string, oldnew ...string) string {
	t.Helper()
	text := string(must(os.ReadFile(filepath.Join(serving, file)))(t))
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(text, oldnew[i]) {
			t.Fatalf("%s has no %q", file, oldnew[i])
		}
		text = strings.ReplaceAll(text, oldnew[i], oldnew[i+1])
	}
	return text
}

// certificate makes a certificate for 127.0.0.1, and writes it and its key to a
// folder.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))(t)
	for file, block := range map[string]*pem.Block{
		"fullchain.pem": {Type: "CERTIFICATE", Bytes: der},
		"privkey.pem":   {Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))(t)},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(must(x509.ParseCertificate(der))(t))
	return pool
}

// behindNginx starts Debian's nginx with docs/serving/nginx.conf in front of a
// platform. It returns nginx's URL and a transport that trusts its certificate.
func behindNginx(t *testing.T, platform string) (string, *http.Transport) {
	t.Helper()
	dir := t.TempDir()
	pool := certificate(t, dir)
	port := platformtest.FreePort(t)
	site := replaced(t, "nginx.conf", "server 127.0.0.1:8377", "server "+strings.TrimPrefix(platform, "http://"),
		"listen 443 ssl", fmt.Sprintf("listen 127.0.0.1:%d ssl", port), "/etc/ssl/segue", dir)
	platformtest.StartNginx(t, dir, site)
	return fmt.Sprintf("https://127.0.0.1:%d", port), &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
}

func TestNginx(t *testing.T) {
	target := newEndpoint(t, answerWith(400))
	platform := served(t, ServeOptions{Data: dataFile(t), Delivery: fast(), Token: automation.NewSecret(testToken), Limits: Limits{Pending: 3}})
	address, transport := behindNginx(t, platform)
	defer transport.CloseIdleConnections()
	p := must(NewClient(address, automation.NewSecret(testToken), ClientOptions{Transport: transport}))(t)
	fill(t, p, sample("growth/a", target.URL))

	// Headers, statuses and paths pass through unchanged.
	stored := must(p.List(t.Context(), "growth"))(t)[0]
	changed := sample("growth/a", target.URL+"/x")
	if _, err := p.Update(t.Context(), stored, sync.MarkerOf("growth", changed), changed); err != nil {
		t.Error(err)
	}
	if _, err := p.Update(t.Context(), stored, sync.MarkerOf("growth", changed), changed); sync.KindOf(err) != sync.Conflict {
		t.Errorf("an update of an old revision: %v", err)
	}
	if err := p.PutSecret(t.Context(), "a/b c%2F", "N", automation.NewSecret("x")); err != nil {
		t.Error(err)
	}
	if states := must(p.Secrets(t.Context(), "a/b c%2F", nil))(t); len(states) != 1 {
		t.Errorf("secrets %v", states)
	}
	d := must(p.Fire(t.Context(), activated))(t).Deliveries[0]
	must(p.Retry(t.Context(), d.ID, false))(t)
	if d = must(p.Await(t.Context(), d.ID))(t); d.Status != Delivered {
		t.Errorf("got %+v", d)
	}

	ask := func(method, path, token, body string) (int, http.Header, string) {
		r := must(http.NewRequest(method, address+path, strings.NewReader(body)))(t)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		res := must((&http.Client{Transport: transport}).Do(r))(t)
		defer res.Body.Close()
		return res.StatusCode, res.Header, string(must(io.ReadAll(res.Body))(t))
	}
	for path, want := range map[string]int{"/healthz": 200, "/metrics": 404, "/v1/automations": 401} {
		if status, _, body := ask("GET", path, "wrong", ""); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
	// The platform's own words, not nginx's.
	if status, _, body := ask("POST", "/v1/occurrences", testToken, strings.Repeat("x", bodyLimit+1)); status != 413 || !strings.Contains(body, "too-large") {
		t.Errorf("a large body: %d %s", status, body)
	}
	if _, err := must(NewClient(address, automation.NewSecret("wrong"), ClientOptions{Transport: transport}))(t).List(t.Context(), "growth"); sync.KindOf(err) != sync.Unauthorized {
		t.Errorf("a wrong token: %v", err)
	}
}

func TestNginxWithoutThePlatform(t *testing.T) {
	gone := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	gone.Close()
	address, transport := behindNginx(t, "http://"+gone.Addr().String())
	defer transport.CloseIdleConnections()
	p := must(NewClient(address, automation.NewSecret(testToken), ClientOptions{Transport: transport}))(t)
	_, err := p.List(t.Context(), "growth")
	var e *sync.Error
	if !errors.As(err, &e) || e.Kind != sync.Temporary || e.Status != http.StatusBadGateway || strings.Contains(err.Error(), testToken) {
		t.Errorf("got %v, want a temporary 502", err)
	}
}

func TestUnit(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("systemd needs Linux")
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze, of Debian's package systemd")
	}
	unit := replaced(t, "segue-platform.service", "ExecStart=/usr/local/bin/segue ", "ExecStart="+must(exec.LookPath("true"))(t)+" ")
	file := filepath.Join(t.TempDir(), "segue-platform.service")
	if err := os.WriteFile(file, []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	// It reports unknown settings even when it succeeds.
	out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", "--recursive-errors=no", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), "segue-platform") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

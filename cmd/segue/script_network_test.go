package main

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seguehq/segue/platform/platformtest"
)

// platformHost is what servers with TLS are called. Only the proxies of scripts know where
// it is: this machine itself is never reached through a proxy.
const platformHost = "platform.example"

// authorityCommand makes an authority that nobody knows, and writes its certificate and one
// for a client, with its key: authority CA CERT KEY
func authorityCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 3, "authority CA CERT KEY")
	stage := stageOf(ts)
	stage.authority = platformtest.NewAuthority(stage.t, "Acme")
	cert, key := stage.authority.Issue(stage.t, "segue", 2*time.Hour)
	for i, content := range [][]byte{stage.authority.PEM, cert, key} {
		ts.Check(os.WriteFile(ts.MkAbs(args[i]), content, 0o600))
	}
}

// secureCommand runs a server with a certificate of the authority before another, which
// asks for a client's if CLIENTS is there: secure NAME URL [CLIENTS]
func secureCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "secure NAME URL [CLIENTS]")
	stage := stageOf(ts)
	to, err := url.Parse(args[1])
	ts.Check(err)
	var clients *platformtest.Authority
	if len(args) > 2 {
		clients = stage.authority
	}
	quiet := log.New(io.Discard, "", 0)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ErrorLog = quiet
	server := httptest.NewUnstartedServer(proxy)
	server.Config.ErrorLog, server.TLS = quiet, stage.authority.Serve(stage.t, platformHost, 2*time.Hour, clients)
	server.StartTLS()
	ts.Defer(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	ts.Check(err)
	ts.Setenv(args[0], "https://"+net.JoinHostPort(platformHost, port))
}

// proxyCommand runs a proxy that connects to this machine, whatever it is asked for, or
// answers with another status than 200: proxy NAME STATUS
func proxyCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "proxy NAME STATUS")
	status, err := strconv.Atoi(args[1])
	ts.Check(err)
	serve(ts, args[0], func(s *server, w http.ResponseWriter, r *http.Request) {
		s.note(r)
		if status != http.StatusOK || r.Method != http.MethodConnect {
			w.WriteHeader(status)
			return
		}
		_, port, err := net.SplitHostPort(r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		to, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		from, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			to.Close()
			return
		}
		_, _ = io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n") // who has gone away finds out by itself
		go func() {
			_, _ = io.Copy(to, from)
			to.Close()
		}()
		go func() {
			_, _ = io.Copy(from, to)
			from.Close()
		}()
	})
}

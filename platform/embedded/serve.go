package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/seguehq/segue/automation"
)

// ServeOptions configure a served platform.
type ServeOptions struct {
	// Listen is a TCP address such as "127.0.0.1:8377"; port 0 means any free
	// port.
	Listen string
	// Data is the platform's file, as for [Open].
	Data string
	// Token is the bearer token that clients must send. It may be empty only if
	// Listen is a loopback address.
	Token automation.Secret
	// Logger gets a record for each request and each delivery attempt. No record
	// holds a secret. Nil means no log.
	Logger *slog.Logger
	// Ready is called with the address once the platform can be reached there.
	// It may be nil.
	Ready    func(addr string)
	Delivery DeliveryOptions
	Limits   Limits
}

// ErrNoToken is the cause of the error when Serve would expose a platform
// without a token to other machines.
var ErrNoToken = errors.New("a platform that others can reach needs a token; listen on 127.0.0.1")

// shutdownTime is the time that open requests get to finish.
const shutdownTime = 10 * time.Second

// Serve serves the platform until ctx ends. It then finishes the requests and
// deliveries in progress, and returns nil. It sends pending deliveries from the
// start. Serve speaks plain HTTP: put a proxy with TLS in front of it where
// others can listen.
func Serve(ctx context.Context, o ServeOptions) (err error) {
	loopback, err := isLoopback(o.Listen)
	if err != nil {
		return err
	}
	open := o.Token.Reveal() == ""
	if open && !loopback {
		return fmt.Errorf("can't listen on %s: %w", o.Listen, ErrNoToken)
	}
	logger := o.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	store, err := Open(ctx, o.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	store.limits = o.Limits.withDefaults()
	store.metrics.ofProcess()
	d := newDispatcher(store, o.Delivery, logger)
	defer d.Close()

	listener, err := (&net.ListenConfig{}).Listen(ctx, network(o.Listen), o.Listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("can't listen on %s: the address is already in use; end the program that uses it, or choose another port", o.Listen)
	case err != nil:
		return fmt.Errorf("can't listen on %s: %w", o.Listen, err)
	}
	var handler http.Handler = newAPI(store, d, o.Token, logger)
	if open {
		handler = localHosts(handler)
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	d.Start()
	j := startJanitor(store, logger)
	defer j.Close()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if o.Ready != nil {
		o.Ready(listener.Addr().String())
	}
	select {
	case err := <-served:
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := server.Shutdown(end); err != nil {
		return errors.Join(fmt.Errorf("requests were cut off after %v: %w", shutdownTime, err), server.Close())
	}
	return nil
}

// network returns the network for an address. 0.0.0.0 means all addresses of IPv4;
// with "tcp", Go would listen on IPv6 too.
func network(listen string) string {
	if a, err := netip.ParseAddrPort(listen); err == nil && a.Addr().Is4() {
		return "tcp4"
	}
	return "tcp"
}

// isLoopback reports whether only this machine can reach an address.
func isLoopback(listen string) (bool, error) {
	host, _, err := net.SplitHostPort(listen)
	if _, noPort := netip.ParseAddr(listen); err != nil && noPort == nil {
		return false, fmt.Errorf("can't listen on %s: it has no port; write %s", listen, net.JoinHostPort(listen, "8377"))
	}
	if err != nil {
		return false, fmt.Errorf("can't listen on %q: it is not an address such as 127.0.0.1:8377", listen)
	}
	return automation.IsLoopback(host), nil
}

// localHosts refuses requests for other host names. Otherwise a web page could
// reach a platform without a token through a domain that resolves to 127.0.0.1
// (DNS rebinding).
func localHosts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = strings.Trim(r.Host, "[]")
		}
		if !automation.IsLoopback(host) {
			newProblem(http.StatusForbidden, "foreign-host", "this platform has no token and answers to localhost and 127.0.0.1 only").send(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

package embedded

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seguehq/segue/automation"
)

const (
	bodyLimit    = 1 << 20 // bytes of a request's body
	pageLimit    = 200     // records of a page
	defaultLimit = 50
)

// An api is the HTTP API of docs/platform-api.yaml over a store.
type api struct {
	store      *Store
	dispatcher *dispatcher
	// Requests must carry token, unless it is empty.
	token  automation.Secret
	logger *slog.Logger
	mux    *http.ServeMux
}

// A route is one operation of the API.
type route struct {
	method, pattern string
	// open routes need no token.
	open  bool
	serve func(http.ResponseWriter, *http.Request) error
}

func (a *api) routes() []route {
	return []route{
		{method: "GET", pattern: "/healthz", serve: a.health, open: true},
		{method: "GET", pattern: "/metrics", serve: a.metrics},
		{method: "GET", pattern: "/v1/health", serve: a.health, open: true},
		{method: "GET", pattern: "/v1/automations", serve: a.listAutomations},
		{method: "POST", pattern: "/v1/automations", serve: a.createAutomation},
		{method: "GET", pattern: "/v1/automations/{id}", serve: a.getAutomation},
		{method: "PUT", pattern: "/v1/automations/{id}", serve: a.replaceAutomation},
		{method: "DELETE", pattern: "/v1/automations/{id}", serve: a.deleteAutomation},
		{method: "GET", pattern: "/v1/secrets", serve: a.listSecrets},
		{method: "POST", pattern: "/v1/secrets:compare", serve: a.compareSecrets},
		{method: "PUT", pattern: "/v1/secrets/{project}/{name}", serve: a.putSecret},
		{method: "DELETE", pattern: "/v1/secrets/{project}/{name}", serve: a.deleteSecret},
		{method: "PUT", pattern: "/v1/leases/{project}", serve: a.putLease},
		{method: "DELETE", pattern: "/v1/leases/{project}", serve: a.deleteLease},
		{method: "POST", pattern: "/v1/occurrences", serve: a.postOccurrence},
		{method: "GET", pattern: "/v1/occurrences/{id}", serve: a.getOccurrence},
		{method: "GET", pattern: "/v1/deliveries", serve: a.listDeliveries},
		{method: "GET", pattern: "/v1/deliveries/{id}", serve: a.getDelivery},
		{method: "DELETE", pattern: "/v1/deliveries/{id}", serve: a.discardDelivery},
		{method: "POST", pattern: "/v1/deliveries/{id}/retry", serve: a.retryDelivery},
	}
}

func newAPI(store *Store, d *dispatcher, token automation.Secret, logger *slog.Logger) *api {
	a := &api{store: store, dispatcher: d, token: token, logger: logger, mux: http.NewServeMux()}
	byPattern := map[string]map[string]route{}
	for _, r := range a.routes() {
		if byPattern[r.pattern] == nil {
			byPattern[r.pattern] = map[string]route{}
		}
		byPattern[r.pattern][r.method] = r
	}
	for pattern, methods := range byPattern {
		a.mux.Handle(pattern, a.operations(methods))
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if !a.authorized(r) {
			unauthorized().send(w)
			return
		}
		noSuchPath().send(w)
	})
	return a
}

// operations serves the methods of one path pattern.
func (a *api) operations(methods map[string]route) http.Handler {
	var allowed []string
	for m := range methods {
		allowed = append(allowed, m)
	}
	slices.Sort(allowed)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op, ok := methods[r.Method]
		var err error
		switch {
		case !op.open && !a.authorized(r):
			err = unauthorized()
		case !ok:
			err = newProblem(http.StatusMethodNotAllowed, "method-not-allowed", "%s has no %s, only %s", r.URL.Path, quoted(r.Method), strings.Join(allowed, ", ")).
				with("Allow", strings.Join(allowed, ", "))
		default:
			err = op.serve(w, r)
		}
		if err != nil {
			p := problemOf(err)
			if p.Status >= 500 {
				a.logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "code", p.Code, "error", err)
			}
			p.send(w)
		}
	})
}

// ServeHTTP serves one request, and logs it without its query and headers.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	out := &statusWriter{ResponseWriter: w}
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			a.logger.Error("request panicked", "method", r.Method, "path", r.URL.Path, "panic", v)
			if out.status == 0 {
				problemOf(errors.New("panic")).send(out)
			}
		}
		took := time.Since(start)
		a.store.metrics.answered(r, out.status, took)
		a.logger.Info("request", "method", r.Method, "path", r.URL.Path, "status", out.status, "duration", took.Round(time.Microsecond))
	}()
	out.Header().Set("X-Content-Type-Options", "nosniff")
	out.Header().Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(out, r.Body, bodyLimit)
	// The mux would answer an untidy path with a redirect.
	if p := r.URL.EscapedPath(); p != path.Clean(p) {
		noSuchPath().send(out)
		return
	}
	a.mux.ServeHTTP(out, r)
}

// A statusWriter remembers the status, for the log.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (a *api) authorized(r *http.Request) bool {
	if a.token.Reveal() == "" {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") && sameSecret(automation.NewSecret(strings.TrimSpace(token)), a.token)
}

func unauthorized() *problem {
	return newProblem(http.StatusUnauthorized, "unauthorized", "the bearer token is missing or wrong").
		with("WWW-Authenticate", `Bearer realm="segue"`)
}

func noSuchPath() *problem {
	return newProblem(http.StatusNotFound, "no-such-path", "the API has no such path")
}

// health reports whether the data file can be read and whether deliveries are
// sent.
func (a *api) health(w http.ResponseWriter, r *http.Request) error {
	var one int
	if err := a.store.read.QueryRowContext(r.Context(), "SELECT count(*) FROM key_check").Scan(&one); err != nil {
		return err
	}
	if a.dispatcher.stuck.Load() {
		return newProblem(http.StatusServiceUnavailable, "not-sending", "deliveries wait because the data file can't be used; the platform's log says why")
	}
	return sendJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// metrics writes the metrics in Prometheus' text format.
func (a *api) metrics(w http.ResponseWriter, r *http.Request) error {
	a.store.metrics.handler.ServeHTTP(w, r)
	return nil
}

func sendJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(v) // an error means that the client is gone
	return nil
}

// readJSON reads the one JSON value of a request's body. It refuses fields that
// v does not have: otherwise a misspelled field would look like a missing one.
func readJSON(r *http.Request, v any) error {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return newProblem(http.StatusUnsupportedMediaType, "not-json", "the body must be JSON, with the header Content-Type: application/json")
	}
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return newProblem(http.StatusRequestEntityTooLarge, "too-large", "the body is larger than %d KiB", bodyLimit>>10)
	case err != nil:
		return malformed("the body could not be read").because(err)
	case !utf8.Valid(body):
		return malformed("the body is not UTF-8")
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return malformed("the body is invalid: %s", decodeText(err))
	}
	if _, err := d.Token(); err != io.EOF {
		return malformed("the body has more than one JSON value")
	}
	return nil
}

// decodeText describes an error of encoding/json without the value, which may
// be a secret.
func decodeText(err error) string {
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the JSON is cut off"
	case errors.As(err, &kind):
		what, _, _ := strings.Cut(kind.Value, " ") // "number 12" is a number
		if kind.Field == "" {
			return "it can't be of the JSON type " + what
		}
		return kind.Field + " can't be of the JSON type " + what
	default:
		return strings.TrimPrefix(err.Error(), "json: ")
	}
}

func malformed(format string, args ...any) *problem {
	return newProblem(http.StatusBadRequest, "malformed", format, args...)
}

// readQuery returns the parameters of a request's query. Each must be known and
// occur once: a misspelled filter would select everything.
func readQuery(r *http.Request, known ...string) (map[string]string, error) {
	values := map[string]string{}
	for name, given := range r.URL.Query() {
		switch {
		case !slices.Contains(known, name):
			return nil, badParameter("there is no query parameter %s here, only %s", quoted(name), strings.Join(known, ", "))
		case len(given) > 1:
			return nil, badParameter("the query parameter %s is given twice", name)
		case !utf8.ValidString(given[0]):
			return nil, badParameter("the query parameter %s is not UTF-8", name)
		}
		values[name] = given[0]
	}
	return values, nil
}

func badParameter(format string, args ...any) *problem {
	return newProblem(http.StatusBadRequest, "bad-parameter", format, args...)
}

// readPage reads the parameters cursor and limit. Cursors of different lists
// begin with different letters.
func readPage(query map[string]string, letter string) (last int64, limit int, err error) {
	limit = defaultLimit
	if text := query["limit"]; text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > pageLimit {
			return 0, 0, badParameter("limit is %s, want a number from 1 to %d", quoted(text), pageLimit)
		}
	}
	if text := query["cursor"]; text != "" {
		b, err := base64.RawURLEncoding.DecodeString(text)
		id, ok := strings.CutPrefix(string(b), letter)
		if last = rowID(id); err != nil || !ok || last <= 0 {
			return 0, 0, badParameter("cursor %s is not one that this list has given", quoted(text))
		}
	}
	return last, limit, nil
}

// nextCursor returns the cursor of the page after the record with this id, and
// "" for 0, the end.
func nextCursor(letter string, id int64) string {
	if id == 0 {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(letter + strconv.FormatInt(id, 10)))
}

package embedded

import (
	"database/sql"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seguehq/segue/automation"
)

// addRows adds n deliveries with this status and age, each with an occurrence.
func addRows(t testing.TB, s *Store, n int, status DeliveryStatus, age time.Duration, request string) {
	t.Helper()
	at := millis(s.now().Add(-age))
	finished := sql.NullInt64{Int64: at, Valid: status != Pending}
	err := s.update(t.Context(), func(tx *sql.Tx) error {
		var first int64
		if err := tx.QueryRow("SELECT coalesce(max(seq), 0) FROM occurrences").Scan(&first); err != nil {
			return err
		}
		for _, statement := range []string{
			`INSERT INTO occurrences (seq, id, kind, name, data, created_at)
				SELECT ?1 + value, 'row-' || (?1 + value), 'pattern', 'Account activated', '{"userId":"u1","userName":"n"}', ?3 FROM generate_series(1, ?2)`,
			`INSERT INTO deliveries (occurrence, automation, project, key, name, request, status, due_at, created_at, finished_at)
				SELECT ?1 + value, 1, 'growth', 'growth/a', 'A', ?5, ?4, ?3, ?3, ?6 FROM generate_series(1, ?2)`,
			`INSERT INTO attempts (delivery, number, started_at, duration_ms, status, answer, error)
				SELECT d.id, 1, ?3, 1, 200, 'ok', '' FROM deliveries d WHERE d.occurrence > ?1 AND ?4 <> 'pending' AND ?2 > 0`,
		} {
			if _, err := tx.Exec(strings.ReplaceAll(statement, "generate_series(1, ?2)",
				"(WITH RECURSIVE series(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM series WHERE value < ?2) SELECT value FROM series)"),
				first, n, at, string(status), request, finished); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// requestTo returns a stored request without secrets.
func requestTo(url string) string {
	return `{"method":"POST","url":"` + url + `","headers":{},"body":"{}"}`
}

// requireCounts fails if the stored counts differ from the number of rows.
func requireCounts(t testing.TB, s *Store) map[DeliveryStatus]int {
	t.Helper()
	kept := must(s.counts(t.Context()))(t)
	rows := must(s.read.Query("SELECT status, count(*) FROM deliveries GROUP BY status"))(t)
	defer rows.Close()
	there := map[DeliveryStatus]int{Pending: 0, Delivered: 0, Failed: 0}
	for rows.Next() {
		var status DeliveryStatus
		var n int
		if err := rows.Scan(&status, &n); err != nil {
			t.Fatal(err)
		}
		there[status] = n
	}
	if !maps.Equal(kept, there) {
		t.Errorf("counts are %v, and there are %v", kept, there)
	}
	var wrong int
	if err := s.read.QueryRow(`SELECT count(*) FROM occurrences
		WHERE deliveries <> (SELECT count(*) FROM deliveries WHERE occurrence = seq)`).Scan(&wrong); err != nil || wrong > 0 {
		t.Errorf("%d occurrences have another number of deliveries, %v", wrong, err)
	}
	return kept
}

func records(t testing.TB, s *Store, table string) (n int) {
	t.Helper()
	if err := s.read.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCleanKeepsWhatIsYoungPendingOrFailed(t *testing.T) {
	s := openStore(t, dataFile(t))
	const day = 24 * time.Hour
	addRows(t, s, 1200, Delivered, 31*day, requestTo("https://example.com/"))
	addRows(t, s, 7, Delivered, 29*day, requestTo("https://example.com/"))
	addRows(t, s, 5, Pending, 400*day, requestTo("https://example.com/"))
	addRows(t, s, 3, Failed, 400*day, requestTo("https://example.com/"))
	for i, age := range []time.Duration{31 * day, 29 * day} { // without automations
		o := Occurrence{ID: fmt.Sprintf("nobody's-%d", i), Kind: automation.Pattern, Name: "Nobody's", Data: []byte("{}")}
		if err := s.addOccurrence(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if _, err := s.write.Exec("UPDATE occurrences SET created_at = ? WHERE id = ?", millis(s.now().Add(-age)), o.ID); err != nil {
			t.Fatal(err)
		}
	}
	if n := must(s.clean(t.Context()))(t); n != 0 {
		t.Errorf("%d records removed without a limit", n)
	}
	s.limits.Keep = 30 * day
	if n := must(s.clean(t.Context()))(t); n != 2401 {
		t.Errorf("%d records removed, want 1200 deliveries and 1201 occurrences", n)
	}
	if got, want := requireCounts(t, s), (map[DeliveryStatus]int{Delivered: 7, Pending: 5, Failed: 3}); !maps.Equal(got, want) {
		t.Errorf("left: %v, want %v", got, want)
	}
	if o, a := records(t, s, "occurrences"), records(t, s, "attempts"); o != 7+5+3+1 || a != 7+3 {
		t.Errorf("%d occurrences and %d attempts are left, want 16 and 10", o, a)
	}
	if n := must(s.clean(t.Context()))(t); n != 0 {
		t.Errorf("%d more records removed", n)
	}
}

func TestTheFileBecomesSmaller(t *testing.T) {
	if testing.Short() {
		t.Skip("writes thousands of rows, one after the other")
	}
	for name, older := range map[string]bool{"new": false, "of an older segue": true} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, dataFile(t))
			if older {
				if _, err := s.write.Exec("PRAGMA auto_vacuum = NONE; VACUUM"); err != nil {
					t.Fatal(err)
				}
			}
			addRows(t, s, 3000, Delivered, time.Hour, requestTo("https://example.com/"+strings.Repeat("x", 3000)))
			addRows(t, s, 10, Pending, time.Hour, requestTo("https://example.com/"))
			before := must(sizeOf(t.Context(), s.read))(t)
			if before.incremental == older {
				t.Fatalf("auto_vacuum: %v", before.incremental)
			}
			s.limits.Keep = time.Minute
			must(s.clean(t.Context()))(t)
			after := must(sizeOf(t.Context(), s.read))(t)
			if after.pages*5 > before.pages || !after.incremental {
				t.Errorf("from %+v to %+v", before, after)
			}
			if got := requireCounts(t, s); got[Pending] != 10 {
				t.Errorf("left: %v", got)
			}
			path := mustPath(t, s)
			s.Close()
			if stat := must(os.Stat(path))(t); stat.Size() != after.pages*after.page {
				t.Errorf("the file has %d bytes, want %d pages", stat.Size(), after.pages)
			}
		})
	}
}

func TestTheFileKeepsToItsSize(t *testing.T) {
	s := openStore(t, dataFile(t))
	request := requestTo("https://example.com/" + strings.Repeat("x", 1000))
	s.limits.Bytes = 4 << 20
	add := func() error {
		return s.addOccurrence(t.Context(), Occurrence{ID: fmt.Sprint(rand.Int64()), Kind: automation.Pattern, Name: "Nobody's", Data: []byte("{}")})
	}
	// Delivered messages are removed to make room, oldest first.
	addRows(t, s, 4000, Delivered, time.Hour, request)
	addRows(t, s, 10, Delivered, time.Second, request)
	if err := add(); err == nil {
		t.Error("taken though the file is too large")
	}
	select {
	case <-s.crowded:
	default:
		t.Error("nobody was told that there is little room")
	}
	must(s.clean(t.Context()))(t)
	if size := must(sizeOf(t.Context(), s.read))(t); size.used() > s.limits.Bytes {
		t.Errorf("%d bytes are used, the limit is %d", size.used(), s.limits.Bytes)
	}
	if got := requireCounts(t, s); got[Delivered] < 1000 {
		t.Errorf("left: %v, which is more than was needed", got)
	}
	var youngest int
	if err := s.read.QueryRow("SELECT count(*) FROM deliveries WHERE finished_at > ?", millis(s.now().Add(-time.Minute))).Scan(&youngest); err != nil || youngest != 10 {
		t.Errorf("%d of the 10 youngest are left, %v", youngest, err)
	}
	if err := add(); err != nil {
		t.Errorf("refused after room was made: %v", err)
	}

	// Undelivered messages stay, and occurrences are refused.
	addRows(t, s, 1500, Pending, time.Hour, request)
	addRows(t, s, 1500, Failed, time.Hour, request)
	must(s.clean(t.Context()))(t)
	if got := requireCounts(t, s); got[Pending] != 1500 || got[Failed] != 1500 || got[Delivered] != 10 {
		t.Errorf("left: %v, want all that is pending or failed, and 10 that were just delivered", got)
	}
	if err := add(); problemOf(err).Code != "queue-full" || problemOf(err).header.Get("Retry-After") == "" {
		t.Errorf("got %v, want queue-full", err)
	}
}

func TestAFullQueueRefusesAndLosesNothing(t *testing.T) {
	const limit, fired = 20, 60
	release := make(chan struct{})
	hold := func(http.ResponseWriter, *http.Request) { <-release }
	target := newEndpoint(t, slices.Repeat([]http.HandlerFunc{hold}, 8)...)
	url := served(t, ServeOptions{Data: dataFile(t), Delivery: fast(), Limits: Limits{Pending: limit}})
	p := must(NewClient(url, automation.Secret{}, ClientOptions{}))(t)
	fill(t, p, sample("growth/a", target.URL+"/{{userId}}"))
	post := func(id string) (int, string) {
		body := fmt.Sprintf(`{"id":%q,"kind":"pattern","name":"Account activated","data":{"userId":%q,"userName":"n"}}`, id, id)
		res := must(http.Post(url+"/v1/occurrences", "application/json", strings.NewReader(body)))(t)
		res.Body.Close()
		return res.StatusCode, res.Header.Get("Retry-After")
	}
	taken := map[string]bool{}
	for i := range fired {
		id := fmt.Sprintf("o%d", i)
		switch status, after := post(id); {
		case status == http.StatusAccepted:
			taken[id] = true
		case status != http.StatusTooManyRequests || after == "":
			t.Errorf("%s: %d, Retry-After %q", id, status, after)
		}
	}
	if len(taken) != limit {
		t.Errorf("%d occurrences were taken, want %d", len(taken), limit)
	}
	if status, _ := post("o0"); status != http.StatusAccepted {
		t.Errorf("one that was taken is refused when it is repeated: %d", status)
	}
	close(release)
	for id := range taken {
		if all := waitFinal(t, p, id); all[0].Status != Delivered {
			t.Errorf("%s: %+v", id, all[0])
		}
	}
	if status, _ := post("later"); status != http.StatusAccepted {
		t.Errorf("refused when the queue is empty again: %d", status)
	}
	waitFinal(t, p, "later")
	got := map[string]int{}
	for _, r := range target.requests() {
		got[strings.TrimPrefix(r.Path, "/")]++
	}
	taken["later"] = true
	for id := range taken {
		if got[id] != 1 {
			t.Errorf("%s was sent %d times", id, got[id])
		}
	}
	if len(got) != len(taken) {
		t.Errorf("%d messages were sent, want %d", len(got), len(taken))
	}
}

// TestALargeBacklogIsSentAtOnce starts a platform as after a crash.
func TestALargeBacklogIsSentAtOnce(t *testing.T) {
	backlog := 100_000
	if testing.Short() {
		backlog = 5000
	}
	reached, release := make(chan struct{}), make(chan struct{})
	hold := func(http.ResponseWriter, *http.Request) { reached <- struct{}{}; <-release }
	target := newEndpoint(t, slices.Repeat([]http.HandlerFunc{hold}, 8)...)
	s := openStore(t, dataFile(t))
	addRows(t, s, backlog, Pending, time.Hour, requestTo(target.URL))
	for _, query := range []string{nextDueQuery, strings.NewReplacer("?", "1").Replace(dueQuery)} {
		var id, parent, unused int
		var plan string
		if err := s.read.QueryRow("EXPLAIN QUERY PLAN "+query).Scan(&id, &parent, &unused, &plan); err != nil || !strings.Contains(plan, "USING COVERING INDEX deliveries_next") && !strings.Contains(plan, "USING INDEX deliveries_next") {
			t.Errorf("%s: %s, %v", query, plan, err)
		}
	}
	d := newDispatcher(s, fast(), newLogBook().logger())
	d.Start()
	defer d.Close()
	for range d.options.Parallel {
		<-reached
	}
	// The dispatcher claims only as many deliveries as it sends at a time.
	var claimed int
	if err := s.read.QueryRow("SELECT count(*) FROM deliveries WHERE claim <> ''").Scan(&claimed); err != nil || claimed != d.options.Parallel {
		t.Errorf("%d deliveries are claimed, %v; want %d", claimed, err, d.options.Parallel)
	}
	if got := requireCounts(t, s); got[Pending] != backlog {
		t.Errorf("left: %v", got)
	}
	close(release)
}

func TestCountsOfAnOlderFile(t *testing.T) {
	path := dataFile(t)
	db := must(sql.Open("sqlite", path))(t)
	for _, statement := range []string{migrations[0], migrations[1], fmt.Sprintf("PRAGMA application_id = %d", applicationID), "PRAGMA user_version = 2",
		`INSERT INTO occurrences (id, kind, name, data, created_at) VALUES ('a', 'pattern', 'n', '{}', 1), ('b', 'pattern', 'n', '{}', 1)`,
		`INSERT INTO deliveries (occurrence, automation, project, key, name, status, due_at, created_at)
			VALUES (1, 1, 'p', 'k', 'n', 'pending', 1, 1), (1, 1, 'p', 'k', 'n', 'failed', 1, 1), (1, 1, 'p', 'k', 'n', 'failed', 1, 1)`} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	db.Close()
	if got, want := requireCounts(t, openStore(t, path)), (map[DeliveryStatus]int{Pending: 1, Failed: 2, Delivered: 0}); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// BenchmarkAMillionDeliveries measures a data file with a million deliveries: its
// size, and the time to open it, to read a page, and to remove everything.
func BenchmarkAMillionDeliveries(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		path := filepath.Join(b.TempDir(), "platform.db")
		s := must(Open(b.Context(), path))(b)
		addRows(b, s, n, Delivered, time.Hour, `{"method":"POST","url":"https://api.segment.io/v1/track","headers":`+
			`{"Accept":"application/json","Authorization":{"basic":{"password":"","username":{"secret":"SEGMENT_WRITE_KEY"}}},`+
			`"Content-Type":"application/json"},"body":"{\"event\":\"Account Activated\",\"properties\":`+
			`{\"name\":\"Ann Example\",\"plan\":\"team\"},\"userId\":\"u1234567\"}"}`)
		s.Close()
		b.ReportMetric(float64(must(os.Stat(path))(b).Size())/1e6, "MB")

		start := time.Now()
		s = must(Open(b.Context(), path))(b)
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms/open")
		for name, q := range map[string]DeliveryQuery{"newest": {}, "failed": {Status: Failed}, "pending": {Status: Pending}, "key": {Project: "growth", Key: "growth/a"}} {
			start = time.Now()
			q.Limit = 50
			must2(s.deliveries(b.Context(), deliveryFilter{DeliveryQuery: q}))(b)
			b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms/"+name)
		}
		s.limits.Keep = time.Minute
		start = time.Now()
		must(s.clean(b.Context()))(b)
		b.ReportMetric(time.Since(start).Seconds(), "s/clean")
		s.Close()
		b.ReportMetric(float64(must(os.Stat(path))(b).Size())/1e6, "MB/cleaned")
	}
}

// BenchmarkStartWithABacklog measures the time from the start of a platform to its
// first message, with 100,000 unsent messages in the file.
func BenchmarkStartWithABacklog(b *testing.B) {
	for b.Loop() {
		reached, release := make(chan struct{}, 1), make(chan struct{})
		target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case reached <- struct{}{}:
			default:
			}
			<-release
		}))
		path := filepath.Join(b.TempDir(), "platform.db")
		s := must(Open(b.Context(), path))(b)
		addRows(b, s, 100_000, Pending, time.Hour, requestTo(target.URL))
		s.Close()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := time.Now()
		s = must(Open(b.Context(), path))(b)
		d := newDispatcher(s, fast(), slog.New(slog.DiscardHandler))
		d.Start()
		<-reached
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms/first")
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/1e6, "MB/first")
		close(release)
		d.Close()
		target.Close()
		s.Close()
	}
}

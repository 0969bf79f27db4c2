package embedded

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the counters of a platform. Numbers about the file are read at each
// scrape; the others count from the start of the process. Each label has few values,
// and neither authors nor clients can choose them.
type metrics struct {
	registry *prometheus.Registry
	handler  http.Handler

	occurrences    *prometheus.CounterVec
	attempts       *prometheus.CounterVec
	attemptSeconds prometheus.Histogram
	requests       *prometheus.CounterVec
	requestSeconds *prometheus.HistogramVec
	removed        prometheus.Counter
}

// The values of the label outcome of segue_occurrences_total.
const (
	occurrenceStored   = "stored"
	occurrenceRepeated = "repeated" // it was there already
	occurrenceRefused  = "refused"  // the queue is full
)

func newMetrics(s *Store) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		occurrences: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "segue_occurrences_total",
			Help: "Occurrences that came in: stored, repeated, or refused because the queue is full."}, []string{"outcome"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "segue_delivery_attempts_total",
			Help: "Attempts to deliver a message, by the status that the delivery has afterwards: pending is tried again."}, []string{"status"}),
		attemptSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "segue_delivery_attempt_duration_seconds",
			Help: "Time that endpoints took to answer."}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "segue_http_requests_total",
			Help: "Requests to the platform's API."}, []string{"method", "path", "code"}),
		requestSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "segue_http_request_duration_seconds",
			Help: "Time that the platform took to answer requests to its API."}, []string{"method", "path"}),
		removed: prometheus.NewCounter(prometheus.CounterOpts{Name: "segue_deliveries_removed_total",
			Help: "Delivered messages that were removed because of their age or to make room."}),
	}
	// Export them from the start, so that the first event counts as an
	// increase.
	for _, outcome := range []string{occurrenceStored, occurrenceRepeated, occurrenceRefused} {
		m.occurrences.WithLabelValues(outcome)
	}
	for _, status := range []DeliveryStatus{Pending, Delivered, Failed} {
		m.attempts.WithLabelValues(string(status))
	}
	m.registry.MustRegister(m.occurrences, m.attempts, m.attemptSeconds, m.requests, m.requestSeconds, m.removed, fileMetrics{s})
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{DisableCompression: true})
	return m
}

// ofProcess adds metrics of the process: memory, processor time, open files.
func (m *metrics) ofProcess() {
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// attempted counts an attempt.
func (m *metrics) attempted(a Attempt, o outcome) {
	m.attempts.WithLabelValues(string(o.status)).Inc()
	m.attemptSeconds.Observe(float64(a.DurationMS) / 1000)
}

// answered counts a request to the API, by the pattern of its path.
func (m *metrics) answered(r *http.Request, status int, took time.Duration) {
	method, path := r.Method, r.Pattern
	if !slices.Contains([]string{"GET", "POST", "PUT", "DELETE"}, method) {
		method = "other"
	}
	if path == "" || path == "/" {
		path = "other"
	}
	m.requests.WithLabelValues(method, path, strconv.Itoa(status)).Inc()
	m.requestSeconds.WithLabelValues(method, path).Observe(took.Seconds())
}

// fileMetrics are the metrics of a store's file.
type fileMetrics struct{ store *Store }

var (
	deliveriesDesc = prometheus.NewDesc("segue_deliveries", "Deliveries that the data file holds.", []string{"status"}, nil)
	pendingDesc    = prometheus.NewDesc("segue_pending_deliveries_limit",
		"Occurrences are refused while as many deliveries are pending.", nil, nil)
	overdueDesc = prometheus.NewDesc("segue_delivery_overdue_seconds",
		"Time since the first due delivery became due; 0 if none is due.", nil, nil)
	dataDesc = prometheus.NewDesc("segue_data_bytes",
		"Size of the data file: used and free bytes.", []string{"part"}, nil)
	limitDesc = prometheus.NewDesc("segue_data_limit_bytes",
		"Maximum size of the data file; 0 if it is unlimited.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (f fileMetrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{deliveriesDesc, pendingDesc, overdueDesc, dataDesc, limitDesc} {
		c <- d
	}
}

// Collect implements [prometheus.Collector].
func (f fileMetrics) Collect(c chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(pendingDesc, float64(f.store.limits.Pending))
	gauge(limitDesc, float64(f.store.limits.Bytes))
	counts, err := f.store.counts(ctx)
	if err != nil {
		c <- prometheus.NewInvalidMetric(deliveriesDesc, err)
		return
	}
	for status, n := range counts {
		gauge(deliveriesDesc, float64(n), string(status))
	}
	due, pending, err := f.store.nextDue(ctx)
	if err != nil {
		c <- prometheus.NewInvalidMetric(overdueDesc, err)
		return
	}
	var overdue time.Duration
	if pending {
		overdue = max(0, f.store.now().Sub(due))
	}
	gauge(overdueDesc, overdue.Seconds())
	size, err := sizeOf(ctx, f.store.read)
	if err != nil {
		c <- prometheus.NewInvalidMetric(dataDesc, err)
		return
	}
	gauge(dataDesc, float64(size.used()), "used")
	gauge(dataDesc, float64(size.free*size.page), "free")
}

// counts returns the number of deliveries in the file by status.
func (s *Store) counts(ctx context.Context) (map[DeliveryStatus]int, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT status, deliveries FROM counts")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	counts := map[DeliveryStatus]int{}
	for rows.Next() {
		var status DeliveryStatus
		var n int
		if err := rows.Scan(&status, &n); err != nil {
			return nil, err
		}
		counts[status] = n
	}
	return counts, rows.Err()
}

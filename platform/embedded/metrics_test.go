package embedded

import (
	"bytes"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/seguehq/segue/automation"
)

// scrape reads the metrics as Prometheus does.
func scrape(t *testing.T, url, token string) (map[string]*dto.MetricFamily, []byte) {
	t.Helper()
	r := must(http.NewRequest("GET", url+"/metrics", nil))(t)
	r.Header.Set("Authorization", "Bearer "+token)
	res := must(http.DefaultClient.Do(r))(t)
	defer res.Body.Close()
	text := must(io.ReadAll(res.Body))(t)
	if format := expfmt.ResponseFormat(res.Header); res.StatusCode != 200 || format.FormatType() != expfmt.TypeTextPlain {
		t.Fatalf("answered %d %s\n%s", res.StatusCode, format, text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return must(parser.TextToMetricFamilies(bytes.NewReader(text)))(t), text
}

// value returns the value of the metric with these label values, or the count
// of a histogram.
func value(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	for _, m := range families[name].GetMetric() {
		found := 0
		for _, l := range m.GetLabel() {
			for i := 0; i < len(labels); i += 2 {
				if l.GetName() == labels[i] && l.GetValue() == labels[i+1] {
					found++
				}
			}
		}
		if found*2 == len(labels) {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	t.Errorf("there is no metric %s%v", name, labels)
	return -1
}

func TestMetrics(t *testing.T) {
	target := newEndpoint(t, answerWith(503), answerWith(200), answerWith(400))
	url := served(t, ServeOptions{Data: dataFile(t), Delivery: fast(), Token: automation.NewSecret(testToken), Limits: Limits{Pending: 50, Bytes: 1 << 30}})
	p := must(NewClient(url, automation.NewSecret(testToken), ClientOptions{}))(t)
	fill(t, p, sample("growth/a", target.URL))
	o := activated
	o.ID = "one"
	for range 2 {
		must(p.Fire(t.Context(), o))(t)
	}
	must(p.Fire(t.Context(), activated))(t)
	for _, strange := range []string{"/no/such/path", "/v1/automations/a-client-chose-this"} {
		r := must(http.NewRequest("BREW", url+strange, nil))(t)
		must(http.DefaultClient.Do(r))(t).Body.Close()
	}

	families, text := scrape(t, url, testToken)
	for name, want := range map[string]struct {
		labels []string
		value  float64
	}{
		"segue_deliveries":                        {[]string{"status", "failed"}, 1},
		"segue_occurrences_total":                 {[]string{"outcome", "repeated"}, 1},
		"segue_delivery_attempts_total":           {[]string{"status", "pending"}, 1},
		"segue_delivery_attempt_duration_seconds": {nil, 3},
		"segue_pending_deliveries_limit":          {nil, 50},
		"segue_data_limit_bytes":                  {nil, 1 << 30},
		"segue_delivery_overdue_seconds":          {nil, 0},
		"segue_deliveries_removed_total":          {nil, 0},
		"segue_http_requests_total":               {[]string{"method", "POST", "path", "/v1/occurrences", "code", "202"}, 3},
	} {
		if got := value(t, families, name, want.labels...); got != want.value {
			t.Errorf("%s%v is %v, want %v", name, want.labels, got, want.value)
		}
	}
	if got := value(t, families, "segue_occurrences_total", "outcome", "stored"); got != 2 {
		t.Errorf("%v occurrences stored, want 2", got)
	}
	if used := value(t, families, "segue_data_bytes", "part", "used"); used < 10_000 {
		t.Errorf("%v bytes are used", used)
	}
	if families["go_goroutines"] == nil || families["process_resident_memory_bytes"] == nil && runtime.GOOS == "linux" {
		t.Error("the metrics of the process are missing")
	}
	if bytes.Contains(text, []byte("BREW")) || bytes.Contains(text, []byte("chose")) {
		t.Errorf("a client has chosen a label:\n%s", text)
	}
	problems := must(promlint.New(bytes.NewReader(text)).Lint())(t)
	for _, p := range problems {
		t.Errorf("promlint: %s: %s", p.Metric, p.Text)
	}
}

func TestOverdue(t *testing.T) {
	s := openStore(t, dataFile(t))
	addRows(t, s, 1, Pending, time.Hour, requestTo("https://example.com/"))
	families := map[string]*dto.MetricFamily{}
	for _, f := range must(s.metrics.registry.Gather())(t) {
		families[f.GetName()] = f
	}
	if got := value(t, families, "segue_delivery_overdue_seconds"); got < 3600 || got > 3700 {
		t.Errorf("overdue since %v seconds, want about an hour", got)
	}
}

func TestHealthTellsThatNothingIsSent(t *testing.T) {
	s := openStore(t, dataFile(t))
	d := newDispatcher(s, fast(), newLogBook().logger())
	h := newAPI(s, d, automation.Secret{}, newLogBook().logger())
	if w := do(h, "GET", "/healthz", ""); w.Code != 200 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if _, err := s.write.Exec("ALTER TABLE deliveries RENAME TO elsewhere"); err != nil {
		t.Fatal(err)
	}
	d.Start()
	for !d.stuck.Load() {
		time.Sleep(time.Millisecond)
	}
	if w := do(h, "GET", "/healthz", ""); w.Code != 503 {
		t.Errorf("got %d %s, want 503", w.Code, w.Body)
	}
	d.Close()
}

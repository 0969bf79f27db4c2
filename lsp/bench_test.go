package lsp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sourcegraph/jsonrpc2"
)

// workspaces are those that the benchmarks type in.
var workspaces = []struct {
	name                  string
	packages, automations int // automations in each package
}{
	{"10-in-1-package", 1, 10},
	{"10000-in-1000-packages", 1000, 10},
	{"1000-in-1-file", 1, 1000},
}

// writeWorkspace writes a project, and returns the name of a file to type in.
func writeWorkspace(t testing.TB, dir string, packages, automations int) string {
	t.Helper()
	writeFile(t, filepath.Join(dir, "segue.cue"), `project: "bench"
sources: segment: writeKey: secret: "SEGMENT_WRITE_KEY"
targets: local: platform: "embedded"
`)
	writeFile(t, filepath.Join(dir, "cue.mod/module.cue"), "module: \"example.com/bench\"\nlanguage: version: \"v0.17.1\"\n")
	vendor(t, dir)
	for p := range packages {
		var b strings.Builder
		fmt.Fprintf(&b, "package p%d\n\nimport \"github.com/seguehq/segue/schema/automation\"\n", p)
		for a := range automations {
			fmt.Fprintf(&b, `
automations: "a%d": automation.#Track & {
	name: "Automation %d of %d"
	trigger: pattern: "Pattern %d"
	payload: {
		userId: "{{userId}}"
		event:  "Report %d Exported"
		properties: {
			duration: "{{duration | number}}"
			team:     "{{accountName}}"
		}
	}
}
`, a, a, p, p*automations+a, p*automations+a)
		}
		writeFile(t, filepath.Join(dir, fmt.Sprintf("p%d", p), "automations.cue"), b.String())
	}
	return "p0/automations.cue"
}

// typed is a new automation, key by key: 164 of them.
const typed = "\nautomations: \"new\": automation.#Group & {\n\tname: \"New\"\n\ttrigger: pattern: \"New\"\n" +
	"\tpayload: {userId: \"{{userId}}\", groupId: \"{{accountId}}\", traits: name: \"{{accountName}}\"}\n}\n"

// percentile returns the value that so many percent of the values do not exceed.
func percentile(of []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)]
}

// milliseconds reports a duration.
func milliseconds(b *testing.B, d time.Duration, unit string) {
	b.ReportMetric(float64(d.Microseconds())/1000, unit)
}

// BenchmarkTyping measures the time from a key to its findings, while 164 keys are typed, 40 ms apart, and the time of
// a completion. It also gives them as multiples of a hover of cue lsp by itself, in the same run.
func BenchmarkTyping(b *testing.B) {
	for _, w := range workspaces {
		b.Run(w.name, func(b *testing.B) {
			dir := b.TempDir()
			name := writeWorkspace(b, dir, w.packages, w.automations)
			yardstick := bareHover(b, dir, name)
			var keys, completions []time.Duration
			for b.Loop() {
				e := startEditor(b, dir, testOptions(b), ".")
				e.openFile(name)
				e.settle(name)
				k, c := typeInto(e, name)
				keys, completions = append(keys, k...), append(completions, c...)
				e.settle(name)
				if len(e.shown()) > 0 {
					b.Fatalf("findings: %v", e.shown())
				}
			}
			milliseconds(b, percentile(keys, 50), "key-p50-ms")
			milliseconds(b, percentile(keys, 95), "key-p95-ms")
			milliseconds(b, percentile(completions, 95), "completion-p95-ms")
			milliseconds(b, yardstick, "cue-hover-p50-ms")
			b.ReportMetric(float64(percentile(keys, 95))/float64(yardstick), "key/hover")
			b.ReportMetric(float64(percentile(completions, 95))/float64(yardstick), "completion/hover")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// typeInto types at the end of a document, and returns the time that each key's findings took, and each completion's.
func typeInto(e *editor, name string) (keys, completions []time.Duration) {
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for i, r := range typed {
		<-tick.C
		doc := e.docs[e.uri(name)]
		end := doc.position(len(doc.text))
		begin := time.Now()
		e.edit(name, span{end, end}, string(r))
		if i%8 == 7 {
			var list completionList
			e.call("textDocument/completion", map[string]any{"textDocument": map[string]any{"uri": doc.uri},
				"position": e.docs[doc.uri].position(len(doc.text) + 1)}, &list)
			completions = append(completions, time.Since(begin))
			continue
		}
		e.await(doc.uri, doc.version+1)
		keys = append(keys, time.Since(begin))
	}
	return keys, completions
}

// bareHover returns the median time of a hover of cue lsp by itself.
func bareHover(b *testing.B, dir, name string) time.Duration {
	cmd := self("cue-lsp")()
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	conn := jsonrpc2.NewConn(context.Background(), jsonrpc2.NewBufferedStream(stream{io.NopCloser(out), in},
		jsonrpc2.VSCodeObjectCodec{}), jsonrpc2.HandlerWithError(fromCUE), jsonrpc2.SetLogger(silent{}))
	e := &editor{t: b, dir: dir, conn: conn, docs: map[string]*document{}}
	defer func() {
		_ = conn.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	e.call("initialize", map[string]any{"rootUri": e.uri("."), "capabilities": map[string]any{},
		"workspaceFolders": []workspaceFolder{{e.uri("."), "."}}}, nil)
	e.notify("initialized", struct{}{})
	e.openFile(name)
	var times []time.Duration
	for range 50 {
		begin := time.Now()
		var result json.RawMessage
		e.call("textDocument/hover", map[string]any{"textDocument": map[string]any{"uri": e.uri(name)},
			"position": e.cursor(name, "automation.#Tr^ack")}, &result)
		times = append(times, time.Since(begin))
	}
	return percentile(times, 50)
}

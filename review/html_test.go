package review

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seguehq/segue/sync"
)

func page1000(t testing.TB) []byte {
	t.Helper()
	p := planOf(997, `{"event":"Account activated","userId":"{{userId}}"}`)
	more := samplePlan(t)
	p.Changes = append(more.Changes, p.Changes...)
	p.Secrets, p.Warnings, p.Others = more.Secrets, more.Warnings, more.Others
	var b bytes.Buffer
	if err := HTML(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestHTML(t *testing.T) {
	var b, again bytes.Buffer
	for _, w := range []*bytes.Buffer{&b, &again} {
		if err := HTML(w, samplePlan(t)); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "plan.html", b.Bytes())
	if !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Error("the second page differs from the first")
	}
}

// The page loads nothing, and no content of a plan becomes markup.
func TestHTMLIsSelfContained(t *testing.T) {
	evil := `"><script>alert(1)</script><img src=x onerror=alert(1)> javascript:alert(1)`
	a := sample("growth/"+evil, `{"event":"</pre><script>alert(1)</script>"}`)
	a.Name, a.Trigger.Name, a.Action.URL = evil, evil, evil
	value, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	p := &sync.Plan{Project: evil, Target: evil, Product: evil, Warnings: []string{evil}, Secrets: []sync.SecretChange{{Name: evil}}, Changes: []sync.Change{
		{Key: a.Key, Action: sync.Create, Content: &a, Endpoint: evil, Taken: &sync.Bystander{Title: evil}},
		{Key: a.Key, Action: sync.Update, Content: &a, Differences: []sync.Difference{{Path: evil, Before: value, After: json.RawMessage(`"x"`)}}}}}
	var b bytes.Buffer
	if err := HTML(&b, p); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if n := strings.Count(text, "<script"); n != 1 {
		t.Errorf("the page has %d scripts", n)
	}
	if found := regexp.MustCompile(`(?i)<(img|link|iframe|object|embed)|<[^>"]*\s(src|href|on[a-z]+)=`).FindString(text); found != "" {
		t.Errorf("the page has %s", found)
	}
	if _, after, _ := strings.Cut(text, "default-src"); !strings.HasPrefix(after, " 'none'; style-src 'sha256-") {
		t.Error("the page has no policy")
	}
}

// browser returns the page in a browser after its script has run.
func browser(t *testing.T, content []byte, fragment string) string {
	t.Helper()
	name := ""
	for _, candidate := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(candidate); err == nil {
			name = found
			break
		}
	}
	if name == "" {
		t.Skip("needs Chromium")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "plan.html")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), name, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--dump-dom", (&url.URL{Scheme: "file", Path: file}).String()+fragment)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	if strings.Contains(errs.String(), "Content Security Policy") {
		t.Errorf("the page breaks its own policy:\n%s", errs.String())
	}
	return out.String()
}

// The script of the page runs under its policy, and searches and filters 1,000 changes.
func TestHTMLInABrowser(t *testing.T) {
	content := page1000(t)
	count := regexp.MustCompile(`<output[^>]*>(.*?)</output>`)
	visible := regexp.MustCompile(`<details class="change [a-z]+"[^>]*data-trigger="[^"]*">`)
	for fragment, want := range map[string]string{
		"":                                     "1000 of 1000",
		"#action=update&folder=team-02":        "17 of 1000",
		"#q=team-0&trigger=pattern+%22Lead%22": "166 of 1000",
		"#q=quick%20brown&action=update":       "1 of 1000",
		"#q=there+is+no+such+thing+in+a+plan":  "0 of 1000",
	} {
		t.Run(want+fragment, func(t *testing.T) {
			dom := browser(t, content, fragment)
			found := count.FindStringSubmatch(dom)
			if found == nil || found[1] != want {
				t.Errorf("the page counts %v, want %s", found, want)
			}
			if n, wanted := len(visible.FindAllString(dom, -1)), strings.Fields(want)[0]; wanted != jsonNumber(n) {
				t.Errorf("%d changes are shown, want %s", n, wanted)
			}
		})
	}
}

// The page can be used with the keyboard. The test adds a script that presses keys, and
// removes the policy that would block it.
func TestHTMLByKeyboard(t *testing.T) {
	content := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy"[^>]*>`).ReplaceAll(page1000(t), nil)
	keys := `<script>
const press = (key) => (document.activeElement ?? document.body).dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const at = () => document.activeElement.closest("details")?.querySelector("b").textContent ?? document.activeElement.id;
const open = () => document.querySelectorAll("details[open]").length;
const seen = [];
press("j"); press("j"); seen.push(at());
press("k"); seen.push(at());
press("/"); seen.push(at());
document.activeElement.value = "team-07";
document.activeElement.dispatchEvent(new Event("input"));
press("Enter"); seen.push(at(), document.getElementById("count").textContent);
press("e"); seen.push(open());
press("c"); seen.push(open());
press("t"); seen.push(document.documentElement.dataset.theme);
press("t"); seen.push(document.documentElement.dataset.theme);
press("Escape"); seen.push(document.getElementById("count").textContent);
document.title = seen.join("; ");
</script></body>`
	dom := browser(t, bytes.Replace(content, []byte("</body>"), []byte(keys), 1), "")
	const want = "<title>growth/gone; growth/created; search; team-07/automation-0007; 50 of 1000; 50; 0; dark; light; 1000 of 1000</title>"
	if !strings.Contains(dom, want) {
		title := regexp.MustCompile(`<title>.*?</title>`).FindString(dom)
		t.Errorf("the title is %s\nwant         %s", title, want)
	}
}

func jsonNumber(n int) string {
	b, _ := json.Marshal(n) // encoding a number can't fail
	return string(b)
}

func BenchmarkHTML(b *testing.B) {
	for b.Loop() {
		page1000(b)
	}
}

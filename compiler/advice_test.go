package compiler

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/diagnostic"
)

// header starts a file of automations.
const header = `package growth

import "github.com/seguehq/segue/schema/automation"

`

// track is a track automation, call one of another kind. Arguments: the name, the trigger, more fields of the
// payload, and more fields of the automation.
func track(name, payload string, beside ...string) string {
	return call("Track", name, payload, beside...)
}

func call(kind, name, payload string, beside ...string) string {
	return fmt.Sprintf("automations: ⟦l⟧%q⟦⟧: automation.#%s & {\n\tname: %q\n\ttrigger: pattern: %q\n\t%s\n\tpayload: {\n\t\tuserId: \"{{userId}}\"\n\t\t%s\n\t}\n}\n",
		name, kind, name, name, strings.Join(beside, "\n\t"), payload)
}

// marked takes the marks out of a file: ⟦code⟧token⟦⟧ says that a finding of that
// code is expected at the token. ⟦l⟧ is a mark that other tests replace.
func marked(name, content string) (plain string, want []string) {
	var out strings.Builder
	code, start := "", ""
	at := func() string {
		before := out.String()
		return fmt.Sprintf("%d:%d", strings.Count(before, "\n")+1, len(before)-strings.LastIndexByte(before, '\n'))
	}
	for {
		text, rest, ok := strings.Cut(content, "⟦")
		out.WriteString(text)
		if !ok {
			break
		}
		mark, after, _ := strings.Cut(rest, "⟧")
		content = after
		if mark != "" {
			code, start = mark, at()
			continue
		}
		if code != "l" {
			want = append(want, fmt.Sprintf("%s:%s-%s %s", name, start, at(), code))
		}
	}
	return out.String(), want
}

// vet compiles files with marks, and compares the findings with them.
func vet(t *testing.T, files map[string]string) diagnostic.List {
	t.Helper()
	dir := t.TempDir()
	var want []string
	if _, ok := files[config.ProjectFile]; !ok {
		files[config.ProjectFile] = exampleProject
	}
	for name, content := range files {
		plain, marks := marked(name, content)
		want = append(want, marks...)
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(plain), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	list := vetDir(t, dir)
	var got []string
	for _, d := range list {
		got = append(got, fmt.Sprintf("%s:%d:%d-%d:%d %s", d.File, d.Range.Start.Line, d.Range.Start.Column, d.Range.End.Line, d.Range.End.Column, d.Code))
		if d.Help == "" || d.Key == "" || strings.ContainsAny(d.Message+d.Help, "\x00\x01") {
			t.Errorf("incomplete: %+v", d)
		}
		for _, r := range d.Related {
			if r.File == "" || r.Range == (diagnostic.Range{}) || r.Message == "" {
				t.Errorf("incomplete: %+v", d)
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
		for _, d := range list {
			t.Logf("%s %s", d.Code, d.Message)
		}
	}
	return list
}

func vetDir(t *testing.T, dir string) diagnostic.List {
	t.Helper()
	result, err := Compile(context.Background(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return result.Diagnostics
}

// mark puts a code in the place of the n-th ⟦l⟧.
func mark(content string, n int, code string) string {
	parts := strings.Split(content, "⟦l⟧")
	return strings.Join(parts[:n+1], "⟦l⟧") + "⟦" + code + "⟧" + strings.Join(parts[n+1:], "⟦l⟧")
}

// one vets one file, and checks the messages of the findings.
func one(t *testing.T, content string, messages ...string) {
	t.Helper()
	list := vet(t, map[string]string{"growth/a.cue": header + content})
	var got []string
	for _, d := range list {
		got = append(got, d.Message+"; "+d.Help)
	}
	if len(messages) > 0 {
		if diff := cmp.Diff(messages, got); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
	}
}

func TestEventName(t *testing.T) {
	one(t, track("a", `event: ⟦event-name⟧"report_exported"⟦⟧`),
		`the event "report_exported" is not in Title Case, as Segment advises; write "Report Exported"`)
	one(t, track("a", `event: ⟦event-name⟧"Export Report"⟦⟧`),
		`the event "Export Report" says what to do, "Export", and not what has happened; write "Report Exported"`)
	one(t, track("a", `event: ⟦event-name⟧"page_view"⟦⟧`),
		`the event "page_view" is not in Title Case, as Segment advises; name it by a noun and a verb in the past, as in "Order Completed"`)
	one(t, track("a", `event: "{{usagePatternName}} done"`)+call("Group", "b", "groupId: \"x\"\n\t\ttraits: event: \"report_exported\"")+track("c", `event: "Report Exported"`))
	// One mistake, one finding: a broken placeholder is not judged.
	one(t, track("a", `event: "report_⟦unknown-placeholder⟧{{useId}}⟦⟧"`))
}

func TestEventNameOfTrackingPlan(t *testing.T) {
	vet(t, map[string]string{
		config.ProjectFile: exampleProject + "trackingPlan: events: report_exported: {...}\n",
		"growth/a.cue":     header + track("a", `event: "report_exported"`),
	})
}

func TestEventNameInSharedDefinition(t *testing.T) {
	list := vet(t, map[string]string{"growth/a.cue": header + "#Sent: {userId: \"{{userId}}\", event: ⟦event-name⟧\"mail_sent\"⟦⟧}\n" +
		strings.ReplaceAll(track("a", "#Sent")+track("b", "#Sent"), "pattern: \"b\"", "journey: \"b\"")})
	if len(list) != 1 {
		t.Errorf("%d findings of one place", len(list))
	}
}

func TestPersonalData(t *testing.T) {
	for _, property := range []string{
		`⟦personal-data⟧email⟦⟧: "{{userEmail}}"`,
		`⟦personal-data⟧"user-email"⟦⟧: "{{ userEmail }}"`,
		`⟦personal-data⟧email⟦⟧: "ada@example.com"`,
		`⟦personal-data⟧phone⟦⟧: "+1 555 010 0199"`,
		`⟦personal-data⟧phone⟦⟧: 15550100199`,
		`⟦personal-data⟧name⟦⟧: "{{userName}}"`,
		`⟦personal-data⟧first_name⟦⟧: "{{userName}}"`,
		`⟦personal-data⟧lastName⟦⟧: "Byron"`,
		`greeting: "Hello ⟦personal-data⟧{{userName}}⟦⟧, welcome"`,
		`contact: "⟦personal-data⟧{{userEmail}}⟦⟧"`,
		`to: "mail to ⟦personal-data⟧ada@example.com⟦⟧"`,
		`customer: ⟦personal-data⟧email⟦⟧: "{{userEmail}}"`,
		`people: [{⟦personal-data⟧email⟦⟧: "{{userEmail}}"}]`,
	} {
		one(t, track("a", "event: \"Report Exported\"\n\t\tproperties: "+property))
	}
	one(t, track("a", "event: \"Report Exported\"\n\t\tproperties: ⟦personal-data⟧email⟦⟧: \"{{userEmail}}\""),
		"payload.properties.email sends personal data, an email address, with the properties of an event; send it as a trait of an identify call; the userId ties the event to the user")
}

func TestNoPersonalData(t *testing.T) {
	for _, property := range []string{
		`email: "weekly digest"`, `email: true`, `email: "{{accountName}}"`, `phone: "{{userId}}"`, `phone: "landline"`, `phone: 7`,
		`name: "Quarterly report"`, `name: "{{accountName}}"`, `planName: "team"`, `account_name: "{{accountName}}"`,
		`from: "noreply@example.com"`, `to: "support+eu@example.com"`, `id: "{{userId}}"`, `at: "10@2"`, `duration: "{{duration | number}}"`,
	} {
		one(t, track("a", "event: \"Report Exported\"\n\t\tproperties: "+property))
	}
	// Where the spec of a semantic event has the property, it is meant.
	one(t, track("a", "event: \"Signed Up\"\n\t\tproperties: {email: \"{{userEmail}}\", first_name: \"{{userName}}\"}"))
	one(t, track("a", "event: \"Order Completed\"\n\t\tproperties: {order_id: \"1\", products: [{product_id: \"2\", name: \"{{userName}}\"}]}"))
	one(t, track("a", "event: \"Signed Up\"\n\t\tproperties: ⟦personal-data⟧workEmail⟦⟧: \"{{userEmail}}\""))
	// Traits are the place for it.
	one(t, call("Identify", "a", `traits: {email: "{{userEmail}}", name: "{{userName}}"}`))
	// A misspelled placeholder is the mistake.
	one(t, track("a", "event: \"Report Exported\"\n\t\tproperties: email: \"⟦unknown-placeholder⟧{{usrEmail}}⟦⟧\""))
}

func TestPropertyType(t *testing.T) {
	event := func(properties string) string { return "event: \"Report Exported\"\n\t\tproperties: " + properties }
	one(t, track("a", event(`rows: 12`))+track("b", event(`rows: ⟦property-type⟧"12"⟦⟧`)),
		`payload.properties.rows is a string here, and a number of the same event in growth/a; send only one type: a warehouse or destination uses the type that it saw first, and loses values of another type`)
	// The most frequent form is right.
	one(t, track("a", event(`rows: ⟦property-type⟧12⟦⟧`))+track("b", event(`rows: "1"`))+track("c", event(`rows: "2"`)))
	// A placeholder has the type of its cast.
	one(t, track("a", event(`took: 1`))+track("b", event(`took: ⟦property-type⟧"{{duration}}"⟦⟧`))+track("c", event(`took: "{{duration | number}}"`)))
	one(t, track("a", event(`rows: total: 1`))+track("b", event(`rows: total: ⟦property-type⟧true⟦⟧`)))
	one(t, track("a", event(`items: [{n: 1}, {n: 2}]`))+track("b", event(`items: [{n: 1}, {n: ⟦property-type⟧"2"⟦⟧}]`)))
	one(t, track("a", event(`rows: 1`))+track("b", event("rows: ⟦property-type⟧{\n\t\t\ttotal: 1\n\t\t}⟦⟧")))
	one(t, call("Identify", "a", `traits: seats: 1`)+call("Identify", "b", `traits: seats: ⟦property-type⟧"1"⟦⟧`))
}

func TestNoPropertyType(t *testing.T) {
	// Other events, other calls, whole and broken numbers, null, lists of anything.
	one(t, track("a", "event: \"Report Exported\"\n\t\tproperties: rows: 1")+track("b", "event: \"Report Deleted\"\n\t\tproperties: rows: \"1\""))
	one(t, call("Identify", "a", `traits: seats: 1`)+call("Group", "b", "groupId: \"g\"\n\t\ttraits: seats: \"1\""))
	one(t, call("Identify", "a", `traits: {n: 1, m: null, l: [1]}`)+call("Identify", "b", `traits: {n: 1.5, m: 2, l: ["a", 1]}`))
	one(t, track("a", "event: \"{{usagePatternName}}\"\n\t\tproperties: rows: 1")+track("b", "event: \"{{usagePatternName}}\"\n\t\tproperties: rows: \"1\""))
}

func TestEventSpelling(t *testing.T) {
	one(t, track("a", `event: "Report Exported"`)+track("b", `event: ⟦event-spelling⟧"report_exported"⟦⟧`),
		`the event "report_exported" is spelled "Report Exported" in growth/a; write "Report Exported": Segment treats these as two events`)
	// The name that follows the advice is right, even if it is rarer.
	one(t, track("a", `event: ⟦event-spelling⟧"Report exported"⟦⟧`)+track("b", `event: ⟦event-spelling⟧"Report exported"⟦⟧`)+track("c", `event: "Report Exported"`))
	one(t, track("a", `event: "Report Exported"`)+track("b", `event: "Reports Exported"`)+track("c", `event: "Report Exported"`))
	list := vet(t, map[string]string{
		"growth/b.cue": header + track("a", `event: "Report Exported"`),
		"growth/a.cue": header + track("b", `event: ⟦event-spelling⟧"Report-Exported"⟦⟧`),
		"sales/a.cue":  strings.Replace(header, "growth", "sales", 1) + track("c", `event: "Report Exported"`),
	})
	want := []diagnostic.Related{{Message: "the other spelling", File: "growth/b.cue",
		Range: diagnostic.Range{Start: diagnostic.Position{Line: 11, Column: 10}, End: diagnostic.Position{Line: 11, Column: 27}}}}
	if diff := cmp.Diff(want, list[0].Related); diff != "" {
		t.Errorf("related (-want +got):\n%s", diff)
	}
	if want := `the event "Report-Exported" is spelled "Report Exported" in growth/a and 1 other automation`; list[0].Message != want {
		t.Errorf("got %s", list[0].Message)
	}
}

func TestDuplicateAutomation(t *testing.T) {
	a := track("a", `event: "Report Exported"`)
	again := strings.Replace(a, `"a"`, `"b"`, 1) // the name of the trigger stays
	one(t, mark(a+again, 1, "duplicate-automation"),
		"the automation does the same as growth/a: the same trigger and the same request; remove one of them, or switch it off with enabled: false; otherwise everything is sent twice")
	// In canonical form they are the same.
	one(t, mark(a+strings.NewReplacer(`"{{userId}}"`, `"{{ userId }}"`, "payload:", "allow: \"header-case\": \"the endpoint has it so\"\n\theaders: accept: \"Application/JSON\"\n\tpayload:").Replace(again), 1, "duplicate-automation"))
	third := strings.Replace(a, `"a"`, `"c"`, 1)
	one(t, mark(mark(a+again+third, 1, "duplicate-automation"), 1, "duplicate-automation"))

	one(t, a+strings.Replace(again, "payload:", "enabled: false\n\tpayload:", 1))
	one(t, a+strings.Replace(again, "pattern", "journey", 1))
	one(t, a+strings.Replace(again, "payload:", "headers: \"X-Team\": \"growth\"\n\tpayload:", 1))
	one(t, a+strings.Replace(again, "userId:", "anonymousId: \"{{accountId}}\"\n\t\tuserId:", 1))
}

func TestMixedCase(t *testing.T) {
	one(t, call("Identify", "a", `traits: createdAt: "2026-01-31"`)+call("Identify", "b", `traits: ⟦mixed-case⟧created_at⟦⟧: "2026-01-31"`),
		"the trait created_at is spelled createdAt in growth/a; write createdAt everywhere: Segment treats these as two traits")
	one(t, call("Identify", "a", `traits: ⟦mixed-case⟧planTier⟦⟧: 1`)+call("Identify", "b", `traits: plan_tier: 1`)+call("Group", "c", "groupId: \"1\"\n\t\ttraits: plan_tier: 1"))
	one(t, call("Identify", "a", `traits: address: postalCode: "1"`)+call("Identify", "b", `traits: address: ⟦mixed-case⟧"postal_code"⟦⟧: "1"`))

	one(t, call("Identify", "a", `traits: planTier: 1`)+call("Identify", "b", `traits: planTiers: 1`)+call("Identify", "c", `traits: plan: 1`))
	one(t, call("Identify", "a", `traits: planTier: 1`)+track("b", "event: \"Report Exported\"\n\t\tproperties: plan_tier: 1"))
	one(t, call("Identify", "a", `traits: planTier: 1`)+call("Identify", "b", `traits: {planTier: 1, ⟦same-column⟧plan_tier⟦⟧: 1}`)) // for two destinations
}

func TestAdviceOnComprehensions(t *testing.T) {
	content := header + `for n in ["a", "b"] {
	automations: (n): ⟦event-name⟧automation.#Track & {
		name: n
		trigger: pattern: n
		payload: {userId: "{{userId}}", event: "thing_done"}
	}⟦⟧
}
`
	dir := t.TempDir()
	plain, _ := marked("", content)
	for name, text := range map[string]string{config.ProjectFile: exampleProject, "a.cue": plain} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	list := vetDir(t, dir)
	if len(list) != 1 || list[0].Code != "event-name" || list[0].File != "a.cue" || list[0].Range == (diagnostic.Range{}) {
		t.Errorf("got %+v", list)
	}
}

func TestLoopThatIsWrongInOneWay(t *testing.T) {
	loop := func(payload string) string {
		return "automations: {\n\tfor k in [\"plan\", \"role\", \"seat\"] {\n\t\t\"\\(k)\": automation.#Track & {name: k, trigger: pattern: k, payload: {userId: \"{{userId}}\", " +
			payload + "}}\n\t}\n}\n"
	}
	one(t, loop(`event: ⟦event-name⟧"\(k)_changed"⟦⟧`),
		`the event "plan_changed" is not in Title Case, as Segment advises (and 2 more like it); write "Plan Changed"`)
	one(t, loop(`event: "Report Exported", properties: currency: ⟦unusable-value⟧"€ \(k)"⟦⟧`))
	one(t, loop(`event: "Report Exported", properties: products: [for i in [1, 2] {price: ⟦unusable-value⟧"9,5\(i)"⟦⟧}]`))
	// What differs in more than values is more than one mistake.
	one(t, loop(`event: "Report Exported", properties: {⟦personal-data⟧email⟦⟧: "{{userEmail}}", ⟦personal-data⟧phone⟦⟧: "+1 555 010 0199"}`))
}

func TestAllow(t *testing.T) {
	allow := func(codes ...string) string {
		var lines []string
		for _, c := range codes {
			lines = append(lines, fmt.Sprintf("allow: %s: \"that is how it is\"", c))
		}
		return strings.Join(lines, "\n\t")
	}
	one(t, track("a", `event: "report_exported"`, allow(`"event-name"`)))
	one(t, track("a", "event: \"Report Exported\"\n\t\tproperties: email: \"{{userEmail}}\"", allow(`"personal-data"`)))
	one(t, track("a", "event: \"Report Exported\"\n\t\treceivedAt: \"2026-01-31T10:00:00Z\"", allow(`"set-by-segment"`)))
	one(t, track("a", `event: "Report Exported"`)+track("b", `event: "Report exported"`, allow(`"event-spelling"`, `"event-name"`)))
	one(t, call("Identify", "a", `traits: planTier: 1`)+call("Identify", "b", `traits: plan_tier: "1"`, allow(`"mixed-case"`)))
	// Only where it is allowed.
	one(t, track("a", `event: "report_exported"`, allow(`"event-name"`))+track("b", `event: ⟦event-name⟧"report_deleted"⟦⟧`))
	// Without effect.
	one(t, track("a", `event: "Report Exported"`, allow(`⟦unused-allow⟧"event-name"⟦⟧`)),
		"there is no warning event-name here that could be silenced; remove the line")
	one(t, track("a", `event: "Report Exported"`, allow(`⟦unused-allow⟧"event-spelling"⟦⟧`)))
	// The warning is about another automation.
	one(t, track("a", `event: "Report Exported"`, allow(`⟦unused-allow⟧"event-spelling"⟦⟧`))+track("b", `event: ⟦event-spelling⟧"Report exported"⟦⟧`))
	// Errors can't be silenced.
	one(t, track("a", `event: "Report Exported"`, allow(`⟦unused-allow⟧"unknown-field"⟦⟧`)),
		"an error can't be silenced, and unknown-field is one; remove the line, and correct what is wrong")
	one(t, track("a", "event: \"Report Exported\"\n\t\t⟦unknown-field⟧user_id⟦⟧: \"1\"", allow(`⟦unused-allow⟧"unknown-field"⟦⟧`)))
	// Unless the semantic event alone has the rule.
	one(t, track("a", "event: \"Order Completed\"\n\t\tproperties: order_id: 12", allow(`"wrong-type"`)))
	// Misspelt, and without a reason.
	one(t, track("a", `event: "report_exported"`, allow(`⟦unknown-code⟧"event_name"⟦⟧`)),
		`there is no warning called "event_name"; did you mean event-name?`)
	one(t, track("a", `event: ⟦event-name⟧"report_exported"⟦⟧`, allow(`⟦unknown-code⟧"nothing"⟦⟧`)))
	one(t, track("a", `event: "report_exported"`, `allow: ⟦wrong-type⟧["event-name"]⟦⟧`))
	one(t, track("a", `event: "report_exported"`, `allow: "event-name": ⟦empty-value⟧""⟦⟧`))
	one(t, track("a", `event: "report_exported"`, `allow: "event-name": ⟦wrong-type⟧true⟦⟧`))
}

// While a mistake keeps the other automation out of the comparison, its warning
// may only be hidden.
func TestAllowIsNotUnusedBesideErrors(t *testing.T) {
	one(t, track("a", "event: \"Report Exported\"\n\t\t⟦unknown-field⟧nothing⟦⟧: 1")+
		track("b", `event: "Report exported"`, `allow: "event-name": "so it is"`, `allow: "event-spelling": "so it is"`))
}

// The advice of a run does not depend on which package is done first.
func TestAdviceIsDeterministic(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		content, _ = marked("", content)
		if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(config.ProjectFile, exampleProject)
	for i := range 60 {
		name := fmt.Sprintf("p%02d", i)
		event := []string{"Report Exported", "Report exported"}[i%2]
		write(name+"/a.cue", strings.Replace(header, "growth", name, 1)+
			track("a"+name, fmt.Sprintf("event: %q\n\t\tproperties: rows: %s", event, []string{"1", `"1"`, "true"}[i%3]))+
			call("Identify", "b"+name, []string{`traits: planTier: 1`, `traits: plan_tier: 1`}[i%2]))
	}
	first := vetDir(t, dir)
	codes := map[string]int{}
	for _, d := range first {
		codes[d.Code]++
	}
	// 30 of 60 spell the event wrongly; of each spelling, ten of 30 have the right
	// type.
	if diff := cmp.Diff(map[string]int{"event-spelling": 30, "property-type": 40, "mixed-case": 30}, codes); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	for range 3 {
		if diff := cmp.Diff(first, vetDir(t, dir)); diff != "" {
			t.Fatalf("another run gave something else:\n%s", diff)
		}
	}
}

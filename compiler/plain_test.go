package compiler

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"

	"github.com/seguehq/segue/compiler/evaluate"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/plain"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// Packages of plain data are compiled both ways, without CUE and with it alone, and have
// to give the same. How many, and from which seed, is for the command line:
//
//	go test ./compiler -run TestPlainAgainstCUE -v -plain 20000 -plainseed 42
var (
	plainCount = flag.Int("plain", 1000, "how many automations TestPlainAgainstCUE makes")
	plainSeed  = flag.Uint64("plainseed", 0, "its seed, instead of one from the clock")
)

// plainBatch is how many packages a project of the comparison has.
const plainBatch = 200

func TestPlainAgainstCUE(t *testing.T) {
	seed := *plainSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	total := plainTally{reasons: map[string]int{}}
	count := *plainCount
	if testing.Short() {
		count /= 10
	}
	for batch := uint64(0); total.automations < count; batch++ {
		g := &plainGenerator{Rand: rand.New(rand.NewPCG(seed, batch))}
		files := plainProject()
		for i := 0; i < plainBatch && total.automations+g.automations < count; i++ {
			maps.Copy(files, g.pkg(fmt.Sprintf("p%d", i)))
		}
		total.automations += g.automations
		dir := writePlain(t, files)
		total.add(comparePlain(t, dir))
		if t.Failed() {
			t.Fatalf("seed %d: batch %d differs", seed, batch)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	total.report(t)
	if testing.Short() {
		return // too few to judge the shares
	}
	if total.right*10 > total.rightDecided*12 {
		t.Errorf("only %d of %d right packages were decided without CUE", total.rightDecided, total.right)
	}
	if total.wrong == 0 {
		t.Error("all packages were right")
	}
}

// A plainTally counts packages: those that CUE finds right, and the others.
type plainTally struct {
	automations                int
	right, rightDecided, wrong int
	reasons                    map[string]int
}

// plainLine is where a reason says that the line is.
var plainLine = regexp.MustCompile(`^.*line \d+: `)

// comparing are the codes of findings that come from comparing packages.
var comparing = []string{"mixed-case", "property-type", "duplicate-automation", "event-spelling"}

// add counts the packages of a project, of which some have findings when CUE evaluates
// them all.
func (n *plainTally) add(decided map[string]error, findings diagnostic.List) {
	found := map[string]bool{}
	for _, d := range findings {
		if !slices.Contains(comparing, d.Code) {
			found[path.Dir(d.File)] = true
		}
	}
	for dir, reason := range decided {
		switch {
		case reason == nil:
			n.right, n.rightDecided = n.right+1, n.rightDecided+1
		case found[dir]:
			n.wrong++
		default:
			n.right++
			n.reasons[plainLine.ReplaceAllString(reason.Error(), "")]++
		}
	}
}

func (n *plainTally) report(t *testing.T) {
	t.Logf("%d automations; without CUE: %d of %d right packages; %d have findings", n.automations, n.rightDecided, n.right, n.wrong)
	for i, reason := range slices.SortedFunc(maps.Keys(n.reasons), func(a, b string) int { return n.reasons[b] - n.reasons[a] }) {
		if i == 10 {
			break
		}
		t.Logf("%5d left to CUE: %s", n.reasons[reason], reason)
	}
}

func plainProject() map[string]string {
	return map[string]string{
		"segue.cue": "project: \"plain\"\nsources: segment: writeKey: secret: \"SEGMENT_WRITE_KEY\"\n" +
			"placeholders: isTrial: {type: \"boolean\", sample: true, description: \"Whether it is a trial.\"}\n",
		"cue.mod/module.cue": workspace.ModuleFile("plain.example@v0"),
	}
}

func writePlain(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// comparePlain compiles a project both ways and reports the differences. The result has the reason that each
// folder was left to CUE, nil if it was not.
func comparePlain(t *testing.T, dir string) (map[string]error, diagnostic.List) {
	t.Helper()
	quick, err := Compile(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	full, err := Compile(t.Context(), Options{Dir: dir, EvaluateAll: true})
	if err != nil {
		t.Fatal(err)
	}
	decided := plainReasons(t, dir)
	byKey := func(r *Result) map[string]string {
		out := map[string]string{}
		for _, a := range r.Document.Automations {
			b, err := a.Canonical()
			if err != nil {
				t.Fatal(err)
			}
			out[a.Key] = string(b)
		}
		return out
	}
	got, want := byKey(quick), byKey(full)
	for key := range want {
		if got[key] != want[key] {
			t.Errorf("%s\nwithout CUE: %s\n   with CUE: %s\n%s", key, got[key], want[key], plainSource(dir, key))
		}
	}
	for key := range got {
		if want[key] == "" {
			t.Errorf("%s is accepted without CUE, and not with it\n%s", key, plainSource(dir, key))
		}
	}
	a, err := quick.Document.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	b, err := full.Document.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Error("the documents differ")
	}
	if d := cmp.Diff(quick.Diagnostics, full.Diagnostics); d != "" {
		t.Errorf("findings (- without CUE, + with it):\n%s", d)
	}
	return decided, full.Diagnostics
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// plainSource shows the files of an automation's package.
func plainSource(dir, key string) string {
	var out strings.Builder
	names, _ := filepath.Glob(filepath.Join(dir, filepath.Dir(key), "*.cue"))
	for _, name := range names {
		content, _ := os.ReadFile(name)
		fmt.Fprintf(&out, "-- %s --\n%s\n", filepath.Base(name), content)
	}
	return out.String()
}

// plainReasons returns the reason that each folder of a project is left to CUE. It compares the decided values
// with CUE's, including the places of the automations.
func plainReasons(t *testing.T, dir string) map[string]error {
	t.Helper()
	out := map[string]error{}
	o, err := NewSession(Options{Dir: dir}).open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if o.project == nil {
		return out
	}
	e, err := evaluate.New(o.disk, o.project, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, dirs := e.Loader, e.Dirs
	r := &evaluate.PlainReader{Evaluation: e}
	if reason := r.Unfit(); reason != "" {
		for _, dir := range dirs {
			out[dir] = fmt.Errorf("%s", reason)
		}
		return out
	}
	decided := map[string][]plain.Automation{}
	for _, dir := range dirs {
		_, out[dir] = r.Pkg(dir)
		// Values with findings of the checks are compared with CUE as well.
		if files, err := r.Files(dir); err == nil {
			if automations, err := plain.Embedded().Decide(files); err == nil {
				decided[dir] = automations
			}
		}
	}
	for chunk := range slices.Chunk(finding.SortedKeys(decided), evaluate.ChunkSize) {
		ctx := cuecontext.New()
		for _, inst := range l.Packages(chunk, l.Reading().Parse) {
			if dir := l.Relative(inst.Dir); inst.PkgName != "_" {
				sameAsCUE(t, dir, ctx.BuildInstance(inst), decided[dir], out[dir] != nil)
			}
		}
	}
	return out
}

// sameAsCUE reports where CUE evaluates a package to something else than was decided. The
// package may have more if it inherits from a folder above.
func sameAsCUE(t *testing.T, dir string, pkg cue.Value, decided []plain.Automation, inherits bool) {
	t.Helper()
	if err := pkg.Validate(); err != nil {
		t.Errorf("%s is accepted without CUE, and refused with it: %v", dir, err)
		return
	}
	automations := pkg.LookupPath(finding.FieldPath("automations"))
	n := 0
	for fields := must(automations.Fields()); fields.Next(); {
		n++
	}
	if n != len(decided) && !inherits || n < len(decided) {
		t.Errorf("%s has %d automations without CUE, and %d with it", dir, len(decided), n)
	}
	for _, a := range decided {
		v := automations.LookupPath(finding.FieldPath(a.Name))
		b, err := evaluate.EncodeAutomation(v)
		if err != nil {
			t.Errorf("%s: %s is accepted without CUE, and refused with it: %v", dir, a.Name, err)
			continue
		}
		var want any
		if err := source.UnmarshalNumber(b, &want); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, any(a.Value)); d != "" {
			t.Errorf("%s: %s (- with CUE, + without it):\n%s", dir, a.Name, d)
		}
		if pos := v.Pos(); pos.Filename() != a.Pos.Filename() || pos.Offset() != a.Pos.Offset() {
			t.Errorf("%s: %s is at %d without CUE, and at %d with it", dir, a.Name, a.Pos.Offset(), pos.Offset())
		}
	}
}

// A plainGenerator makes automations of all calls and events, and changes of them.
type plainGenerator struct {
	*rand.Rand
	imports map[string]bool
	// automations is how many it has made.
	automations int
	// odd is how often a value is a strange one, of 100.
	odd int
	// changes is how often an automation is changed, of 100.
	changes int
}

func (g *plainGenerator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g *plainGenerator, from ...T) T { return from[g.IntN(len(from))] }

// An item is a field of a struct that is written.
type item struct {
	label string
	value any
}

// object is a struct that is written, in that order.
type object []item

// A derived value is a definition with a struct on it.
type derived struct {
	definition string
	of         object
}

// verbatim is an expression that is written as it is.
type verbatim string

// pkg makes the files of a package, by name. Most are right.
func (g *plainGenerator) pkg(dir string) map[string]string {
	files := map[string]string{}
	g.changes = pick(g, 0, 0, 60)
	for i := range 1 + g.IntN(2) {
		g.imports = map[string]bool{}
		g.odd = pick(g, 0, 0, 5)
		var body strings.Builder
		for j := range 1 + g.IntN(2) {
			g.automations++
			call, o := g.automation()
			if g.chance(g.changes) {
				o = g.change(o).(object)
			}
			name := fmt.Sprintf("a%d-%d", i, j)
			fmt.Fprintf(&body, "\n%s\n", g.entry(name, "automation.#"+call+g.around(o)))
			g.imports["automation"] = true
		}
		text := "package " + dir + "\n\n"
		for _, pkg := range finding.SortedKeys(g.imports) {
			text += fmt.Sprintf("import %q\n", schema.ModulePath+"/"+pkg)
		}
		text += body.String()
		if g.chance(g.changes / 10) {
			text = g.misspell(text)
		}
		if g.chance(5) {
			text = strings.ReplaceAll(text, "\n", "\r\n")
		}
		files[fmt.Sprintf("%s/f%d.cue", dir, i)] = text
	}
	return files
}

func (g *plainGenerator) around(o object) string {
	if g.chance(4) && len(o) > 1 {
		return " & " + g.write(o[:1], 0) + " & " + g.write(o[1:], 0)
	}
	return " & " + g.write(o, 0)
}

func (g *plainGenerator) entry(name, value string) string {
	label := strconv.Quote(name)
	switch g.IntN(3) {
	case 0:
		return "automations: {\n" + label + ": " + value + "\n}"
	case 1:
		return "automations: {" + label + ": " + value + "}\nautomations: {}"
	default:
		return "automations: " + label + ": " + value
	}
}

// plainEvents are the definitions of the semantic events.
var plainEvents = sync.OnceValue(func() []string {
	var out []string
	for _, name := range finding.SortedKeys(shape.All()) {
		if event, ok := shape.All()[name].Fields["event"]; ok && strings.HasPrefix(name, "segment.") && len(event.Shape.Consts) == 1 {
			out = append(out, name)
		}
	}
	return out
})

// automation makes one of any call.
func (g *plainGenerator) automation() (string, object) {
	trigger := pick(g, "pattern", "journey")
	o := object{{"name", g.words()}, {"trigger", object{{trigger, g.words()}}}}
	call := pick(g, "Identify", "Group", "Track", "Track", "Track", "Page", "Screen", "Alias", "HTTP")
	switch call {
	case "HTTP":
		o = append(o, item{"url", pick(g, "https://example.com/hook", "https://example.com/u/{{userId}}?x=1")})
		if g.chance(50) {
			o = append(o, item{"method", pick(g, "GET", "POST", "PUT", "PATCH", "DELETE")})
		}
		if g.chance(70) {
			o = append(o, item{"payload", g.any(0)})
		}
	case "Track":
		events := plainEvents()
		definition := events[g.IntN(len(events))]
		event := shape.Of(definition)
		if g.chance(25) {
			o = append(o, item{"payload", g.payload(shape.Of("segment.#Track"))})
			break
		}
		payload := g.payload(event)
		if g.chance(70) {
			o = append(o, item{"payload", derived{definition, payload}})
			break
		}
		o = append(o, item{"payload", append(payload, item{"event", event.Fields["event"].Shape.Consts[0]})})
	default:
		o = append(o, item{"payload", g.payload(shape.Of("segment.#" + call))})
	}
	if g.chance(15) {
		o = append(o, item{"enabled", g.chance(50)})
	}
	if g.chance(15) {
		o = append(o, item{"protect", g.chance(50)})
	}
	if g.chance(15) {
		o = append(o, item{"headers", g.headers(call == "HTTP" || g.chance(5))})
	}
	if g.chance(10) {
		o = append(o, item{"tests", object{{"one", object{{"values", object{{"userId", g.scalar()}}}, {"expect", object{{"userId", g.scalar()}}}}}}})
	}
	if call == "Track" && g.chance(15) {
		o = append(o, item{"allow", object{{"personal-data", "it is made up"}}})
	}
	if call != "HTTP" && g.chance(10) {
		o = append(o, item{"source", "segment"})
	}
	return call, o
}

func (g *plainGenerator) headers(credentials bool) object {
	secret := object{{"secret", "TOKEN"}}
	var o object
	for i := range 1 + g.IntN(2) {
		name := fmt.Sprintf("X-Header-%d", i)
		kind := g.IntN(5)
		if !credentials {
			kind %= 2
		}
		switch kind {
		case 0:
			o = append(o, item{name, "plain"})
		case 1:
			o = append(o, item{name, secret})
		case 2:
			o = append(o, item{"Authorization", object{{"bearer", secret}}})
			return o
		case 3:
			o = append(o, item{"Authorization", object{{"basic", object{{"username", pick[any](g, "ada", secret)}}}}})
			return o
		case 4:
			o = append(o, item{"Authorization", object{{"basic", object{{"username", "ada"}, {"password", pick[any](g, "", secret)}}}}})
			return o
		}
	}
	return o
}

// payload makes a message of some shape.
func (g *plainGenerator) payload(s *shape.Shape) object {
	var o object
	for _, k := range finding.SortedKeys(s.Fields) {
		f := s.Fields[k]
		switch {
		case k == "event":
			if len(f.Shape.Consts) == 0 {
				o = append(o, item{k, pick(g, "Report Exported", "Account Activated", "Plan Chosen")})
			}
		case k == "groupId":
			o = append(o, item{k, g.id()})
		case k == "userId" || k == "anonymousId":
		case f.SetBySegment:
		case k == "messageId":
			if g.chance(5) {
				o = append(o, item{k, strings.Repeat("x", pick(g, 3, 50, 99))})
			}
		case k == "type":
			if g.chance(5) && len(f.Shape.Consts) > 0 {
				o = append(o, item{k, f.Shape.Consts[0]})
			}
		case k == "timestamp" && g.chance(60), g.chance(25), k == "properties", k == "traits":
			o = append(o, item{k, g.value(f.Shape, 0)})
		}
	}
	switch g.IntN(3) {
	case 0:
		o = append(o, item{"anonymousId", "{{userId}}"})
	default:
		o = append(o, item{"userId", g.id()})
	}
	g.Shuffle(len(o), func(i, j int) { o[i], o[j] = o[j], o[i] })
	return o
}

func (g *plainGenerator) id() any {
	if g.chance(30) {
		g.imports["placeholder"] = true
		return verbatim("placeholder." + pick(g, "userId", "accountId", "userEmail"))
	}
	return pick(g, "{{userId}}", "{{accountId}}", "u-{{userId}}")
}

// value makes a value of a shape.
func (g *plainGenerator) value(s *shape.Shape, depth int) any {
	switch s.Kind {
	case shape.Text:
		if len(s.Consts) > 0 {
			return s.Consts[g.IntN(len(s.Consts))]
		}
		return pick(g, g.words(), "{{accountName}}", "{{accountName}} of {{accountId}}", g.words())
	case shape.Number:
		return pick[any](g, "{{duration | number}}", g.number(), g.number())
	case shape.Integer:
		return pick[any](g, 1, 40, -7, "{{duration | number}}")
	case shape.Boolean:
		return pick[any](g, true, false, "{{isTrial | boolean}}")
	case shape.Time:
		if g.chance(5) {
			return verbatim(`segment.#Time & "2026-01-31T09:30:00Z"`)
		}
		return pick(g, "{{clientTimestampEndTime}}", "2026-01-31T09:30:00Z", "2026-01-31T09:30:00.123+02:00")
	case shape.Date:
		return pick(g, "{{clientTimestampEndTime}}", "2026-01-31T09:30:00Z", "2026-01-31")
	case shape.Null:
		return nil
	case shape.List:
		l := []any{}
		for range g.IntN(3) {
			l = append(l, g.value(s.Elem, depth+1))
		}
		return l
	case shape.Union:
		return g.value(s.Alts[g.IntN(len(s.Alts))], depth)
	case shape.Struct:
		var o object
		for _, k := range finding.SortedKeys(s.Fields) {
			if g.chance(30) && depth < 4 {
				o = append(o, item{k, g.value(s.Fields[k].Shape, depth+1)})
			}
		}
		if s.Open && g.chance(50) {
			o = append(o, item{pick(g, "plan_name", "ownField", "seat count", "größe", "if", "true", "_own"), g.any(depth + 1)})
		}
		if s.Rest != nil {
			o = append(o, item{"Mixpanel", g.value(s.Rest, depth+1)})
		}
		if _, ok := shape.All()[s.Definition]; ok && strings.HasPrefix(s.Definition, "segment.#") && g.chance(10) {
			return derived{s.Definition, o}
		}
		return o
	}
	return g.any(depth + 1)
}

// any makes any value.
func (g *plainGenerator) any(depth int) any {
	if depth < 4 && g.chance(35) {
		if g.chance(30) {
			l := []any{}
			for range g.IntN(4) {
				l = append(l, g.any(depth+1))
			}
			return l
		}
		var o object
		for range g.IntN(4) {
			if k := pick(g, "a", "b", "c_d", "e f"); !slices.ContainsFunc(o, func(i item) bool { return i.label == k }) {
				o = append(o, item{k, g.any(depth + 1)})
			}
		}
		return o
	}
	return g.scalar()
}

func (g *plainGenerator) scalar() any {
	return pick[any](g, g.words(), g.number(), true, false, 3, "{{accountName}}", g.words(), nil)
}

func (g *plainGenerator) number() any {
	if !g.chance(g.odd) {
		return pick[any](g, 0, 1, 40, verbatim("3.5"), verbatim("-2"), verbatim("19.95"))
	}
	return verbatim(pick(g, "0x1F", "0b101", "0o17", "1_000", "1K", "1.5K", "2Mi", "1e3", "1E-3", "1.0", "1.50", ".5", "5.", "0.0000001", "-0", "-0.0", "+3",
		"- 4", "123456789012345678901234567890", "9007199254740993", "1e400", "1.2e+5", "0.1e1", "100000000000000000000.5", "0e5", "-0e5", "1_0.5_0", "1e0", "00", "0xff_ff", "-0x10", "1Ki", "999999999999999999", "9999999999999999999"))
}

func (g *plainGenerator) words() any {
	if g.chance(g.odd) {
		return verbatim(pick(g,
			`"tab\tnew\nline"`, `"quote \" and \\ and \/"`, `#"raw "quoted" \n"#`, `#"raw \#n new"#`, `##"more "# raw"##`,
			`"\u00e9\U0001F600"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\x41"`, `"é precomposed"`, "\"e\u0301 decomposed\"", `"\a\b\f\v\r"`, `"\'"`, `"<b>&amp;</b>"`, `"\u2028"`, `"\u0000"`, `"\ufffd"`,
			"\"\"\"\n\tseveral\n\t  lines \\n of \"text\"\n\t\"\"\"", "#\"\"\"\n\traw \\n lines\n\t\"\"\"#", "\"\"\"\n\t\"\"\"", "\"\"\"\n\tjoined \\\n\tline\n\t\"\"\"",
			`"\(1)"`, `'bytes'`, `"a" & "a"`, `"a" | "b"`, `string`, `*"d" | string`, `("p")`, `"{{ userName }}"`, `"{{userName|number}}"`, `"plain {{"`))
	}
	return pick(g, "some words", "Account 7", "x", "Zürich", "100%", "a/b", "semi;colon", "it's", "日本")
}

// change makes one thing in a value different, and likely wrong.
func (g *plainGenerator) change(v any) any {
	switch v := v.(type) {
	case object:
		if i := slices.IndexFunc(v, func(i item) bool { return i.label == "pattern" || i.label == "journey" }); i >= 0 && g.chance(50) {
			return object{{"pattern", "P"}, {"journey", "J"}}[:g.IntN(3)]
		}
		if i := slices.IndexFunc(v, func(i item) bool { return i.label == "userId" || i.label == "anonymousId" }); i >= 0 && g.chance(10) {
			return slices.Delete(slices.Clone(v), i, i+1)
		}
		if len(v) == 0 || g.chance(20) {
			extra := item{pick(g, "nme", "type", "userID", "event", "call", "own", "version", "payload", "url", "method", "expect"), g.any(2)}
			return append(slices.Clone(v), extra)
		}
		out := slices.Clone(v)
		i := g.IntN(len(out))
		switch g.IntN(8) {
		case 0:
			return slices.Delete(out, i, i+1)
		case 1:
			out[i].label = pick(g, out[i].label+"s", strings.ToUpper(out[i].label), "_"+out[i].label, "#"+out[i].label)
		case 2:
			return append(out, item{out[i].label, out[i].value})
		case 3:
			if o, ok := out[i].value.(object); ok && len(o) > 1 { // is as it was, merged
				out[i].value = o[:1]
				return append(out, item{out[i].label, o[1:]})
			}
			fallthrough
		default:
			out[i].value = g.change(out[i].value)
		}
		return out
	case derived:
		return derived{v.definition, g.change(v.of).(object)}
	case []any:
		if len(v) == 0 {
			return []any{g.any(2)}
		}
		out := slices.Clone(v)
		i := g.IntN(len(out))
		out[i] = g.change(out[i])
		return out
	}
	return pick[any](g, "", " ", g.scalar(), nil, 7, verbatim("1.0"), verbatim("1e3"), true, object{}, []any{}, object{{"secret", "x-y"}}, object{{"a", 1}},
		"{{unknown}}", "{{duration}}", "{{duration | number}}", "{{ duration | number }}", "{{isTrial | boolean}}", "{{userId}", "2026-13-01", "2026-02-29", "2024-02-29", "2026-01-31T09:30:00",
		"2026-01-31T24:00:00Z", "2026-01-31t09:30:00z", "2026-01-31T09:30:00.1234567891Z", "2026-01-31T09:30:60Z", "2026-01-31T9:30:00Z", strings.Repeat("x", 100), strings.Repeat("é", 99), strings.Repeat("x", 99),
		verbatim("segment.#Time"), verbatim("_"), verbatim("placeholder.nothing"), verbatim("segment.#Nothing & {}"), verbatim("{...}"), verbatim("[...]"), verbatim(">1"), verbatim("1 & int"), verbatim(`"a" & =~"a"`))
}

// misspell changes a string in one place.
func (g *plainGenerator) misspell(text string) string {
	at := g.IntN(len(text))
	switch g.IntN(4) {
	case 0:
		return text[:at] + text[at+1:]
	case 1:
		return text[:at] + pick(g, "{", "}", "\"", "#", "?", "!", ":", "&", "|", "_", "\\", ".", "...", "@if(x)", "\n", "let x = 1\n", "'", "é", "\xff", "\x00", "\ufeff", "\\(x)", "~", "*") + text[at:]
	case 2:
		return text + pick(g, "\nother: 1\n", "\n#Def: {}\n", "\nautomations: [string]: name: string\n", "\n_hidden: 1\n", "\nautomations: x?: {}\n", "\nlet y = 1\n", "\nautomations: {...}\n",
			"\nautomation: 1\n", "\nautomations: automation: automation.#Track & {}\n", "\n@tag(x)\n", "\nif true {automations: {}}\n", "\nautomations: _\n", "\n5\n")
	default:
		return pick(g, "@ignore()\n", "@if(prod)\n", "@if(!prod)\n", "// comment\n", "@experiment(x)\n", "@extern(embed)\n", "\n") + text
	}
}

// write writes a value in one of the ways that there are for it.
func (g *plainGenerator) write(v any, depth int) string {
	if g.chance(2) && depth > 0 {
		return "(" + g.write(v, depth+1) + ")"
	}
	switch v := v.(type) {
	case verbatim:
		for _, pkg := range []string{"segment", "placeholder"} {
			if strings.Contains(string(v), pkg+".") {
				g.imports[pkg] = true
			}
		}
		return string(v)
	case derived:
		g.imports["segment"] = true
		if g.chance(20) {
			return g.write(v.of, depth+1) + " & " + v.definition
		}
		return v.definition + " & " + g.write(v.of, depth+1)
	case object:
		var b strings.Builder
		b.WriteString("{")
		for i, f := range v {
			if i > 0 {
				b.WriteString(pick(g, "\n", ", ", " ,\n// a comment\n"))
			} else {
				b.WriteString(pick(g, "", "\n"))
			}
			b.WriteString(g.label(f.label) + ": " + g.field(f.value, depth))
		}
		b.WriteString(pick(g, "}", "\n}", ",\n}"))
		if len(v) == 0 {
			return "{}"
		}
		return b.String()
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, g.write(e, depth+1))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		return strconv.Quote(v)
	default:
		return string(must(json.Marshal(v)))
	}
}

// field writes a field's value: a struct of one field perhaps without braces.
func (g *plainGenerator) field(v any, depth int) string {
	if o, ok := v.(object); ok && len(o) == 1 && g.chance(50) {
		return g.label(o[0].label) + ": " + g.field(o[0].value, depth+1)
	}
	return g.write(v, depth+1)
}

func (g *plainGenerator) label(k string) string {
	if (g.chance(60) && k[:min(1, len(k))] != "_" || g.chance(5)) && strings.Trim(k, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789#") == "" && k != "" {
		return k
	}
	return pick(g, strconv.Quote(k), "#"+strconv.Quote(k)+"#")
}

// Projects that are plain but for one thing: each is compiled both ways, and each says
// which of its folders are decided without CUE.
func TestPlainProjects(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles each project both ways, one after the other")
	}
	const head = "package growth\n\nimport \"github.com/seguehq/segue/schema/automation\"\n\n"
	one := func(name string) string {
		return head + "automations: \"" + name + "\": automation.#Track & {\n\tname: \"" + name + "\"\n\ttrigger: pattern: \"" + name +
			"\"\n\tpayload: {userId: \"{{userId}}\", event: \"Report Exported\"}\n}\n"
	}
	for name, test := range map[string]struct {
		files   map[string]string
		decided string
	}{
		"plain":                                {map[string]string{"growth/a.cue": one("a"), "growth/b.cue": one("b")}, "growth"},
		"no module file":                       {map[string]string{"growth/a.cue": one("a"), "cue.mod/module.cue": ""}, ""},
		"in the project's own folder":          {map[string]string{"a.cue": one("a")}, "."},
		"declared in two files":                {map[string]string{"growth/a.cue": one("a"), "growth/b.cue": one("a")}, ""},
		"a package of the folder above":        {map[string]string{"growth/a.cue": one("a"), "growth/eu/b.cue": one("b")}, "growth"},
		"another package above":                {map[string]string{"growth/a.cue": one("a"), "growth/eu/b.cue": strings.Replace(one("b"), "package growth", "package eu", 1)}, "growth growth/eu"},
		"of a folder above with nothing else":  {map[string]string{"a.cue": "package growth\n#A: 1\n", "growth/b.cue": one("b")}, ""},
		"a file above that does not parse":     {map[string]string{"a.cue": "package \"x\n", "growth/b.cue": one("b")}, ""},
		"two packages":                         {map[string]string{"growth/a.cue": one("a"), "growth/b.cue": "package other\n"}, ""},
		"a file without a package clause":      {map[string]string{"growth/a.cue": one("a"), "growth/b.cue": "x: 1\n"}, ""},
		"an empty file":                        {map[string]string{"growth/a.cue": one("a"), "growth/b.cue": ""}, ""},
		"a file with its clause only":          {map[string]string{"growth/a.cue": one("a"), "growth/b.cue": "package growth\n"}, "growth"},
		"a package with its clause only":       {map[string]string{"growth/b.cue": "package growth\n"}, ""},
		"tests beside it":                      {map[string]string{"growth/a.cue": one("a"), "growth/a_test.cue": "package growth\nautomations: a: tests: x: expect: >1\n"}, "growth"},
		"tests of another package":             {map[string]string{"growth/a.cue": one("a"), "growth/a_test.cue": "package other\n"}, ""},
		"tests that do not parse":              {map[string]string{"growth/a.cue": one("a"), "growth/a_test.cue": "packag\n"}, ""},
		"a tool file":                          {map[string]string{"growth/a.cue": one("a"), "growth/a_tool.cue": "package other\n{"}, "growth"},
		"a file that is ignored":               {map[string]string{"growth/a.cue": one("a"), "growth/b.cue": "@ignore()\npackage growth\nx: {\n"}, ""},
		"a condition":                          {map[string]string{"growth/a.cue": "@if(prod)\n" + one("a")}, ""},
		"a condition that holds":               {map[string]string{"growth/a.cue": "@if(!prod)\n" + one("a")}, ""},
		"an embedded file":                     {map[string]string{"growth/a.cue": "@extern(embed)\n" + one("a") + "automations: b: _ @embed(file=b.json)\n", "growth/b.json": "{}"}, ""},
		"an import that is not used":           {map[string]string{"growth/a.cue": one("a"), "growth/b.cue": "package growth\nimport \"github.com/seguehq/segue/schema/segment\"\n"}, ""},
		"an import twice":                      {map[string]string{"growth/a.cue": strings.Replace(one("a"), "\n\n", "\nimport a2 \"github.com/seguehq/segue/schema/automation\"\n", 1)}, ""},
		"an import by another name":            {map[string]string{"growth/a.cue": strings.NewReplacer("import ", "import x ", "automation.#", "x.#").Replace(one("a"))}, "growth"},
		"an import with a version":             {map[string]string{"growth/a.cue": strings.Replace(one("a"), "schema/automation", "schema/automation@v0", 1)}, ""},
		"an import of the project's":           {map[string]string{"growth/a.cue": strings.Replace(one("a"), "import ", "import \"plain.example/shared\"\nimport ", 1), "shared/s.cue": "package shared\nx: 1\n"}, ""},
		"CUE's own package":                    {map[string]string{"growth/a.cue": strings.Replace(one("a"), "import ", "import \"strings\"\nimport ", 1)}, ""},
		"a field that hides the import":        {map[string]string{"growth/a.cue": strings.Replace(one("a"), "automations:", "automations: automation:", 1)}, ""},
		"a field by the import's name":         {map[string]string{"growth/a.cue": strings.Replace(one("a"), "userId:", "context: traits: automation: 1, userId:", 1)}, "growth"},
		"a reference that is hidden":           {map[string]string{"growth/a.cue": strings.Replace(one("a"), "{userId:", "{automation: 1, context: traits: x: automation.#NonEmpty & \"x\", userId:", 1)}, ""},
		"no byte order mark":                   {map[string]string{"growth/a.cue": "\ufeff" + one("a")}, ""},
		"not UTF-8":                            {map[string]string{"growth/a.cue": strings.Replace(one("a"), "Report", "R\xe9port", 1)}, ""},
		"CRLF":                                 {map[string]string{"growth/a.cue": strings.ReplaceAll(one("a"), "\n", "\r\n")}, "growth"},
		"another language version":             {map[string]string{"growth/a.cue": one("a"), "cue.mod/module.cue": "module: \"plain.example@v0\"\nlanguage: version: \"v0.9.0\"\n"}, ""},
		"a dependency":                         {map[string]string{"growth/a.cue": one("a"), "cue.mod/module.cue": workspace.ModuleFile("plain.example@v0") + "deps: {}\n"}, "growth"},
		"a module file that does not parse":    {map[string]string{"growth/a.cue": one("a"), "cue.mod/module.cue": "module: {\n"}, ""},
		"a module that has the schema's name":  {map[string]string{"growth/a.cue": one("a"), "cue.mod/module.cue": workspace.ModuleFile("github.com/seguehq/segue@v0")}, ""},
		"the same key in two folders":          {map[string]string{"growth/a.cue": one("x/a"), "growth/x/b.cue": strings.Replace(one("a"), "package growth", "package x", 1)}, "growth growth/x"},
		"the same key, the second left to CUE": {map[string]string{"growth/a.cue": one("x/a"), "growth/x/b.cue": strings.Replace(one("a"), "package growth", "package x", 1) + "#D: 1\n"}, "growth"},
		"the same key, the first left to CUE":  {map[string]string{"growth/a.cue": one("x/a") + "#D: 1\n", "growth/x/b.cue": strings.Replace(one("a"), "package growth", "package x", 1)}, "growth/x"},
		"one that does the same as another":    {map[string]string{"growth/a.cue": one("a"), "other/b.cue": strings.NewReplacer("package growth", "package other", "\"b\"\n", "\"a\"\n").Replace(one("b"))}, "growth other"},
		"a warning":                            {map[string]string{"growth/a.cue": strings.Replace(one("a"), "Report Exported", "report_exported", 1)}, ""},
		"no source":                            {map[string]string{"growth/a.cue": one("a"), "segue.cue": "project: \"plain\"\n"}, ""},
		"a mistake in segue.cue":               {map[string]string{"growth/a.cue": one("a"), "segue.cue": "project: \"plain\"\nsources: segment: {}\n"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			files := plainProject()
			maps.Copy(files, test.files)
			dir := writePlain(t, files)
			if name == "no module file" {
				if err := os.RemoveAll(filepath.Join(dir, "cue.mod")); err != nil {
					t.Fatal(err)
				}
				test.decided = "growth"
			}
			reasons, _ := comparePlain(t, dir)
			var decided []string
			for _, dir := range finding.SortedKeys(reasons) {
				if reasons[dir] == nil {
					decided = append(decided, dir)
				}
			}
			if got := strings.Join(decided, " "); got != test.decided {
				t.Errorf("decided without CUE: %q, want %q: %v", got, test.decided, reasons)
			}
		})
	}
}

// The example that people start from is plain.
func TestPlainExample(t *testing.T) {
	reasons, _ := comparePlain(t, "../examples/quickstart")
	for dir, reason := range reasons {
		if reason != nil {
			t.Errorf("%s is left to CUE: %v", dir, reason)
		}
	}
	for _, example := range []string{"team", "n8n", "node-red"} {
		reasons, _ := comparePlain(t, "../examples/"+example)
		t.Logf("%s: %v", example, reasons)
	}
}

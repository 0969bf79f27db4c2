package diagnostic

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
)

const (
	sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	// sarifBase is the usual name for the top of the repository.
	sarifBase = "%SRCROOT%"
	// sarifFingerprint is the name of the fingerprint, with its version.
	sarifFingerprint = "segueFinding/v1"
	homePage         = "https://github.com/seguehq/segue"
)

// WriteSARIF writes the findings as a SARIF 2.1.0 log of one run. Columns count UTF-16 code units, which is
// SARIF's default. A fix is left out if its file can't be read, because its columns are then unknown, and on a
// confidential finding.
//
// Each result has a fingerprint that stays the same when the finding moves to another line. It consists of the
// code, file, path, key and message, and the number among the findings that are equal in all of these.
//
// The standard requires { and } to be doubled in messages (3.11.5). Hardly any producer does that, and viewers
// show a doubled brace as two. So a message is written unchanged: otherwise {{userId}} would become
// {{{{userId}}}}.
func WriteSARIF(w io.Writer, l List, opts Options) error {
	s := &sarifWriter{opts: opts, sources: newSources(opts.Source), rules: map[string]int{}, seen: map[string]int{}}
	driver := sarif.NewToolComponent().WithName("segue").WithInformationURI(homePage)
	if opts.ToolVersion != "" {
		driver.WithVersion(valid(opts.ToolVersion))
	}
	driver.Rules = s.addRules(l)
	run := sarif.NewRun().WithTool(sarif.NewTool().WithDriver(driver)).WithColumnKind("utf16CodeUnits")
	root := sarif.NewArtifactLocation().WithDescription(message("The top of the repository."))
	run.OriginalUriBaseIds = map[string]sarif.ArtifactLocation{sarifBase: *root}
	for _, d := range l {
		run.AddResult(s.result(d))
	}
	log := sarif.NewReport()
	log.Schema = sarifSchema
	log.AddRun(run)
	slim, err := withoutDefaults(log)
	if err != nil {
		return err
	}
	return EncodeJSON(w, slim)
}

type sarifWriter struct {
	opts    Options
	sources *sources
	rules   map[string]int // the index of each code
	seen    map[string]int // the number of uses of a fingerprint
}

// addRules returns the rules for the codes of the findings, in order.
func (s *sarifWriter) addRules(l List) []*sarif.ReportingDescriptor {
	first := map[string]Diagnostic{}
	var codes []string
	for _, d := range l {
		code := valid(d.Code)
		if _, ok := first[code]; !ok {
			first[code] = d
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	rules := make([]*sarif.ReportingDescriptor, 0, len(codes))
	for i, code := range codes {
		s.rules[code] = i
		var about Rule
		if s.opts.Describe != nil {
			about = s.opts.Describe(code)
		}
		summary := valid(cmp.Or(about.Summary, words(code)))
		help := valid(cmp.Or(about.Help, "`segue explain "+code+"` shows an example and why it matters."))
		rule := sarif.NewRule(code).
			WithShortDescription(sarif.NewMultiformatMessageString().WithText(summary)).
			WithFullDescription(sarif.NewMultiformatMessageString().WithText(summary)).
			WithHelp(sarif.NewMultiformatMessageString().WithText(help)).
			WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(level(first[code])))
		if about.URL != "" {
			rule.WithHelpURI(about.URL)
		}
		rules = append(rules, rule)
	}
	return rules
}

func (s *sarifWriter) result(d Diagnostic) *sarif.Result {
	text := d.Message
	if d.Help != "" {
		text += "\n" + d.Help
	}
	code := valid(d.Code)
	r := sarif.NewRuleResult(code).WithRuleIndex(s.rules[code]).WithLevel(level(d)).WithMessage(message(text))
	r.PartialFingerprints = map[string]string{sarifFingerprint: s.fingerprint(d)}
	if at := s.location(d.File, d.Range); at != nil || d.Path != "" {
		location := sarif.NewLocation().WithPhysicalLocation(at)
		if d.Path != "" {
			location.AddLogicalLocation(sarif.NewLogicalLocation().WithFullyQualifiedName(valid(d.Path)))
		}
		r.AddLocation(location)
	}
	for i, related := range d.Related {
		r.AddRelatedLocation(sarif.NewLocation().WithID(i + 1).
			WithPhysicalLocation(s.location(related.File, related.Range)).WithMessage(message(related.Message)))
	}
	if d.Fix != nil && !d.Confidential {
		if fix := s.fix(*d.Fix); fix != nil {
			r.Fixes = append(r.Fixes, fix)
		}
	}
	return r
}

// location returns a place, nil if there is no file.
func (s *sarifWriter) location(file string, r Range) *sarif.PhysicalLocation {
	if file == "" {
		return nil
	}
	return sarif.NewPhysicalLocation().WithArtifactLocation(s.artifact(file)).WithRegion(s.region(file, r))
}

func (s *sarifWriter) artifact(file string) *sarif.ArtifactLocation {
	a := sarif.NewArtifactLocation()
	if path.IsAbs(file) {
		return a.WithURI((&url.URL{Scheme: "file", Path: file}).String())
	}
	return a.WithURI((&url.URL{Path: s.opts.file(file)}).String()).WithURIBaseID(sarifBase)
}

// region returns a range, nil for a whole file.
func (s *sarifWriter) region(file string, r Range) *sarif.Region {
	if r.Start.Line < 1 {
		return nil
	}
	region := sarif.NewRegion().WithStartLine(r.Start.Line)
	if r.Start.Column < 1 {
		return region
	}
	region.WithStartColumn(s.sources.column(file, r.Start))
	if r.End.Line > r.Start.Line || r.End.Line == r.Start.Line && r.End.Column >= r.Start.Column {
		region.WithEndLine(r.End.Line).WithEndColumn(max(1, s.sources.column(file, r.End)))
	}
	return region
}

// fix returns a fix, nil if it has no edits or one of its files can't be read.
func (s *sarifWriter) fix(f Fix) *sarif.Fix {
	fix := sarif.NewFix().WithDescription(message(f.Message))
	changes := map[string]*sarif.ArtifactChange{}
	for _, e := range f.Edits {
		source := s.sources.open(e.File)
		if source == nil {
			return nil
		}
		if _, err := source.splice(e); err != nil {
			return nil
		}
		if changes[e.File] == nil {
			changes[e.File] = sarif.NewArtifactChange().WithArtifactLocation(s.artifact(e.File))
			fix.AddArtifactChange(changes[e.File])
		}
		changes[e.File].AddReplacement(sarif.NewReplacement().WithDeletedRegion(s.region(e.File, e.Range)).
			WithInsertedContent(sarif.NewArtifactContent().WithText(valid(e.NewText))))
	}
	if len(changes) == 0 {
		return nil
	}
	return fix
}

// fingerprint identifies a finding independent of its place in the file.
func (s *sarifWriter) fingerprint(d Diagnostic) string {
	sum := sha256.New()
	for _, part := range []string{d.Code, d.File, d.Path, d.Key, d.Message} {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	id := hex.EncodeToString(sum.Sum(nil)[:16])
	s.seen[id]++
	return fmt.Sprintf("%s:%d", id, s.seen[id])
}

func level(d Diagnostic) string {
	if d.Severity == Error {
		return sarif.LevelError
	}
	return sarif.LevelWarning
}

// message returns a message without links for a viewer: [word](3) is one.
func message(text string) *sarif.Message {
	text = valid(text)
	if strings.Contains(text, "](") {
		text = strings.NewReplacer("[", `\[`, "]", `\]`).Replace(text)
	}
	return sarif.NewTextMessage(text)
}

// words converts a code to a sentence: "Unknown placeholder".
func words(code string) string {
	text := strings.ReplaceAll(code, "-", " ")
	if text == "" {
		return "Finding"
	}
	r := []rune(text)
	return strings.ToUpper(string(r[:1])) + string(r[1:])
}

func valid(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// withoutDefaults returns a log as plain JSON values without the empty lists and the -1 for "none" that the
// library writes for unset fields. They would be most of the text. Empty results stay: they mean that segue ran
// and found nothing.
func withoutDefaults(log *sarif.Report) (any, error) {
	b, err := json.Marshal(log)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	prune(v)
	return v, nil
}

func prune(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			prune(e)
		}
	case map[string]any:
		for k, e := range v {
			prune(e)
			list, isList := e.([]any)
			object, isObject := e.(map[string]any)
			switch {
			case isList && len(list) == 0 && k != "results",
				isObject && len(object) == 0,
				e == json.Number("-1"):
				delete(v, k)
			}
		}
	}
}

package project

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"cuelang.org/go/cue/ast"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/mod/modfile"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/check"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/credential"
	"github.com/seguehq/segue/compiler/explain"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/limits"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// checkProject checks what a shape can't say: names that refer to others. The
// descriptions of platforms, by name, are not in raw.
func checkProject(c *check.Checker, raw, described map[string]any) {
	object := func(v any, k string) map[string]any {
		m, _ := v.(map[string]any)
		m, _ = m[k].(map[string]any)
		return m
	}
	sources, targets := object(raw, "sources"), object(raw, "targets")
	refer := func(name string, among map[string]any, what string, p finding.Path, at finding.Spot) {
		if _, ok := among[name]; ok {
			return
		}
		w := c.Report("unknown-"+what, p, at, "there is no %s %q", what, name)
		w.Lacks = []finding.Path{{what + "s"}}
		names := finding.SortedKeys(among)
		if near := finding.Nearest(name, names); near != "" {
			w.Suggestion, w.Help = near, finding.DidYouMean(near)
			if w.Repair = finding.Quoted(near); at == finding.AtLabel {
				w.Repair = &finding.Repair{How: finding.RenameField, Text: near}
			}
		} else if len(names) > 0 {
			w.Help = "the " + what + "s are " + finding.OneOf(names)
		} else {
			w.Help = "add it under " + what + "s"
		}
	}
	if name, ok := raw["defaultTarget"].(string); ok {
		refer(name, targets, "target", finding.Path{"defaultTarget"}, finding.AtValue)
	}
	if former, ok := object(raw, "moved")["project"].(string); ok && former == raw["project"] {
		w := c.Report("invalid-value", finding.Path{"moved", "project"}, finding.AtValue,
			"%q is the project's name now, not a former one", former)
		w.Help = "write the name that the project had before, or leave it out"
	}
	for _, name := range finding.SortedKeys(sources) {
		checkBase(c, sources[name], "endpoint", finding.Path{"sources", name})
	}
	for _, t := range finding.SortedKeys(targets) {
		at := finding.Path{"targets", t}
		for s, over := range object(targets[t], "sources") {
			refer(s, sources, "source", at.With("sources", s), finding.AtLabel)
			checkBase(c, over, "endpoint", at.With("sources", s))
		}
		target, _ := targets[t].(map[string]any)
		if target == nil {
			continue
		}
		checkBase(c, target, "url", at)
		checkTimeout(c, target["timeout"], at.With("timeout"))
		checkPlatform(c, target, described, at)
	}
	checkLimits(c, object(raw, "limits"))
	for name := range object(raw, "secrets") {
		if pattern := shape.Of("automation.#Secret").Fields["secret"].Shape.Pattern; pattern != nil &&
			!pattern.MatchString(name) {
			w := c.Report("invalid-value", finding.Path{"secrets", name}, finding.AtLabel,
				"%q can't be the name of a secret", name)
			w.Help = "use letters, digits and underscores, as in SEGMENT_WRITE_KEY"
		}
	}
	for name, v := range object(raw, "placeholders") {
		at := finding.Path{"placeholders", name}
		if !automation.ValidName(name) {
			w := c.Report("invalid-value", at, finding.AtLabel, "%q can't be the name of a placeholder", name)
			w.Help = "use letters, digits, '_', '-' and '.', with a letter or '_' first"
		}
		checkSample(c, v, at)
	}
}

// checkBase checks a URL that a path is added to.
func checkBase(c *check.Checker, of any, field string, at finding.Path) {
	m, _ := of.(map[string]any)
	v, ok := m[field].(string)
	if !ok || !shape.Of("project.#Target").Fields["url"].Shape.Pattern.MatchString(v) ||
		credential.TemplatePattern().MatchString(v) {
		return // its shape says so
	}
	at = at.With(field)
	u := check.AbsoluteURL(v)
	switch {
	case u == nil:
		w := c.Report("invalid-url", at, finding.AtValue, "%s is not an absolute http or https URL: %q", at, v)
		w.Help = check.PatternHelp(at)
	case u.User != nil:
		w := c.Report("secret-in-code", at, finding.AtValue, "%s holds a user name or password", at)
		w.Confidential, w.Help = true, "remove it; a secret is given by its name"
		if m["platform"] == config.NodeRED {
			w.Help = "remove it, and write username, and password: secret: NAME"
		}
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		w := c.Report("invalid-url", at, finding.AtValue,
			"%s can't have a query or a fragment: a path is added to it: %q", at, v)
		w.Help = "end it with the path"
	case field == "endpoint" && automation.ReadableOnTheWay(v):
		w := c.Report("plain-http", at, finding.AtValue,
			"the source's write key would be sent to %s over plain HTTP, which others can read on its way", u.Host)
		w.Help = "write https://; only this machine itself, as localhost, gets secrets over plain HTTP"
	}
}

// checkTimeout checks that a duration of the right form is one that can be waited.
func checkTimeout(c *check.Checker, v any, at finding.Path) {
	text, ok := v.(string)
	if !ok || !shape.Of("project.#Target").Fields["timeout"].Shape.Pattern.MatchString(text) {
		return // its shape says so
	}
	if d, err := time.ParseDuration(text); err != nil || d <= 0 {
		w := c.Report("invalid-value", at, finding.AtValue, "%s can't be %s", at, text)
		w.Help = check.PatternHelp(at)
	}
}

// checkLimits checks that limits of the right form are ones that can be set.
func checkLimits(c *check.Checker, given map[string]any) {
	fields := shape.Of("project.#Limits").Fields
	for _, limit := range []struct {
		field string
		parse func(string) error
	}{
		{"time", func(text string) error { _, err := limits.ParseTime(text); return err }},
		{"memory", func(text string) error { _, err := limits.ParseMemory(text); return err }},
	} {
		text, ok := given[limit.field].(string)
		if !ok || !fields[limit.field].Shape.Pattern.MatchString(text) {
			continue // its shape says so
		}
		at := finding.Path{"limits", limit.field}
		if err := limit.parse(text); err != nil {
			c.Report("invalid-value", at, finding.AtValue, "%v", err).Help = check.PatternHelp(at)
		}
	}
}

// checkSample checks that a placeholder's sample is of the placeholder's type.
func checkSample(c *check.Checker, v any, at finding.Path) {
	entry, _ := v.(map[string]any)
	sample, ok := entry["sample"]
	if !ok {
		return
	}
	at = at.With("sample")
	kind := map[any]shape.Kind{
		string(automation.StringValue): shape.Text, string(automation.NumberValue): shape.Number,
		string(automation.BooleanValue): shape.Boolean, string(automation.TimeValue): shape.Time,
	}[entry["type"]]
	switch sample.(type) {
	case string, json.Number, bool:
	default:
		return // its shape says so
	}
	if _, typed := entry["type"]; !typed || entry["type"] == string(automation.StringValue) {
		if want := typeOfSample(sample); want != automation.StringValue {
			w := c.Report("wrong-type", at, finding.AtValue, "%s is %s, and the placeholder's values are texts", at,
				shape.Describe(sample))
			w.Help = fmt.Sprintf("write type: %q; or, if its values are texts, write the sample with quotes", want)
			return
		}
	}
	if kind != shape.Any {
		c.Value(sample, &shape.Shape{Kind: kind}, at)
	}
}

// typeOfSample is the type of a placeholder of which a value is a sample.
func typeOfSample(sample any) automation.ValueType {
	switch sample.(type) {
	case json.Number:
		return automation.NumberValue
	case bool:
		return automation.BooleanValue
	}
	return automation.StringValue
}

// packageClause reports segue.cue with a package clause.
func checkPackageClause(p *explain.Package) {
	for _, s := range p.Index.Sources {
		for _, d := range s.Syntax.Decls {
			if clause, ok := d.(*ast.Package); ok {
				p.Found = append(p.Found, finding.Diagnose("project-package", diagnostic.Diagnostic{File: s.Name,
					Range: p.Index.NodeRange(clause),
					Message: config.ProjectFile + " has a package clause, which would make it a part of the package " +
						clause.Name.Name + " beside it",
					Help: "remove the line"}))
			}
		}
	}
}

var languageVersion = finding.Pattern(`\bversion:[ \t]*("[^"\n]*")`)

// moduleFinding says what is wrong with the module file, nil if it is right or
// there is none.
func moduleFinding(disk *workspace.Disk) *diagnostic.Diagnostic {
	for _, name := range []string{workspace.ModuleFileName, workspace.LocalModuleFileName} {
		if _, err := disk.Read(name); err != nil && (disk.Exists(name) || !errors.Is(err, fs.ErrNotExist)) {
			d := workspace.UnreadableFolder(name, err)
			return &d
		}
	}
	const name = workspace.ModuleFileName
	content, err := disk.Read(name)
	if err != nil {
		return nil
	}
	if _, err = modfile.ParseNonStrict(content, name); err == nil {
		return nil
	}
	d := finding.Diagnose("module-file", diagnostic.Diagnostic{File: name,
		Message: "the module file is wrong", Help: `write it as in module: "example.com/growth@v0" and language: version: "v0.17.0"`})
	if len(content) > 0 {
		d.Range = source.ContentRange(content, 0, source.TokenEnd(content, 0))
	}
	if _, broken := parser.ParseFile(name, content); broken != nil {
		m := source.ComplaintOf(content, broken)
		d.Message, d.Help, d.Suggestion, d.Range = m.Message, m.Help, m.Suggestion,
			source.ContentRange(content, m.From, m.To)
		return &d
	}
	if list := cueerrors.Errors(err); len(list) > 0 {
		if at := languageVersion().FindSubmatchIndex(content); at != nil &&
			strings.Contains(source.PlainMessage(list[0]), "language version") {
			d.Range = source.ContentRange(content, at[2], at[3])
		}
		d.Message += ": " + strings.TrimPrefix(explain.Shown(source.PlainMessage(list[0])),
			"invalid module file "+name+": ")
		for _, pos := range cueerrors.Positions(list[0]) {
			if pos.Filename() == name {
				at := min(pos.Offset(), len(content))
				d.Range = source.ContentRange(content, at, source.TokenEnd(content, at))
				break
			}
		}
	}
	return &d
}

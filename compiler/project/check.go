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
	"github.com/seguehq/segue/compiler/resolve"
	"github.com/seguehq/segue/compiler/shape"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// checkProject checks what a shape can't say: names that refer to others. The
// descriptions of platforms, by name, are not in raw.
func checkProject(raw, described map[string]any) (found []finding.Finding) {
	sources, targets := objectIn(raw, "sources"), objectIn(raw, "targets")
	if name, ok := raw["defaultTarget"].(string); ok {
		found = append(found, checkName(name, targets, "target", finding.Path{"defaultTarget"}, finding.AtValue)...)
	}
	found = append(found, checkMoved(raw)...)
	for _, name := range finding.SortedKeys(sources) {
		found = append(found, checkBase(sources[name], "endpoint", finding.Path{"sources", name})...)
	}
	for _, name := range finding.SortedKeys(targets) {
		if target, ok := targets[name].(map[string]any); ok {
			found = append(found, checkTarget(target, sources, described, finding.Path{"targets", name})...)
		}
	}
	found = append(found, checkLimits(objectIn(raw, "limits"))...)
	secretName := shape.Of("automation.#Secret").Fields["secret"].Shape.Pattern
	for _, name := range finding.SortedKeys(objectIn(raw, "secrets")) {
		if secretName != nil && !secretName.MatchString(name) {
			w := finding.Newf("invalid-value", finding.Path{"secrets", name}, finding.AtLabel,
				"%q can't be the name of a secret", name)
			w.Help = "use letters, digits and underscores, as in SEGMENT_WRITE_KEY"
			found = append(found, w)
		}
	}
	placeholders := objectIn(raw, "placeholders")
	for _, name := range finding.SortedKeys(placeholders) {
		at := finding.Path{"placeholders", name}
		if !automation.ValidName(name) {
			w := finding.Newf("invalid-value", at, finding.AtLabel, "%q can't be the name of a placeholder", name)
			w.Help = "use letters, digits, '_', '-' and '.', with a letter or '_' first"
			found = append(found, w)
		}
		found = append(found, checkSample(placeholders[name], at)...)
	}
	return found
}

// objectIn is the object in a field, nil if there is none.
func objectIn(m map[string]any, field string) map[string]any {
	inner, _ := m[field].(map[string]any)
	return inner
}

// checkTarget checks a target: its sources, which the project has to have, and its
// platform.
func checkTarget(target, sources, described map[string]any, at finding.Path) (found []finding.Finding) {
	overrides := objectIn(target, "sources")
	for _, name := range finding.SortedKeys(overrides) {
		inner := at.With("sources", name)
		found = append(found, checkName(name, sources, "source", inner, finding.AtLabel)...)
		found = append(found, checkBase(overrides[name], "endpoint", inner)...)
	}
	found = append(found, checkBase(target, "url", at)...)
	found = append(found, checkTimeout(target["timeout"], at.With("timeout"))...)
	return append(found, checkPlatform(target, described, at)...)
}

// checkName checks that there is a source or target of a name.
func checkName(
	name string, among map[string]any, what string, p finding.Path, at finding.Spot,
) []finding.Finding {
	if _, ok := among[name]; ok {
		return nil
	}
	w := finding.Newf("unknown-"+what, p, at, "there is no %s %q", what, name)
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
	return []finding.Finding{w}
}

// checkBase checks a URL that a path is added to.
func checkBase(of any, field string, at finding.Path) []finding.Finding {
	m, _ := of.(map[string]any)
	v, ok := m[field].(string)
	if !ok || !shape.Of("project.#Target").Fields["url"].Shape.Pattern.MatchString(v) ||
		credential.TemplatePattern().MatchString(v) {
		return nil // its shape says so
	}
	at = at.With(field)
	var w finding.Finding
	u := automation.AbsoluteURL(v)
	switch {
	case u == nil:
		w = finding.Newf("invalid-url", at, finding.AtValue, "%s is not an absolute http or https URL: %q", at, v)
		w.Help = check.PatternHelp(at)
	case u.User != nil:
		w = finding.Newf("secret-in-code", at, finding.AtValue, "%s holds a user name or password", at)
		w.Confidential, w.Help = true, "remove it; a secret is given by its name"
		if m["platform"] == config.NodeRED {
			w.Help = "remove it, and write username, and password: secret: NAME"
		}
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		w = finding.Newf("invalid-url", at, finding.AtValue,
			"%s can't have a query or a fragment: a path is added to it: %q", at, v)
		w.Help = "end it with the path"
	case field == "endpoint" && automation.ReadableOnTheWay(v):
		w = finding.Newf("plain-http", at, finding.AtValue,
			"the source's write key would be sent to %s over plain HTTP, which others can read on its way", u.Host)
		w.Help = "write https://; only this machine itself, as localhost, gets secrets over plain HTTP"
	default:
		return nil
	}
	return []finding.Finding{w}
}

// checkTimeout checks that a duration of the right form is one that can be waited.
func checkTimeout(v any, at finding.Path) []finding.Finding {
	text, ok := v.(string)
	if !ok || !shape.Of("project.#Target").Fields["timeout"].Shape.Pattern.MatchString(text) {
		return nil // its shape says so
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return nil
	}
	w := finding.Newf("invalid-value", at, finding.AtValue, "%s can't be %s", at, text)
	w.Help = check.PatternHelp(at)
	return []finding.Finding{w}
}

// checkLimits checks that limits of the right form are ones that can be set.
func checkLimits(given map[string]any) (found []finding.Finding) {
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
			found = append(found, finding.New("invalid-value", at, finding.AtValue, err.Error(), check.PatternHelp(at)))
		}
	}
	return found
}

// checkSample checks that a placeholder's sample is of the placeholder's type.
func checkSample(v any, at finding.Path) []finding.Finding {
	entry, _ := v.(map[string]any)
	sample, ok := entry["sample"]
	if !ok {
		return nil
	}
	at = at.With("sample")
	switch sample.(type) {
	case string, json.Number, bool:
	default:
		return nil // its shape says so
	}
	given, typed := entry["type"]
	if !typed || given == string(automation.StringValue) {
		if want := typeOfSample(sample); want != automation.StringValue {
			w := finding.Newf("wrong-type", at, finding.AtValue,
				"%s is %s, and the placeholder's values are texts", at, shape.Describe(sample))
			w.Help = fmt.Sprintf("write type: %q; or, if its values are texts, write the sample with quotes", want)
			return []finding.Finding{w}
		}
	}
	name, _ := given.(string)
	kind, known := map[automation.ValueType]shape.Kind{
		automation.StringValue: shape.Text, automation.NumberValue: shape.Number,
		automation.BooleanValue: shape.Boolean, automation.TimeValue: shape.Time,
	}[automation.ValueType(name)]
	if !known {
		return nil
	}
	return check.Rules{}.Value(sample, &shape.Shape{Kind: kind}, at)
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

// checkPackageClause reports segue.cue with a package clause.
func checkPackageClause(p *resolve.Opened) (found diagnostic.List) {
	for _, s := range p.Index.Sources {
		for _, d := range s.Syntax.Decls {
			if clause, ok := d.(*ast.Package); ok {
				found = append(found, finding.Diagnose("project-package", diagnostic.Diagnostic{File: s.Name,
					Range: p.Index.NodeRange(clause),
					Message: config.ProjectFile + " has a package clause, which would make it a part of the package " +
						clause.Name.Name + " beside it",
					Help: "remove the line"}))
			}
		}
	}
	return found
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
		Message: "the module file is wrong",
		Help:    `write it as in module: "example.com/growth@v0" and language: version: "v0.17.0"`})
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

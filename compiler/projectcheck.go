package compiler

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"strings"
	"time"

	"cuelang.org/go/cue/ast"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/mod/modfile"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/diagnostic"
)

// checkProject checks what a shape can't say: names that refer to others. The
// descriptions of platforms, by name, are not in raw.
func checkProject(c *checker, raw, described map[string]any) {
	object := func(v any, k string) map[string]any {
		m, _ := v.(map[string]any)
		m, _ = m[k].(map[string]any)
		return m
	}
	sources, targets := object(raw, "sources"), object(raw, "targets")
	refer := func(name string, among map[string]any, what string, p valuePath, at spot) {
		if _, ok := among[name]; ok {
			return
		}
		w := c.report("unknown-"+what, p, at, "there is no %s %q", what, name)
		w.lacks = []valuePath{{what + "s"}}
		names := sorted(among)
		if near := Nearest(name, names); near != "" {
			w.Suggestion, w.Help = near, didYouMean(near)
			if w.repair = quoted(near); at == atLabel {
				w.repair = &repair{how: rename, text: near}
			}
		} else if len(names) > 0 {
			w.Help = "the " + what + "s are " + oneOf(names)
		} else {
			w.Help = "add it under " + what + "s"
		}
	}
	if name, ok := raw["defaultTarget"].(string); ok {
		refer(name, targets, "target", valuePath{"defaultTarget"}, atValue)
	}
	if former, ok := object(raw, "moved")["project"].(string); ok && former == raw["project"] {
		w := c.report("invalid-value", valuePath{"moved", "project"}, atValue, "%q is the project's name now, not a former one", former)
		w.Help = "write the name that the project had before, or leave it out"
	}
	for _, name := range sorted(sources) {
		checkBase(c, sources[name], "endpoint", valuePath{"sources", name})
	}
	for _, t := range sorted(targets) {
		at := valuePath{"targets", t}
		for s, over := range object(targets[t], "sources") {
			refer(s, sources, "source", at.with("sources", s), atLabel)
			checkBase(c, over, "endpoint", at.with("sources", s))
		}
		target, _ := targets[t].(map[string]any)
		if target == nil {
			continue
		}
		checkBase(c, target, "url", at)
		checkTimeout(c, target["timeout"], at.with("timeout"))
		checkPlatform(c, target, described, at)
	}
	for name := range object(raw, "secrets") {
		if pattern := shapeOf("automation.#Secret").fields["secret"].shape.pattern; pattern != nil && !pattern.MatchString(name) {
			w := c.report("invalid-value", valuePath{"secrets", name}, atLabel, "%q can't be the name of a secret", name)
			w.Help = "use letters, digits and underscores, as in SEGMENT_WRITE_KEY"
		}
	}
	for name, v := range object(raw, "placeholders") {
		at := valuePath{"placeholders", name}
		if !automation.ValidName(name) {
			w := c.report("invalid-value", at, atLabel, "%q can't be the name of a placeholder", name)
			w.Help = "use letters, digits, '_', '-' and '.', with a letter or '_' first"
		}
		checkSample(c, v, at)
	}
}

// checkBase checks a URL that a path is added to.
func checkBase(c *checker, of any, field string, at valuePath) {
	m, _ := of.(map[string]any)
	v, ok := m[field].(string)
	if !ok || !shapeOf("project.#Target").fields["url"].shape.pattern.MatchString(v) || templatePattern.MatchString(v) {
		return // its shape says so
	}
	at = at.with(field)
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Hostname() == "" || !validPort(u):
		w := c.report("invalid-url", at, atValue, "%s is not an absolute http or https URL: %q", at, v)
		w.Help = patternHelp(at)
	case u.User != nil:
		w := c.report("secret-in-code", at, atValue, "%s holds a user name or password", at)
		w.Confidential, w.Help = true, "remove it; a secret is given by its name"
		if m["platform"] == noderedKind {
			w.Help = "remove it, and write username, and password: secret: NAME"
		}
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		w := c.report("invalid-url", at, atValue, "%s can't have a query or a fragment: a path is added to it: %q", at, v)
		w.Help = "end it with the path"
	case field == "endpoint" && automation.ReadableOnTheWay(v):
		w := c.report("plain-http", at, atValue, "the source's write key would be sent to %s over plain HTTP, which others can read on its way", u.Host)
		w.Help = "write https://; only this machine itself, as localhost, gets secrets over plain HTTP"
	}
}

// checkTimeout checks that a duration of the right form is one that can be waited.
func checkTimeout(c *checker, v any, at valuePath) {
	text, ok := v.(string)
	if !ok || !shapeOf("project.#Target").fields["timeout"].shape.pattern.MatchString(text) {
		return // its shape says so
	}
	if d, err := time.ParseDuration(text); err != nil || d <= 0 {
		w := c.report("invalid-value", at, atValue, "%s can't be %s", at, text)
		w.Help = patternHelp(at)
	}
}

// checkSample checks that a placeholder's sample is of the placeholder's type.
func checkSample(c *checker, v any, at valuePath) {
	entry, _ := v.(map[string]any)
	sample, ok := entry["sample"]
	if !ok {
		return
	}
	at = at.with("sample")
	kind := map[any]shapeKind{
		string(automation.StringValue): textShape, string(automation.NumberValue): numberShape,
		string(automation.BooleanValue): booleanShape, string(automation.TimeValue): timeShape,
	}[entry["type"]]
	switch sample.(type) {
	case string, json.Number, bool:
	default:
		return // its shape says so
	}
	if _, typed := entry["type"]; !typed || entry["type"] == string(automation.StringValue) {
		if want := typeOfSample(sample); want != automation.StringValue {
			w := c.report("wrong-type", at, atValue, "%s is %s, and the placeholder's values are texts", at, describe(sample))
			w.Help = fmt.Sprintf("write type: %q; or, if its values are texts, write the sample with quotes", want)
			return
		}
	}
	if kind != anyShape {
		c.value(sample, &shape{kind: kind}, at)
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
func checkPackageClause(p *explained) {
	for _, s := range p.index.sources {
		for _, d := range s.syntax.Decls {
			if clause, ok := d.(*ast.Package); ok {
				p.found = append(p.found, diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "project-package", File: s.name,
					Range:   p.index.nodeRange(clause),
					Message: projectFile + " has a package clause, which would make it a part of the package " + clause.Name.Name + " beside it",
					Help:    "remove the line"})
			}
		}
	}
}

var languageVersion = regexp.MustCompile(`\bversion:[ \t]*("[^"\n]*")`)

// moduleFinding says what is wrong with the module file, nil if it is right or
// there is none.
func moduleFinding(disk *workspace) *diagnostic.Diagnostic {
	for _, name := range []string{moduleFile, localModuleFile} {
		if _, err := disk.read(name); err != nil && (disk.exists(name) || !errors.Is(err, fs.ErrNotExist)) {
			d := unreadableFolder(name, err)
			return &d
		}
	}
	const name = moduleFile
	content, err := disk.read(name)
	if err != nil {
		return nil
	}
	if _, err = modfile.ParseNonStrict(content, name); err == nil {
		return nil
	}
	d := &diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "module-file", File: name,
		Message: "the module file is wrong", Help: `write it as in module: "example.com/growth@v0" and language: version: "v0.17.0"`}
	if len(content) > 0 {
		d.Range = contentRange(content, 0, tokenEnd(content, 0))
	}
	if _, broken := parser.ParseFile(name, content); broken != nil {
		m := complaintOf(content, broken)
		d.Message, d.Help, d.Suggestion, d.Range = m.message, m.help, m.suggestion, contentRange(content, m.from, m.to)
		return d
	}
	if list := cueerrors.Errors(err); len(list) > 0 {
		if at := languageVersion.FindSubmatchIndex(content); at != nil && strings.Contains(plainMessage(list[0]), "language version") {
			d.Range = contentRange(content, at[2], at[3])
		}
		d.Message += ": " + strings.TrimPrefix(shown(plainMessage(list[0])), "invalid module file "+name+": ")
		for _, pos := range cueerrors.Positions(list[0]) {
			if pos.Filename() == name {
				at := min(pos.Offset(), len(content))
				d.Range = contentRange(content, at, tokenEnd(content, at))
				break
			}
		}
	}
	return d
}

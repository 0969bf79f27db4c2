package lsp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"

	"github.com/sourcegraph/jsonrpc2"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/workspace"
)

// codeLenses offers commands above each automation.
func (s *server) codeLenses(ctx context.Context, _ documentParams, _ json.RawMessage) (any, error) {
	snap, err := snapshotOf(ctx)
	if err != nil {
		return nil, err
	}
	return snap.lenses(s.options.Plan != nil), nil
}

// lenses are the code lenses of a document. plans says that plans can be made.
func (s *snapshot) lenses(plans bool) []codeLens {
	out := []codeLens{}
	for _, n := range s.automations() {
		at := s.doc.span(n.labelFrom, n.labelTo)
		arguments := []any{map[string]string{"uri": s.doc.uri, "key": s.key(n.label)}}
		add := func(title, name string) {
			out = append(out, codeLens{at, command{title, name, arguments}})
		}
		add("render", "segue.render")
		if n.child("tests") != nil {
			add("run tests", "segue.test")
		}
		if plans {
			add("plan", "segue.plan")
		}
	}
	return out
}

// automations returns the automations that are written in a document.
func (s *snapshot) automations() []*node {
	if s.project == nil || s.isProject() || !isCUE(s.name) || workspace.IsTestFile(path.Base(s.name)) {
		return nil
	}
	var out []*node
	for _, top := range s.doc.outline().root.children {
		if top.label != "automations" {
			continue
		}
		for _, n := range top.children {
			if n.label != "" && s.doc.text[n.labelFrom] != '[' && s.doc.text[n.labelFrom] != '(' {
				out = append(out, n)
			}
		}
	}
	return out
}

// inlayHints shows the sample of each placeholder, and its cast in words.
func (s *server) inlayHints(ctx context.Context, params rangeParams, _ json.RawMessage) (any, error) {
	snap, err := snapshotOf(ctx)
	if err != nil {
		return nil, err
	}
	if !snap.settings.InlayHints {
		return []inlayHint{}, nil
	}
	return snap.hints(params.Range), nil
}

// hints are the inlay hints of a range.
func (s *snapshot) hints(within span) []inlayHint {
	out := []inlayHint{}
	project := s.projectView()
	if project == nil || !isCUE(s.name) {
		return out
	}
	for _, text := range s.doc.outline().strings {
		for _, ref := range s.references(text) {
			entry, ok := project.Catalog[ref.name]
			at := s.doc.position(ref.to)
			if !ok || before(at, within.Start) || before(within.End, at) {
				continue
			}
			sample, _ := json.Marshal(entry.Sample) // a string, a number or a boolean
			label := string(sample)
			if ref.cast != "" {
				label += " as a " + ref.cast
			}
			out = append(out, inlayHint{Position: at, Label: label, PaddingLeft: true})
		}
	}
	return out
}

// A commandArgument is the argument of segue's commands. Uri names a document in the project, and Key an
// automation.
type commandArgument struct {
	URI string `json:"uri"`
	Key string `json:"key"`
	// Values are those for placeholders, of render; the others come from the samples.
	Values map[string]any `json:"values"`
}

// commands are those of workspace/executeCommand, by name.
var commands = map[string]func(*server, context.Context, *project, commandArgument) (any, error){
	"segue.render": (*server).commandRender,
	"segue.test":   (*server).commandTest,
	"segue.plan":   (*server).commandPlan,
	"segue.check":  (*server).commandCheck,
	"segue.list":   (*server).commandList,
}

func commandNames() []string { return finding.SortedKeys(commandTitles) }

// commandTitles has the names of the commands. It is not the table above, which refers to what refers to this.
var commandTitles = map[string]bool{
	"segue.render": true, "segue.test": true, "segue.plan": true, "segue.check": true, "segue.list": true,
}

// execute carries out a command.
func (s *server) execute(ctx context.Context, params executeParams, _ json.RawMessage) (any, error) {
	run, ok := commands[params.Command]
	if !ok {
		return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: "there is no command " + params.Command}
	}
	var argument commandArgument
	if len(params.Arguments) > 0 {
		if err := json.Unmarshal(params.Arguments[0], &argument); err != nil {
			return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: err.Error()}
		}
	}
	s.mu.Lock()
	p := s.projectOf(pathOf(argument.URI))
	s.mu.Unlock()
	if p == nil {
		return nil, fmt.Errorf("%s is not in a project", argument.URI)
	}
	return run(s, ctx, p, argument)
}

// commandRender returns the rendered request as text.
func (s *server) commandRender(ctx context.Context, p *project, a commandArgument) (any, error) {
	text, err := s.render(ctx, p, a.Key, a.Values)
	if err != nil {
		return nil, err
	}
	return map[string]any{"text": text}, nil
}

// commandTest runs the tests of an automation, or of all without a key.
func (s *server) commandTest(ctx context.Context, p *project, a commandArgument) (any, error) {
	if err := p.taken(ctx); err != nil {
		return nil, err
	}
	var patterns []string
	if a.Key != "" {
		patterns = []string{path.Dir(a.Key)}
	}
	report, err := p.session.Test(ctx, "", patterns, nil)
	if err != nil {
		return nil, err
	}
	if a.Key != "" {
		report = of(report, a.Key)
	}
	return report, nil
}

// of returns the results of one automation.
func of(report *compiler.TestReport, key string) *compiler.TestReport {
	out := &compiler.TestReport{Diagnostics: report.Diagnostics}
	for _, p := range report.Packages {
		kept := p
		kept.Results = nil
		for _, r := range p.Results {
			if r.Key == key {
				kept.Results = append(kept.Results, r)
			}
		}
		if len(kept.Results) > 0 {
			kept.Automations = 1
			out.Packages = append(out.Packages, kept)
		}
	}
	return out
}

// commandPlan returns the plan of the saved files on the default target, as text.
func (s *server) commandPlan(ctx context.Context, p *project, _ commandArgument) (any, error) {
	if s.options.Plan == nil {
		return nil, fmt.Errorf("this server makes no plans")
	}
	cmd := s.options.Plan(p.dir)
	output, err := outputOf(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return map[string]any{"text": output}, nil
}

// commandCheck waits until the project is checked, and returns the number of findings.
func (s *server) commandCheck(ctx context.Context, p *project, _ commandArgument) (any, error) {
	if err := p.settled(ctx); err != nil {
		return nil, err
	}
	errors, warnings := 0, 0
	if v := p.current(); v != nil {
		for _, list := range v.findings {
			sum := list.Summary()
			errors, warnings = errors+sum.Errors, warnings+sum.Warnings
		}
	}
	return map[string]int{"errors": errors, "warnings": warnings}, nil
}

// A listed is an automation in the answer of segue.list.
type listed struct {
	Key     string             `json:"key"`
	Name    string             `json:"name"`
	Trigger automation.Trigger `json:"trigger"`
	Enabled bool               `json:"enabled"`
}

// commandList lists the automations of a project, as of the last check.
func (s *server) commandList(ctx context.Context, p *project, _ commandArgument) (any, error) {
	out := []listed{}
	v := p.current()
	if v == nil || v.result == nil {
		return out, nil
	}
	for _, encoded := range v.result.Document.Automations {
		a, err := encoded.Decode()
		if err != nil {
			return nil, err
		}
		out = append(out, listed{a.Key, a.Name, a.Trigger, a.Enabled})
	}
	return out, nil
}

// foldersOf lists the folders of projects.
func foldersOf(projects map[string]*project) []string { return slices.Sorted(maps.Keys(projects)) }

// outputOf runs a command, and returns what it prints, also with an error.
func outputOf(ctx context.Context, cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(os.Interrupt) })
	defer stop()
	if err := cmd.Wait(); err != nil && out.Len() == 0 {
		return "", err
	}
	return out.String(), nil
}

package evaluate

import (
	"bytes"
	"fmt"
	"path"
	"sync"
	"unicode/utf8"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/plain"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/schema"
)

// A PlainReader decides packages of plain data without CUE. It only accepts packages without findings, and
// leaves all others to CUE: every package with a finding is evaluated, so that findings do not depend on the
// reader.
type PlainReader struct {
	Evaluation *Evaluation
	// inherited has the names of the packages that the files of a folder belong to, by folder.
	inherited sync.Map // of string to func() clauses
}

// Unfit returns the reason that the project leaves all packages to CUE, "" if there is none.
func (r *PlainReader) Unfit() string {
	e := r.Evaluation
	switch {
	case e.Tests != nil || e.Loader.Tests:
		return "tests compare with the values that CUE has evaluated"
	case e.Project.Gaps != nil:
		return "segue.cue has mistakes"
	case !workspace.PlainModule(e.Disk):
		return "the module file is not a plain one"
	}
	return ""
}

// Pkg decides the package in a folder. The error is the reason that it is left to CUE.
func (r *PlainReader) Pkg(dir string) (Package, error) {
	e := r.Evaluation
	files, err := r.Files(dir)
	if err != nil {
		return Package{}, err
	}
	name := files[0].PackageName()
	for above := dir; above != "."; {
		above = path.Dir(above)
		if c := r.clauses(above); c.unsure || c.names[name] {
			return Package{}, fmt.Errorf("the folder %s may have files of the package", above)
		}
	}
	automations, err := plain.Embedded().Decide(files)
	if err != nil {
		return Package{}, err
	}
	out := Package{Dir: dir, Name: name}
	emitted, of := make([]automation.Automation, len(automations)), make([]Compiled, len(automations))
	for i, a := range automations {
		m := e.message(a.Value, dir, a.Name).Check(true)
		if len(m.Found) > 0 || m.Sourceless {
			return Package{}, fmt.Errorf("%s has findings, or no source", a.Name)
		}
		facts := m.Facts()
		one, err := m.Emit()
		if err != nil {
			return Package{}, err
		}
		emitted[i], of[i] = *one, Compiled{Name: a.Name, Place: placeOf(e.Loader, a.Pos), Facts: facts}
	}
	return out, out.add(emitted, of)
}

// Files parses the files of the package in a folder.
func (r *PlainReader) Files(dir string) ([]*ast.File, error) {
	l := r.Evaluation.Loader
	var files []*ast.File
	var tests []string
	for _, base := range l.CUEFiles(dir) {
		name := path.Join(dir, base)
		switch {
		case name == config.ProjectFile:
			continue // it is read alone
		case l.Disk.IsAside(name):
			return nil, fmt.Errorf("%s is put aside", name)
		case workspace.IsTestFile(base):
			tests = append(tests, name)
			continue
		}
		content, err := l.Read(name)
		if err != nil {
			return nil, err
		}
		if !utf8.Valid(content) || bytes.ContainsAny(content, "\x00\ufeff\ufffd") {
			return nil, fmt.Errorf("%s is not plain UTF-8", name)
		}
		f, err := parser.ParseFile(l.Full(name), content, parser.Version(schema.LanguageVersion))
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s has no files", dir)
	}
	for _, name := range tests {
		content, err := l.Read(name)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(l.Full(name), content, parser.PackageClauseOnly)
		if err != nil || len(f.Decls) == 0 || f.PackageName() != files[0].PackageName() {
			return nil, fmt.Errorf("%s may be of another package", name)
		}
	}
	return files, nil
}

// clauses has the names of the packages in a folder.
type clauses struct {
	names map[string]bool
	// unsure means that a file does not tell its package.
	unsure bool
}

// clauses reads the package clauses in a folder, once.
func (r *PlainReader) clauses(dir string) clauses {
	read, _ := r.inherited.LoadOrStore(dir, sync.OnceValue(func() clauses {
		l := r.Evaluation.Loader
		c := clauses{names: map[string]bool{}}
		for _, base := range l.CUEFiles(dir) {
			name := path.Join(dir, base)
			if name == config.ProjectFile {
				continue
			}
			content, err := l.Read(name)
			if err != nil {
				return clauses{unsure: true}
			}
			f, err := parser.ParseFile(l.Full(name), content, parser.PackageClauseOnly)
			if err != nil {
				return clauses{unsure: true}
			}
			c.names[f.PackageName()] = true
		}
		return c
	}))
	return read.(func() clauses)()
}

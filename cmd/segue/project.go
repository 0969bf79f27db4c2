package main

import (
	"bytes"
	"io"
	"os"
	"sync"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/schema"
)

// evaluateMode is the one argument of a process that evaluates packages for another
// one. It is no command: nobody types it.
const evaluateMode = "evaluate-packages"

// project is the project in the current folder.
func (t *terminal) project() *compiler.Session {
	if t.compiled == nil {
		t.compiled = compiler.NewSession(t.compilerOptions())
	}
	return t.compiled
}

// compilerOptions are those of the command line.
func (t *terminal) compilerOptions() compiler.Options {
	options := compiler.Options{
		Children: t.children, Limits: t.limits, EvaluateAll: t.evaluateAll, Cache: t.openCache(), Version: buildVersion(),
		Inputs: t.inputs, Strict: t.strict,
	}
	if len(t.profiles) > 0 {
		options.Children = nil // a profile is of one process
	}
	return options
}

// buildVersion identifies this build of segue: its cached results are only valid
// for the same build.
var buildVersion = sync.OnceValue(func() string {
	return version() + " " + schema.Version() + " " + buildID()
})

// buildID returns the build ID from the start of the program, a hash of its inputs,
// or "" if it can't be read.
func buildID() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	const near = 64 << 10
	start, err := io.ReadAll(io.LimitReader(f, near))
	if err != nil {
		return ""
	}
	_, id, found := bytes.Cut(start, []byte("Go build ID: \""))
	id, _, ends := bytes.Cut(id, []byte(`"`))
	if !found || !ends {
		return ""
	}
	return string(id)
}

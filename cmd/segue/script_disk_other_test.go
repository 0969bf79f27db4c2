//go:build !linux

package main

import (
	"github.com/rogpeppe/go-internal/testscript"
)

// scriptCondition knows [mount] and [root], which scripts can use on Linux only.
func scriptCondition(name string) (bool, error) {
	switch name {
	case "mount", "root":
		return false, nil
	default:
		return false, unknownCondition(name)
	}
}

func diskCommand(ts *testscript.TestScript, _ bool, _ []string)     { ts.Fatalf("needs [mount]") }
func readonlyCommand(ts *testscript.TestScript, _ bool, _ []string) { ts.Fatalf("needs [mount]") }

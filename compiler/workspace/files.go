package workspace

import (
	"path"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
)

// testFileClause reads no more of a test file than which package it belongs to:
// nothing that stands in it, right or wrong, concerns a run without tests.
func testFileClause(name string, src any) *ast.File {
	f, err := parser.ParseFile(name, src, parser.PackageClauseOnly)
	if err != nil || f == nil {
		return &ast.File{Filename: name}
	}
	return f
}

// IsTestFile reports whether a file is for segue test only.
func IsTestFile(name string) bool {
	return strings.HasSuffix(name, "_test.cue") && !ignoredName(path.Base(name))
}

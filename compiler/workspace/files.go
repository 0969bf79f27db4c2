package workspace

import (
	"path"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
)

// testFileClause reads only the package clause of a test file. A run without tests must not depend on the rest
// of the file.
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

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// mostFixRounds is how often the project is fixed and checked again. A second
// round fixes mistakes that the first one has uncovered; more are rare.
const mostFixRounds = 10

// fix applies the fixes of the findings to the files and checks again, until
// there is nothing left to fix. It returns how many findings it has fixed in each
// file, and those that are left, also with an error of writing a file.
func fix(ctx context.Context, project *compiler.Session, patterns []string) (fixed map[string]int, left diagnostic.List, err error) {
	fixed = map[string]int{}
	for round := 0; ; round++ {
		result, err := project.Compile(ctx, "", patterns)
		if err != nil {
			return fixed, nil, err
		}
		if round == mostFixRounds {
			return fixed, result.Diagnostics, nil
		}
		n, failed := fixRound(ctx, result.Diagnostics, fixed)
		project.Forget()
		if failed != nil && n > 0 {
			if result, err = project.Compile(ctx, "", patterns); err != nil {
				return fixed, nil, err
			}
		}
		if failed != nil {
			return fixed, result.Diagnostics, fmt.Errorf("can't fix: %w", failed)
		}
		if n == 0 {
			return fixed, result.Diagnostics, nil
		}
	}
}

// fixRound applies the fixes of some findings, and counts them by file.
func fixRound(ctx context.Context, list diagnostic.List, fixed map[string]int) (total int, err error) {
	byFile := map[string]diagnostic.List{}
	for _, d := range list {
		if d.Fix != nil {
			byFile[d.Fix.Edits[0].File] = append(byFile[d.Fix.Edits[0].File], d)
		}
	}
	for _, file := range slices.Sorted(maps.Keys(byFile)) {
		n, err := diagnostic.FixFiles(byFile[file], readProject, func(name string, content []byte) error {
			return cause(workspace.WriteFile(ctx, ".", name, content))
		})
		fixed[file] += n
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// readProject reads a file of the project in the current folder.
func readProject(name string) ([]byte, error) { return workspace.ReadFile(".", name) }

// fixedLines describes the fixes, with a line for each file.
func fixedLines(fixed map[string]int) []string {
	var lines []string
	for _, file := range slices.Sorted(maps.Keys(fixed)) {
		if n := fixed[file]; n > 0 {
			lines = append(lines, fmt.Sprintf("fixed %s in %s", diagnostic.Plural(n, "finding"), diagnostic.Printable(file)))
		}
	}
	return lines
}

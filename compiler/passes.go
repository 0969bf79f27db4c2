package compiler

import (
	"slices"
	"strings"

	"github.com/seguehq/segue/compiler/credential"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// A pass goes over all findings of a run once they are there.
type pass struct {
	// why says what the pass is for, and why it comes where it does.
	why string
	run func(disk *workspace.Disk, found diagnostic.List) diagnostic.List
}

// passes are run over the findings of a run, in this order.
var passes = []pass{
	{"Two fields of a struct that are both to be called the same can't both be renamed. " +
		"It looks at all findings, before some are joined.",
		func(_ *workspace.Disk, found diagnostic.List) diagnostic.List {
			source.WithoutClashes(found)
			return found
		}},
	{"What follows goes through the findings in the order of their files.", sortFindings},
	{"That a value is none of those that are allowed follows where it is told that it has two values, " +
		"and that its type is another than elsewhere where it is told that the type is wrong.",
		func(_ *workspace.Disk, found diagnostic.List) diagnostic.List { return withoutChoice(found) }},
	{"A value that several uses say is wrong is told once, at the value. " +
		"It needs the findings about each use, and so comes before those are joined.",
		func(_ *workspace.Disk, found diagnostic.List) diagnostic.List { return source.ByOrigin(found) }},
	{"What a comprehension or a shared definition multiplies is one mistake.",
		func(_ *workspace.Disk, found diagnostic.List) diagnostic.List { return once(found) }},
	{"Some findings have got another place.", sortFindings},
	{"CUE has places behind the end of a line or a file. Files are read once each, and so in order.",
		func(disk *workspace.Disk, found diagnostic.List) diagnostic.List {
			source.WithinFiles(disk.Read, found)
			return found
		}},
	{"Nothing that looks like a credential is shown. It comes last, so that nothing can bring one in again.",
		func(disk *workspace.Disk, found diagnostic.List) diagnostic.List {
			credential.Conceal(disk.Read, found)
			return found
		}},
}

// tidy makes of the findings that packages, and what they have in common, have given
// those that people get to see.
func tidy(disk *workspace.Disk, found diagnostic.List) diagnostic.List {
	for _, p := range passes {
		found = p.run(disk, found)
	}
	return found
}

func sortFindings(_ *workspace.Disk, found diagnostic.List) diagnostic.List {
	found.Sort()
	return found
}

// once keeps one of the findings that tell of one mistake: those about the
// automations that a comprehension makes, or that share a definition with a
// mistake in it. The list is sorted.
func once(list diagnostic.List) diagnostic.List {
	type spot struct {
		file, code string
		at         diagnostic.Range
	}
	kept := map[spot][]int{} // into out
	out := list[:0]
	for _, d := range list {
		at := spot{d.File, d.Code, d.Range}
		if i := slices.IndexFunc(kept[at], func(i int) bool { return sameMistake(out[i], d) }); i < 0 {
			kept[at] = append(kept[at], len(out))
			out = append(out, d)
		} else if first := &out[kept[at][i]]; tellsMore(d, *first) {
			*first = d
		}
	}
	return out
}

// withoutChoice leaves out that a value is none of those that are allowed where
// it is told that it has two values, and that it is of another type than elsewhere
// where it is told that its type is wrong.
func withoutChoice(list diagnostic.List) diagnostic.List {
	type value struct{ key, path string }
	twice := map[value]bool{}
	for _, d := range list {
		if d.Code == "conflicting-values" {
			twice[value{d.Key, d.Path}] = true
		}
	}
	wrong := map[value]bool{}
	for _, d := range list {
		if d.Code == "wrong-type" {
			wrong[value{d.Key, withoutIndexes(d.Path)}] = true
		}
	}
	return slices.DeleteFunc(list, func(d diagnostic.Diagnostic) bool {
		at := value{d.Key, d.Path}
		return d.Code == "invalid-value" && twice[at] ||
			d.Code == "property-type" && wrong[value{d.Key, withoutIndexes(d.Path)}]
	})
}

// withoutIndexes is a path that all elements of a list have in common.
func withoutIndexes(path string) string { return index().ReplaceAllString(path, "[]") }

var index = finding.Pattern(`\[\d+\]`)

// tellsMore reports whether a finding is better than another one of the same
// mistake: it says what was meant, or it is about the value itself.
func tellsMore(a, b diagnostic.Diagnostic) bool {
	if (a.Suggestion == "") != (b.Suggestion == "") {
		return a.Suggestion != ""
	}
	return a.Key == "" && b.Key != ""
}

// sameMistake reports whether two findings at one place, of one code, tell the
// same: word for word but for the key, or one of them of a value by itself and
// the other of an automation that only uses it.
func sameMistake(a, b diagnostic.Diagnostic) bool {
	if a.File == "" || a.Severity != b.Severity {
		return false
	}
	if a.Key != b.Key && (a.Key == "" || b.Key == "") && a.Path != "" && b.Path != "" && a.Severity == diagnostic.Error {
		return true
	}
	plain := func(d diagnostic.Diagnostic) string {
		if d.Key == "" {
			return d.Message
		}
		message := strings.ReplaceAll(d.Message, d.Key, "")
		if finding.AboutText[d.Code] || source.AboutUse[d.Code] { // one value that several fields have
			_, name, _ := strings.Cut(strings.TrimPrefix(d.Path, "automations."), ".")
			message = strings.Replace(message, name, "", 1)
		}
		return message
	}
	return plain(a) == plain(b)
}

package compiler

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seguehq/segue/compiler/credential"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// A pass processes all findings of a run at the end.
type pass struct {
	// why is the purpose of the pass, and the reason for its position.
	why string
	run func(disk *workspace.Disk, found diagnostic.List) diagnostic.List
}

// passes are the passes over the findings of a run, in this order.
var passes = []pass{
	{"Two fields of a struct can't both be renamed to the same name. " +
		"This pass needs all findings, before some are joined.",
		func(_ *workspace.Disk, found diagnostic.List) diagnostic.List {
			source.WithoutClashes(found)
			return found
		}},
	{"The next passes need the findings in the order of their files.", sortFindings},
	{"A value with two conflicting values is not also reported as not allowed, " +
		"and a value of a wrong type not also as having another type than elsewhere.",
		func(_ *workspace.Disk, found diagnostic.List) diagnostic.List { return withoutChoice(found) }},
	{"A value that is wrong for several uses is reported once, at the value. " +
		"This pass needs the findings about each use, before those are joined.",
		func(_ *workspace.Disk, found diagnostic.List) diagnostic.List { return source.ByOrigin(found) }},
	{"A mistake that a comprehension or a shared definition multiplies is one mistake.",
		func(_ *workspace.Disk, found diagnostic.List) diagnostic.List { return once(found) }},
	{"Elements of a loop that are wrong in one way are one mistake, though its message differs in their values.",
		func(_ *workspace.Disk, found diagnostic.List) diagnostic.List { return alike(found) }},
	{"Some findings have moved.", sortFindings},
	{"CUE has positions beyond the end of a line or a file. The order of findings lets each file be read once.",
		func(disk *workspace.Disk, found diagnostic.List) diagnostic.List {
			source.WithinFiles(disk.Read, found)
			return found
		}},
	{"Possible credentials are hidden. No pass after it changes a text, which could bring one back.",
		func(disk *workspace.Disk, found diagnostic.List) diagnostic.List {
			credential.Conceal(disk.Read, found)
			return found
		}},
	{"Files of the module around the project are shown where they are. The passes before read them by other names.",
		func(disk *workspace.Disk, found diagnostic.List) diagnostic.List { return atOrigin(disk, found) }},
}

// tidy turns all findings of a run into those that are shown.
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

// once keeps one of the findings about one mistake: about automations that a comprehension makes, or that share
// a definition with a mistake. The list is sorted.
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

// alike keeps the first of the findings at one place that differ only in values, and counts the others: those
// about what a comprehension makes of its elements. The list has each mistake once.
func alike(list diagnostic.List) diagnostic.List {
	type mistake struct {
		file, code, message string
		severity            diagnostic.Severity
		at                  diagnostic.Range
	}
	first, more := map[mistake]int{}, map[int]int{} // by the index in out
	out := list[:0]
	for _, d := range list {
		m := mistake{d.File, d.Code, withoutValues(d), d.Severity, d.Range}
		if i, known := first[m]; known && d.Key != "" && d.Range != (diagnostic.Range{}) {
			more[i]++
			continue
		}
		first[m] = len(out)
		out = append(out, d)
	}
	for i, n := range more {
		out[i].Message += fmt.Sprintf(" (and %d more like it)", n)
	}
	return out
}

// atOrigin moves findings about files of the module around the project to where these are. Fixes stay in the
// project.
func atOrigin(disk *workspace.Disk, list diagnostic.List) diagnostic.List {
	for i := range list {
		d := &list[i]
		if d.Fix != nil && slices.ContainsFunc(d.Fix.Edits, func(e diagnostic.Edit) bool {
			_, moved := disk.Origin(e.File)
			return moved
		}) {
			d.Fix = nil
		}
		if origin, moved := disk.Origin(d.File); moved {
			d.File = origin
		}
		for j := range d.Related {
			if origin, moved := disk.Origin(d.Related[j].File); moved {
				d.Related[j].File = origin
			}
		}
	}
	return list
}

// withoutValues is the message of a finding without the values and names that differ between the elements of a
// loop.
func withoutValues(d diagnostic.Diagnostic) string {
	_, name, _ := strings.Cut(strings.TrimPrefix(d.Path, "automations."), ".")
	message := d.Message
	for _, part := range []string{d.Key, name, name[strings.LastIndexByte(name, '.')+1:]} {
		if part != "" {
			message = strings.ReplaceAll(message, part, "")
		}
	}
	return value().ReplaceAllString(message, "")
}

var value = finding.Pattern(`"(?:[^"\\]|\\.)*"|\d+(?:\.\d+)?`)

// withoutChoice removes a finding that a value is not allowed if another says that it has two values. It also
// removes a finding that its type differs from elsewhere if another says that the type is wrong.
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

// tellsMore reports whether a finding is better than another about the same mistake: it has a suggestion, or it
// is about the value itself.
func tellsMore(a, b diagnostic.Diagnostic) bool {
	if (a.Suggestion == "") != (b.Suggestion == "") {
		return a.Suggestion != ""
	}
	return a.Key == "" && b.Key != ""
}

// sameMistake reports whether two findings with one place and code are about the same mistake. Their messages are
// the same except for the key, or one of them is about a value itself and the other about an automation that
// only uses it.
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
		if finding.AboutText[d.Code] || source.AboutUse[d.Code] { // several fields share one value
			_, name, _ := strings.Cut(strings.TrimPrefix(d.Path, "automations."), ".")
			message = strings.Replace(message, name, "", 1)
		}
		return message
	}
	return plain(a) == plain(b)
}

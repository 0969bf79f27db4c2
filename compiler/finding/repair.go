package finding

import (
	"strconv"
	"strings"

	"github.com/seguehq/segue/diagnostic"
)

// A Repair is a possible repair of a finding. It becomes a fix when the place is known, if it is certain there.
type Repair struct {
	How  Manner
	Text string
	// Shared means that the repair is valid wherever the string is used, so that it may be made in a definition that
	// several automations share.
	Shared bool
}

// A Manner is the kind of change of a repair.
type Manner int

const (
	RenameField    Manner = iota // the field's name; text is the new one
	RewriteText                  // the part of a string that the finding is about
	ReplaceLiteral               // the literal; text is CUE
)

// Quoted returns the repair that replaces a literal by a string.
func Quoted(text string) *Repair { return &Repair{How: ReplaceLiteral, Text: strconv.Quote(text)} }

// Rewrite returns the fix that replaces a range of a file by text. shown is the text for people, without
// quotes and other syntax of CUE.
func Rewrite(file string, r diagnostic.Range, text, shown string) *diagnostic.Fix {
	return &diagnostic.Fix{Message: "write " + shown, Edits: []diagnostic.Edit{{File: file, Range: r, NewText: text}}}
}

// OtherName returns the repair of a wrong name in a placeholder. written is the placeholder in the file. The
// rest of it stays.
func OtherName(written, name, right string) *Repair {
	return &Repair{How: RewriteText, Text: strings.Replace(written, name, right, 1), Shared: true}
}

package finding

import (
	"strconv"
	"strings"

	"github.com/seguehq/segue/diagnostic"
)

// A Repair is what a finding could be repaired with. It becomes a fix once the
// place is known, if it is certain there.
type Repair struct {
	How  Manner
	Text string
	// Shared says that it is right wherever the text is used, so that it may be
	// made in a definition that several automations share.
	Shared bool
}

// A Manner is what a repair changes.
type Manner int

const (
	RenameField    Manner = iota // the field's name; text is the new one
	RewriteText                  // the part of a text that the finding is about
	ReplaceLiteral               // the literal; text is CUE
)

// Quoted is the repair of a literal that becomes a text.
func Quoted(text string) *Repair { return &Repair{How: ReplaceLiteral, Text: strconv.Quote(text)} }

// Rewrite is the fix that puts a text in the place of a range of a file. shown is the
// text as people see it, without quotes or what else CUE wants around it.
func Rewrite(file string, r diagnostic.Range, text, shown string) *diagnostic.Fix {
	return &diagnostic.Fix{Message: "write " + shown, Edits: []diagnostic.Edit{{File: file, Range: r, NewText: text}}}
}

// OtherName is the repair of a placeholder, given as it is written, whose name is
// not right. The rest of it stays as it is.
func OtherName(written, name, right string) *Repair {
	return &Repair{How: RewriteText, Text: strings.Replace(written, name, right, 1), Shared: true}
}

// Package credential knows where credentials live, by the names of fields and by the
// look of a string, and hides them in what people get to see: in findings with
// [Conceal], in lines of their files with [Mask].
package credential

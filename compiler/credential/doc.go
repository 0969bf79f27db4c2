// Package credential recognizes credentials, by the names of fields and by the form of a string, and hides them
// in output: in findings with [Conceal], in lines of files with [Mask].
package credential

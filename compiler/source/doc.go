// Package source is about the author's text. It reads nothing from a disk.
//
// A [File] is one file as it was parsed. An [Index] of the files of a package leads
// from a value's path to the places that give it, through references and
// conjunctions, and so turns a finding into a diagnostic with a file, a range and, if
// it is certain, a fix:
//
//	d := source.NewIndex(files).Place(f, token.NoPos)
//
// What does not parse is explained and taken out, so that the rest of the file can be
// read ([ComplaintOf], [WithoutMistake]).
package source

// Package source is about the text of the author's files. It does not read from disk.
//
// A [File] is one parsed file. An [Index] of the files of a package leads from a value's path to the places
// that set it, through references and conjunctions. It turns a finding into a diagnostic with a file, a range
// and, if the correction is certain, a fix:
//
//	d := source.NewIndex(files).Place(f, token.NoPos)
//
// Parts that do not parse are explained and taken out, so that the rest of the file can be read ([ComplaintOf],
// [WithoutMistake]).
package source

// Package lsp is the language server: it gives an editor the findings of unsaved text, fixes, completion,
// hovers, lenses and commands, over the Language Server Protocol.
//
// [Serve] speaks with one editor. It keeps three things apart:
//
//	documents.go  the texts that the editor has open; a document never changes, an edit makes a new one
//	project.go    a project: it checks the newest texts again and again, and publishes what it finds
//	cue.go        cue lsp in a child process, for all that is CUE and not segue
//
// A request gets a snapshot: the document and the last check of its project, neither of which changes any more.
// The answer is a function of the snapshot and the position. Each has a file of its own: completion.go,
// hover.go, actions.go, lenses.go, symbols.go. They learn from outline.go where a position is, also in a text
// that does not parse, and from where.go what the schema says of that place.
//
// At the bottom, protocol.go has the types of the protocol as far as they are used, and positions.go converts
// lines and columns: those of the protocol count in UTF-16, those of findings in bytes.
package lsp

// Package workspace reads a project from disk. A [Disk] is confined to the project's folder: it opens no link
// that leads out of the folder, no file that may never end, and no huge file. [WriteFile] is its counterpart
// for writing.
//
// CUE's loader would open files itself. A [Loader] gives it an overlay of all the files that it needs, with the
// embedded schema in the place of the project's copy.
package workspace

// Package workspace is the part of the disk that a project is read from. A [Disk] is
// confined to the project's folder: it opens nothing that a link leads out to, nothing
// that may never end, and nothing huge. [WriteFile] is its counterpart for writing.
//
// CUE's loader would open files by itself. A [Loader] gives it an overlay of all that
// it needs, with the embedded schema in the place of whatever copy the project has.
package workspace

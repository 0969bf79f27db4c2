// Package config is what a project says, as values: segue.cue with its sources and
// targets, the tracking plan, the names of a platform's triggers. The package project
// reads them. With errors in segue.cue, [Gaps] says what is not known.
package config

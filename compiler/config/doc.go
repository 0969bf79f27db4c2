// Package config has the values of a project's configuration: segue.cue with its sources and targets, the
// tracking plan, the names of a platform's triggers. The package project reads them. If segue.cue has errors,
// [Gaps] says which parts are unknown.
package config

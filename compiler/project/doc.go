// Package project reads segue.cue and what belongs to it: descriptions of platforms,
// the tracking plan, and the triggers that were pulled from a platform. [Load] gives
// them as values of the package config, or findings.
package project

// Package sync makes an automation platform match a project's code.
//
// It works in two steps, as people expect of infrastructure as code. [MakePlan]
// compares the desired state of the code, a [Desired], with the state of a
// [Platform], and returns a [Plan]: plain data that can be shown, stored and
// read back. [Apply] applies a plan and returns a [Result] that accounts for
// every change in it.
//
//	in := sync.Desired{Project: "growth", Target: "prod", Automations: all, Secrets: values}
//	plan, err := sync.MakePlan(ctx, platform, in, sync.PlanOptions{})
//	...
//	result, err := sync.Apply(ctx, platform, plan, in, sync.ApplyOptions{})
//
// There is no state file. Every automation that segue stores has a [Marker],
// from which a plan determines which automations are the project's own and
// whether the code or the platform has changed. So if an apply is interrupted
// at any point, by Ctrl-C, a crash or a dead network, the next plan and apply
// repair everything.
//
// A platform may do the work and still answer with an error, or not answer at
// all. After each failed write the engine therefore looks the automation up by
// its marker, and only then decides whether it is done, may be tried again, or
// has failed. It never makes two of one automation because an answer was lost.
//
// Secrets are compared and stored beside the automations that refer to them.
// Their values come from a [SecretResolver] and go only to the platform, never
// into a plan, result, event or error of this package.
package sync

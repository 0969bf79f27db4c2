// Package sync makes an automation platform match a project's code.
//
// It works in two steps, as people expect of infrastructure as code. [MakePlan]
// compares what the code wants, a [Desired], with what a [Platform] holds, and
// returns a [Plan]: plain data that can be shown, stored and read back.
// [Apply] carries a plan out and returns a [Result] that accounts for every
// change in it.
//
//	in := sync.Desired{Project: "growth", Target: "prod", Automations: all, Secrets: values}
//	plan, err := sync.MakePlan(ctx, platform, in, sync.PlanOptions{})
//	...
//	result, err := sync.Apply(ctx, platform, plan, in, sync.ApplyOptions{})
//
// There is no state file. Every automation that segue stores carries a
// [Marker], and a plan needs nothing else to tell which automations are the
// project's own and whether the code or the platform has moved. So an apply
// that is cut off at any point, by Ctrl-C, a crash or a dead network, leaves
// nothing behind that the next plan and apply do not put right.
//
// A platform may do the work and still answer with an error, or not answer at
// all. After each failed write the engine therefore looks the automation up by
// its marker, and only then decides whether it is done, may be tried again, or
// has failed. It never makes two of one automation because an answer was lost.
//
// Secrets are compared and stored beside the automations that refer to them.
// Their values come from a [SecretResolver] and go to the platform, and are in
// no plan, result, event or error of this package.
package sync

// Package trackingplan reads tracking plans that other programs export, and compares
// messages with them. [Read] takes the files of one plan in any of the forms that
// docs/tracking-plans.md lists, and returns a [Plan], which implements [config.Rules].
//
// A rule is a JSON Schema, which the library santhosh-tekuri/jsonschema compiles and
// validates with. This package adds three things to it: the place of each keyword in the
// plan's file, properties that the plan does not name, and values that are known only by
// their type, because a placeholder is all that a message has of them.
package trackingplan

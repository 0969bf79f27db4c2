// Package check compares decoded values with what they should be, and gives findings
// by path. It evaluates no CUE and reads no file: a value is decoded JSON.
//
// A [Checker] holds a value against a shape and the catalog of placeholders. A
// [Message] is one automation: [Message.Check] runs all checks of a Segment message or
// request, and of one without errors [Message.Emit] makes the automation and
// [Message.Facts] what it is compared with others by.
package check

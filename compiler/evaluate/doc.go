// Package evaluate makes values of packages. An [Evaluation] takes folders, and returns the results of their
// packages: automations with their places, findings, tests, and facts for comparing automations. A [Package]
// contains no values of CUE, so that it can be sent to another process, and be cached.
//
// A [PlainReader] decides packages of plain data from their syntax. [Evaluation.Chunk] evaluates the others
// with CUE, in the children of the package compiler, and explains errors from CUE.
package evaluate

// Package evaluate makes values of packages. An [Evaluation] takes folders, and gives
// what their packages come to: automations with their places, findings, tests and what
// they are compared by. Nothing of CUE is left in a [Package], so that it can go from
// one process to another, and be kept.
//
// A [PlainReader] decides packages of plain data from their syntax. [Evaluation.Chunk]
// evaluates the others with CUE, in the children of the package compiler; what CUE
// refuses is explained.
package evaluate

// Package shape is the embedded schema as [Shape] values, which findings are made
// from. CUE decides whether a value is right; a shape says what is wrong with it, all
// of it, and in the words of the domain:
//
//	s := shape.Of("segment.#Identify")
//
// [Lenient] is the same schema as CUE files that accept everything and still give the
// fixed values and defaults, so that a value with mistakes keeps all of its fields.
package shape

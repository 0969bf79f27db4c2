// Package check holds a value, which is decoded JSON, against its shape and against the
// catalog of placeholders. It evaluates no CUE and reads no file:
//
//	found := check.Rules{Catalog: catalog, Templates: true}.Value(value, shape.Of("segment.#Track"), path)
//
// The package message checks whole automations with it.
package check

// Package explain turns what CUE refuses into findings. It evaluates an opened package
// with the lenient schema, so that all mistakes are seen at once, converts the result
// to decoded JSON for the checks, and translates CUE's own errors: values that
// conflict, values that are incomplete, cycles.
package explain

// Package explain turns errors from CUE into findings. It evaluates a resolved package
// with the lenient schema, so that all mistakes are seen at once:
//
//	p := explain.Evaluate(resolved)
//	raw := p.Raw(value, finding.Path{"automations", "welcome"}, false)
//
// [Evaluated] has CUE's value. [Raw] is a part of it as decoded JSON, for the checks, with findings about
// everything in it that CUE refuses: conflicting values, incomplete values, cycles. [Evaluated.Errors]
// translates CUE's errors where the checks find nothing wrong. Each result has its findings; nothing is added
// to it afterwards.
package explain

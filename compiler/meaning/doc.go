// Package meaning judges the values of a message by the meaning of their fields, which their names and Segment's
// spec tell:
//
//	meaning.EachField(payload, shape.Of("segment.#Track"), path, func(f meaning.Field) {
//		problem, help := meaning.Unusable(f)
//		kind := meaning.Sensitive(f)
//	})
package meaning

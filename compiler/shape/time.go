package shape

import ()

const timeExample = "2026-03-14T09:26:53Z"

// TimeExamples shows how a shape's times are written.
func TimeExamples(s *Shape) string {
	if s.Kind == Date {
		return timeExample + " or 2026-03-14"
	}
	return timeExample
}

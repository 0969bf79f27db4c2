// Package message checks automations. One is decoded JSON, with its place among the values
// of the project:
//
//	m := message.Unchecked{Decoded: value, Key: "growth/welcome", At: path, Catalog: catalog}.Check(true)
//	if !m.Failed() {
//		a, err := m.Emit()
//	}
//
// [Unchecked.Check] runs all checks of a Segment call or request: fields and payload
// against their shapes, names of events, personal data, the tracking plan, URL and
// headers. Of a [Checked] message without errors, [Checked.Emit] makes the automation and
// [Checked.Facts] what it is compared with others by.
package message

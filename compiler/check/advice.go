package check

import ()

// advise warns of what is allowed in a message and yet rarely meant.
func (m *Message) advise(payload any) {
	fields, ok := payload.(map[string]any)
	if !ok || m.Call != "track" {
		return
	}
	at := m.At.With("payload")
	m.eventName(fields, at)
	m.personalData(fields, at)
}

package shape

import (
	"maps"
	"strings"
	"sync"

	"github.com/seguehq/segue/schema"
)

// A Call is the shapes of an automation that makes a call, and of its payload.
type Call struct{ Automation, Payload *Shape }

// Calls are the shapes by call, as in [schema.Calls]. The payload of the
// automation's is left open.
var Calls = sync.OnceValue(func() map[string]Call {
	out := map[string]Call{}
	for call, def := range schema.Calls {
		payload := &Shape{Kind: Any}
		if call != "http" {
			payload = Of("segment." + def)
		}
		out[call] = Call{withoutPayload(Of("automation." + def)), payload}
	}
	return out
})

// withoutPayload copies a shape and leaves the payload open: unlike the rest of
// an automation, it may hold placeholders. Its fields stay known, for those that
// stand beside the payload instead of in it.
func withoutPayload(s *Shape) *Shape {
	open := *s
	open.Fields = maps.Clone(s.Fields)
	payload := *open.Fields["payload"]
	payload.Shape = &Shape{Kind: Any, Fields: payload.Shape.Fields}
	open.Fields["payload"] = &payload
	return &open
}

// Events are the shapes of the semantic events by the name of the event.
var Events = sync.OnceValue(func() map[string]*Shape {
	out := map[string]*Shape{}
	for name, s := range All() {
		if !strings.HasPrefix(name, "segment.") || s.Kind != Struct {
			continue
		}
		if event, ok := s.Fields["event"]; ok && len(event.Shape.Consts) == 1 {
			out[event.Shape.Consts[0]] = s
		}
	}
	return out
})

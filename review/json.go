package review

import (
	"io"

	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

// JSON writes a [sync.Plan], a [sync.Result] or a [sync.Drift] for programs, according to the schemas in
// docs/schema. The output can't disturb a terminal.
func JSON[T sync.Plan | sync.Result | sync.Drift](w io.Writer, v *T) error {
	return diagnostic.EncodeJSON(w, v)
}

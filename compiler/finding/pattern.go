package finding

import (
	"regexp"
	"sync"
)

// Pattern returns a regular expression that is compiled when it is first asked for: most
// are for mistakes, and a run without any is not to wait for them.
func Pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

package finding

import (
	"regexp"
	"sync"
)

// Pattern returns a regular expression that is compiled on first use. Most expressions are for mistakes, and a
// run without mistakes must not wait for them.
func Pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

package lsp

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	cue "cuelang.org/go/cmd/cue/cmd"

	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/limits"
)

// The test binary is also its own children.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case "evaluate-packages":
			compiler.Serve("test")
		case "cue-lsp":
			os.Args = []string{"cue", "lsp"}
			os.Exit(cue.Main())
		case "plan":
			fmt.Println("Plan: nothing to do")
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

func self(mode string) func() *exec.Cmd { return limits.Self(mode) }

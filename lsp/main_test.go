package lsp

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	cue "cuelang.org/go/cmd/cue/cmd"
	"github.com/sourcegraph/jsonrpc2"

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
		case "greet-and-end":
			greetAndEnd()
		case "plan":
			fmt.Println("Plan: nothing to do")
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// greetAndEnd is a language server that ends after the greeting.
func greetAndEnd() {
	conn := jsonrpc2.NewConn(context.Background(), jsonrpc2.NewBufferedStream(stream{os.Stdin, os.Stdout}, jsonrpc2.VSCodeObjectCodec{}),
		jsonrpc2.HandlerWithError(func(_ context.Context, _ *jsonrpc2.Conn, r *jsonrpc2.Request) (any, error) {
			if r.Method != "initialize" {
				os.Exit(1)
			}
			return struct{}{}, nil
		}))
	<-conn.DisconnectNotify()
	os.Exit(1)
}

func self(mode string) func() *exec.Cmd { return limits.Self(mode) }

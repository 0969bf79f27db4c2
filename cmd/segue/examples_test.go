package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The examples that start a platform say so where something is at their ports.
func TestExamplesNeedTheirPorts(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the examples are shell scripts")
	}
	// Nothing is installed or started, should they go on.
	stubs := t.TempDir()
	for _, tool := range []string{"node", "npm", "curl"} {
		if err := os.WriteFile(filepath.Join(stubs, tool), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for example, port := range map[string]string{"n8n": "15679", "node-red": "18881"} {
		t.Run(example, func(t *testing.T) {
			// Where this fails, something else is there already.
			if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
				defer l.Close()
			}
			run := exec.CommandContext(t.Context(), filepath.Join("..", "..", "examples", example, "run"))
			run.Env = append(os.Environ(), "PATH="+stubs+string(filepath.ListSeparator)+os.Getenv("PATH"),
				"XDG_CACHE_HOME="+stubs, "SEGUE="+filepath.Join(stubs, "segue"))
			out, err := run.CombinedOutput()
			want := " of this machine is taken, and the example needs it; is another run of it still open?\n"
			if err == nil || !strings.HasPrefix(string(out), "port ") || !strings.HasSuffix(string(out), want) {
				t.Errorf("error %v, output:\n%s", err, out)
			}
		})
	}
}

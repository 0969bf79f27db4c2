//go:build !unix

package lsp

import "os"

// alive reports whether a process exists. Windows finds only those that do.
func alive(process int) bool {
	p, err := os.FindProcess(process)
	if err != nil {
		return false
	}
	_ = p.Release()
	return true
}

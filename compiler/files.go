package compiler

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"cuelang.org/go/cue/load"

	"github.com/seguehq/segue/diagnostic"
)

// maxFile is the largest file that is read, in bytes. It holds some 30,000
// automations; what is larger is not something that people wrote.
const maxFile = 8 << 20

// setAside keeps a file out of all that follows, with a finding, if reading it
// could do harm: a device or a pipe, which may never end, or a huge file.
func (l *loader) setAside(filename string) bool {
	d, unfit := unfit(filename)
	if !unfit {
		return false
	}
	if _, known := l.aside[filename]; !known {
		d.Severity, d.File = diagnostic.Error, l.relative(filename)
		l.aside[filename] = d
		l.overlay[filename] = load.FromBytes(nil)
	}
	return true
}

// unfit reports whether a file must not be read, and why.
func unfit(filename string) (diagnostic.Diagnostic, bool) {
	info, err := os.Stat(filename)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return diagnostic.Diagnostic{Code: "unreadable-file", Message: "the file is a link to nothing", Help: "remove the link, or correct it"}, true
	case err != nil:
		var pathError *fs.PathError
		if errors.As(err, &pathError) {
			err = pathError.Err
		}
		return diagnostic.Diagnostic{Code: "unreadable-file", Message: fmt.Sprintf("the file can't be read: %v", err), Help: "make it readable, or remove it"}, true
	case !info.Mode().IsRegular():
		return diagnostic.Diagnostic{Code: "unreadable-file", Message: "this is not a regular file", Help: "remove it from the project"}, true
	case info.Size() > maxFile:
		return diagnostic.Diagnostic{Code: "file-too-large", Message: fmt.Sprintf("the file has %d MB, and the largest that is read has %d MB", info.Size()>>20, maxFile>>20),
			Help: "split it, or remove it from the project"}, true
	}
	f, err := os.Open(filename)
	if err != nil {
		return diagnostic.Diagnostic{Code: "unreadable-file", Message: "the file can't be opened", Help: "make it readable, or remove it"}, true
	}
	return diagnostic.Diagnostic{}, f.Close() != nil
}

// unreadableDir is the finding about a folder that can't be listed.
func (l *loader) unreadableDir(dir string, err error) diagnostic.Diagnostic {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return diagnostic.Diagnostic{Severity: diagnostic.Error, Code: "unreadable-file", File: filepath.ToSlash(l.relative(dir)),
		Message: fmt.Sprintf("the folder can't be read: %v", err), Help: "make it readable, or remove it"}
}

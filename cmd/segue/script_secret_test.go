package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// absentCommand makes sure that no file below some folders holds a string, as
// it is or in a form that gives it away: absent TEXT folder...
func absentCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "absent TEXT folder...")
	text := args[0]
	forms := map[string]string{
		"as it is":        text,
		"in hex":          hex.EncodeToString([]byte(text)),
		"backwards":       backwards(text),
		"escaped":         url.QueryEscape(text),
		"as basic auth":   base64.StdEncoding.EncodeToString([]byte(text + ":")),
		"in base64":       strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(text)), "="),
		"in base64 (url)": strings.TrimRight(base64.RawURLEncoding.EncodeToString([]byte(text)), "="),
	}
	looked := 0
	for _, dir := range args[1:] {
		ts.Check(filepath.WalkDir(ts.MkAbs(dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			looked++
			for how, form := range forms {
				if bytes.Contains(content, []byte(form)) {
					ts.Fatalf("%s holds the secret %s", path, how)
				}
			}
			return err
		}))
	}
	if looked == 0 {
		ts.Fatalf("there are no files to look into")
	}
}

func backwards(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

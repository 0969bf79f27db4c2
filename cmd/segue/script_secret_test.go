package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// absentCommand makes sure that no file below some folders holds a string, as
// it is or in a form that gives it away: absent TEXT folder...
func absentCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "absent TEXT folder...")
	looked := 0
	for _, dir := range args[1:] {
		ts.Check(filepath.WalkDir(ts.MkAbs(dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			looked++
			if how := secretIn(content, args[0]); how != "" {
				ts.Fatalf("%s holds the secret %s", path, how)
			}
			return err
		}))
	}
	if looked == 0 {
		ts.Fatalf("there are no files to look into")
	}
}

// leastPrefix is the number of characters from which on the beginning of a secret gives it
// away, and mostPrefix the most that are looked for.
const leastPrefix, mostPrefix = 6, 12

// secretForms returns the forms in which a string gives a secret away, by how it is there.
func secretForms(secret string) map[string]string {
	percent := ""
	for _, b := range []byte(secret) {
		percent += fmt.Sprintf("%%%02X", b)
	}
	forms := map[string]string{
		"as it is":                      secret,
		"in hex":                        hex.EncodeToString([]byte(secret)),
		"backwards":                     backwards(secret),
		"escaped for a query":           url.QueryEscape(secret),
		"escaped for a path":            url.PathEscape(secret),
		"percent-encoded":               percent,
		"percent-encoded in lower case": strings.ToLower(percent),
		"as basic auth":                 strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret+":")), "="),
		"in base64":                     strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="),
		"in base64 (url)":               base64.RawURLEncoding.EncodeToString([]byte(secret)),
	}
	if n := min(len(secret)*2/3, mostPrefix); n >= leastPrefix {
		forms["by its beginning"] = secret[:n]
	}
	return forms
}

// secretIn says in which form a secret is in some content, "" if it is not.
func secretIn(content []byte, secret string) string {
	forms := secretForms(secret)
	for _, how := range slices.Sorted(maps.Keys(forms)) {
		if bytes.Contains(content, []byte(forms[how])) {
			return how
		}
	}
	return ""
}

func backwards(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// theirsCommand says that a folder holds the data of somebody else's platform, which is sent
// secrets and does with them as it likes: theirs folder
func theirsCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "theirs folder")
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o777))
}

// A searched test runs scripts, and looks for their secrets in all that segue has printed,
// and in each file that it has left. The secrets are the values that a script gives to
// variables with such names.
type searched struct {
	*testing.T
	dir string // the script's folder
}

// Run implements [testscript.T].
func (s *searched) Run(name string, f func(testscript.T)) {
	s.T.Run(name, func(t *testing.T) { f(&searched{T: t}) })
}

// Verbose asks for the whole log of a script, with the output of its programs.
func (s *searched) Verbose() bool { return true }

// Log gets the log of a script that has ended.
func (s *searched) Log(args ...any) {
	s.Helper()
	text := fmt.Sprint(args...)
	if testing.Verbose() || s.Failed() {
		s.T.Log(text)
	}
	if s.dir == "" {
		return
	}
	for _, found := range searchScript(text, s.dir) {
		s.Error(found)
	}
}

var (
	envLines   = regexp.MustCompile(`(?m)^> env .*$`)
	assignment = regexp.MustCompile(`\b[A-Z0-9_]*(?:KEY|TOKEN|PASSWORD|SECRET)[A-Z0-9_]*=(\S+)`)
	commands   = regexp.MustCompile(`(?m)^> `)
	runsSegue  = regexp.MustCompile(`^(?:[!?] )?(?:status \d+ |exec )?segue\b|^end `)
	noWord     = regexp.MustCompile(`[0-9-]`)
)

// searchScript says where the secrets of a script are: in the output of segue, by the
// script's log, or in a file of its folder. Files that other commands of the script name are
// the script's own.
func searchScript(log, dir string) []string {
	var secrets, found []string
	for _, m := range assignment.FindAllStringSubmatch(strings.Join(envLines.FindAllString(log, -1), "\n"), -1) {
		value := strings.Trim(m[1], "'")
		// Short ones, and words, are found everywhere.
		if len(value) >= leastPrefix && noWord.MatchString(value) && !slices.Contains(secrets, value) {
			secrets = append(secrets, value)
		}
	}
	named, theirs := map[string]bool{}, ""
	for _, part := range commands.Split(log, -1) {
		command, output, _ := strings.Cut(part, "\n")
		if folder, ok := strings.CutPrefix(command, "theirs "); ok {
			theirs = filepath.Join(dir, folder)
		}
		if !runsSegue.MatchString(command) {
			for _, word := range strings.Fields(command) {
				named[filepath.Base(word)] = true
			}
			continue
		}
		for _, secret := range secrets {
			if how := secretIn([]byte(output), secret); how != "" {
				found = append(found, fmt.Sprintf("the output of %q holds the secret %s %s", command, secret, how))
			}
		}
	}
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case path == theirs:
			return fs.SkipDir
		case err != nil || !entry.Type().IsRegular() || named[entry.Name()]:
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil // such as one that the script has made unreadable
		}
		for _, secret := range secrets {
			if how := secretIn(content, secret); how != "" {
				found = append(found, fmt.Sprintf("%s holds the secret %s %s", path, secret, how))
			}
		}
		return nil
	})
	return found
}

// The search finds a secret that was printed, or left in a file, in any of the forms.
func TestTheSearchFindsWhatIsLeaked(t *testing.T) {
	const secret = "w7+write/key?KQ=="
	for how, form := range secretForms(secret) {
		log := "> env SEGMENT_WRITE_KEY=" + secret + "\n> status 1 segue apply\n[stderr]\nerror: 401: OUTPUT\n> sent server auth\n" + secret + "\n"
		dir := t.TempDir()
		if found := searchScript(strings.Replace(log, "OUTPUT", form, 1), dir); len(found) != 1 {
			t.Errorf("%s: found %q in the output", how, found)
		}
		if err := os.WriteFile(filepath.Join(dir, "segue.log"), []byte("a line\n"+form), 0o600); err != nil {
			t.Fatal(err)
		}
		if found := searchScript(log, dir); len(found) != 1 {
			t.Errorf("%s: found %q in a file", how, found)
		}
		if found := searchScript(log+"> cp segue.log other\n", dir); len(found) != 0 {
			t.Errorf("%s: found %q in a file of the script's own", how, found)
		}
	}
}

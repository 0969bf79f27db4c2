// Package trust decides which commands, files and variables of a machine a
// project may use for its secrets.
//
// A project may come from a stranger, and it decides itself where its secrets
// are sent. So the user must approve each command of the project, and each file
// outside its folder:
//
//	asks, err := trust.Asks(dir, sources, names)
//	for _, ask := range asks {
//		if !grants.Has(ask) { /* ask, and then */ grants.Add(ask) }
//	}
//
// An approval is for one project and one exact command or file. It is stored
// outside the project, as direnv does. Environment variables that belong to the
// machine are always refused: see [IsMachineVariable].
package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/seguehq/segue/automation"
)

// An Ask is a request of a project that the user must approve: to run a
// command, or to read a file outside its folder.
type Ask struct {
	// Secret is the name of the secret.
	Secret string `json:"-"`
	// Project is the real path of the project's folder.
	Project string `json:"project"`
	// Command is a command with its arguments, and File is the real path of a
	// file. Exactly one of them is set.
	Command []string `json:"command,omitempty"`
	File    string   `json:"file,omitempty"`
	// Scripts are the digests of the project's own files that the command runs,
	// by their path in the project.
	Scripts map[string]string `json:"scripts,omitempty"`
}

// Asks returns the requests of the sources of the named secrets, in the order
// of the names. The project is in dir.
func Asks(dir string, sources map[string]automation.SecretSource, names []string) ([]Ask, error) {
	return asks(dir, sources, names, Inside)
}

// AsksFrom is like Asks for sources from a file that somebody else may have made, not
// from the folder dir. The user must approve every file.
func AsksFrom(dir string, sources map[string]automation.SecretSource, names []string) ([]Ask, error) {
	return asks(dir, sources, names, func(string, string) (string, bool) { return "", false })
}

func asks(dir string, sources map[string]automation.SecretSource, names []string, inside func(dir, file string) (string, bool)) ([]Ask, error) {
	project, err := realPath(dir)
	if err != nil {
		return nil, err
	}
	var asks []Ask
	for _, name := range names {
		switch source := sources[name]; {
		case len(source.Exec) > 0:
			asks = append(asks, Ask{Secret: name, Project: project, Command: source.Exec, Scripts: scripts(project, source.Exec)})
		case source.File != "":
			if _, own := inside(project, source.File); !own {
				asks = append(asks, Ask{Secret: name, Project: project, File: outsidePath(project, source.File)})
			}
		}
	}
	return asks, nil
}

// Inside returns the path of a file relative to a folder, with links resolved,
// and whether the file is inside. A path that leads out through a link is not
// inside. Nor is a file in .git, which may hold a checkout's credentials.
func Inside(dir, file string) (string, bool) {
	root, err := realPath(dir)
	if err != nil {
		return "", false
	}
	path := file
	if !filepath.IsAbs(path) {
		path = filepath.Join(root, path)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	} else if parent, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(parent, filepath.Base(path))
	}
	relative, err := filepath.Rel(root, path)
	if err != nil || !filepath.IsLocal(relative) {
		return "", false
	}
	if slices.ContainsFunc(strings.Split(filepath.ToSlash(relative), "/"), func(part string) bool { return strings.EqualFold(part, ".git") }) {
		return "", false
	}
	return relative, true
}

// outsidePath returns the path of a file as shown to the user.
func outsidePath(project, file string) string {
	path := file
	if !filepath.IsAbs(path) {
		path = filepath.Join(project, path)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil && !strings.HasPrefix(path, "/dev/fd/") {
		return real
	}
	return filepath.Clean(path)
}

func realPath(dir string) (string, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(full)
}

// interpreter matches programs that run a file given as an argument.
var interpreter = regexp.MustCompile(`^(env|sh|bash|dash|ash|zsh|ksh|fish|pwsh|powershell|cmd|python|pypy|node|deno|bun|ruby|perl|php|lua|tclsh|awk|gawk|sed|make|go)[0-9.]*(\.exe)?$`)

// scriptLimit is the size of the largest script that is read, in bytes.
const scriptLimit = 1 << 20

// scripts returns the digests of the project's own files that a command runs:
// the command itself, executable files, and files given to an interpreter. With
// other content, it is another command.
func scripts(project string, command []string) map[string]string {
	digests := map[string]string{}
	interpreted := interpreter.MatchString(strings.ToLower(filepath.Base(command[0])))
	for i, word := range command {
		if i == 0 && !strings.ContainsAny(word, `/`+string(filepath.Separator)) {
			continue // it is looked up in PATH
		}
		relative, inside := Inside(project, word)
		if !inside || word == "" {
			continue
		}
		path := filepath.Join(project, relative)
		stat, err := os.Stat(path)
		if err != nil || !stat.Mode().IsRegular() {
			continue
		}
		content, err := readStart(path, scriptLimit)
		if err != nil {
			continue // it can't be run either
		}
		if i == 0 || interpreted || stat.Mode()&0o111 != 0 || strings.HasPrefix(string(content), "#!") {
			sum := sha256.Sum256(content)
			digests[filepath.ToSlash(relative)] = "sha256:" + hex.EncodeToString(sum[:])
		}
	}
	if len(digests) == 0 {
		return nil
	}
	return digests
}

func readStart(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// String returns the command or the file in ASCII, so that it hides no
// characters and shows no look-alikes. Words are quoted where a shell would need
// it.
func (a Ask) String() string {
	words := a.Command
	if a.File != "" {
		words = []string{a.File}
	}
	shown := make([]string, len(words))
	for i, w := range words {
		shown[i] = w
		if !plainWord.MatchString(w) {
			shown[i] = strconv.QuoteToASCII(w)
		}
	}
	return strings.Join(shown, " ")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`)

// Grants store approvals in a folder, with one file for each. The file's name
// is the digest of its content. Several processes may use the folder at once.
type Grants struct{ dir string }

// UserGrants returns the grants of the user who runs segue, in the folder
// segue/allowed of the user's configuration.
func UserGrants() (Grants, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return Grants{}, err
	}
	return Grants{filepath.Join(dir, "segue", "allowed")}, nil
}

// NewGrants returns the grants in a folder. The folder is created when needed.
func NewGrants(dir string) Grants { return Grants{dir} }

// file returns the path and the content of an ask's grant.
func (g Grants) file(a Ask) (path string, content []byte, err error) {
	if g.dir == "" {
		return "", nil, errors.New("there is no folder for it")
	}
	content, err = json.MarshalIndent(a, "", "  ")
	if err != nil {
		return "", nil, err
	}
	content = append(content, '\n')
	sum := sha256.Sum256(content)
	return filepath.Join(g.dir, hex.EncodeToString(sum[:])+".json"), content, nil
}

// Has reports whether the user has approved. A file that others may write to,
// or that is a link, does not count.
func (g Grants) Has(a Ask) bool {
	path, want, err := g.file(a)
	if err != nil {
		return false
	}
	stat, err := os.Lstat(path)
	if err != nil || !stat.Mode().IsRegular() || runtime.GOOS != "windows" && stat.Mode()&0o022 != 0 {
		return false
	}
	got, err := readStart(path, int64(len(want))+1)
	return err == nil && string(got) == string(want)
}

// Add stores the approval.
func (g Grants) Add(a Ask) error {
	path, content, err := g.file(a)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(g.dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(g.dir, ".new-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // report the first error
		var p *fs.PathError
		if errors.As(err, &p) {
			return p
		}
	}
	return err
}

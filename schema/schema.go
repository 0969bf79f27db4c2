// Package schema holds the CUE packages that authors import: automation,
// placeholder, platform, project and segment. They are compiled into the binary,
// so that a project is checked against the schema of the segue that compiles it,
// and are copied into a project by segue init, so that plain cue and editors find
// them.
package schema

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"
)

// ModulePath is the import path that the schema's packages stand under.
const ModulePath = "github.com/seguehq/segue/schema"

// VendorDir is where a project keeps its copy of the schema, relative to its
// root, with slashes. CUE looks there for packages outside any registry.
const VendorDir = "cue.mod/pkg/" + ModulePath

// LanguageVersion is the version of the CUE language that the schema is written
// in, for a module file.
const LanguageVersion = "v0.17.0"

//go:embed automation/*.cue placeholder/*.cue platform/*.cue project/*.cue segment/*.cue
var files embed.FS

// Calls are the definitions of an automation, of the package automation, by the
// call that they send.
var Calls = map[string]string{"identify": "#Identify", "group": "#Group", "track": "#Track", "page": "#Page",
	"screen": "#Screen", "alias": "#Alias", "http": "#HTTP"}

// CallNames are the calls of [Calls] in the order in which people know them: Segment's, and http.
func CallNames() []string {
	return []string{"identify", "group", "track", "page", "screen", "alias", "http"}
}

// Packages are the names of the schema's packages, in order.
func Packages() []string {
	return []string{"automation", "placeholder", "platform", "project", "segment"}
}

// Files returns the schema's files by path below [ModulePath], such as
// "segment/context.cue".
func Files() map[string][]byte {
	all := make(map[string][]byte)
	// Reading an embedded file can't fail.
	_ = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(name, ".cue") {
			all[name], err = files.ReadFile(name)
		}
		return err
	})
	return all
}

// Version identifies the schema by content: the first 12 hex digits of the
// SHA-256 of its files with their names.
func Version() string {
	h := sha256.New()
	for _, pkg := range Packages() {
		entries, _ := files.ReadDir(pkg)
		for _, e := range entries {
			name := path.Join(pkg, e.Name())
			content, _ := files.ReadFile(name)
			h.Write([]byte(name + "\x00"))
			h.Write(content)
			h.Write([]byte{0})
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

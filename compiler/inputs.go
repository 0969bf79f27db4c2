package compiler

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"hash"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/inject/embed"
	"cuelang.org/go/cue/parser"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/cache"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/credential"
	"github.com/seguehq/segue/compiler/evaluate"
	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/resolve"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

// The result of a folder's packages depends on the version of segue, on parts of segue.cue, and on files: those
// of the folder and of the folders above, which may belong to the same package; those of imported packages; and
// the data files that they embed. The hash of all these is the key of a kept result.
//
// To explain a package with errors, more is read. Such results are not kept.

// inputs finds the inputs of the results of folders. Its methods may be called from several goroutines.
type inputs struct {
	disk    *workspace.Disk
	entries func(dir string) ([]fs.DirEntry, error)
	// common is the hash of the inputs that all folders share.
	common cache.Key
	// folders has the folders of the project's packages by import path.
	folders map[string]string
	*seen
	// others returns the hash of the packages in cue.mod.
	others func() (cache.Key, bool)
}

// seen has what was read of files. It is shared by the runs of a session, as long as the files do not change.
type seen struct {
	mu    sync.Mutex
	files map[string]fileInput
	lists map[string]func() ([]string, error) // the files of folders
}

func newSeen() *seen {
	return &seen{files: map[string]fileInput{}, lists: map[string]func() ([]string, error){}}
}

// without returns what was read of all other files.
func (s *seen) without(name string) *seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	files := maps.Clone(s.files)
	delete(files, name)
	return &seen{files: files, lists: maps.Clone(s.lists)}
}

// A fileInput has the inputs of one file.
type fileInput struct {
	hash    cache.Key
	size    int
	pkg     string
	imports []string // of the project, as folders
	outside bool     // imports a package that is kept in cue.mod, or elsewhere
	data    []string // embedded files
	// unclear means that the inputs can't be determined.
	unclear bool
}

// newInputs prepares to find the inputs of an evaluation. of has what is known of its files.
func newInputs(e *evaluate.Evaluation, of *seen) *inputs {
	in := &inputs{disk: e.Disk, entries: e.Loader.Entries, folders: e.Loader.ProjectDirs(), seen: of}
	in.others = sync.OnceValues(in.hashOthers)
	return in
}

// keysOf prepares the keys of an evaluation from its inputs. It returns false if the results can't be kept.
func (c *compilation) keysOf(in *inputs) bool {
	if c.opts.Version == "" || c.Project.Gaps != nil {
		return false
	}
	facts, err := c.facts()
	if err != nil {
		return false
	}
	h := sha256.New()
	put(h, "segue/package/v3", c.opts.Version, schema.Version(), string(facts))
	for _, name := range []string{workspace.ModuleFileName, workspace.LocalModuleFileName} {
		content, err := in.disk.Read(name)
		if err != nil && in.disk.Exists(name) {
			return false
		}
		put(h, name, string(content))
	}
	if plan := c.Project.Plan; plan != nil {
		// The tracking plan is more than values, so its files are the input.
		names := append([]string{config.ProjectFile}, plan.Files...)
		if _, clear := in.closure(h, nil, names); !clear {
			return false
		}
	}
	h.Sum(in.common[:0])
	return true
}

// facts returns the parts of segue.cue that the results of packages depend on.
func (c *compilation) facts() ([]byte, error) {
	type placeholder struct {
		automation.Placeholder
		Declared bool
	}
	catalog := map[string]placeholder{}
	for name, p := range c.Project.Catalog {
		catalog[name] = placeholder{p, p.Declared}
	}
	tests := "none"
	if c.Tests != nil {
		tests = "all"
		if c.Tests.Only != nil {
			tests = "only " + c.Tests.Only.String()
		}
	}
	return json.Marshal(struct {
		Catalog  map[string]placeholder
		Sources  map[string]config.Source
		Targets  []string
		Triggers config.TriggerNames
		Tests    string
		Inputs   map[string]string
	}{catalog, c.Project.SourcesOf(c.Target), finding.SortedKeys(c.Project.Targets), c.Project.Triggers, tests,
		c.Project.InputsOf(c.Target)})
}

// key returns the key of a folder's results, false if it has none.
func (in *inputs) key(dir string) (cache.Key, bool) {
	var key cache.Key
	h := sha256.New()
	put(h, string(in.common[:]), dir)
	if _, clear := in.closure(h, []string{dir}, nil); !clear {
		return key, false
	}
	h.Sum(key[:0])
	return key, true
}

// closure hashes folders and files, and everything that they depend on. It returns the files that were read,
// and false if some inputs can't be determined.
func (in *inputs) closure(h hash.Hash, dirs, names []string) (read []string, clear bool) {
	visited := map[string]bool{}
	outside := false
	var data []string
	add := func(name string, f fileInput) bool {
		read = append(read, name)
		put(h, name, string(f.hash[:]))
		dirs = append(dirs, f.imports...)
		data = append(data, f.data...)
		outside = outside || f.outside
		return !f.unclear
	}
	for _, name := range names {
		if path.Ext(name) != ".cue" {
			data = append(data, name)
		} else if !add(name, in.file(name)) {
			return read, false
		}
	}
	for len(dirs) > 0 {
		dir := dirs[0]
		dirs = dirs[1:]
		if visited[dir] {
			continue
		}
		visited[dir] = true
		put(h, "folder", dir)
		files, err := in.filesOf(dir)
		if err != nil {
			return read, false
		}
		packages := map[string]bool{}
		for _, name := range files {
			f := in.file(name)
			if !add(name, f) {
				return read, false
			}
			packages[f.pkg] = true
		}
		// Files of the same package in the folders above belong to it.
		for above := dir; above != "."; {
			above = path.Dir(above)
			put(h, "above", above)
			files, err := in.filesOf(above)
			if err != nil {
				return read, false
			}
			for _, name := range files {
				f := in.file(name)
				put(h, name, f.pkg)
				if f.unclear || packages[f.pkg] && !add(name, f) {
					return read, false
				}
			}
		}
	}
	slices.Sort(data)
	for _, name := range slices.Compact(data) {
		content, err := in.disk.Read(name)
		if err != nil {
			return read, false
		}
		read = append(read, name)
		put(h, name, string(content))
	}
	if !outside {
		return read, true
	}
	others, ok := in.others()
	put(h, string(others[:]))
	return read, ok
}

// size returns the number of bytes of the files that a folder's packages depend on, as far as it is known: the
// folder's files, those of imported packages of the project, and the files that these embed.
func (in *inputs) size(dir string) int64 {
	read, _ := in.closure(sha256.New(), []string{dir}, nil)
	slices.Sort(read)
	var size int64
	for _, name := range slices.Compact(read) {
		in.mu.Lock()
		f, known := in.files[name]
		in.mu.Unlock()
		if known {
			size += int64(f.size)
		} else if info, err := in.disk.Stat(name); err == nil {
			size += info.Size()
		}
	}
	return size
}

// filesOf lists the CUE files of a folder, except segue.cue. It reads each folder once.
func (in *inputs) filesOf(dir string) ([]string, error) {
	in.mu.Lock()
	list := in.lists[dir]
	if list == nil {
		list = sync.OnceValues(func() ([]string, error) { return in.readFolder(dir) })
		in.lists[dir] = list
	}
	in.mu.Unlock()
	return list()
}

func (in *inputs) readFolder(dir string) ([]string, error) {
	entries, err := in.entries(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if name := path.Join(dir, e.Name()); path.Ext(name) == ".cue" && name != config.ProjectFile && !e.IsDir() {
			out = append(out, name)
		}
	}
	return out, nil
}

// file returns the inputs of a file.
func (in *inputs) file(name string) fileInput {
	in.mu.Lock()
	f, known := in.files[name]
	in.mu.Unlock()
	if known {
		return f
	}
	f = in.readFile(name)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.files[name] = f
	return f
}

func (in *inputs) readFile(name string) fileInput {
	content, err := in.disk.Read(name)
	if err != nil {
		return fileInput{unclear: true}
	}
	f := fileInput{hash: sha256.Sum256(content), size: len(content)}
	mode := parser.ImportsOnly
	embeds := bytes.Contains(content, []byte("@embed"))
	if embeds {
		mode = parser.ParseComments
	}
	syntax, err := parser.ParseFile(name, content, mode)
	if err != nil {
		return fileInput{unclear: true}
	}
	f.pkg = syntax.PackageName()
	for spec := range syntax.ImportSpecs() {
		plain := ast.ParseImportPath(source.ImportPath(spec)).Unqualified().String()
		dir, own := in.folders[plain]
		switch {
		case own:
			f.imports = append(f.imports, dir)
		case resolve.IsStandard(plain), strings.HasPrefix(plain, schema.ModulePath+"/"):
		default:
			f.outside = true
		}
	}
	if !embeds {
		return f
	}
	attributes, err := embed.EmbeddedPaths(name, syntax)
	if err != nil {
		return fileInput{unclear: true}
	}
	for _, a := range attributes {
		names, err := a.FindAll(workspace.DataFS{Disk: in.disk})
		if err != nil {
			return fileInput{unclear: true}
		}
		f.data = append(f.data, names...)
	}
	return f
}

// hashOthers hashes the packages in cue.mod, except for the schema. Packages from a registry are covered by the
// module file, because a version never changes.
func (in *inputs) hashOthers() (cache.Key, bool) {
	var key cache.Key
	if in.disk.Exists(workspace.LocalModuleFileName) {
		return key, false // it may lead anywhere
	}
	h := sha256.New()
	var walk func(dir string) bool
	walk = func(dir string) bool {
		if dir == schema.VendorDir || !in.disk.Exists(dir) {
			return true
		}
		entries, err := in.disk.ReadDir(dir)
		if err != nil {
			return false
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			if e.IsDir() {
				if !walk(name) {
					return false
				}
				continue
			}
			content, err := in.disk.Read(name)
			if err != nil {
				return false
			}
			put(h, name, string(content))
		}
		return true
	}
	for _, dir := range []string{"cue.mod/pkg", "cue.mod/gen", "cue.mod/usr"} {
		if !walk(dir) {
			return key, false
		}
	}
	h.Sum(key[:0])
	return key, true
}

// put adds strings to a hash, each with its length.
func put(h hash.Hash, texts ...string) {
	var size [8]byte
	for _, text := range texts {
		binary.BigEndian.PutUint64(size[:], uint64(len(text)))
		h.Write(size[:])
		h.Write([]byte(text))
	}
}

// keepable reports whether results depend only on their inputs, and have no contents that others must not see.
func (c *compilation) keepable(packages []evaluate.Package) bool {
	for _, p := range packages {
		if p.Volatile || p.Unexplained != "" || len(p.Awaits) > 0 || p.Found.HasErrors() || !c.harmless(p.Found) {
			return false
		}
	}
	return true
}

// harmless reports whether no finding contains a possible credential.
func (c *compilation) harmless(found evaluate.Findings) bool {
	for _, d := range found {
		shown := diagnostic.List{d}
		credential.Conceal(c.Disk.Read, shown)
		if shown[0].Confidential || shown[0].Message != d.Message || shown[0].Help != d.Help || shown[0].Path != d.Path {
			return false
		}
	}
	return true
}

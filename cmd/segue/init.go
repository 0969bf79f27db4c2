package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/schema"
)

const initHelp = `Init makes a project that compiles: segue.cue, a first automation, and a copy of
the schema under cue.mod/pkg for editors and plain cue. A folder with CUE files
gets no automation. An existing project keeps all of its files; its
copy of the schema is renewed. In a folder of a CUE module, the project is part
of that module, which gets the copy of the schema.

EXAMPLES:
   segue init growth
   segue -C growth init`

// projectTemplate is segue.cue of a new project.
const projectTemplate = `import segue "github.com/seguehq/segue/schema/project"

segue.#Project

project: %q

// The Segment HTTP API source that receives the messages. Its write key comes
// from the environment variable SEGMENT_WRITE_KEY.
sources: segment: {
	region: "us"
	writeKey: secret: "SEGMENT_WRITE_KEY"
}

// The embedded platform keeps its data in .segue/platform.db.
targets: local: platform: "embedded"
`

// automationTemplate is a first automation.
const automationTemplate = `package growth

import "github.com/seguehq/segue/schema/automation"

automations: "account-activated": automation.#Group & {
	name: "Account activated"
	trigger: pattern: "Account activated"
	payload: {
		userId:  "{{userId}}"
		groupId: "{{accountId}}"
		traits: name: "{{accountName}}"
		timestamp: "{{clientTimestampEndTime}}"
	}
}
`

const gitignoreTemplate = "# the embedded platform's data, and the key of its secrets\n.segue/\n"

// gitattributesTemplate keeps the line ends of CUE files in clones on Windows.
const gitattributesTemplate = "# the same bytes on every machine\n*.cue text eol=lf\n"

func initCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "make a project", Description: initHelp, ArgsUsage: "[DIR]",
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return fmt.Errorf("init takes one folder, got %d", c.NArg())
			}
			dir := c.Args().First()
			if dir == "" {
				dir = "."
			}
			return t.initProject(c.Context, dir)
		},
	}
}

func (t *terminal) initProject(ctx context.Context, dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	name := projectName(filepath.Base(abs))
	existed := true
	if _, err := os.Lstat(filepath.Join(dir, "segue.cue")); errors.Is(err, fs.ErrNotExist) {
		existed = false
	} else if err != nil {
		return fmt.Errorf("can't make a project in %s: %w", dir, cause(err))
	}
	if !existed {
		if err := t.outside(dir); err != nil {
			return err
		}
	}
	type file struct{ name, content string }
	var files []file
	module := workspace.RepositoryModule(resolved(abs))
	if module == "" {
		files = append(files, file{"cue.mod/module.cue", workspace.ModuleFile("segue.example/" + name)})
	}
	if !existed {
		// An example would conflict with existing files.
		if _, err := os.Lstat(filepath.Join(dir, "growth")); errors.Is(err, fs.ErrNotExist) && !hasSource(dir) {
			files = append(files, file{"growth/activation.cue", automationTemplate})
		}
		// segue.cue comes last: it makes the folder a project.
		files = append(files, file{".gitignore", gitignoreTemplate},
			file{".gitattributes", gitattributesTemplate}, file{"segue.cue", fmt.Sprintf(projectTemplate, name)})
	}
	for _, f := range files {
		if err := createFile(ctx, dir, filepath.Join(dir, filepath.FromSlash(f.name)), f.content); err != nil {
			return err
		}
	}
	vendored := dir
	if module != "" {
		here, err := filepath.Abs(".")
		if err != nil {
			return err
		}
		if vendored, err = filepath.Rel(resolved(here), module); err != nil {
			return err
		}
	}
	if err := vendorSchema(ctx, vendored); err != nil {
		return err
	}
	if existed {
		t.printf("The schema in %s is now that of this segue (%s). Nothing else was changed.\n", diagnostic.Printable(path.Join(filepath.ToSlash(vendored), "cue.mod")), schema.Version())
		return nil
	}
	there := *t
	there.dir = t.typed(dir)
	t.printf("Made the project %q in %s.\n", name, diagnostic.Printable(cmp.Or(there.dir, "this folder")))
	if !ignored(dir) {
		t.printf("Add .segue/ to .gitignore: it is for the embedded platform's data and the key of its secrets.\n")
	}
	t.printf("\nTry next:\n  %s\n  SEGMENT_WRITE_KEY=... %s\n", there.command("vet"), there.command("plan"))
	return nil
}

// typed is a folder as a person would name it here, "" for the current one.
func (t *terminal) typed(dir string) string {
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(t.dir, dir)
	}
	if dir == "." {
		return ""
	}
	return dir
}

// outside makes sure that a new project takes no folder out of one above.
func (t *terminal) outside(dir string) error {
	here, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	above := projectAbove(resolved(abs))
	if above == "" {
		return nil
	}
	rel, err := filepath.Rel(resolved(here), above)
	if err != nil {
		return err
	}
	there := *t
	there.dir = t.typed(rel)
	return fmt.Errorf("%s is in the project of %s, and a project of its own would take it out of that one; run `%s` to renew that project's schema, or make a new project outside of it",
		cmp.Or(t.typed(dir), "this folder"), filepath.ToSlash(filepath.Join(there.dir, "segue.cue")), there.command("init"))
}

// resolved follows the links in a full path as far as it exists.
func resolved(name string) string {
	real, err := filepath.EvalSymlinks(name)
	switch parent := filepath.Dir(name); {
	case err == nil:
		return real
	case parent == name:
		return name
	default:
		return filepath.Join(resolved(parent), filepath.Base(name))
	}
}

// projectAbove returns the nearest folder above that is a project, up to the root
// of the Git repository, "" if there is none.
func projectAbove(dir string) string {
	for !exists(filepath.Join(dir, ".git")) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		if exists(filepath.Join(dir, "segue.cue")) {
			return dir
		}
	}
	return ""
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// hasSource reports whether a new project would have CUE files from the start.
func hasSource(dir string) bool {
	found := false
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return nil // vet reports unreadable files
		}
		ignored := strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")
		switch {
		case d.IsDir() && (ignored || d.Name() == "cue.mod" || exists(filepath.Join(name, "segue.cue")) || exists(filepath.Join(name, "cue.mod"))):
			return fs.SkipDir
		case !d.IsDir() && !ignored && filepath.Ext(name) == ".cue":
			found = true
			return fs.SkipAll
		}
		return nil
	})
	return found
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// projectName makes a project's name of a folder's.
func projectName(folder string) string {
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(folder), "-"), "-")
	if name == "" {
		return "automations"
	}
	return name
}

// ignored reports whether Git ignores the embedded platform's data.
func ignored(dir string) bool {
	content, err := workspace.ReadFile(dir, ".gitignore")
	return err == nil && ignoresData.Match(content)
}

var ignoresData = regexp.MustCompile(`(?m)^(\*\*)?/?\.segue(/|$)`)

// createFile writes a file of a project unless it is there.
func createFile(ctx context.Context, dir, name, content string) error {
	if _, err := os.Lstat(name); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("can't make the folder %s: %w", dir, cause(err))
	}
	if err := workspace.WriteFile(ctx, dir, name, []byte(content)); err != nil {
		return fmt.Errorf("can't write %s: %w", name, cause(err))
	}
	return nil
}

// vendorSchema makes the project's copy of the schema that of this binary. It deletes
// nothing that a link leads to.
func vendorSchema(ctx context.Context, dir string) error {
	root := filepath.Join(dir, filepath.FromSlash(schema.VendorDir))
	way := dir
	for part := range strings.SplitSeq(schema.VendorDir, "/") {
		way = filepath.Join(way, part)
		if info, err := os.Lstat(way); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("can't renew %s: %s is a link, and its target would be deleted; remove the link", root, way)
		}
	}
	if err := os.RemoveAll(root); err != nil {
		return fmt.Errorf("can't renew %s: %w", root, cause(err))
	}
	files := schema.Files()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := createFile(ctx, dir, filepath.Join(root, filepath.FromSlash(name)), string(files[name])); err != nil {
			return err
		}
	}
	return nil
}

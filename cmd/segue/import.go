package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue/parser"
	"github.com/fatih/color"
	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/draft"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

const importHelp = `Import lists the automations on a target that no project manages, and writes each
as CUE, in its own file. It changes nothing on the target:
apply --adopt takes over imported automations.

An automation that already has a key, from an earlier project, keeps it, unless --folder
is given. All others go to that folder, in which {call} is identify, group, track,
page, screen, alias or http, {kind} is pattern or journey, and {prefix} is the part of the name before a colon. The name is made from
that of the automation. Existing files and automations are not changed.

On n8n and Node-RED, a webhook with one HTTP request is imported as well, if it
can be expressed; for all others, import gives the reason against it.

EXAMPLES:
   segue import --dry-run
   segue import
   segue import --folder 'imported/{call}'`

func importCommand(t *terminal) *cli.Command {
	return t.evaluating(&cli.Command{
		Name: "import", Usage: "write the unmanaged automations of a target as CUE", Description: importHelp,
		Flags: slices.Concat([]cli.Flag{
			targetFlag(),
			&cli.StringSliceFlag{Name: "only",
				Usage: "import only the automation with this `NAME` or identifier, with * for anything; can be repeated"},
			&cli.StringFlag{Name: "folder", Value: "imported", Usage: "write into the folder `RULE`, such as imported/{call}"},
			&cli.BoolFlag{Name: "dry-run", Usage: "list the files, and write nothing"},
		}, trustFlags()),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return t.importAll(c)
		},
	})
}

// folderVariable matches a variable in the value of --folder.
var folderVariable = regexp.MustCompile(`\{[^}]*\}`)

// checkFolder checks the value of --folder.
func checkFolder(rule string) error {
	for _, v := range folderVariable.FindAllString(rule, -1) {
		if !slices.Contains([]string{"{call}", "{kind}", "{prefix}"}, v) {
			return fmt.Errorf("--folder has no %s; the variables are {call}, {kind} and {prefix}", v)
		}
	}
	plain := folderVariable.ReplaceAllString(rule, "x")
	if plain != path.Clean(plain) || path.IsAbs(plain) || plain == ".." || strings.HasPrefix(plain, "../") ||
		strings.ContainsAny(plain, `\:@{}`) {
		return fmt.Errorf("--folder %s is not a folder of the project, such as imported/{call}", rule)
	}
	return nil
}

// An imported is an automation on a target, and its CUE.
type imported struct {
	sync.Unmanaged
	folder, name string
	forms        []draft.Form
	// form is the current form, and failed the reason why the last one failed.
	form   int
	failed string
	// text is the content of the file, and remarks are the comments in it.
	text    []byte
	remarks []string
	// skipped is the reason why nothing is written, "" if something is.
	skipped string
}

func (i *imported) key() string { return path.Join(i.folder, i.name) }
func (i *imported) file() string {
	return path.Join(i.folder, i.name+".cue")
}

func (t *terminal) importAll(c *cli.Context) error {
	if err := checkFolder(c.String("folder")); err != nil {
		return err
	}
	project, name, target, err := t.target(c.Context, c.String("target"))
	if err != nil {
		return err
	}
	all, err := t.unmanaged(c, project, name, target)
	if err != nil {
		return beforeChanges(c.Context, err)
	}
	if len(all) == 0 {
		t.printf("All automations on %s are managed.\n", diagnostic.Printable(name))
		return nil
	}
	im := &importing{session: t.project(), project: project, target: name, rule: c.String("folder"), always: c.IsSet("folder")}
	if err := im.prepare(c.Context, all); err != nil {
		return err
	}
	if err := im.settle(c.Context); err != nil {
		return err
	}
	return t.writeImported(c, im)
}

// unmanaged lists the unmanaged automations that the command line selects.
func (t *terminal) unmanaged(c *cli.Context, project *config.Project, name string, target config.Target) ([]sync.Unmanaged, error) {
	s, err := t.openEmpty(c, project, name, target, toLook)
	if err != nil {
		return nil, err
	}
	defer s.platform.Close()
	all, err := sync.ListUnmanaged(c.Context, s.platform, s.desired, s.readCalls())
	if err != nil {
		return nil, err
	}
	only := c.StringSlice("only")
	if len(only) == 0 {
		return all, nil
	}
	var picked []sync.Unmanaged
	matched := make([]bool, len(only))
	names := make([]*regexp.Regexp, len(only))
	for i, pattern := range only {
		names[i] = regexp.MustCompile("(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
	}
	for _, u := range all {
		picks := false
		for i, pattern := range only {
			if names[i].MatchString(u.Automation.Name) || pattern == u.ID {
				matched[i], picks = true, true
			}
		}
		if picks {
			picked = append(picked, u)
		}
	}
	if i := slices.Index(matched, false); i >= 0 {
		return nil, fmt.Errorf("no unmanaged automation on %s has the name %q; nothing was written", name, only[i])
	}
	return picked, nil
}

// An importing makes CUE from a target's automations.
type importing struct {
	session *compiler.Session
	project *config.Project
	target  string
	// rule is the folder for automations without a key, or for all if always is
	// set.
	rule   string
	always bool
	all    []*imported
}

// prepare decides on the keys.
func (im *importing) prepare(ctx context.Context, all []sync.Unmanaged) error {
	result, err := im.session.Compile(ctx, im.target, nil)
	if err != nil {
		return err
	}
	taken := map[string]bool{}
	for _, key := range result.Elsewhere {
		taken[key] = true
	}
	same := map[string]int{} // automations of the code by likeness
	automations, err := result.Document.Decode()
	if err != nil {
		return err
	}
	for _, a := range automations {
		taken[a.Key] = true
		same[sync.Likeness(a)]++
	}
	for _, u := range all {
		i := &imported{Unmanaged: u, skipped: u.Against}
		im.all = append(im.all, i)
		switch known := u.Automation.Key; {
		case i.skipped != "":
		case known != "" && taken[known]:
			i.skipped = "the code has " + known
		case same[sync.Likeness(u.Automation)] > 0:
			same[sync.Likeness(u.Automation)]--
			i.skipped = "the code has one that does the same"
		default:
			i.forms = draft.Forms(u.Automation, im.project.SourcesOf(im.target))
			im.place(i, taken)
		}
	}
	return nil
}

// keyPattern is of the keys that can be a file in a folder.
var keyPattern = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9_.-]*/)*[A-Za-z0-9][A-Za-z0-9_-]*$`)

// place gives an automation its key: the one that it had, or one by the rule. A key that
// is taken gets a number.
func (im *importing) place(i *imported, taken map[string]bool) {
	if known := i.Automation.Key; keyPattern.MatchString(known) && !im.always {
		i.folder, i.name = path.Split(known)
		i.folder = path.Clean(i.folder)
	} else {
		i.folder = im.folderOf(i)
		if i.name = draft.Slug(i.Automation.Name); i.name == "" {
			i.name = "automation"
		}
	}
	base := i.name
	for n := 2; taken[i.key()] || im.exists(i.file()); n++ {
		i.name = fmt.Sprintf("%s-%d", base, n)
	}
	taken[i.key()] = true
}

// folderOf is the folder by the rule.
func (im *importing) folderOf(i *imported) string {
	prefix, _, found := strings.Cut(i.Automation.Name, ":")
	if prefix = draft.Slug(prefix); !found || prefix == "" {
		prefix = "imported"
	}
	call := strings.ToLower(strings.TrimPrefix(i.forms[0].Definition, "#"))
	return path.Clean(strings.NewReplacer("{call}", call, "{kind}", string(i.Automation.Trigger.Kind), "{prefix}", prefix).Replace(im.rule))
}

// exists reports whether there is a file in the project.
func (im *importing) exists(name string) bool {
	_, err := os.Lstat(filepath.Join(im.project.Dir, filepath.FromSlash(name)))
	return err == nil
}

// settle tries the forms of each automation until one compiles to the automation on
// the target.
func (im *importing) settle(ctx context.Context) error {
	for {
		var trying []*imported
		for _, i := range im.all {
			if i.skipped == "" && i.text == nil {
				trying = append(trying, i)
			}
		}
		if len(trying) == 0 {
			return nil
		}
		if err := im.try(ctx, trying); err != nil {
			return err
		}
	}
}

// try compiles one form of each of the automations, and keeps those that do.
func (im *importing) try(ctx context.Context, trying []*imported) error {
	for _, i := range trying {
		text, err := im.textOf(i)
		if err != nil {
			return fmt.Errorf("%s: %w", i.Title, err)
		}
		im.session.Set(i.file(), text)
	}
	result, err := im.session.Compile(ctx, im.target, nil)
	for _, i := range trying {
		im.session.Unset(i.file())
	}
	if err != nil {
		return err
	}
	automations, err := result.Document.Decode()
	if err != nil {
		return err
	}
	made := map[string]automation.Automation{}
	for _, a := range automations {
		made[a.Key] = a
	}
	for _, i := range trying {
		a, compiles := made[i.key()]
		var kept bool
		if compiles {
			i.remarks, kept = im.compare(i.Unmanaged, a)
		} else {
			i.failed = why(result.Diagnostics, i.file())
		}
		switch {
		case kept:
			if i.text, err = im.textOf(i); err != nil {
				return err
			}
		case i.form+1 < len(i.forms):
			i.form++
			i.remarks = nil
		default:
			i.skipped = i.failed
			if i.skipped == "" {
				i.skipped = "it can't be written in CUE so that it sends the same"
			}
		}
	}
	return nil
}

// why returns the compiler's reason against a file.
func why(findings diagnostic.List, file string) string {
	for _, d := range findings {
		if d.File == file && d.Severity == diagnostic.Error {
			if d.Help != "" {
				return d.Message + "; " + d.Help
			}
			return d.Message
		}
	}
	return ""
}

// compare compares the compiled automation with the one on the target. Everything except
// headers must be the same; a different header is a remark. Protect and limits are only
// in the code.
func (im *importing) compare(u sync.Unmanaged, a automation.Automation) (remarks []string, kept bool) {
	there := u.Automation.Action.Headers
	names := map[string]bool{}
	for name := range there {
		names[name] = true
	}
	for name := range a.Action.Headers {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		now, sent := a.Action.Headers[name]
		was, stored := there[name]
		switch {
		case sent && stored && now == was:
		case sent && stored:
			remarks = append(remarks, "The header "+name+" is now a secret of the project, and was in plain text on the platform.")
		case sent:
			remarks = append(remarks, "The header "+name+" is new: segue sends it.")
		case draft.Hidden(name, was):
			remarks = append(remarks, "The header "+name+" is left out, because it may hold a credential: write it with a secret.")
		default:
			remarks = append(remarks, "The header "+name+" is left out.")
		}
	}
	if u.Adoptable {
		return remarks, sync.Likeness(u.Automation) == sync.Likeness(a)
	}
	stored, want := u.Automation, a
	stored.Enabled, want.Enabled = true, true
	return remarks, sync.Likeness(stored) == sync.Likeness(want)
}

// textOf writes the file of an automation.
func (im *importing) textOf(i *imported) ([]byte, error) {
	comments := []string{fmt.Sprintf("Imported from %s: %s.", im.target, i.Title)}
	for _, r := range i.Remarks {
		comments = append(comments, r+".")
	}
	return i.forms[i.form].Source(im.packageOf(i.folder), i.name, append(comments, i.remarks...))
}

// packageOf returns the name of the package in a folder, from its files.
func (im *importing) packageOf(folder string) string {
	// A folder with an invalid pattern as its name has no files.
	files, _ := filepath.Glob(filepath.Join(im.project.Dir, filepath.FromSlash(folder), "*.cue"))
	for _, name := range files {
		f, err := parser.ParseFile(name, nil, parser.PackageClauseOnly)
		if err == nil && f.PackageName() != "" && filepath.Base(name) != config.ProjectFile {
			return f.PackageName()
		}
	}
	return draft.PackageName(folder)
}

// writeImported writes the files, and prints the written and the skipped ones.
func (t *terminal) writeImported(c *cli.Context, im *importing) error {
	written, against := 0, 0
	adoptable := false
	for _, i := range im.all {
		title := diagnostic.Printable(i.Title)
		if i.skipped != "" {
			against++
			t.printf("%s %s: not imported: %s\n", t.warning(), title, diagnostic.Printable(i.skipped))
			continue
		}
		if !c.Bool("dry-run") {
			name := filepath.Join(im.project.Dir, filepath.FromSlash(i.file()))
			if err := workspace.WriteFile(c.Context, im.project.Dir, name, i.text); err != nil {
				return fmt.Errorf("can't write %s: %w", i.file(), cause(err))
			}
		}
		written++
		adoptable = adoptable || i.Adoptable
		t.printf("%s %s: %s, automation.%s\n", t.added(), title, i.file(), i.forms[i.form].Definition)
		for _, r := range slices.Concat(i.Remarks, i.remarks) {
			t.printf("    %s\n", diagnostic.Printable(strings.TrimSuffix(r, ".")))
		}
	}
	verb := "Written"
	if c.Bool("dry-run") {
		verb = "To be written"
	}
	t.printf("\n%s: %s; %d not imported.\n", verb, diagnostic.Plural(written, "automation"), against)
	if adoptable && !c.Bool("dry-run") {
		words := []string{"plan", "--adopt"}
		if target := c.String("target"); target != "" {
			words = append(words, "--target", target)
		}
		t.printf("Read them, and see the changes that apply would make:\n  %s\n", t.command(words...))
	}
	return nil
}

// added returns the mark for written files.
func (t *terminal) added() string {
	c := color.New(color.FgGreen)
	t.paint(c, t.stdout)
	return c.Sprint("+")
}

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// make creates a project with this number of automations, automations per package,
// and mistakes, at most one per package. It returns the folder.
func (r *rig) make(automations, perPackage, mistakes int) (string, error) {
	dir := filepath.Join(r.dir, fmt.Sprintf("project-%d-%d-%d", automations, perPackage, mistakes))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	made := dir + ".new"
	if err := os.RemoveAll(made); err != nil {
		return "", err
	}
	write := func(name, content string) error {
		name = filepath.Join(made, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			return err
		}
		return os.WriteFile(name, []byte(content), 0o666)
	}
	files := map[string]string{
		"segue.cue":          "project: \"bench\"\nsources: segment: writeKey: secret: \"SEGMENT_WRITE_KEY\"\n",
		"cue.mod/module.cue": "module: \"bench.example@v0\"\nlanguage: version: \"v0.17.0\"\n",
	}
	packages := (automations + perPackage - 1) / perPackage
	for i := range packages {
		content := source(i, min(perPackage, automations-i*perPackage))
		if mistakes > 0 && i%(packages/mistakes) == 0 {
			m := slips[i/(packages/mistakes)%len(slips)]
			content = strings.Replace(content, m[0], m[1], 1)
		}
		files[packageFile(i)] = content
	}
	for name, content := range files {
		if err := write(name, content); err != nil {
			return "", err
		}
	}
	// cue finds the schema in the project.
	init := exec.Command(r.segue, "init")
	init.Dir = made
	if out, err := init.CombinedOutput(); err != nil {
		return "", fmt.Errorf("segue init: %w\n%s", err, out)
	}
	return dir, os.Rename(made, dir)
}

func packageFile(number int) string {
	return fmt.Sprintf("team%d/package%d/automations.cue", number/25, number)
}

// slips are mistakes of several kinds, each a replacement at one place.
var slips = [][2]string{
	{"{{userId}}", "{{userID}}"},
	{"employees: 40", `employees: "a lot"`},
	{"timestamp:", "timestmp:"},
	{"trigger: pattern:", "trigger: patern:"},
	{"automation.#Group", "automation.#Gruop"},
	{`plan:  "team"`, `plan:  "team`},
	{`revenue:  3.5`, `revenue:  "3.5"`},
}

// source returns a package with automations of all three calls.
func source(number, automations int) string {
	var s strings.Builder
	fmt.Fprintf(&s, "package package%d\n\nimport \"github.com/seguehq/segue/schema/automation\"\n", number)
	for i := range automations {
		call, fields := "Identify", "\t\ttraits: {\n\t\t\temail: \"{{userEmail}}\"\n\t\t\tname:  \"{{userName}}\"\n\t\t\tplan:  \"team\"\n\t\t}\n"
		switch i % 3 {
		case 1:
			call, fields = "Group", "\t\tgroupId: \"{{accountId}}\"\n\t\ttraits: {\n\t\t\tname:      \"{{accountName}}\"\n\t\t\temployees: 40\n\t\t}\n"
		case 2:
			call, fields = "Track", "\t\tevent: \"Report Exported\"\n\t\tproperties: {\n\t\t\tduration: \"{{duration | number}}\"\n\t\t\trevenue:  3.5\n\t\t}\n\t\tcontext: app: name: \"Engine\"\n"
		}
		fmt.Fprintf(&s, `
automations: "automation-%d": automation.#%s & {
	name: "Automation %d of package %d"
	trigger: pattern: "Pattern %d of package %d"
	payload: {
		userId: "{{userId}}"
%s		timestamp: "{{clientTimestampEndTime}}"
	}
}
`, i, call, i, number, i, number, fields)
	}
	return s.String()
}

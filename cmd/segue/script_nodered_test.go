package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seguehq/segue/platform/platformtest"
)

// nodeRED is the real program, in the version that its example has.
var nodeRED = platformtest.Program{Package: "node-red", Dir: filepath.Join("..", "..", "examples", "node-red", "node-red")}

// noderedCommand runs Node-RED with lines for its settings.js: nodered NAME FILE
// Its URL is in the variable of its name. Where the tests leave Node-RED out, the
// script ends there, as one that was skipped.
func noderedCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "nodered NAME FILE")
	stage := stageOf(ts)
	platformtest.Require(stage.t, "nodered")
	dir := ts.MkAbs(filepath.Join(".nodered", args[0]))
	ts.Check(os.MkdirAll(dir, 0o777))
	port := platformtest.FreePort(stage.t)
	settings := filepath.Join(dir, "settings.js")
	ts.Check(os.WriteFile(settings, fmt.Appendf(nil, `module.exports = {
	uiHost: "127.0.0.1", uiPort: %d, credentialSecret: "of the test", flowFile: "flows.json",
	telemetry: { enabled: false, updateNotification: false },
	%s
}
`, port, ts.ReadFile(args[1])), 0o666))
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	stage.nodeREDs[args[0]] = platformtest.StartProcess(stage.t, platformtest.Command{
		Args: []string{filepath.Join(nodeRED.Install(stage.t), "node_modules", ".bin", "node-red"), "--userDir", dir, "--settings", settings},
		Dir:  dir, Ready: url + "/auth/login", Env: []string{"NO_UPDATE_NOTIFIER=1"},
	})
	ts.Setenv(args[0], url)
}

// slayCommand ends a Node-RED at once: slay NAME
func slayCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "slay NAME")
	nodeREDOf(ts, args[0]).Kill()
}

// reviveCommand starts a Node-RED that was slain: revive NAME
func reviveCommand(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "revive NAME")
	nodeREDOf(ts, args[0]).Start()
}

func nodeREDOf(ts *testscript.TestScript, name string) *platformtest.Process {
	p := stageOf(ts).nodeREDs[name]
	if p == nil {
		ts.Fatalf("there is no Node-RED %s", name)
	}
	return p
}

package lsp

import (
	"encoding/json"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seguehq/segue/compiler/config"
)

// initialize starts the server for an editor.
func (s *server) initialize(raw json.RawMessage) (any, error) {
	var params initializeParams
	if err := json.Unmarshal(raw, &params); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = json.Unmarshal(params.InitializationOptions, &s.settings) // the defaults, if an editor has others
	s.refreshes = params.Capabilities.Workspace.CodeLens.RefreshSupport
	s.watches = params.Capabilities.Workspace.DidChangeWatchedFiles.DynamicRegistration
	s.folders = params.WorkspaceFolders
	if len(s.folders) == 0 && params.RootURI != "" {
		s.folders = []workspaceFolder{{URI: params.RootURI}}
	}
	if params.ProcessID != nil {
		s.work.Go(func() { s.outlive(*params.ProcessID) })
	}
	if s.cue != nil {
		s.cue.start(raw)
	}
	return map[string]any{
		"serverInfo":   map[string]string{"name": "segue", "version": s.options.Version},
		"capabilities": s.capabilities(),
	}, nil
}

func (s *server) capabilities() map[string]any {
	c := map[string]any{
		"positionEncoding": "utf-16",
		"textDocumentSync": map[string]any{"openClose": true, "change": 2, "save": map[string]any{}},
		"completionProvider": map[string]any{
			"triggerCharacters": []string{"{", "\"", "|", "."},
		},
		"hoverProvider": true,
		"codeActionProvider": map[string]any{"codeActionKinds": []string{
			"quickfix", fixAllKind, organizeKind,
		}},
		"codeLensProvider":        map[string]any{},
		"inlayHintProvider":       true,
		"workspaceSymbolProvider": true,
		"executeCommandProvider":  map[string]any{"commands": commandNames()},
		"workspace": map[string]any{"workspaceFolders": map[string]any{
			"supported": true, "changeNotifications": true,
		}},
	}
	if s.cue != nil {
		c["definitionProvider"] = true
		c["referencesProvider"] = true
		c["documentSymbolProvider"] = true
		c["documentFormattingProvider"] = true
		c["renameProvider"] = map[string]any{"prepareProvider": true}
	}
	return c
}

// initialized asks for changes of files, and looks for projects.
func (s *server) initialized() error {
	s.mu.Lock()
	folders, watches := s.folders, s.watches
	s.mu.Unlock()
	if watches {
		s.work.Go(func() {
			_ = s.conn.Call(s.ctx, "client/registerCapability", map[string]any{"registrations": []any{map[string]any{
				"id": "files", "method": "workspace/didChangeWatchedFiles", "registerOptions": map[string]any{
					"watchers": []any{map[string]any{"globPattern": "**/*.{cue,json,yaml,yml,tf}"}},
				}}}}, nil)
		})
	}
	for _, f := range folders {
		s.discover(f)
	}
	return nil
}

// mostEntries is the number of files and folders of a workspace that are looked at to find its projects.
const mostEntries = 50_000

// discover opens the projects in a folder of the workspace.
func (s *server) discover(folder workspaceFolder) {
	top := pathOf(folder.URI)
	if top == "" {
		return
	}
	s.work.Go(func() {
		for _, dir := range projectsIn(top) {
			if s.ctx.Err() != nil {
				return
			}
			s.mu.Lock()
			s.openProject(dir)
			s.mu.Unlock()
		}
	})
}

// projectsIn lists the folders with a segue.cue.
func projectsIn(top string) []string {
	var out []string
	seen := 0
	_ = filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		if seen++; seen > mostEntries {
			return filepath.SkipAll
		}
		base := filepath.Base(name)
		switch {
		case err != nil:
			return nil // nothing of it is read
		case entry.IsDir() && name != top && (strings.HasPrefix(base, ".") || base == "node_modules" || base == "cue.mod"):
			return filepath.SkipDir
		case base == config.ProjectFile && entry.Type().IsRegular():
			out = append(out, filepath.Dir(name))
		}
		return nil
	})
	slices.Sort(out)
	return out
}

// pollParent is how often the server looks whether its editor still runs.
const pollParent = 5 * time.Second

// outlive ends the server when the editor's process has ended. Normally the end of the stream tells; but another
// process of the editor may hold it open.
func (s *server) outlive(editor int) {
	tick := time.NewTicker(pollParent)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
			if !alive(editor) {
				s.end()
				return
			}
		}
	}
}

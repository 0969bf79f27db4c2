package compiler

import (
	"context"
	"crypto/sha256"
	"errors"
	"path"

	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/compiler/evaluate"
	"github.com/seguehq/segue/compiler/workspace"
)

// ProjectFiles returns the files that are needed to read segue.cue elsewhere, by their names relative to the
// project: itself, the module file, and the files of imported packages. It is an error if segue.cue imports
// packages of another module.
func (s *Session) ProjectFiles(ctx context.Context) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	e, err := evaluate.New(o.disk, o.project, "", nil, nil)
	if err != nil {
		return nil, err
	}
	in := newInputs(e, newSeen())
	names, clear := in.closure(sha256.New(), nil, []string{config.ProjectFile})
	for _, name := range names {
		if path.Ext(name) == ".cue" && in.file(name).outside {
			return nil, errors.New(name + " imports a package of another module")
		}
	}
	if !clear {
		return nil, errors.New("can't determine the files that " + config.ProjectFile + " depends on")
	}
	if o.disk.Exists(workspace.ModuleFileName) {
		names = append(names, workspace.ModuleFileName)
	}
	files := map[string]string{}
	for _, name := range names {
		content, err := o.disk.Read(name)
		if err != nil {
			return nil, err
		}
		files[name] = string(content)
	}
	return files, nil
}

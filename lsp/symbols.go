package lsp

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
)

type symbolParams struct {
	Query string `json:"query"`
}

// mostSymbols is the number of symbols in an answer.
const mostSymbols = 500

// symbols finds automations by their keys and names, in all projects of the workspace.
func (s *server) symbols(ctx context.Context, params symbolParams, _ json.RawMessage) (any, error) {
	s.mu.Lock()
	var projects []*project
	for _, dir := range foldersOf(s.projects) {
		projects = append(projects, s.projects[dir])
	}
	s.mu.Unlock()
	out := []symbolInformation{}
	for _, p := range projects {
		found, err := p.symbols(ctx, strings.ToLower(params.Query), mostSymbols-len(out))
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// symbols finds automations of a project whose keys or names contain a query in lower case.
func (p *project) symbols(ctx context.Context, query string, most int) ([]symbolInformation, error) {
	v := p.current()
	if v == nil || v.result == nil || v.result.Project == nil {
		return nil, nil
	}
	places, err := p.session.Places(ctx, v.result)
	if err != nil {
		return nil, err
	}
	var out []symbolInformation
	for _, encoded := range v.result.Document.Automations {
		if len(out) == most {
			break
		}
		a, err := encoded.Decode()
		if err != nil {
			return nil, err
		}
		if !strings.Contains(strings.ToLower(a.Key), query) && !strings.Contains(strings.ToLower(a.Name), query) {
			continue
		}
		file, line, ok := places.Of(a.Key)
		if !ok {
			continue
		}
		start := position{Line: line - 1}
		out = append(out, symbolInformation{Name: a.Key, Kind: kindEventSymbol, ContainerName: a.Name,
			Location: location{URI: uriOf(filepath.Join(p.dir, filepath.FromSlash(file))), Range: span{start, start}}})
	}
	return out, nil
}

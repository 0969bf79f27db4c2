package explain

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/inject/embed"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/resolve"
	"github.com/seguehq/segue/compiler/source"
	"github.com/seguehq/segue/compiler/trackingplan"
	"github.com/seguehq/segue/compiler/workspace"
	"github.com/seguehq/segue/diagnostic"
)

// embeds reports the files that @embed names and that can't be read. For any of them CUE would only say that
// the file does not exist, and only for the first. The second result has the offsets of these attributes.
func embeds(p *resolve.Resolved) (found diagnostic.List, at map[int]bool) {
	at = map[int]bool{}
	for _, s := range p.Index.Sources {
		attributes, _ := embed.EmbeddedPaths(s.Name,
			s.Syntax) // CUE reports mistakes in the attribute itself
		for _, e := range attributes {
			var disk fs.FS = workspace.DataFS{Disk: p.Loader.Disk}
			if !e.IsGlob() {
				disk = workspace.AnyFile{FS: disk} // it returns the name even if the file does not exist
			}
			names, _ := e.FindAll(disk)
			for _, name := range names {
				d, bad := embedded(p.Loader.Disk, name)
				if pos := e.Attribute.Pos; !bad {
					if d, bad = brokenData(p.Loader.Disk, name, e.Type); bad {
						d.Related = []diagnostic.Related{{Message: finding.UsedHere, File: s.Name,
							Range: source.RangeOf(pos, pos.Add(len("@embed")))}}
						found = append(found, d)
						at[pos.Offset()] = true
					}
				} else {
					d.File, d.Range = s.Name, source.RangeOf(pos, pos.Add(len("@embed")))
					found = append(found, d)
					at[pos.Offset()] = true
				}
			}
		}
	}
	return found, at
}

// embedded returns the finding about a file that can't be embedded.
func embedded(disk *workspace.Disk, name string) (diagnostic.Diagnostic, bool) {
	if info, err := disk.Stat(name); err == nil && info.IsDir() {
		return diagnostic.Diagnostic{}, false // CUE reports this
	}
	_, err := disk.Read(name)
	if err == nil {
		return diagnostic.Diagnostic{}, false
	}
	d := workspace.RefusalOf(err).Diagnostic
	d.Message = fmt.Sprintf("the file %s can't be embedded: %s", name, d.Message)
	if errors.Is(err, fs.ErrNotExist) && !disk.Exists(name) {
		d.Message, d.Help = fmt.Sprintf("there is no file %s to embed", name),
			"correct the name; it is relative to the folder of this file"
		if entries, err := disk.ReadDir(path.Dir(name)); err == nil {
			var names []string
			for _, e := range entries {
				names = append(names, e.Name())
			}
			if near := finding.Nearest(path.Base(name), names); near != "" {
				d.Suggestion, d.Help = near, finding.DidYouMean(near)
			}
		}
	}
	return d, true
}

// brokenData says why a data file can't be decoded, and where.
func brokenData(disk *workspace.Disk, name, kind string) (diagnostic.Diagnostic, bool) {
	content, err := disk.Read(name)
	if err != nil || kind != "" && kind != "json" && kind != "yaml" ||
		kind == "" && path.Ext(name) != ".json" && path.Ext(name) != ".yaml" && path.Ext(name) != ".yml" {
		return diagnostic.Diagnostic{}, false
	}
	p := trackingplan.DataProblem(trackingplan.File{Name: name, Content: content})
	if p == nil {
		return diagnostic.Diagnostic{}, false
	}
	return finding.Diagnose("broken-data", diagnostic.Diagnostic{File: name, Range: p.Range,
		Message: "the file can't be embedded: " + p.Message, Help: "correct the file"}), true
}

// aboutEmbedding reports whether an error from CUE is about an @embed that has a finding.
func (p *Evaluated) aboutEmbedding(e cueerrors.Error) bool {
	for _, pos := range cueerrors.Positions(e) {
		if p.unembedded[pos.Offset()] && p.Index.SourceOf(pos) != nil && isEmbedError(source.PlainMessage(e)) {
			return true
		}
	}
	return false
}

func isEmbedError(message string) bool {
	return strings.HasPrefix(message, "invalid JSON for file ") ||
		strings.HasPrefix(message, "open ") || strings.HasPrefix(message, "failed to stat ") ||
		strings.Contains(message, "failed to decode file")
}

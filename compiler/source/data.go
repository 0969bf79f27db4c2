package source

import (
	"bytes"
	"path"
	"path/filepath"
	"strings"

	"cuelang.org/go/cue/token"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/diagnostic"
)

// inData places a finding at its value in a data file, if it is about a value and that
// comes from a file that is embedded. Where the value is used becomes related.
func (x *Index) inData(d *diagnostic.Diagnostic, f finding.Finding) bool {
	if x.Data == nil || f.Spot != finding.AtValue {
		return false
	}
	for _, pos := range []token.Pos{f.Origin, f.Position} {
		name, content := x.dataFile(pos)
		if name == "" || pos.Offset() >= len(content) {
			continue
		}
		if sites := x.Sites(f.At); len(sites) > 0 {
			used := diagnostic.Diagnostic{}
			x.PlaceAt(&used, finding.Finding{}, bestSite(sites))
			if used.File != "" {
				d.Related = append(d.Related, diagnostic.Related{Message: finding.UsedHere, File: used.File, Range: used.Range})
			}
		}
		start := behindLabel(content, pos.Offset())
		end := max(TokenEnd(content, start), start+1)
		if at := bytes.Index(content[start:min(end, len(content))], []byte(f.Part)); f.Part != "" && at >= 0 {
			start, end = start+at, start+at+len(f.Part)
		}
		d.File, d.Range = name, ContentRange(content, start, end)
		return true
	}
	return false
}

// dataFile is the file of the project that a position of CUE's is in, if that is not CUE.
// CUE has the name that @embed gives, which is relative to the folder of its file.
func (x *Index) dataFile(pos token.Pos) (name string, content []byte) {
	if !pos.IsValid() || pos.Filename() == "" || strings.HasSuffix(pos.Filename(), ".cue") ||
		filepath.IsAbs(pos.Filename()) {
		return "", nil
	}
	for _, s := range x.Sources {
		name := path.Join(path.Dir(s.Name), filepath.ToSlash(pos.Filename()))
		if content, ok := x.Data(name); ok {
			return name, content
		}
	}
	return "", nil
}

// behindLabel is where the value of a field begins, for a place at its label. Any other
// place is returned as it is.
func behindLabel(content []byte, at int) int {
	end := TokenEnd(content, at)
	if end < len(content) && content[end] == '"' {
		end++ // CUE has the label without its quotes
	}
	rest := bytes.TrimLeft(content[min(end, len(content)):], " \t")
	value, isLabel := bytes.CutPrefix(rest, []byte(":"))
	if value = bytes.TrimLeft(value, " \t"); !isLabel || len(value) == 0 {
		return at
	}
	return len(content) - len(value)
}

package lsp

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sourcegraph/jsonrpc2"

	"github.com/seguehq/segue/schema"
)

// rename renames a field or a definition of the author's. cue lsp would also rename one of the schema, in the copy
// within the project; that is refused.
func (s *server) rename(ctx context.Context, params positionParams, raw json.RawMessage) (any, error) {
	if err := s.renamable(ctx, params); err != nil {
		return nil, err
	}
	return s.cue.call(ctx, "textDocument/rename", raw)
}

// prepareRename says what would be renamed.
func (s *server) prepareRename(ctx context.Context, params positionParams, _ json.RawMessage) (any, error) {
	if err := s.renamable(ctx, params); err != nil {
		return nil, err
	}
	snap, err := snapshotOf(ctx)
	if err != nil {
		return nil, err
	}
	w := snap.at(snap.doc.offset(params.Position))
	if w.onLabel {
		last := w.chain[len(w.chain)-1]
		return snap.doc.span(last.labelFrom, last.labelTo), nil
	}
	from, to := w.word()
	text := snap.doc.text[from:w.offset]
	from += strings.LastIndexByte(text, '.') + 1 // of a name in a package, the last part
	if end := strings.IndexByte(snap.doc.text[w.offset:to], '.'); end >= 0 {
		to = w.offset + end
	}
	return snap.doc.span(from, to), nil
}

// renamable returns the reason that the name at a position can't be renamed, nil if it can.
func (s *server) renamable(ctx context.Context, params positionParams) error {
	if s.cue == nil {
		return errNoCUE
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	result, err := s.cue.call(ctx, "textDocument/definition", raw)
	if err != nil {
		return err
	}
	var definitions []location
	_ = json.Unmarshal(result, &definitions) // null means none
	for _, d := range definitions {
		if strings.Contains(d.URI, "/"+schema.VendorDir+"/") {
			return refused("the name belongs to segue's schema, and automations would no longer be found under another")
		}
	}
	if snap, err := snapshotOf(ctx); err == nil && snap.project != nil {
		w := snap.at(snap.doc.offset(params.Position))
		if w.onLabel && len(w.chain) == 1 && w.chain[0].label == "automations" || w.onLabel && w.field(w.chain) != nil && !w.ownName() {
			last := w.chain[len(w.chain)-1]
			return refused(fmt.Sprintf("%s is a field of segue's schema, so it has no other name", last.label))
		}
	}
	return nil
}

// ownName reports whether the label at the place is the author's own, such as the name of a header.
func (w *where) ownName() bool {
	f := w.field(w.chain)
	return f == nil || f.Doc == ""
}

func refused(reason string) error {
	return &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidRequest, Message: reason}
}

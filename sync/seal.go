package sync

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Seal returns a short digest of the marker's project and key, and of the identifier of the
// automation that it was written for. A platform whose users can edit markers stores it in
// each, to notice that somebody has put another key into one. It is no protection against
// somebody who wants to forge a marker.
func (m Marker) Seal(id string) string {
	sum := sha256.Sum256([]byte(m.Project + "\x00" + m.Key + "\x00" + id))
	return hex.EncodeToString(sum[:6])
}

// CheckSeal returns an error if somebody has edited the project or the key in a marker that
// names the project, or did before the edit. id and seal are those in the marker. One without
// either is taken as it is: an older segue wrote it, or a killed one. title is what people know the automation
// by on the platform.
func (m Marker) CheckSeal(project, id, seal, title string) error {
	former := Marker{Project: project, Key: m.Key}
	if id == "" || seal == "" || seal == m.Seal(id) || m.Project != project && seal != former.Seal(id) {
		return nil
	}
	return &Error{Kind: Refused, Message: fmt.Sprintf("somebody has edited the marker of %s: it now names %s of the project %s, "+
		"for which segue has not written it; put the marker back as it was, or remove it and apply with --adopt", title, m.Key, m.Project)}
}

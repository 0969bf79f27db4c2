package sync

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gowebpki/jcs"

	"github.com/seguehq/segue/automation"
)

// PlanFileFormat names the layout of a [PlanFile].
const PlanFileFormat = "segue/plan-file/v1"

// planFileFamily is the prefix of the formats of all versions.
const planFileFamily = "segue/plan-file/"

// A PlanFile is a plan in a file: with it and the values of secrets, a plan can be applied
// without the project or CUE.
type PlanFile struct {
	// Format is [PlanFileFormat].
	Format string `json:"format"`
	// Digest is "sha256:" and the hex digest of the RFC 8785 form of all other fields. It
	// detects damage and edits, but not forgery.
	Digest string `json:"digest"`
	// Segue is the version of segue that made it.
	Segue string `json:"segue"`
	// Reach is the configuration of the target, in the form of the caller. It holds the
	// names of secrets, never their values.
	Reach json.RawMessage `json:"reach"`
	// Secrets are the sources of secrets that are not in the environment variable of
	// their name.
	Secrets map[string]automation.SecretSource `json:"secrets,omitempty"`
	Plan    *Plan                              `json:"plan"`
}

// Encode sets the format and the digest, and returns the content of the file. It fails if
// that would hold the value of one of the secrets, and for a plan that must not be applied.
func (f *PlanFile) Encode(secrets map[string]automation.Secret) ([]byte, error) {
	switch {
	case f.Plan.SecretsUnknown:
		return nil, errors.New("the plan was made without the values of secrets: it is unknown whether one would be rotated")
	case len(f.Plan.Blocks) > 0:
		return nil, &BlockedError{f.Plan.Blocks}
	}
	mask := automation.MaskOf(secrets)
	for _, c := range f.Plan.Changes {
		if c.Content == nil {
			continue
		}
		if b, err := c.Content.Canonical(); err != nil || mask.Finds(string(b)) {
			return nil, fmt.Errorf("%s holds the value of a secret, and a plan file must not: refer to the secret in the code", c.Key)
		}
	}
	f.Format, f.Digest = PlanFileFormat, ""
	b, err := encode(f)
	if err != nil {
		return nil, err
	}
	if mask.Finds(string(b)) {
		return nil, errors.New("the plan file would hold the value of a secret")
	}
	if f.Digest, err = planFileDigest(b); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(f); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// planFileDigest is the digest of a file's content.
func planFileDigest(b []byte) (string, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return "", err
	}
	delete(fields, "digest")
	rest, err := encode(fields)
	if err != nil {
		return "", err
	}
	canonical, err := jcs.Transform(rest)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(canonical)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// ReadPlanFile reads the content of a plan file. A file that is truncated, has another
// format or has been edited is an error, which continues a sentence: "plan.json " + "is
// truncated".
func ReadPlanFile(b []byte) (*PlanFile, error) {
	var head struct {
		Format string `json:"format"`
	}
	if err := planFileSyntax(b, &head); err != nil {
		return nil, err
	}
	switch {
	case head.Format == PlanFormat:
		return nil, errors.New("is the plan as JSON for programs; apply needs a file from segue plan --out")
	case !strings.HasPrefix(head.Format, planFileFamily):
		return nil, errors.New("is not a plan file; segue plan --out writes one")
	case head.Format != PlanFileFormat:
		return nil, fmt.Errorf("has the format %q, and this segue knows %q only: apply it with the segue that wrote it, or plan again",
			head.Format, PlanFileFormat)
	}
	var f PlanFile
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	decodeErr := d.Decode(&f)
	digest, err := planFileDigest(b)
	switch {
	case err != nil || digest != f.Digest:
		return nil, errors.New("has been edited or damaged since segue wrote it: its digest does not fit; plan again")
	case decodeErr != nil:
		return nil, fmt.Errorf("can't be read: %w", decodeErr)
	}
	return &f, f.check()
}

// planFileSyntax reads a file's head, and returns an error for invalid JSON.
func planFileSyntax(b []byte, head any) error {
	text := bytes.TrimSpace(b)
	err := json.Unmarshal(text, head)
	var syntax *json.SyntaxError
	switch {
	case len(text) == 0:
		return errors.New("is empty; segue plan --out writes a plan file")
	case text[0] != '{':
		return errors.New("is not a plan file; segue plan --out writes one")
	case errors.As(err, &syntax) && (syntax.Offset >= int64(len(text)) || errors.Is(err, io.ErrUnexpectedEOF)):
		return errors.New("is truncated; plan again")
	case err != nil:
		return fmt.Errorf("is damaged, or not a plan file: %w; segue plan --out writes one", err)
	}
	return nil
}

// check checks that the file's parts match, and restores the form of payloads in the
// code.
func (f *PlanFile) check() error {
	switch {
	case f.Plan == nil || f.Plan.Format != PlanFormat || f.Plan.Project == "" || f.Plan.Target == "" || f.Plan.Code == "":
		return errors.New("holds no plan that this segue knows; plan again")
	case len(f.Reach) == 0:
		return errors.New("does not have the configuration of the target; plan again")
	}
	contents := []*automation.Automation{}
	for i, c := range f.Plan.Changes {
		if c.Base != nil {
			compact(&c.Base.Content)
		}
		compactAll(f.Plan.Changes[i].Differences)
		if c.Action != Delete && (c.Content == nil || c.Content.Key != c.Key) {
			return fmt.Errorf("does not have the new content of %s; plan again", c.Key)
		}
		contents = append(contents, c.Content)
	}
	for _, a := range f.Plan.Altered {
		compactAll(a.Differences)
		contents = append(contents, a.Content)
	}
	for _, a := range contents {
		if a == nil || a.Action.Payload == nil {
			continue
		}
		payload, err := automation.CanonicalPayload(a.Action.Payload)
		if err != nil {
			return fmt.Errorf("has no payload of %s that can be read: %w", a.Key, err)
		}
		a.Action.Payload = payload
	}
	return nil
}

// compactAll gives values back the form that they had before the file was laid out.
func compactAll(all []Difference) {
	for i := range all {
		compact(&all[i].Before)
		compact(&all[i].After)
	}
}

func compact(v *json.RawMessage) {
	var b bytes.Buffer
	if *v != nil && json.Compact(&b, *v) == nil { // it was read, so it is JSON
		*v = b.Bytes()
	}
}

// Desired returns the changed part of the plan's input. The secrets are those of
// [Plan.SecretUses].
func (p *Plan) Desired(secrets map[string]automation.Secret) Desired {
	return Desired{
		Project: p.Project, Target: p.Target, Automations: p.contents(), Secrets: secrets, Former: p.Former, code: p.Code,
	}
}

// contents are the automations that a plan holds, each once.
func (p *Plan) contents() []automation.Automation {
	var all []automation.Automation
	for _, c := range p.Changes {
		if c.Content != nil {
			all = append(all, *c.Content)
		}
	}
	for _, a := range p.Altered {
		if a.Content != nil {
			all = append(all, *a.Content)
		}
	}
	return all
}

// SecretUses returns the references to secrets whose values are needed to apply the
// plan.
func (p *Plan) SecretUses() []SecretUse {
	uses := SecretUses(p.contents())
	named := map[string]bool{}
	for _, u := range uses {
		named[u.Secret] = true
	}
	for _, s := range p.Secrets {
		if s.Action == Delete || named[s.Name] {
			continue
		}
		where := "the plan, which stores it"
		if len(s.UsedBy) > 0 {
			where = s.UsedBy[0]
		}
		uses = append(uses, SecretUse{Secret: s.Name, Where: where, BasicUser: s.BasicUser})
	}
	return uses
}

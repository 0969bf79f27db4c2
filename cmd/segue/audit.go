package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

// auditFormat names the layout of a line of an audit.
const auditFormat = "segue/audit/v1"

// An auditLine is the record of one change.
type auditLine struct {
	// Format is [auditFormat].
	Format string `json:"format"`
	// Time is the end of the change, as RFC 3339 in UTC.
	Time string `json:"time"`
	// Apply is the same for all lines of one apply to one target.
	Apply string `json:"apply"`
	origin
	Project string `json:"project"`
	Target  string `json:"target"`
	// Plan is the digest of the plan file, "" if none was applied.
	Plan string `json:"plan,omitempty"`
	sync.Record
}

// An audit is a file to which a line is appended for each change.
type audit struct {
	name string
	file *os.File
	to   io.Writer // the file, without secrets
	by   origin
	// broken is true if the file ends within a line.
	broken bool
}

func auditFlag() cli.Flag {
	return &cli.StringFlag{Name: "audit",
		Usage: "append to `FILE` a line of JSON for each change: time, user, commit, change and outcome"}
}

// openAudit opens the file that the command line names, so that an unwritable file is an
// error before anything is changed. Without a file, the audit is nil.
func (t *terminal) openAudit(c *cli.Context) error {
	name := c.String("audit")
	if !c.IsSet("audit") {
		return nil
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("the audit can't be written to %s: %w; nothing was changed", diagnostic.Printable(name), cause(err))
	}
	t.audit = &audit{name: name, file: file, to: &output{to: file, mask: t.mask}, by: originOf(c.Context, os.Getenv), broken: endsWithin(name)}
	return nil
}

// endsWithin reports whether a file ends within a line: the writer was stopped, or the
// disk was full.
func endsWithin(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false // it may be written and not read
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil || !stat.Mode().IsRegular() || stat.Size() == 0 {
		return false
	}
	last := make([]byte, 1)
	_, err = f.ReadAt(last, stat.Size()-1)
	return err == nil && last[0] != '\n'
}

// recorder returns the function that records the changes of an apply, nil without
// an audit. digest is that of the plan file, "" for none.
func (a *audit) recorder(plan *sync.Plan, digest string) func(sync.Record) error {
	if a == nil {
		return nil
	}
	line := auditLine{Format: auditFormat, Apply: rand.Text(), origin: a.by, Project: plan.Project, Target: plan.Target, Plan: digest}
	return func(e sync.Record) error {
		line := line
		line.Time, line.Record = time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), e
		return a.write(line)
	}
}

// write appends a line in one write, so that several applies can append at once.
func (a *audit) write(line auditLine) error {
	var b bytes.Buffer
	if a.broken {
		b.WriteByte('\n')
	}
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(line); err != nil {
		return err
	}
	_, err := a.to.Write(diagnostic.EscapeJSON(b.Bytes()))
	if a.broken = err != nil; err != nil {
		return fmt.Errorf("%s: %w", diagnostic.Printable(a.name), cause(err))
	}
	return nil
}

// close closes the file.
func (a *audit) close() error {
	if a == nil {
		return nil
	}
	if err := a.file.Close(); err != nil {
		return fmt.Errorf("the audit was perhaps not written to %s: %w", diagnostic.Printable(a.name), cause(err))
	}
	return nil
}

// audited opens the audit that the command line asks for, and has do append to it.
func (t *terminal) audited(c *cli.Context, do func() error) error {
	if err := t.openAudit(c); err != nil {
		return err
	}
	err := do()
	return errors.Join(err, t.audit.close())
}

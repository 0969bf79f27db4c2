package n8n

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seguehq/segue/sync"
)

// Changes of a credential by hand do not show in any workflow. n8n 2 returns the
// time of a credential's last change, and segue never changes one. n8n 1 only
// reveals whether a credential exists: moving it to a project that does not exist
// fails, and n8n looks for the credential before it looks for the project.

// An inspection is the information from n8n about a project's credentials.
type inspection struct {
	// byHand has, by ID, the credentials changed by hand, with "was deleted" or
	// "was edited". Unchanged credentials are left out.
	byHand map[string]string
	names  map[string]string
	// seesEdits and seesDeletes say which changes segue can detect.
	seesEdits, seesDeletes bool
}

// byHandAge is the time after a credential's creation from which a change
// counts as an edit by hand.
const byHandAge = time.Second

// noProject is an ID that no project in n8n has.
const noProject = "segue-looks-whether-it-is-there"

// inspected returns the changes of the project's credentials by hand, from the
// last Survey if it was just made.
func (p *Platform) inspected(ctx context.Context, prj *project) (map[string]string, error) {
	p.mu.Lock()
	i := prj.inspection
	prj.inspection = nil
	p.mu.Unlock()
	if i == nil {
		var err error
		if i, err = p.inspect(ctx, prj); err != nil {
			return nil, err
		}
	}
	for id := range i.byHand {
		p.bury(id)
	}
	return i.byHand, nil
}

// changedByHand returns warnings about the project's credentials.
func (p *Platform) changedByHand(ctx context.Context, project string) ([]string, error) {
	prj, err := p.known(ctx, project)
	if err != nil {
		return nil, err
	}
	i, err := p.inspect(ctx, prj)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	prj.inspection = i
	p.mu.Unlock()
	if len(i.names) == 0 {
		return nil, nil
	}
	var warnings []string
	for _, id := range slices.Sorted(maps.Keys(i.byHand)) {
		warnings = append(warnings, fmt.Sprintf("the credential %q (%s) %s in n8n; an apply replaces it with a new one", p.printable(i.names[id]), id, i.byHand[id]))
	}
	const remedy = "`segue apply --replace-secrets` writes them again"
	switch {
	case !i.seesDeletes:
		warnings = append(warnings, "n8n does not show segue whether somebody has edited or deleted its credentials by hand; "+remedy)
	case !i.seesEdits:
		warnings = append(warnings, "this version of n8n does not show whether somebody has edited a credential by hand; "+remedy)
	}
	return warnings, nil
}

// inspect asks n8n for the credentials that the project's workflows use.
func (p *Platform) inspect(ctx context.Context, prj *project) (*inspection, error) {
	i := &inspection{byHand: map[string]string{}, names: map[string]string{}}
	p.mu.Lock()
	for _, u := range prj.uses {
		if u.auth != nil {
			i.names[u.auth.ID] = u.auth.Name
		}
	}
	p.mu.Unlock()
	if len(i.names) == 0 {
		return i, nil
	}
	err := p.readCredentials(ctx, i)
	if denied(err) {
		err = p.probeCredentials(ctx, i)
	}
	if denied(err) {
		err = nil
	}
	return i, err
}

// denied reports whether n8n lacks an operation, or does not permit it to the
// API key.
func denied(err error) bool {
	var e *sync.Error
	return errors.As(err, &e) && (e.Status == http.StatusForbidden || e.Status == http.StatusMethodNotAllowed || e.Status == http.StatusNotFound)
}

// readCredentials asks n8n 2 for each credential.
func (p *Platform) readCredentials(ctx context.Context, i *inspection) error {
	for _, id := range slices.Sorted(maps.Keys(i.names)) {
		var c struct{ CreatedAt, UpdatedAt time.Time }
		err := p.do(ctx, call{method: "GET", path: "/credentials/" + url.PathEscape(id), out: &c})
		switch {
		case err != nil && sync.KindOf(err) == sync.NotFound:
			i.byHand[id] = "was deleted"
		case err != nil:
			return err
		case c.UpdatedAt.Sub(c.CreatedAt) > byHandAge:
			i.byHand[id] = "was edited"
		}
	}
	i.seesEdits, i.seesDeletes = true, true
	return nil
}

// probeCredentials asks n8n to move each credential to a project that does not
// exist. The error says whether n8n misses the project or the credential. Nothing
// is moved.
func (p *Platform) probeCredentials(ctx context.Context, i *inspection) error {
	for _, id := range slices.Sorted(maps.Keys(i.names)) {
		err := p.do(ctx, call{method: "PUT", path: "/credentials/" + url.PathEscape(id) + "/transfer", in: map[string]string{"destinationProjectId": noProject}})
		var e *sync.Error
		switch {
		case err == nil || !errors.As(err, &e):
			return err
		case e.Kind == sync.Temporary || e.Kind == sync.Unauthorized:
			return err
		case strings.Contains(e.Message, noProject):
			// It has found the credential.
		case (e.Status == http.StatusBadRequest || e.Status == http.StatusNotFound) && strings.Contains(e.Message, id):
			i.byHand[id] = "was deleted"
		default:
			return nil // the error says neither
		}
	}
	i.seesDeletes = true
	return nil
}

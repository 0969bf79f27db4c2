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

// What people do to a credential by hand shows in no workflow. n8n 2 tells when a
// credential was last changed, and segue never changes one. n8n 1 tells no more than
// whether there is one: a credential can't be moved to a project that does not
// exist, and n8n looks for the credential before it looks for the project.

// An inspection is what n8n tells of a project's credentials.
type inspection struct {
	// byHand says of credentials, by ID, what has become of them: "was deleted"
	// or "was edited". One that is as segue has made it is left out.
	byHand map[string]string
	names  map[string]string
	// seesEdits and seesDeletes say what n8n lets segue see.
	seesEdits, seesDeletes bool
}

// byHandAge is how much later than a credential was made a change of it is
// somebody else's.
const byHandAge = time.Second

// noProject is the ID of no project in n8n.
const noProject = "segue-looks-whether-it-is-there"

// inspected returns what has become of the project's credentials by hand, as
// Survey has just found or as it is now.
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
		warnings = append(warnings, fmt.Sprintf("the credential %q (%s) %s in n8n; an apply puts a new one in its place", p.printable(i.names[id]), id, i.byHand[id]))
	}
	const remedy = "`segue apply --replace-secrets` writes them again"
	switch {
	case !i.seesDeletes:
		warnings = append(warnings, "n8n does not let segue see whether somebody has edited or deleted its credentials by hand; "+remedy)
	case !i.seesEdits:
		warnings = append(warnings, "this n8n does not tell whether somebody has edited a credential by hand; "+remedy)
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

// denied reports whether n8n does not have something, or does not let the API
// key do it.
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

// probeCredentials asks n8n to move each credential to a project that is not
// there, and tells by what it misses whether the credential is. Nothing is moved.
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
			return nil // it says neither
		}
	}
	i.seesDeletes = true
	return nil
}

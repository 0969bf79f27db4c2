package review

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/seguehq/segue/diagnostic"
	"github.com/seguehq/segue/sync"
)

// reason says why a change is made, "" if the action says enough.
func reason(c sync.Change) string {
	switch c.Reason {
	case sync.CodeChanged:
		return "the code has changed"
	case sync.Drifted:
		return "it was changed on the platform"
	case sync.CodeChangedAndDrifted:
		return "the code has changed, and it was changed on the platform too"
	case sync.MarkerOnly:
		return "only segue's record of the last apply"
	case sync.Outdated:
		return "an older version of segue wrote it, in another form"
	case sync.Removed:
		return "it is gone from the code"
	case sync.Elsewhere:
		return "the code has it only for other targets"
	case sync.Duplicate:
		if c.Base != nil && c.Base.Project != "" {
			return fmt.Sprintf("a second one, %q, under the project's former name %s", c.Name, c.Base.Project) + baseText(c.Base)
		}
		return fmt.Sprintf("a second one, %q, made by segue", c.Name) + baseText(c.Base)
	case sync.Adopted:
		return "it already exists and is taken over" + baseText(c.Base)
	case sync.Moved:
		if c.Base != nil && c.Base.Key != "" && c.Base.Project == "" {
			return "it was " + c.Base.Key + " until now" + baseText(c.Base)
		}
		return "it exists under the project's former name and is taken over" + baseText(c.Base)
	case sync.Replaced:
		return "as asked for"
	default:
		return ""
	}
}

// baseText names the automation that a change starts from.
func baseText(b *sync.Base) string {
	if b == nil {
		return ""
	}
	return " (" + b.ID + ")"
}

// bystander describes an automation on the platform that is not the project's own
// but concerns it.
func bystander(o sync.Bystander) string {
	what := o.Title
	switch o.Kind {
	case sync.Copy:
		what += " is a copy that somebody has made of " + o.Key
	case sync.Foreign:
		what += " belongs to the project " + o.Project
	default:
		what += " is not the project's"
	}
	switch {
	case o.Takes != "" && o.Idle:
		what += " and would hold " + cmp.Or(o.Endpoint, "the place of "+o.Takes) + " if it were switched on"
	case o.Takes != "":
		what += " and holds " + cmp.Or(o.Endpoint, "the place of "+o.Takes)
	}
	return what + "; it is left alone"
}

// rename says that an automation seems to have a new key.
func rename(r sync.Rename) string {
	return fmt.Sprintf("%s is gone and %s is new, with the same content. If only the name has changed, write `%s` into segue.cue: identifiers and history are kept",
		r.From, r.To, r.Line())
}

// restriction describes what a plan for a part of the project leaves out, "" for a whole
// plan.
func restriction(p *sync.Plan) string {
	if len(p.Only) == 0 {
		return ""
	}
	return fmt.Sprintf("Only %s; unchanged on %s: %s.", strings.Join(p.Only, ", "), p.Target, diagnostic.Plural(p.LeftOut, "automation"))
}

// taken says why a change will be refused.
func taken(b sync.Bystander) string {
	return cmp.Or(b.Endpoint, "its place") + " is held by " + b.Title +
		": apply leaves this change out. Change or delete that automation there, or take it over with --adopt"
}

// usedBy says which automations use a secret.
func usedBy(s sync.SecretChange) string {
	if s.Project != "" {
		return "stored under the project's former name"
	}
	switch len(s.UsedBy) {
	case 0:
		return "nothing uses it anymore"
	case 1:
		return "used by " + s.UsedBy[0]
	default:
		return "used by " + diagnostic.Plural(len(s.UsedBy), "automation")
	}
}

// NotAre says how many automations are not ...
func NotAre(n int) string {
	if n == 1 {
		return "1 automation is not"
	}
	return diagnostic.Plural(n, "automation") + " are not"
}

// summary counts what a plan does: "1 to create, 0 to update, 0 to delete, 3 unchanged".
func summary(p *sync.Plan) string {
	text := fmt.Sprintf("%d to create, %d to update, %d to delete, %d unchanged",
		p.Count(sync.Create), p.Count(sync.Update), p.Count(sync.Delete), len(p.Unchanged))
	if n := len(p.Secrets); n > 0 {
		text += "; " + diagnostic.Plural(n, "secret") + " to change"
	}
	return text
}

// nothingToDo says that a plan changes nothing.
func nothingToDo(p *sync.Plan) string {
	if n := len(p.Altered); n > 0 {
		return fmt.Sprintf("No changes that would help: %s stored on %s as in the code, %d are.", NotAre(n), p.Target, len(p.Unchanged))
	}
	return fmt.Sprintf("No changes: %s is up to date (%s).", p.Target, diagnostic.Plural(len(p.Unchanged), "automation"))
}

// Package n8n keeps the automations of a project as workflows of an n8n
// instance, through its public API.
//
//	platform, err := n8n.New("https://n8n.example.com", apiKey, n8n.Options{})
//	plan, err := sync.MakePlan(ctx, platform, desired, sync.PlanOptions{})
//
// An automation is one workflow of five nodes:
//
//	Managed by segue   a sticky note for people, with segue's record in its last line
//	Trigger            a webhook: POST /webhook/segue/<project>/<key>, which takes a flat
//	                   JSON object of placeholder values
//	Request            the automation's request, field by field, as the author wrote it
//	Fill in            code that is the same in every workflow, and puts the values in
//	Send               the HTTP request
//
// Values and what authors write are data to n8n all the way: neither is ever
// part of an expression or of code. The webhook answers once the message was
// sent, and with status 500 if it was not.
//
// People may edit a workflow in n8n's editor. It is read back into canonical
// terms, so that a plan shows what they changed: in "Request" field by field,
// elsewhere as the action's kind where the canonical form has no field for it.
// Where nodes lie on the canvas, their notes, tags and the workflow's settings
// belong to the people who use n8n and are left as they are. A copy of a
// workflow that somebody makes in the editor gets node IDs of its own and is
// nobody's to segue.
//
// # Secrets
//
// All headers of an automation that hold secrets are in one credential of type
// "Multiple Headers Auth", which the workflows with the same headers share, and
// whose values n8n shows to nobody. The API can create and delete credentials, but not list, read or change them. So
// a credential's ID is known from the workflows that use it, and what its
// values are, from fingerprints in their notes: scrypt, with a salt of its own
// for each credential. A rotation makes a new credential, moves the workflows
// over, and deletes the old one.
//
// No credential is lost on the way, whenever segue or n8n are killed: before
// one is created its name is written into a workflow's note, and before its
// last user leaves one it is noted as well, until it is deleted. n8n resolves
// the name of a credential to its ID when a workflow is stored, so that even
// one whose creation was never confirmed is found again. What can't be found
// is a credential whose note somebody has deleted by hand.
//
// A secret is stored on n8n with the first automation that uses it. Until then
// [Platform.PutSecret] keeps it in memory.
//
// # Limits
//
// The API has no conditional update. [Platform.Update] and [Platform.Delete]
// read the workflow and compare it before they write; an edit in the few
// milliseconds between is overwritten.
// A message with method DELETE and a payload is sent with its numbers rounded
// to doubles.
package n8n

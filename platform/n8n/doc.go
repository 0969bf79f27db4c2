// Package n8n keeps the automations of a project as workflows of an n8n
// instance, through its public API.
//
//	platform, err := n8n.New("https://n8n.example.com", apiKey, n8n.Options{})
//	plan, err := sync.MakePlan(ctx, platform, desired, sync.PlanOptions{})
//
// An automation is one workflow:
//
//	Managed by segue   a sticky note for people, with segue's record in its last line
//	Trigger            a webhook: POST /webhook/segue/<project>/<key>, which takes a flat
//	                   JSON object of placeholder values
//	Request            the automation's request, field by field, as the author wrote it
//	Fill in            code that is the same in every workflow, and puts the values in
//	Send               the HTTP request
//	Outcome            a switch: it was sent, it is to be sent again, or it failed
//	Pause              before it is sent again
//	Sent               the answer 200
//	Not sent           the answer 415, 422 or 502, with the reason
//	Failed             an error, so that n8n counts the execution as failed
//
// Values and what authors write are data to n8n all the way: neither is ever
// part of an expression or of code. The webhook answers once it is known what came
// of the message: 200 if its endpoint took it, else with the reason.
//
// People may edit a workflow in n8n's editor. It is read back into canonical
// terms, so that a plan shows what they changed: in "Request" field by field,
// elsewhere as the action's kind where the canonical form has no field for it.
// Where nodes lie on the canvas, their notes, tags and the workflow's settings
// belong to the people who use n8n and are left as they are.
//
// # Whose a workflow is
//
// The note's record has the ID of the workflow that it was written for. n8n gives
// the ID as it stores a workflow, so that a create is three requests: one that
// stores it, one that notes the ID, and one that activates it. A copy, in whatever
// way it was made, has its original's ID in its note, and is nobody's to segue.
// [Platform.Survey] tells of copies, of other projects' workflows, and of whatever
// takes an automation's webhook path; [Platform.Update] takes any of them over.
//
// A workflow that somebody archives, as the editor has it before a delete, does
// not fire any more. The API can neither fetch it back nor archive. A plan shows
// it as changed and not enabled, and an update puts a new workflow in its place.
// Once that one is active the archived one is deleted, so that nobody fetches
// a second one back.
//
// [Platform.Lock] keeps a lease as one more workflow, which is inactive.
//
// # Secrets
//
// All headers of an automation that hold secrets are in one credential of type
// "Multiple Headers Auth", which the workflows with the same headers share, and
// whose values n8n shows to nobody. So a credential's ID is
// known from the workflows that use it, and what its values are, from fingerprints
// in their notes: scrypt, with a salt of its own for each credential. A rotation
// makes a new credential, moves the workflows over, and deletes the old one. What
// people do to a credential by hand, n8n 2 tells, and n8n 1 only if it was deleted.
//
// No credential is lost on the way, whenever segue or n8n are killed, and
// whoever else applies at the same time. While credentials come or go there is
// one more workflow, a ledger, by which the next plan sees that an apply was cut
// off. And n8n resolves the names of credentials to IDs when a workflow is
// stored: a project's credentials have names out of a short series, and a ledger
// that refers to all of them finds those that exist. What no workflow uses is
// deleted then. At the end of an apply, [Platform.Settle] looks once more: of two
// applies at the same time, the one that ends last finds what both have left.
//
// A secret is stored on n8n with the first automation that uses it. Until then
// [Platform.PutSecret] keeps it in memory.
//
// # Limits
//
// n8n's API does not tell its version. The first page of its editor does, where it
// is to be had.
//
// n8n 2 publishes a workflow a moment after it has confirmed that, and the API does
// not tell whether it is done. It refuses to delete what is published: segue
// unpublishes it before.
//
// The API has no conditional update. [Platform.Update] and [Platform.Delete]
// read the workflow and compare it before they write; an edit in the few
// milliseconds between is overwritten.
// A message with method DELETE and a payload is sent with its numbers rounded
// to doubles.
package n8n

// Package n8n manages the automations of a project as workflows of an n8n
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
// Placeholder values and the author's strings are always data for n8n, never part
// of an expression or of code. The webhook answers when the outcome of the message
// is known: with 200 if its endpoint accepted it, otherwise with the reason.
//
// People may edit a workflow in n8n's editor. segue reads it back into
// canonical form, so a plan shows their changes: in "Request" field by field,
// elsewhere in the action's kind if the canonical form has no field for them.
// The positions of nodes, their notes, tags and the workflow's settings belong
// to the users of n8n, and segue does not change them.
//
// # Ownership
//
// The record in the note has the ID of the workflow that it was written for. n8n
// chooses the ID when it stores a workflow, so a create is three requests: store
// the workflow, write the ID into the note, and activate it. A copy, however it
// was made, has the ID of its original in its note, and segue does not own it.
// [Platform.Survey] reports copies, other projects' workflows, and workflows that
// take an automation's webhook path; [Platform.Update] can take any of them over.
//
// An archived workflow (the editor archives before it deletes) no longer fires.
// The API can neither restore nor archive a workflow. A plan shows it as changed
// and not enabled, and an update replaces it with a new workflow. Once that is
// active, the archived one is deleted, so that nobody can restore a duplicate.
//
// [Platform.Lock] stores a lease as an additional, inactive workflow.
//
// # Secrets
//
// All headers of an automation that hold secrets are in one credential of type
// "Multiple Headers Auth", which the workflows with the same headers share, and
// whose values n8n never shows. So segue finds a credential's ID in the workflows
// that use it, and compares its values with fingerprints in their notes: scrypt,
// with a different salt for each credential. A rotation makes a new credential,
// switches the workflows to it, and deletes the old one. n8n 2 shows all changes of
// a credential by hand, n8n 1 only deletions.
//
// No credential is lost, even if segue or n8n is killed, or if others apply at
// the same time. While credentials are created or deleted, there is an additional
// workflow, a ledger, which shows the next plan that an apply was interrupted.
// n8n resolves the names of credentials to IDs when it stores a workflow. A
// project's credentials have names from a short series, so a ledger that refers
// to all of them finds those that exist. segue then deletes the unused ones. At
// the end of an apply, [Platform.Settle] checks again: of two applies at the same
// time, the one that ends last cleans up after both.
//
// A secret is stored on n8n with the first automation that uses it. Until then
// [Platform.PutSecret] keeps it in memory.
//
// # Limits
//
// n8n's API does not return its version. The first page of its editor does, if it
// is accessible.
//
// n8n 2 publishes a workflow a moment after it has confirmed that, and the API does
// not show whether it is done. It refuses to delete a published workflow, so segue
// unpublishes it first.
//
// The API has no conditional update. [Platform.Update] and [Platform.Delete]
// read the workflow and compare it before they write; an edit in the few
// milliseconds in between is overwritten. A message with method DELETE and a
// payload is sent with its numbers rounded to doubles.
package n8n

// Package embedded is segue's default platform: an automation platform in one
// SQLite file, for trying things out, for tests and for CI.
//
// It is used in two ways, and both go through the same HTTP handler, so that
// what works in-process works served as well:
//
//	p, err := embedded.OpenLocal(ctx, ".segue/platform.db", embedded.LocalOptions{})
//	p, err := embedded.NewClient("http://127.0.0.1:8377", token, embedded.ClientOptions{})
//
// Either gives a [*Platform], which implements sync.Platform and can also make
// a trigger happen:
//
//	result, err := p.Fire(ctx, embedded.Occurrence{
//		Kind: automation.Pattern,
//		Name: "Account activated",
//		Data: json.RawMessage(`{"userId": "u1"}`),
//	})
//
// [Serve] runs the HTTP API of docs/platform-api.yaml over a file; several
// processes may use one file at the same time.
//
// # Firing
//
// An occurrence is a trigger that happened, with the values of the
// placeholders. Every enabled automation of that trigger is rendered, and the
// results are stored as deliveries in the same transaction as the occurrence.
// Only then are they sent, with retries; a delivery that a killed process left
// behind is sent by the next one. So a request is sent at least once, and twice
// only if a process died, or lost its disk, between the answer and its record.
//
// # Secrets
//
// Secrets are stored encrypted, with AES-256-GCM and a key in the file
// DATA.key, which nobody but its owner may read. Their values never leave the
// platform but in the headers of deliveries: the API takes and compares them,
// and what an endpoint answers is recorded with them struck out.
package embedded

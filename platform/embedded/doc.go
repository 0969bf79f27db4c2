// Package embedded is segue's default platform: an automation platform in one
// SQLite file, for trying things out, for tests and for CI.
//
// There are two ways to use it. Both go through the same HTTP handler, so they
// behave alike:
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
// placeholders. The platform renders every enabled automation of that trigger,
// and stores the results as deliveries in the same transaction as the
// occurrence. Only then does it send them, with retries; the next process sends
// the deliveries that a killed process left behind. So a request is sent at
// least once, and twice only if a process died, or lost its disk, after the
// answer and before recording it.
//
// # Secrets
//
// Secrets are stored encrypted, with AES-256-GCM and a key in the file
// DATA.key, which only its owner may read. Their values leave the platform only
// in the headers of deliveries: the API accepts and compares values but never
// returns them, and they are masked in the recorded answers of endpoints.
package embedded

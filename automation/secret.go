package automation

import "log/slog"

// redacted is what a Secret shows of itself.
const redacted = "(secret)"

// A Secret holds a secret's value and shows it to nobody: whatever prints,
// marshals or logs a Secret gets a fixed text. Only [Secret.Reveal] gives the
// value, at the one place where it is put into a request.
type Secret struct{ value string }

// NewSecret wraps a value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the value.
func (s Secret) Reveal() string { return s.value }

// String returns a fixed text that tells nothing of the value.
func (s Secret) String() string { return redacted }

// GoString returns a fixed text that tells nothing of the value.
func (s Secret) GoString() string { return redacted }

// LogValue returns a fixed text that tells nothing of the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a fixed text that tells nothing of the value.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// A SecretSource is where a secret's value comes from. At most one field is
// set; the zero value is the environment variable of the secret's own name.
type SecretSource struct {
	// Env is the name of an environment variable.
	Env string `json:"env"`
	// File is a path, relative to the project's directory. A line break at the
	// end of the file is not part of the value.
	File string `json:"file"`
	// Exec is a command and its arguments, run in the project's directory and
	// without a shell. It prints the value; a line break at the end is not part
	// of it.
	Exec []string `json:"exec"`
}

package automation

import (
	"encoding/pem"
	"errors"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"
)

// redacted is shown instead of a secret's value.
const redacted = "(secret)"

// A Secret holds a secret's value and never shows it: printing, marshaling or
// logging a Secret gives a fixed string. Only [Secret.Reveal] returns the
// value, for the place that puts it into a request.
type Secret struct{ value string }

// NewSecret wraps a value.
func NewSecret(value string) Secret { return Secret{value} }

// ParseSecret returns the secret in the text of a file, of a command's output
// or of an environment variable, without one final line break. It returns an
// error for a value that no header can carry, or that is probably a mistake.
// The error holds nothing of the text and continues a sentence: "the file
// key.txt " + "is empty".
func ParseSecret(text string) (Secret, error) {
	value := strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	switch {
	case value == "":
		return Secret{}, errors.New("is empty")
	case !utf8.ValidString(value):
		return Secret{}, errors.New("holds bytes that are not UTF-8")
	case strings.TrimSpace(value) == "":
		return Secret{}, errors.New("holds only whitespace")
	case strings.ContainsAny(value, "\r\n"):
		return Secret{}, errors.New("holds more than one line")
	case strings.TrimSpace(value) != value:
		return Secret{}, errors.New("has whitespace around the value")
	case strings.ContainsFunc(value, unicode.IsControl):
		return Secret{}, errors.New("holds a control character")
	case strings.HasPrefix(value, "\ufeff"):
		return Secret{}, errors.New("begins with a byte order mark")
	}
	return Secret{value}, nil
}

// ParsePrivateKey is ParseSecret for the private key of a certificate: one block of PEM, which
// is several lines long. A key that takes a passphrase is not one to use.
func ParsePrivateKey(text string) (Secret, error) {
	value := strings.TrimSpace(text)
	block, rest := pem.Decode([]byte(value))
	switch {
	case value == "":
		return Secret{}, errors.New("is empty")
	case block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return Secret{}, errors.New("holds no private key in PEM, from -----BEGIN to -----END")
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
		return Secret{}, errors.New("holds a private key that takes a passphrase; segue can't ask for one")
	case len(strings.TrimSpace(string(rest))) > 0:
		return Secret{}, errors.New("holds more than one private key")
	}
	return Secret{value}, nil
}

// Reveal returns the value.
func (s Secret) Reveal() string { return s.value }

// String returns a fixed string that reveals nothing about the value.
func (s Secret) String() string { return redacted }

// GoString returns a fixed string that reveals nothing about the value.
func (s Secret) GoString() string { return redacted }

// LogValue returns a fixed string that reveals nothing about the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a fixed string that reveals nothing about the value.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// A SecretSource is the source of a secret's value, which [ParseSecret] reads.
// At most one field is set. The zero value means the environment variable with
// the secret's name.
type SecretSource struct {
	// Env is the name of an environment variable.
	Env string `json:"env,omitempty"`
	// File is a path, relative to the project's directory, of a file or a pipe.
	File string `json:"file,omitempty"`
	// Exec is a command and its arguments, run in the project's directory and
	// without a shell. It prints the value.
	Exec []string `json:"exec,omitempty"`
}

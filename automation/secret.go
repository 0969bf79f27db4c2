package automation

import (
	"encoding/pem"
	"errors"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"
)

// redacted is what a Secret shows of itself.
const redacted = "(secret)"

// A Secret holds a secret's value and shows it to nobody: whatever prints,
// marshals or logs a Secret gets a fixed text. Only [Secret.Reveal] gives the
// value, at the one place where it is put into a request.
type Secret struct{ value string }

// NewSecret wraps a value.
func NewSecret(value string) Secret { return Secret{value} }

// ParseSecret returns the secret that a file, a command or an environment
// variable holds: the text without one line break at its end. What no header
// can carry, or was hardly meant, is an error, which holds nothing of the text
// and continues a sentence: "the file key.txt " + "is empty".
func ParseSecret(text string) (Secret, error) {
	value := strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	switch {
	case value == "":
		return Secret{}, errors.New("is empty")
	case !utf8.ValidString(value):
		return Secret{}, errors.New("holds bytes that are not UTF-8")
	case strings.TrimSpace(value) == "":
		return Secret{}, errors.New("holds nothing but whitespace")
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

// String returns a fixed text that tells nothing of the value.
func (s Secret) String() string { return redacted }

// GoString returns a fixed text that tells nothing of the value.
func (s Secret) GoString() string { return redacted }

// LogValue returns a fixed text that tells nothing of the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a fixed text that tells nothing of the value.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// A SecretSource is where a secret's value comes from, in the form that
// [ParseSecret] reads. At most one field is set; the zero value is the
// environment variable of the secret's own name.
type SecretSource struct {
	// Env is the name of an environment variable.
	Env string `json:"env,omitempty"`
	// File is a path, relative to the project's directory, of a file or a pipe.
	File string `json:"file,omitempty"`
	// Exec is a command and its arguments, run in the project's directory and
	// without a shell. It prints the value.
	Exec []string `json:"exec,omitempty"`
}

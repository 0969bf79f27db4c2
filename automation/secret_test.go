package automation

import (
	"strings"
	"testing"
)

func TestParsePrivateKey(t *testing.T) {
	const key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----"
	for _, text := range []string{key, key + "\n", "\n" + key + "\r\n"} {
		if got, err := ParsePrivateKey(text); err != nil || got.Reveal() != key {
			t.Errorf("%q: got %q, %v", text, got.Reveal(), err)
		}
	}
	for text, want := range map[string]string{
		"":               "is empty",
		"s3cret":         "holds no private key in PEM, from -----BEGIN to -----END",
		key[:40]:         "holds no private key in PEM, from -----BEGIN to -----END",
		key + key:        "holds no private key in PEM, from -----BEGIN to -----END",
		key + "\n" + key: "holds more than one private key",
		strings.ReplaceAll(key, "PRIVATE KEY", "CERTIFICATE"):           "holds no private key in PEM, from -----BEGIN to -----END",
		strings.ReplaceAll(key, "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"): "holds a private key that takes a passphrase; segue can't ask for one",
	} {
		if _, err := ParsePrivateKey(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

package n8n

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	gosync "sync"

	"golang.org/x/crypto/scrypt"

	"github.com/seguehq/segue/automation"
)

// Everybody who may open the workflow can read a secret's fingerprint. scrypt,
// at about 50 ms and 32 MiB per guess, makes it useless for finding a random
// secret, and slow for a weak one.
const (
	scryptLogN      = 15
	scryptR         = 8
	fingerprintSize = 16
)

// fingerprints makes and compares fingerprints, and caches results: many
// workflows share one credential.
type fingerprints struct {
	mu    gosync.Mutex
	known map[[sha256.Size]byte]string // by salt and value, hashed
}

// make returns the fingerprint of a value with a salt: "scrypt$15$salt$hash".
func (f *fingerprints) make(value automation.Secret, salt []byte) string {
	id := sha256.Sum256(append([]byte(fmt.Sprintf("%d ", len(salt))+string(salt)), value.Reveal()...))
	f.mu.Lock()
	defer f.mu.Unlock()
	if print, ok := f.known[id]; ok {
		return print
	}
	key, err := scrypt.Key([]byte(value.Reveal()), salt, 1<<scryptLogN, scryptR, 1, fingerprintSize)
	if err != nil {
		panic(err) // the parameters are constant and valid
	}
	enc := base64.RawURLEncoding
	print := fmt.Sprintf("scrypt$%d$%s$%s", scryptLogN, enc.EncodeToString(salt), enc.EncodeToString(key))
	if f.known == nil {
		f.known = map[[sha256.Size]byte]string{}
	}
	f.known[id] = print
	return print
}

// matches reports whether a fingerprint is that of the value. A malformed
// fingerprint matches nothing.
func (f *fingerprints) matches(print string, value automation.Secret) bool {
	parts := strings.Split(print, "$")
	if len(parts) != 4 {
		return false
	}
	salt, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(salt) == 0 {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(f.make(value, salt)), []byte(print)) == 1
}

// newSalt returns a random salt.
func newSalt() []byte {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	return salt
}

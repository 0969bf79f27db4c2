package embedded

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/seguehq/segue/automation"
)

// keySize is the size of a key of AES-256, in bytes.
const keySize = 32

// A vault seals and opens secrets. A sealed secret is bound to its project and
// name: it can't be opened after it was moved to another row of the table.
type vault struct{ aead cipher.AEAD }

func newVault(key []byte) (*vault, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &vault{aead}, nil
}

func (v *vault) seal(project, name string, value automation.Secret) (nonce, ciphertext []byte) {
	nonce = make([]byte, v.aead.NonceSize())
	rand.Read(nonce) // never fails: crypto/rand ends the program instead
	return nonce, v.aead.Seal(nil, nonce, []byte(value.Reveal()), place(project, name))
}

func (v *vault) open(project, name string, nonce, ciphertext []byte) (automation.Secret, error) {
	if len(nonce) != v.aead.NonceSize() {
		return automation.Secret{}, fmt.Errorf("the secret %s of project %s is damaged", name, project)
	}
	text, err := v.aead.Open(nil, nonce, ciphertext, place(project, name))
	if err != nil {
		return automation.Secret{}, fmt.Errorf("the secret %s of project %s can't be decrypted with the platform's key", name, project)
	}
	return automation.NewSecret(string(text)), nil
}

// place returns the additional data of a sealed secret. Neither part can
// contain a NUL.
func place(project, name string) []byte { return []byte(project + "\x00" + name) }

// sameSecret compares two secrets in constant time.
func sameSecret(a, b automation.Secret) bool {
	x, y := sha256.Sum256([]byte(a.Reveal())), sha256.Sum256([]byte(b.Reveal()))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// The sealed value of the table key_check. Its project is empty, which no
// project's name is.
const checkProject, checkName = "", "key check"

var checkText = automation.NewSecret("segue platform")

// A keyError is the error of an unusable key file; its message is complete.
type keyError string

func (e keyError) Error() string { return string(e) }

// unlock reads the key, or creates it if none was ever needed, and checks that
// it is the key of the file's secrets. It runs in a write transaction, so only
// one process at a time does this. file is the key's full path, and shown is the
// path in messages.
func unlock(ctx context.Context, tx *sql.Tx, file, shown string) (*vault, error) {
	var nonce, sealed []byte
	err := tx.QueryRowContext(ctx, "SELECT nonce, ciphertext FROM key_check").Scan(&nonce, &sealed)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	var secrets int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM secrets").Scan(&secrets); err != nil {
		return nil, err
	}
	key, err := readKey(file, shown)
	if errors.Is(err, fs.ErrNotExist) {
		if secrets > 0 {
			return nil, keyError(fmt.Sprintf("%s is missing, and without it %s can't be read; restore it from a backup, "+
				"or remove the data file too and apply again", shown, theStored(secrets)))
		}
		key, err = createKey(file, shown)
	}
	if err != nil {
		return nil, err
	}
	v, err := newVault(key)
	if err != nil {
		return nil, err
	}
	if nonce != nil {
		if text, err := v.open(checkProject, checkName, nonce, sealed); err == nil && sameSecret(text, checkText) {
			return v, nil
		}
		if secrets > 0 {
			return nil, keyError(fmt.Sprintf("%s is not the key of %s; restore the right one from a backup, "+
				"or remove the data file and apply again", shown, theStored(secrets)))
		}
	}
	nonce, sealed = v.seal(checkProject, checkName, checkText)
	_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO key_check (one, nonce, ciphertext) VALUES (1, ?, ?)", nonce, sealed)
	return v, err
}

// theStored describes a number of stored secrets.
func theStored(secrets int) string {
	if secrets == 1 {
		return "the stored secret"
	}
	return fmt.Sprintf("the %d stored secrets", secrets)
}

func readKey(file, shown string) ([]byte, error) {
	if stat, err := os.Stat(file); err == nil && !stat.Mode().IsRegular() { // opening a pipe would block
		return nil, keyError(fmt.Sprintf("%s is not a regular file; restore the key from a backup, or remove it if no secrets are stored", shown))
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, keyFileError{shown, err}
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return nil, keyFileError{shown, err}
	}
	// Windows does not have these modes: there, the folder's access control
	// list protects the key.
	if mode := stat.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, keyError(fmt.Sprintf("%s holds the key of the secrets and others may use it (mode %04o); run: chmod 600 %s", shown, mode, shown))
	}
	text, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return nil, keyFileError{shown, err}
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != keySize {
		return nil, keyError(fmt.Sprintf("%s is not a key (%d hex digits); restore it from a backup, or remove it if no secrets are stored", shown, 2*keySize))
	}
	return key, nil
}

func createKey(file, shown string) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, keyFileError{shown, err}
	}
	key := make([]byte, keySize)
	rand.Read(key)
	_, err = fmt.Fprintf(f, "%x\n", key)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		os.Remove(file) // do not leave half a key behind
		return nil, keyFileError{shown, err}
	}
	return key, nil
}

// keyFileError is a failure of the file system.
type keyFileError struct {
	shown string
	err   error
}

func (e keyFileError) Error() string { return e.shown + ": " + cause(e.err).Error() }
func (e keyFileError) Unwrap() error { return e.err }

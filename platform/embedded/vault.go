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

// keySize is that of AES-256.
const keySize = 32

// A vault seals and opens secrets. A sealed secret belongs to its project and
// name: moved to another row of the table it can't be opened.
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

// place is the additional data of a sealed secret. Neither part can hold a NUL.
func place(project, name string) []byte { return []byte(project + "\x00" + name) }

// sameSecret compares in a time that depends on neither value.
func sameSecret(a, b automation.Secret) bool {
	x, y := sha256.Sum256([]byte(a.Reveal())), sha256.Sum256([]byte(b.Reveal()))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// The sealed text of the table key_check. Its project is no project's name.
const checkProject, checkName = "", "key check"

var checkText = automation.NewSecret("segue platform")

// A keyError is a key file that can't be used; its text is complete.
type keyError string

func (e keyError) Error() string { return string(e) }

// unlock reads the key, or makes one if none was ever needed, and makes sure
// that it is the key of the file's secrets. It runs in a writing transaction,
// so that one process at a time does this. file is the key's full path, shown is
// the one for messages.
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

// theStored counts secrets that are stored.
func theStored(secrets int) string {
	if secrets == 1 {
		return "the stored secret"
	}
	return fmt.Sprintf("the %d stored secrets", secrets)
}

func readKey(file, shown string) ([]byte, error) {
	if stat, err := os.Stat(file); err == nil && !stat.Mode().IsRegular() { // a pipe waits for somebody
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
	// Windows has no such modes: there the folder's access list counts.
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
		os.Remove(file) // half a key would be in the way
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

package rest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	gosync "sync"

	"golang.org/x/crypto/scrypt"
	"golang.org/x/sync/errgroup"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/description"
	"github.com/seguehq/segue/sync"
)

// The cost of a fingerprint: 32 MiB and about a tenth of a second, also for
// each guess of an attacker. The fingerprint's form names its cost.
const (
	scryptForm  = "scrypt-15-8-1"
	scryptN     = 1 << 15
	scryptR     = 8
	scryptP     = 1
	saltBytes   = 16
	digestBytes = 32
)

// rewriteParallelism is the number of automations written at once when a secret
// has a new value.
const rewriteParallelism = 4

// fingerprint returns the fingerprint of a value: the form, the salt and the
// digest.
func fingerprint(value automation.Secret, salt []byte) (string, error) {
	digest, err := scrypt.Key([]byte(value.Reveal()), salt, scryptN, scryptR, scryptP, digestBytes)
	if err != nil {
		return "", fmt.Errorf("make a secret's fingerprint: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return strings.Join([]string{scryptForm, encode(salt), encode(digest)}, ":"), nil
}

// fits reports whether a fingerprint matches a value. A fingerprint of an
// unknown form matches nothing.
func fits(print string, value automation.Secret) bool {
	parts := strings.Split(print, ":")
	if len(parts) != 3 || parts[0] != scryptForm {
		return false
	}
	salt, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || len(salt) != saltBytes {
		return false
	}
	again, err := fingerprint(value, salt)
	return err == nil && subtle.ConstantTimeCompare([]byte(again), []byte(print)) == 1
}

// vault holds the values of secrets during the process, and results about their
// fingerprints.
type vault struct {
	mu gosync.Mutex
	// given are values by name, for any project.
	given map[string]automation.Secret
	// own are the values of a project's secrets, and prints their fingerprints.
	own    map[secretID]automation.Secret
	prints map[secretID]string
	// put are the secrets that were stored. A secret that no automation has yet
	// exists only here.
	put map[secretID]bool
	// known caches results of fits.
	known map[[sha256.Size]byte]bool
	// one allows only one secret to be stored at a time, because an automation
	// may have several.
	one chan struct{}
}

type secretID struct{ project, name string }

func (v *vault) init(given map[string]automation.Secret) {
	v.given, v.own, v.prints = given, map[secretID]automation.Secret{}, map[secretID]string{}
	v.put, v.known, v.one = map[secretID]bool{}, map[[sha256.Size]byte]bool{}, make(chan struct{}, 1)
}

// value returns a secret's value.
func (v *vault) value(project, name string) (automation.Secret, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s, ok := v.own[secretID{project, name}]; ok {
		return s, true
	}
	s, ok := v.given[name]
	return s, ok
}

// fingerprint returns the fingerprint of a secret's value: the one in use if it
// matches, otherwise a new one.
func (v *vault) fingerprint(project, name string, value automation.Secret) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	id := secretID{project, name}
	if print, ok := v.prints[id]; ok && v.fits(print, value) {
		return print, nil
	}
	salt := make([]byte, saltBytes)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("make a secret's fingerprint: %w", err)
	}
	print, err := fingerprint(value, salt)
	if err == nil {
		v.prints[id] = print
		v.known[question(print, value)] = true
	}
	return print, err
}

// question returns the cache key of a fingerprint and a value.
func question(print string, value automation.Secret) [sha256.Size]byte {
	return sha256.Sum256([]byte(print + "\x00" + value.Reveal()))
}

// fits caches the function of that name.
func (v *vault) fits(print string, value automation.Secret) bool {
	q := question(print, value)
	same, ok := v.known[q]
	if !ok {
		same = fits(print, value)
		v.known[q] = same
	}
	return same
}

// compare reports whether an automation's fingerprint matches a value. If it
// does, the vault uses it from then on.
func (v *vault) compare(project, name, print string, value automation.Secret) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	same := v.fits(print, value)
	if id := (secretID{project, name}); same && v.prints[id] == "" {
		v.prints[id] = print
	}
	return same
}

// Secrets implements [sync.Platform].
func (p *platform) Secrets(ctx context.Context, project string, want map[string]automation.Secret) (map[string]sync.SecretState, error) {
	items, err := p.owned(ctx, project, func(r description.Record) bool { return r.Project == project })
	if err != nil {
		return nil, err
	}
	states := map[string]sync.SecretState{}
	compare := func(name string, same func(automation.Secret) bool) {
		value, wanted := want[name]
		switch {
		case !wanted:
			states[name] = sync.Unchecked
		case !same(value):
			states[name] = sync.Different
		case states[name] != sync.Different:
			states[name] = sync.Same
		}
	}
	for _, it := range items {
		record := it.record
		for _, name := range secretsOf(record) {
			compare(name, func(value automation.Secret) bool { return p.vault.compare(project, name, record.Secrets[name], value) })
		}
	}
	p.vault.mu.Lock()
	defer p.vault.mu.Unlock()
	for name, value := range want {
		if _, ok := p.vault.own[secretID{project, name}]; !ok {
			p.vault.own[secretID{project, name}] = value
		}
	}
	for id := range p.vault.put {
		if _, stored := states[id.name]; !stored && id.project == project {
			own := p.vault.own[id]
			compare(id.name, func(value automation.Secret) bool { return own == value })
		}
	}
	return states, nil
}

// secretsOf lists the secrets in an automation's marker.
func secretsOf(r description.Record) []string {
	names := map[string]bool{}
	for name := range r.Secrets {
		names[name] = true
	}
	for _, h := range r.Headers {
		for _, name := range h.SecretNames() {
			names[name] = true
		}
	}
	var out []string
	for name := range names {
		out = append(out, name)
	}
	return out
}

// PutSecret implements [sync.Platform]. It writes every automation with the
// secret again, with the new value.
func (p *platform) PutSecret(ctx context.Context, project, name string, value automation.Secret) error {
	select {
	case p.vault.one <- struct{}{}:
		defer func() { <-p.vault.one }()
	case <-ctx.Done():
		return &sync.Error{Kind: sync.Temporary, Message: "another secret is still being stored", Err: ctx.Err()}
	}
	id := secretID{project, name}
	p.vault.mu.Lock()
	p.vault.own[id] = value
	p.vault.mu.Unlock()
	print, err := p.vault.fingerprint(project, name, value)
	if err != nil {
		return &sync.Error{Kind: sync.Refused, Message: err.Error(), Err: err}
	}
	old, err := p.owned(ctx, project, func(r description.Record) bool { return r.Project == project })
	if err != nil {
		return err
	}
	old = slices.DeleteFunc(old, func(it item) bool {
		return !slices.Contains(secretsOf(it.record), name) || p.vault.compare(project, name, it.record.Secrets[name], value)
	})
	// One failure does not stop the others, so the next attempt has less to do.
	errs := make([]error, len(old))
	var group errgroup.Group
	group.SetLimit(rewriteParallelism)
	for i, it := range old {
		if !it.readable {
			continue // the plan replaces it
		}
		group.Go(func() error {
			errs[i] = p.rewrite(ctx, it, name, print)
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	if err := worst(errs); err != nil {
		return err
	}
	p.vault.mu.Lock()
	defer p.vault.mu.Unlock()
	p.vault.put[id] = true
	return nil
}

// worst returns the most severe error, or nil if there is none.
func worst(errs []error) error {
	var worst error
	for _, err := range errs {
		if err != nil && (worst == nil || sync.KindOf(worst) == sync.Temporary) {
			worst = err
		}
	}
	return worst
}

// rewrite writes an automation unchanged, with the current values of its
// secrets. After any error it reads the automation, as the engine does.
func (p *platform) rewrite(ctx context.Context, it item, name, print string) error {
	p.rewritten.begin(it, name, print)
	_, err := p.update(ctx, existing{it.Marker.Project, it.ID, it.revision}, it.Marker, it.Automation)
	if err == nil {
		return nil
	}
	now, lookErr := p.one(ctx, it.Marker.Project, it.ID)
	switch {
	case lookErr != nil && sync.KindOf(lookErr) == sync.NotFound:
		return nil // no automation has the old value
	case lookErr == nil && now.record.Secrets[name] == print:
		return nil
	case lookErr != nil && sync.KindOf(lookErr) == sync.Temporary:
		// The answer may be wrong; the next attempt shows that.
		return &sync.Error{Kind: sync.Temporary, Message: "whether a write took effect is unknown: " + err.Error(), Err: err}
	}
	return err
}

// CarriesSecrets implements [sync.SecretCarrier].
func (p *platform) CarriesSecrets() {}

// DeleteSecret implements [sync.Platform]. A secret is removed with the
// automations that have it.
func (p *platform) DeleteSecret(_ context.Context, project, name string) error {
	p.vault.mu.Lock()
	defer p.vault.mu.Unlock()
	id := secretID{project, name}
	delete(p.vault.put, id)
	delete(p.vault.own, id)
	delete(p.vault.prints, id)
	return nil
}

// locked is a value behind a lock.
type locked[T any] struct {
	mu    gosync.Mutex
	value T
}

func newLocked[T any](value T) *locked[T] { return &locked[T]{value: value} }

func (l *locked[T]) with(f func(T)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.value)
}

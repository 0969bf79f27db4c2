package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/compiler/config"
	"github.com/seguehq/segue/platform/embedded"
	"github.com/seguehq/segue/platform/n8n"
	"github.com/seguehq/segue/platform/nodered"
	"github.com/seguehq/segue/platform/rest"
	"github.com/seguehq/segue/sync"
)

// A connection is a platform that must be closed.
type connection interface {
	sync.Platform
	io.Closer
}

// A connectionUse is the purpose of a connection.
type connectionUse int

const (
	toRead connectionUse = iota
	toLook               // toRead, without the values of the automations' secrets
	toWrite
)

// A connecting says which platform to connect to, and with which secrets and certificates.
type connecting struct {
	project *config.Project
	// name is the target's.
	name   string
	target config.Target
	// secrets hold the values of all secrets that the target and the automations refer to.
	secrets map[string]automation.Secret
	use     connectionUse
	// certs are the contents of the files that the target names, nil to read them.
	certs *certificates
}

// connect returns the platform of a target. Only to read, it makes nothing that is not
// there.
func (t *terminal) connect(ctx context.Context, to connecting) (connection, error) {
	target, secrets := to.target, to.secrets
	if err := checkSecrecy(to.name, target, secrets); err != nil {
		return nil, err
	}
	if target.Platform == config.Embedded {
		return opened(t.connectEmbedded(ctx, to))
	}
	transport, err := t.transport(to)
	if err != nil {
		return nil, err
	}
	key, timeout := secrets[platformCredential(target).Name], time.Duration(target.Timeout)
	switch target.Platform {
	case config.N8n:
		return opened(n8n.New(target.URL, key, n8n.Options{Timeout: timeout, Transport: transport, Secrets: lookup(secrets), Mask: t.mask}))
	case config.NodeRED:
		options := nodered.Options{Timeout: timeout, Transport: transport, Username: target.Username, Mask: t.mask}
		if target.Username != "" {
			options.Password = key
		} else {
			options.Token = key
		}
		return opened(nodered.New(target.URL, options))
	}
	described, ok := to.project.Platforms[target.Platform]
	if !ok {
		return nil, fmt.Errorf("this segue does not support the platform %s", target.Platform)
	}
	return opened(rest.New(described, target.URL, key, rest.Options{Timeout: timeout, Transport: transport, Secrets: secrets, Mask: t.mask}))
}

// lookup finds the values of secrets by their names.
func lookup(secrets map[string]automation.Secret) automation.SecretLookup {
	return func(name string) (automation.Secret, bool) {
		s, ok := secrets[name]
		return s, ok
	}
}

// opened returns no connection at all where there is an error.
func opened[P connection](p P, err error) (connection, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}

// connectEmbedded returns the embedded platform of a target, in-process or
// served.
func (t *terminal) connectEmbedded(ctx context.Context, to connecting) (*embedded.Platform, error) {
	target := to.target
	if target.URL != "" {
		transport, err := t.transport(to)
		if err != nil {
			return nil, err
		}
		return embedded.NewClient(target.URL, to.secrets[target.Token.Name],
			embedded.ClientOptions{Timeout: time.Duration(target.Timeout), Transport: transport, Mask: t.mask})
	}
	data := target.Data
	if !filepath.IsAbs(data) {
		data = filepath.Join(to.project.Dir, data)
	}
	return embedded.OpenLocal(ctx, data, embedded.LocalOptions{NoCreate: to.use != toWrite, Requests: t.log, Mask: t.mask})
}

// platformCredential returns the secret for authentication at the platform.
func platformCredential(target config.Target) config.SecretRef {
	switch {
	case target.APIKey.Name != "":
		return target.APIKey
	case target.Password.Name != "":
		return target.Password
	}
	return target.Token
}

// credentialUse is the target's use of its token, API key or password, and of the key of
// its client certificate, if it has them.
func credentialUse(name string, target config.Target) []sync.SecretUse {
	field := "token"
	switch {
	case target.APIKey.Name != "":
		field = "apiKey"
	case target.Password.Name != "":
		field = "password"
	}
	var uses []sync.SecretUse
	if secret := platformCredential(target).Name; secret != "" {
		uses = append(uses, sync.SecretUse{Secret: secret, Where: "target " + name + ", " + field})
	}
	if secret := target.ClientKey.Name; secret != "" {
		uses = append(uses, sync.SecretUse{Secret: secret, Where: "target " + name + ", clientKey", PrivateKey: true})
	}
	return uses
}

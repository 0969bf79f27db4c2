package cache

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seguehq/segue/platform/platformtest"
)

// startNginx runs Debian's nginx as a cache, and returns its URL and the folder with
// the objects. Everybody reads; at /open/ everybody can write, at /team/ who has the
// password, and at /public/ and /denied/, which show the objects of /open/, nobody.
// /private/ and /token/ need the password and the token for reading, too. /small/
// takes at most 500 bytes, and /moved/ leads elsewhere.
func startNginx(t *testing.T) (address, objects string) {
	t.Helper()
	dir := t.TempDir()
	objects = filepath.Join(dir, "objects")
	port := platformtest.FreePort(t)
	site := strings.NewReplacer("PORT", fmt.Sprint(port), "TOKEN", secret).Replace(`
	client_max_body_size 64m;
	server {
		listen 127.0.0.1:PORT;
		root DIR/objects;
		dav_access user:rw;
		create_full_put_path on;
		location /open/ { dav_methods PUT; }
		location /small/ { dav_methods PUT; client_max_body_size 500; }
		location /public/ { alias DIR/objects/open/; }
		location /denied/ { alias DIR/objects/open/; dav_methods PUT; limit_except GET { deny all; } }
		location /team/ {
			dav_methods PUT;
			limit_except GET { auth_basic cache; auth_basic_user_file DIR/users; }
		}
		location /private/ { dav_methods PUT; auth_basic cache; auth_basic_user_file DIR/users; }
		location /token/ {
			dav_methods PUT;
			if ($http_authorization != "Bearer TOKEN") { return 401; }
		}
		location /moved/ { return 301 http://127.0.0.1:PORT/open$request_uri; }
	}
`)
	hash := sha1.Sum([]byte("pass" + secret)) // the only kind that nginx knows on all systems
	users := "team:{SHA}" + base64.StdEncoding.EncodeToString(hash[:]) + "\n"
	err := errors.Join(os.Mkdir(objects, 0o700), os.WriteFile(filepath.Join(dir, "users"), []byte(users), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	platformtest.StartNginx(t, dir, site)
	address = fmt.Sprintf("http://127.0.0.1:%d", port)
	return address, objects
}

func TestNginx(t *testing.T) {
	address, objects := startNginx(t)
	machine := func(t *testing.T, url, token string, warn func(string)) Config {
		t.Helper()
		r, err := NewRemote(url, token, false)
		if err != nil {
			t.Fatal(err)
		}
		r.timeout = time.Minute // for a busy machine
		return Config{Dir: filepath.Join(t.TempDir(), "segue"), Remote: r, Warn: warn}
	}
	quiet := func(t *testing.T) func(string) { return func(note string) { t.Errorf("a note: %s", note) } }
	team := strings.Replace(address, "http://", "http://team:pass"+secret+"@", 1)

	for name, c := range map[string]struct{ url, token string }{
		"open": {address + "/open/", ""}, "team": {team + "/team", ""}, "private": {team + "/private", ""}, "token": {address + "/token/", secret},
	} {
		t.Run(name, func(t *testing.T) {
			const n = 300
			put(t, machine(t, c.url, c.token, quiet(t)), n)
			other := machine(t, c.url, c.token, quiet(t))
			if found := hits(t, other, n+20); found != n {
				t.Errorf("%d of %d found by another machine", found, n)
			}
			other.Remote = nil
			if found := hits(t, other, n); found != n {
				t.Errorf("%d of %d kept", found, n)
			}
			// Written again, it is replaced.
			put(t, machine(t, c.url, c.token, quiet(t)), 5)
		})
	}
	var all []string
	for i := range 300 {
		all = append(all, filepath.Join(objects, "open", "ac", key(i).String()))
	}

	t.Run("read by everybody", func(t *testing.T) {
		if found := hits(t, machine(t, address+"/team", "", quiet(t)), 300); found != 300 {
			t.Errorf("%d found", found)
		}
	})
	for name, want := range map[string]string{"public": "405", "denied": "403", "team": "401", "small": "", "moved": "301"} {
		t.Run("not written: "+name, func(t *testing.T) {
			var n notes
			config := machine(t, address+"/"+name, "", n.add)
			c := Open(config)
			for i := range 20 {
				c.Put(t.Context(), key(500+i), append(value(299), value(598)...))
			}
			c.Close(t.Context())
			if got := n.list(); (want == "") != (len(got) == 0) || (want != "" && (len(got) != 1 || !strings.Contains(got[0], want))) {
				t.Errorf("notes: %q", got)
			}
			if counts := c.Counts(); counts.Uploaded != 0 {
				t.Errorf("%+v", counts)
			}
			if _, err := os.Stat(filepath.Join(objects, "open", "ac", key(500).String())); err == nil {
				t.Error("it has been written")
			}
			if name == "public" || name == "denied" {
				if found := hits(t, machine(t, address+"/"+name, "", quiet(t)), 300); found != 300 {
					t.Errorf("%d of 300 can be read", found)
				}
			}
		})
	}
	t.Run("wrong password", func(t *testing.T) {
		var n notes
		config := machine(t, strings.Replace(team, "pass", "wrong", 1)+"/private", "", n.add)
		if found := hits(t, config, 10); found != 0 {
			t.Errorf("%d found", found)
		}
		if got := n.list(); len(got) != 1 || !strings.Contains(got[0], "401") || strings.Contains(got[0], secret) {
			t.Errorf("notes: %q", got)
		}
	})
	t.Run("damaged on the server", func(t *testing.T) {
		for i, damage := range []func(b []byte) []byte{
			func(b []byte) []byte { return nil },
			func(b []byte) []byte { return b[:len(b)/2] },
			func([]byte) []byte { return encode(key(9), value(9)) },
		} {
			b, err := os.ReadFile(all[2*i])
			if err == nil {
				err = os.WriteFile(all[2*i], damage(b), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		config := machine(t, address+"/open", "", quiet(t))
		if found := hits(t, config, 6); found != 3 {
			t.Errorf("%d of 6 found", found)
		}
		put(t, config, 6)
		if found := hits(t, machine(t, address+"/open", "", quiet(t)), 6); found != 6 {
			t.Errorf("%d of 6 found after they have been put again", found)
		}
	})
}

package cache

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/seguehq/segue/automation"
)

const (
	// DefaultLimit is the default maximum size of the folder, in bytes: 1 GiB.
	DefaultLimit = 1 << 30
	minLimit     = 1 << 20
)

// A Config says where results are kept.
type Config struct {
	// Dir is the folder, "" for none. It is made if it does not exist.
	Dir string
	// Limit is the maximum size of the folder, in bytes; 0 for [DefaultLimit].
	Limit int64
	// Remote is the server, nil for none.
	Remote *Remote
	// Warn is called once for each folder or server that is not used or has been given up. The note is a line
	// without a full stop. Warn may be called from any goroutine.
	Warn func(note string)

	unset error // the reason for a missing Dir that was not asked for
}

// FromEnvironment returns the config that is set by these variables:
//
//   - SEGUE_CACHE_DIR: the folder, an absolute path; "off" for none. Without it,
//     the folder segue in the user's cache folder.
//   - SEGUE_CACHE_SIZE: the maximum size of the folder, such as 500MB or 2GiB.
//   - SEGUE_CACHE_URL, SEGUE_CACHE_TOKEN, SEGUE_CACHE_READONLY: see [NewRemote].
//
// The error names the invalid variable. It does not repeat the value if that may hold a credential.
func FromEnvironment(getenv func(string) string) (Config, error) {
	c := Config{Limit: DefaultLimit}
	switch dir := getenv("SEGUE_CACHE_DIR"); {
	case dir == "off":
	case dir == "":
		user, err := os.UserCacheDir()
		if err != nil {
			c.unset = err
			break
		}
		c.Dir = filepath.Join(user, "segue")
	case !filepath.IsAbs(dir):
		return c, fmt.Errorf("SEGUE_CACHE_DIR is %q: use an absolute path, or off", dir)
	default:
		c.Dir = filepath.Clean(dir)
	}
	if size := getenv("SEGUE_CACHE_SIZE"); size != "" {
		n, err := humanize.ParseBytes(size)
		if err != nil || n < minLimit || n > math.MaxInt64 {
			return c, fmt.Errorf("SEGUE_CACHE_SIZE is %q: use a size of at least 1MiB, such as 500MB or 2GiB", size)
		}
		c.Limit = int64(n)
	}
	readOnly := false
	if s := getenv("SEGUE_CACHE_READONLY"); s != "" {
		var err error
		if readOnly, err = strconv.ParseBool(s); err != nil {
			return c, fmt.Errorf("SEGUE_CACHE_READONLY is %q: use 1 or 0", s)
		}
	}
	if address := getenv("SEGUE_CACHE_URL"); address != "" {
		r, err := NewRemote(address, getenv("SEGUE_CACHE_TOKEN"), readOnly)
		if err != nil {
			return c, fmt.Errorf("SEGUE_CACHE_URL, SEGUE_CACHE_TOKEN: %w", err)
		}
		c.Remote = r
	}
	return c, nil
}

// A Remote is a server that machines share. It speaks the protocol of Bazel's HTTP caches: an entry is read by
// GET URL/ac/KEY and written by PUT, with the key in lowercase hex.
//
// Entries are in ac, the part for results that are named by the hash of their inputs. In cas, servers may
// require that an entry is named by the hash of its content. bazel-remote only accepts Bazel's own results in
// ac, unless it runs with --disable_http_ac_validation.
type Remote struct {
	url           string // without credentials, and without a slash at its end
	authorization string // the header, "" for none
	readOnly      bool
	timeout       time.Duration // until a response begins; one that takes two fifths of it is slow
}

// NewRemote returns the server at a URL. Its credentials are the user and password of the URL, or a token,
// which is sent as a bearer token. Neither appears in an error, a note or String. Sending them to another
// machine by plain HTTP is an error. segue does not write to a read-only server.
func NewRemote(address, token string, readOnly bool) (*Remote, error) {
	u := automation.AbsoluteURL(address)
	if u == nil {
		return nil, errors.New("use a URL such as https://cache.example.com/segue")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("leave the query and the fragment out of the URL")
	}
	r := &Remote{readOnly: readOnly, timeout: 5 * time.Second}
	if u.User != nil {
		password, _ := u.User.Password()
		r.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
		u.User = nil
	}
	if token != "" {
		if r.authorization != "" {
			return nil, errors.New("use either a token or the user of the URL")
		}
		if strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return nil, errors.New("the token has a space or another character that can't be sent")
		}
		r.authorization = "Bearer " + token
	}
	if r.authorization != "" && u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, errors.New("a credential must not be sent to another machine by plain HTTP: use https")
	}
	r.url = strings.TrimRight(u.String(), "/")
	return r, nil
}

// String returns the server's URL, without credentials.
func (r *Remote) String() string { return r.url }

// ReadOnly reports whether segue must not write to the server.
func (r *Remote) ReadOnly() bool { return r.readOnly }

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || (ip != nil && ip.IsLoopback())
}

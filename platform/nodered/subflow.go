package nodered

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"golang.org/x/crypto/scrypt"

	"github.com/seguehq/segue/automation"
)

var (
	//go:embed build.js
	buildCode string
	//go:embed answer.js
	answerCode string
	//go:embed stop.js
	stopCode string
)

// latestCode is the code of this version of segue.
var latestCode = code{build: buildCode + "\n" + automation.MessageCheck, answer: answerCode, stop: stopCode}

// A code is the code of the function nodes of a subflow.
type code struct{ build, answer, stop string }

// id identifies the code.
func (c code) id() string {
	all := c.build + "\x00" + c.answer
	if c.stop != "" { // older versions of segue have no stop code
		all += "\x00" + c.stop
	}
	sum := sha256.Sum256([]byte(all))
	return hex.EncodeToString(sum[:8])
}

// secretPrefix precedes a secret's name in the subflow's environment, so that
// no reference reaches a variable of the process.
const secretPrefix = "segue_"

// buildPart is the node of a subflow that makes the request; the other parts
// have the same names as on a tab.
const buildPart = "build"

// A subflowMarker is the record in a project's subflow.
type subflowMarker struct {
	Project string `json:"project"`
	// Code identifies the last written code, to distinguish the code of an
	// older segue from an edit.
	Code string `json:"code"`
	// Tries is true if the subflow retries failed requests, which the subflow
	// of an older segue does not do.
	Tries bool `json:"tries,omitempty"`
	// Secrets are the fingerprints of the stored secrets, by name.
	Secrets map[string]string `json:"secrets"`
}

// A subflow is the part shared by the automations of a project.
type subflow struct {
	id     string
	there  bool
	marker subflowMarker
	intact bool // unchanged since a version of segue wrote it
	latest bool // it has the code of this version
	// put holds the values of secrets to store.
	put map[string]automation.Secret
	// dirty is true if it has to be written because of its secrets.
	dirty bool
}

// subflowID is the ID of a project's subflow.
func subflowID(project string) string { return partID("segue", "subflow of "+project) }

// subflow reads the subflow of a project.
func (c *config) subflow(project string) subflow {
	s := subflow{id: subflowID(project), put: map[string]automation.Secret{}}
	e := c.get(s.id)
	if e == nil || e.kind != "subflow" || !markerIn(e.info, &s.marker) || s.marker.Project != project {
		s.marker = subflowMarker{Project: project, Secrets: map[string]string{}}
		return s
	}
	s.there = true
	got := e.node()
	stored := map[string]bool{}
	for _, v := range list(got["env"]) {
		stored[strings.TrimPrefix(v.text("name"), secretPrefix)] = true
	}
	// A secret that somebody has removed is no longer stored.
	maps.DeleteFunc(s.marker.Secrets, func(name, _ string) bool { return !stored[name] })
	if s.marker.Secrets == nil {
		s.marker.Secrets = map[string]string{}
	}

	inside := map[string]node{}
	for _, e := range c.on(s.id) {
		if !isDecoration(e.kind) {
			inside[e.id] = e.node()
		}
	}
	build := inside[partID(s.id, buildPart)]
	found := code{build: build.text("func"), answer: inside[partID(s.id, answerPart)].text("func"), stop: build.text("finalize")}
	s.latest = found == latestCode && s.marker.Tries
	s.intact = found.id() == s.marker.Code && len(inside) == 3
	for _, want := range s.nodes(found) {
		has, ok := inside[want.id()]
		if want.id() == s.id {
			has, ok = got, true
		}
		s.intact = s.intact && ok && same(want, has)
	}
	return s
}

// list reads a list of objects.
func list(v any) []node {
	all, _ := v.([]any)
	var nodes []node
	for _, e := range all {
		if m, ok := e.(map[string]any); ok {
			nodes = append(nodes, m)
		}
	}
	return nodes
}

// nodes makes the subflow and the nodes in it, without info and credentials.
func (s subflow) nodes(c code) []node {
	buildID, sendID, answerID := partID(s.id, buildPart), partID(s.id, sendPart), partID(s.id, answerPart)
	env := []any{}
	for _, name := range slices.Sorted(maps.Keys(s.marker.Secrets)) {
		env = append(env, node{"name": secretPrefix + name, "type": "cred"})
	}
	function := func(id, name, code, stop string, x int, wires ...any) node {
		return node{"id": id, "type": "function", "z": s.id, "name": name, "func": code, "outputs": len(wires), "timeout": 0, "noerr": 0,
			"initialize": "", "finalize": stop, "libs": []any{}, "x": x, "y": 80, "wires": wires}
	}
	answered := []any{[]any{}}
	if s.marker.Tries {
		answered = append(answered, []any{sendID})
	}
	return []node{
		{"id": s.id, "type": "subflow", "name": "segue: " + s.marker.Project, "category": "", "meta": node{}, "color": "#DDAA99",
			"in":  []any{node{"x": 40, "y": 80, "wires": []any{node{"id": buildID}}}},
			"out": []any{node{"x": 780, "y": 80, "wires": []any{node{"id": answerID, "port": 0}, node{"id": buildID, "port": 1}}}},
			"env": env},
		function(buildID, "build the request", c.build, c.stop, 190, []any{sendID}, []any{}),
		{"id": sendID, "type": "http request", "z": s.id, "name": "send it", "method": "use", "ret": "bin", "paytoqs": "body", "url": "",
			"tls": "", "persist": false, "proxy": "", "insecureHTTPParser": false, "authType": "", "senderr": false, "headers": []any{},
			"x": 390, "y": 80, "wires": []any{[]any{answerID}}},
		function(answerID, "tell the caller", c.answer, "", 580, answered...),
	}
}

// uses reports whether any flow uses the subflow, including people's own.
func (c *config) uses(subflow string) bool {
	return slices.ContainsFunc(c.entries, func(e entry) bool { return e.kind == "subflow:"+subflow })
}

// dropSubflow removes a project's subflow with its secrets, after another project
// has taken over all its flows.
func (c *config) dropSubflow(project string) {
	if id := subflowID(project); !c.uses(id) && c.subflow(project).there {
		c.remove(func(e entry) bool { return e.id == id || e.z == id })
	}
}

// borrowed returns the secrets of a project that other flows need: people's
// copies still use the project's subflow.
func (c *config) borrowed(project string) map[string]bool {
	names := map[string]bool{}
	kind := "subflow:" + subflowID(project)
	for _, instance := range c.entries {
		if instance.kind != kind {
			continue
		}
		if on := c.get(instance.z); on != nil && on.own && on.marker.Project == project {
			continue
		}
		for _, e := range c.on(instance.z) {
			if e.kind == "template" && e.field == requestField {
				var a automation.Automation
				a.Action.Headers = map[string]automation.Header{}
				readRequest(e.node().text("template"), &a)
				for _, name := range a.SecretNames() {
					names[name] = true
				}
			}
		}
	}
	return names
}

// writeSubflow stores the subflow if it has changed, and removes it if it is no
// longer used.
func (c *config) writeSubflow(s subflow) error {
	if len(s.marker.Secrets) == 0 && !c.uses(s.id) {
		c.remove(func(e entry) bool { return e.id == s.id || e.z == s.id })
		return nil
	}
	if s.there && s.intact && s.latest && !s.dirty {
		return nil
	}
	s.marker.Code, s.marker.Tries = latestCode.id(), true
	nodes := s.nodes(latestCode)
	info, err := infoOf("The common parts of the automations of project **"+s.marker.Project+"**, and the project's secrets. "+
		"It is managed by [segue](https://github.com/seguehq/segue). Do not edit it or the secrets here: the next `segue apply` restores "+
		"the code, but does not notice a secret that was changed here.", s.marker)
	if err != nil {
		return err
	}
	nodes[0]["info"] = info
	if s.dirty {
		// Node-RED forgets omitted ones, and this value keeps one unchanged.
		credentials := node{}
		for name := range s.marker.Secrets {
			credentials[secretPrefix+name] = "__PWRD__"
		}
		for name, value := range s.put {
			credentials[secretPrefix+name] = value.Reveal()
		}
		nodes[0]["credentials"] = credentials
	}
	wanted := map[string]bool{}
	for _, n := range nodes {
		wanted[n.id()] = true
	}
	c.remove(func(e entry) bool {
		return e.z == s.id && !wanted[e.id] && !isDecoration(e.kind) || e.z != s.id && e.id != s.id && wanted[e.id]
	})
	for _, n := range nodes {
		if err := c.put(n); err != nil {
			return err
		}
	}
	return nil
}

// putSecret stores a secret.
func (s *subflow) putSecret(name string, value automation.Secret) {
	s.marker.Secrets[name] = fingerprint(value, newSalt())
	s.put[name] = value
	s.dirty = true
}

// deleteSecret removes a secret.
func (s *subflow) deleteSecret(name string) {
	if _, ok := s.marker.Secrets[name]; ok {
		delete(s.marker.Secrets, name)
		delete(s.put, name)
		s.dirty = true
	}
}

// Everybody who may open the flows can read a secret's fingerprint. scrypt,
// with these parameters some 60 ms and 32 MiB per guess, and a salt for each,
// make it useless for finding a random secret.
const (
	scryptN, scryptR, scryptP = 1 << 15, 8, 1
	fingerprintBytes          = 16
)

func newSalt() []byte {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	return salt
}

// fingerprint returns "scrypt-15$salt$hash".
func fingerprint(value automation.Secret, salt []byte) string {
	key, err := scrypt.Key([]byte(value.Reveal()), salt, scryptN, scryptR, scryptP, fingerprintBytes)
	if err != nil {
		panic(err) // the parameters are constant and valid
	}
	return "scrypt-15$" + base64.RawURLEncoding.EncodeToString(salt) + "$" + base64.RawURLEncoding.EncodeToString(key)
}

// isOf reports whether a fingerprint is that of the value. A malformed one
// matches nothing.
func isOf(print string, value automation.Secret) bool {
	parts := strings.Split(print, "$")
	if len(parts) != 3 {
		return false
	}
	salt, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || len(salt) == 0 {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(fingerprint(value, salt)), []byte(print)) == 1
}

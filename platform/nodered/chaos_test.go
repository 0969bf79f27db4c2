package nodered

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seguehq/segue/automation"
	"github.com/seguehq/segue/platform/platformtest"
	"github.com/seguehq/segue/sync"
)

// copyTab copies a flow as the editor does that imports a copy: every node has a new
// ID. Its endpoint may keep its path.
func (r *nodeRED) copyTab(t testing.TB, id string, keepPath bool) string {
	t.Helper()
	fresh := map[string]string{id: newID()}
	var copied []node
	for _, raw := range r.flows(t) {
		if e := readEntry(raw); e.id == id || e.z == id {
			n := e.node()
			if e.id != id {
				fresh[e.id] = newID()
			}
			copied = append(copied, n)
		}
	}
	for _, n := range copied {
		n["id"] = fresh[n.id()]
		if z := n.text("z"); z != "" {
			n["z"] = fresh[z]
		}
		if n.text("type") == "tab" {
			n["label"] = n.text("label") + " copy"
		}
		if n.text("type") == "http in" && !keepPath {
			n["url"] = "/copies/" + fresh[id]
		}
		wires, _ := n["wires"].([]any)
		for _, output := range wires {
			for i, to := range output.([]any) {
				output.([]any)[i] = fresh[to.(string)]
			}
		}
	}
	r.add(t, copied...)
	return fresh[id]
}

// everything returns all objects of Node-RED, each flow and subflow with its nodes.
func (r *nodeRED) everything(t testing.TB) map[string][]byte {
	t.Helper()
	parts := map[string][]string{}
	for _, raw := range r.flows(t) {
		e := readEntry(raw)
		in := e.id
		if e.z != "" {
			in = e.z
		}
		parts[in] = append(parts[in], string(raw))
	}
	all := map[string][]byte{}
	for id, lines := range parts {
		slices.Sort(lines)
		all[id] = []byte(strings.Join(lines, "\n"))
	}
	return all
}

// changeTab edits the nodes of a flow, and has Node-RED start those again alone, as
// the editor does unless it is told otherwise.
func (r *nodeRED) changeTab(t testing.TB, id string, f func(n node) bool) {
	t.Helper()
	all := r.flows(t)
	for i, raw := range all {
		e := readEntry(raw)
		if e.id != id && e.z != id {
			continue
		}
		if n := e.node(); f(n) {
			b, err := encode(n)
			if err != nil {
				t.Fatal(err)
			}
			all[i] = b
		}
	}
	r.deploy(t, all, "nodes")
}

// People and killed applies act at random.
func TestChaos(t *testing.T) {
	r := start(t, "")
	var copies []string
	act := func(name string, do func(t testing.TB, rng *rand.Rand, own sync.Stored) []string) platformtest.Act {
		return platformtest.Act{Name: name, Do: do}
	}
	platformtest.Chaos(t, platformtest.People{
		Open: func(t testing.TB, transport http.RoundTripper) sync.Platform {
			p, err := New(r.url, Options{Transport: transport})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.Close() })
			return p
		},
		Everything: r.everything,
		Fire: func(t testing.TB, project string, a automation.Automation, values map[string]any) error {
			return r.fire(t, project, a.Key, values)
		},
		Release: func(t testing.TB, ids []string) {
			for _, id := range ids {
				r.changeTab(t, id, func(n node) bool {
					if n.text("type") != "http in" {
						return false
					}
					n["url"] = "/released/" + n.id()
					return true
				})
			}
		},
		Acts: []platformtest.Act{
			act("duplicate", func(t testing.TB, _ *rand.Rand, own sync.Stored) []string {
				copies = append(copies, r.copyTab(t, own.ID, false))
				return copies[len(copies)-1:]
			}),
			act("duplicate with its path", func(t testing.TB, _ *rand.Rand, own sync.Stored) []string {
				copies = append(copies, r.copyTab(t, own.ID, true))
				return copies[len(copies)-1:]
			}),
			act("edit", func(t testing.TB, _ *rand.Rand, own sync.Stored) []string {
				r.changeTab(t, own.ID, func(n node) bool {
					if n.text("name") != requestPart {
						return false
					}
					n["template"] = fmt.Sprintf(`{"edited": %d}`, time.Now().UnixNano())
					return true
				})
				return nil
			}),
			act("rename", func(t testing.TB, _ *rand.Rand, own sync.Stored) []string {
				r.changeTab(t, own.ID, func(n node) bool {
					if n.text("type") != "tab" {
						return false
					}
					n["label"] = n.text("label") + "!"
					return true
				})
				return nil
			}),
			act("switch off", func(t testing.TB, _ *rand.Rand, own sync.Stored) []string {
				r.changeTab(t, own.ID, func(n node) bool {
					if n.text("type") != "tab" {
						return false
					}
					n["disabled"] = true
					return true
				})
				return nil
			}),
			act("delete", func(t testing.TB, _ *rand.Rand, own sync.Stored) []string {
				r.deploy(t, slices.DeleteFunc(r.flows(t), func(raw json.RawMessage) bool {
					e := readEntry(raw)
					return e.id == own.ID || e.z == own.ID
				}), "nodes")
				return nil
			}),
			act("edit a copy", func(t testing.TB, rng *rand.Rand, _ sync.Stored) []string {
				if len(copies) == 0 {
					return nil
				}
				id := copies[rng.IntN(len(copies))]
				r.changeTab(t, id, func(n node) bool {
					switch n.text("type") {
					case "tab":
						n["label"] = n.text("label") + ", mine"
					case "http in":
						n["url"] = "/mine/" + newID()
					default:
						return false
					}
					return true
				})
				return []string{id}
			}),
			act("delete a copy", func(t testing.TB, rng *rand.Rand, _ sync.Stored) []string {
				if len(copies) == 0 {
					return nil
				}
				i := rng.IntN(len(copies))
				id := copies[i]
				copies = slices.Delete(copies, i, i+1)
				r.deploy(t, slices.DeleteFunc(r.flows(t), func(raw json.RawMessage) bool {
					e := readEntry(raw)
					return e.id == id || e.z == id
				}), "nodes")
				return []string{id}
			}),
		},
	}, platformtest.Seed(t), 50)
}

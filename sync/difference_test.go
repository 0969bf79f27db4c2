package sync

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seguehq/segue/automation"
)

// long is a payload with a list of the numbers from first to 500.
func long(first int) string {
	var numbers []string
	for n := first; n <= 500; n++ {
		numbers = append(numbers, strconv.Itoa(n))
	}
	return `{"l":[` + strings.Join(numbers, ",") + `]}`
}

func TestDifferencesGoFieldByField(t *testing.T) {
	text := func(s string) automation.Header { return automation.Header{Value: automation.Credential{Text: s}} }
	secret := func(s string) automation.Credential { return automation.Credential{Secret: s} }
	payload := func(s string) func(*automation.Automation) {
		return func(a *automation.Automation) { a.Action.Payload = []byte(s) }
	}
	header := func(name string, h automation.Header) func(*automation.Automation) {
		return func(a *automation.Automation) { a.Action.Headers = map[string]automation.Header{name: h} }
	}
	for _, tt := range []struct {
		name          string
		before, after func(*automation.Automation)
		want          []string
	}{
		{
			"plain fields",
			func(a *automation.Automation) {},
			func(a *automation.Automation) { a.Enabled, a.Name = false, "N" },
			[]string{`enabled: true -> false`, `name: "Name of k" -> "N"`},
		},
		{
			"added, removed, null", payload(`{"a":null,"b":1}`), payload(`{"a":{},"c":null}`),
			[]string{`action.payload.a: null -> {}`, `action.payload.b: 1 -> `, `action.payload.c:  -> null`},
		},
		{
			"names that need quotes", payload(`{"a b":{"c/d~":1,"$x":1,"0":1}}`), payload(`{"a b":{"c/d~":2,"$x":2,"0":2}}`),
			[]string{`action.payload."a b".$x: 1 -> 2`, `action.payload."a b"."0": 1 -> 2`, `action.payload."a b"."c/d~": 1 -> 2`},
		},
		{
			"longer list", payload(`{"l":[1,{"x":1}]}`), payload(`{"l":[1,{"x":2},3,4]}`),
			[]string{`action.payload.l[1].x: 1 -> 2`, `action.payload.l[2]:  -> 3`, `action.payload.l[3]:  -> 4`},
		},
		{
			"shorter list", payload(`{"l":[1,2,3,4]}`), payload(`{"l":[9,2]}`),
			[]string{`action.payload.l[0]: 1 -> 9`, `action.payload.l[2]: 3 -> `, `action.payload.l[3]: 4 -> `},
		},
		{
			"one in front of others", payload(long(1)), payload(long(0)),
			[]string{`action.payload.l[0]:  -> 0`},
		},
		{
			"some in the middle", payload(`{"l":[1,2,3,{"x":1},5]}`), payload(`{"l":[1,7,8,3,{"x":2},5]}`),
			[]string{`action.payload.l[1]: 2 -> 7`, `action.payload.l[2]:  -> 8`, `action.payload.l[4].x: 1 -> 2`},
		},
		{
			"numbers as they are written", payload(`{"n":9007199254740993}`), payload(`{"n":9007199254740992}`),
			nil, // RFC 8785 has the same form for both
		},
		{
			"no payload", payload(``), payload(`{}`),
			[]string{`action.payload:  -> {}`},
		},
		{
			"a header", header("Content-Type", text("a/b")), header("Content-Type", text("c/d")),
			[]string{`action.headers."Content-Type": "a/b" -> "c/d"`},
		},
		{
			"a header more", header("Accept", text("a/b")), func(a *automation.Automation) { a.Action.Headers = nil },
			[]string{`action.headers.Accept: "a/b" -> `},
		},
		{
			"a secret's name",
			header("Authorization", automation.Header{Scheme: automation.Basic, Username: secret("A")}),
			header("Authorization", automation.Header{Scheme: automation.Basic, Username: secret("B")}),
			[]string{`action.headers.Authorization: {"basic":{"password":"","username":{"secret":"A"}}} -> {"basic":{"password":"","username":{"secret":"B"}}}`},
		},
		{
			"a pasted credential",
			header("Authorization", automation.Header{Scheme: automation.Basic, Username: automation.Credential{Text: "abc"}, Password: automation.Credential{Text: "def"}}),
			header("Authorization", automation.Header{Scheme: automation.Basic, Username: secret("B")}),
			[]string{`action.headers.Authorization: {"basic":{"password":"(hidden)","username":"(hidden)"}} -> {"basic":{"password":"","username":{"secret":"B"}}}`},
		},
		{
			"a pasted value", header("X", text("abc")), header("X", automation.Header{Value: secret("S")}),
			[]string{`action.headers.X: "(hidden)" -> {"secret":"S"}`},
		},
		{
			"a pasted token", header("X-Api-Key", text("abc")), header("X-Api-Key", text("def")),
			[]string{`action.headers."X-Api-Key": "(hidden)" -> "(hidden)"`},
		},
		{
			"a secret's value anywhere",
			payload(`{"a":"see s3cr3t&value!","b":["czNjcjN0JnZhbHVlITpw"],"s3cr3t&value!":1}`), payload(`{"a":"?k=s3cr3t%26value%21"}`),
			[]string{`action.payload.a: "(hidden)" -> "(hidden)"`, `action.payload.b: ["(hidden)"] -> `, `action.payload."(hidden)": 1 -> `},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := makeAutomation("k", 1), makeAutomation("k", 1)
			tt.before(&a)
			tt.after(&b)
			found, err := differences(a, b, map[string]automation.Secret{"S": automation.NewSecret("s3cr3t&value!"), "E": {}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range found {
				got = append(got, fmt.Sprintf("%s: %s -> %s", d.Path, d.Before, d.After))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDifferencesOfWhatCannotBeReadIsTheWhole(t *testing.T) {
	broken := makeAutomation("k", 1)
	broken.Action.Payload = []byte("{")
	found, err := differences(broken, makeAutomation("k", 1), nil)
	if err != nil || len(found) != 1 || found[0].Path != "" || !strings.HasPrefix(string(found[0].After), `{"action"`) {
		t.Errorf("differences = %v, %v", found, err)
	}
}

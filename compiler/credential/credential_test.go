package credential_test

import (
	"testing"

	"github.com/seguehq/segue/compiler/credential"
)

// Credentials are masked everywhere in a file, even a broken one. Everything else is shown unchanged.
func TestMaskCredentials(t *testing.T) {
	for name, test := range map[string]struct{ in, want string }{
		"misspelt":             {`sources: segment: {region: "us", writeKey: secrt: "abc-1"}`, `sources: segment: {region: "us", writeKey: secrt: "*****"}`},
		"name of a secret":     {`sources: segment: writeKey: secret: "WRITE_KEY"`, ``},
		"number":               {`targets: local: {apiKey: 99887, parallelism: 4}`, `targets: local: {apiKey: *****, parallelism: 4}`},
		"without quotes":       {"targets: local: apiKey: abcdef12\nx: abcdef12\n", "targets: local: apiKey: ********\nx: abcdef12\n"},
		"reference":            {`targets: local: apiKey: shared.key2021`, ``},
		"unclosed":             {"writeKey: \"abc\nregion: \"us\"\n", "writeKey: \"***\nregion: \"us\"\n"},
		"unclosed over lines":  {"writeKey: \"\"\"\n\tabc\n", "writeKey: \"\"\"\n****\n"},
		"over lines":           {"token: \"\"\"\n\ta\n\tb\n\t\"\"\"\nname: \"c\"\n", "token: \"\"\"\n**\n**\n*\"\"\"\nname: \"c\"\n"},
		"raw":                  {`token: #"abc"#`, `token: #"***"#`},
		"bytes":                {`token: 'abc'`, `token: '***'`},
		"list":                 {`headers: Authorization: ["Bearer a", "b"], name: "c"`, `headers: Authorization: ["********", "*"], name: "c"`},
		"after a block":        {`headers: {"X-Api-Key": {a: "b"}, Accept: "c"}, name: "d"`, `headers: {"X-Api-Key": {a: "*"}, Accept: "c"}, name: "d"`},
		"interpolation":        {`token: "ab\(x.y)cd", name: "e\(f)g"`, `token: "**\(x.y)**", name: "e\(f)g"`},
		"nested interpolation": {`token: "ab\(f("x", (1)))cd\(g)h", name: "i"`, `token: "**\(f("*", (*)))**\(g)*", name: "i"`},
		"placeholder":          {`headers: "X-Token": "ab {{userId}}"`, `headers: "X-Token": "***{{userId}}"`},
		"let":                  {"let writeKey = \"abc\"\nlet region = \"us\"\n", "let writeKey = \"***\"\nlet region = \"us\"\n"},
		"definition":           {`#Headers: Authorization: "abc"`, `#Headers: Authorization: "***"`},
		"URL with a user":      {`url: "https://u:p@example.com/a"`, `url: "https://***@example.com/a"`},
		"URL with a token":     {`url: "https://example.com/a?access_token=abc&b=c&key=d"`, `url: "https://example.com/a?access_token=***&b=c&key=*"`},
		"URL with templates":   {`url: "https://example.com/{{userId}}?token={{userId}}&mail=a@b.example"`, ``},
		"characters":           {`token: "é√𝒳"`, `token: "×✱🞸"`},
		"place of a secret":    {`secrets: KEY: exec: ["sops", "-d", "a"]`, ``},
		"in a payload":         {`automations: a: payload: properties: {token: "a", password: "b", plan: "c"}`, `automations: a: payload: properties: {token: "a", password: "*", plan: "c"}`},
		"chosen names":         {`automations: "token": name: "a"`, ``},
		"placeholder's sample": {`placeholders: token: sample: "a"`, ``},
		"mail":                 {`description: "write to mailto:someone@example.com"`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			want := test.want
			if want == "" {
				want = test.in
			}
			if got := string(credential.Mask([]byte(test.in))); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
		})
	}
}

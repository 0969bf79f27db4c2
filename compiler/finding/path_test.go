package finding

import "testing"

// A quoted name may begin with # and be no definition.
func TestPathsOfOddNames(t *testing.T) {
	for want, p := range map[string]Path{
		`automations.a.headers."#X-Id"`: {"automations", "a", "headers", "#X-Id"},
		`#Base.name`:                    {"#Base", "name"},
	} {
		if got := p.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

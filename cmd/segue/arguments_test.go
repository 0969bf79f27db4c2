package main

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFlagsMayStandBehindArguments(t *testing.T) {
	app := newApp(newTerminal(strings.NewReader(""), io.Discard, io.Discard))
	for line, want := range map[string]string{
		"segue":                                     "segue",
		"segue render key --data file":              "segue render --data file key",
		"segue render key --data=file -t prod":      "segue render --data=file -t prod key",
		"segue render key --data -":                 "segue render --data - key",
		"segue -C dir vet a --format json b":        "segue -C dir vet --format json a b",
		"segue -C vet vet vet":                      "segue -C vet vet vet",
		"segue vet a -- --format b":                 "segue vet -- a --format b",
		"segue platform fire --dry-run --kind x":    "segue platform fire --dry-run --kind x",
		"segue platform x fire --dry-run":           "segue platform --dry-run x fire",
		"segue apply x --auto-approve y":            "segue apply --auto-approve x y",
		"segue render key --unknown value":          "segue render --unknown key value",
		"segue vet a -":                             "segue vet a -",
		"segue render key --data":                   "segue render --data key",
		"segue render k --generate-bash-completion": "segue render k --generate-bash-completion",
	} {
		if got := strings.Join(flagsFirst(app, strings.Fields(line)), " "); got != want {
			t.Errorf("%s\n got %s\nwant %s", line, got, want)
		}
	}
}

func TestWordsAreQuotedForTheShell(t *testing.T) {
	for word, want := range map[string]string{
		"plan":              "plan",
		"a/b-c_d.e:f@g":     "a/b-c_d.e:f@g",
		"Über":              "Über",
		"":                  `""`,
		"Account activated": `"Account activated"`,
		"it's":              `"it's"`,
		`say "x"`:           `'say "x"'`,
		"$HOME it's":        `'$HOME it'\''s'`,
		"a;b":               `"a;b"`,
		"~/x":               `"~/x"`,
	} {
		if got := shellWord(word); got != want {
			t.Errorf("%q: got %s, want %s", word, got, want)
		}
	}
}

func TestUsageErrorsAreInTheReadersTerms(t *testing.T) {
	got := map[string]string{}
	for _, flag := range []string{"C", "formt", "x"} {
		got[flag] = unknownFlag("segue plan", planCommand(&terminal{}).Flags, flag).Error()
	}
	want := map[string]string{
		"C":     "-C goes before the command: segue -C DIR COMMAND",
		"formt": "segue plan has no flag --formt; did you mean --format?",
		"x":     "segue plan has no flag -x; see segue plan --help",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

package automation

import (
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParseTemplate(t *testing.T) {
	for _, test := range []struct {
		in, canonical string
		refs          []Reference
	}{
		{"", "", nil},
		{"plain {text} with } and {", "plain {text} with } and {", nil},
		{`{"a":{"b":1}}`, `{"a":{"b":1}}`, nil},
		{"{{userId}}", "{{userId}}", []Reference{{"userId", NoCast, 0, 10}}},
		{"{{ \tuserId }}", "{{userId}}", []Reference{{"userId", NoCast, 0, 13}}},
		{"{{duration|number}}", "{{duration | number}}", []Reference{{"duration", CastNumber, 0, 19}}},
		{"{{ flag | boolean }}", "{{flag | boolean}}", []Reference{{"flag", CastBoolean, 0, 20}}},
		{"é {{a}}-{{b.c}}!", "é {{a}}-{{b.c}}!", []Reference{{"a", NoCast, 3, 5}, {"b.c", NoCast, 9, 7}}},
		{"{{a}}{{b}}", "{{a}}{{b}}", []Reference{{"a", NoCast, 0, 5}, {"b", NoCast, 5, 5}}},
		{"{id: {{a}}}", "{id: {{a}}}", []Reference{{"a", NoCast, 5, 5}}},
		{"{x:{id: {{a}}}}", "{x:{id: {{a}}}}", []Reference{{"a", NoCast, 8, 5}}},
	} {
		got, err := ParseTemplate(test.in)
		if err != nil {
			t.Errorf("ParseTemplate(%q): %v", test.in, err)
			continue
		}
		if diff := cmp.Diff(test.refs, got.References()); diff != "" {
			t.Errorf("ParseTemplate(%q) references (-want +got):\n%s", test.in, diff)
		}
		if got.String() != test.canonical {
			t.Errorf("ParseTemplate(%q).String() = %q, want %q", test.in, got, test.canonical)
		}
	}
}

func TestParseTemplateErrors(t *testing.T) {
	for _, test := range []struct {
		in   string
		want []SyntaxError
	}{
		{"{{userId", []SyntaxError{{Problem: Unclosed, Offset: 0, Length: 8, Name: "userId"}}},
		{"a {{userId} b", []SyntaxError{{Problem: Unclosed, Offset: 2, Length: 9, Name: "userId"}}},
		{"{{a {{b}}", []SyntaxError{{Problem: Unclosed, Offset: 0, Length: 3, Name: "a"}}},
		{"hi {{a, welcome", []SyntaxError{{Problem: Unclosed, Offset: 3, Length: 3, Name: "a"}}},
		{"{userId}}", []SyntaxError{{Problem: Unopened, Offset: 0, Length: 9, Name: "userId"}}},
		{"x userId }}", []SyntaxError{{Problem: Unopened, Offset: 0, Length: 11, Name: "x userId"}}},
		{"}}", []SyntaxError{{Problem: Unopened, Offset: 0, Length: 2}}},
		{"{{{userId}}}", []SyntaxError{{Problem: ExtraBrace, Offset: 0, Length: 12, Name: "userId"}}},
		{"{{userId}}}", []SyntaxError{{Problem: ExtraBrace, Offset: 0, Length: 11, Name: "userId"}}},
		{"{{}}", []SyntaxError{{Problem: BadName, Offset: 0, Length: 4}}},
		{"{{user id}}", []SyntaxError{{Problem: BadName, Offset: 0, Length: 11, Name: "user id"}}},
		{"{{a\n}}", []SyntaxError{{Problem: BadName, Offset: 0, Length: 6, Name: "a\n"}}},
		{"{{a|}}", []SyntaxError{{Problem: BadName, Offset: 0, Length: 6, Name: "a"}}},
		{"{{a|number|number}}", []SyntaxError{{Problem: BadName, Offset: 0, Length: 19, Name: "a", Cast: "number|number"}}},
		{"{{a | int}}", []SyntaxError{{Problem: UnknownCast, Offset: 0, Length: 11, Name: "a", Cast: "int"}}},
		{"{{a | number}} s", []SyntaxError{{Problem: CastInText, Offset: 0, Length: 14, Name: "a", Cast: "number"}}},
		{"{{a}} }} {{", []SyntaxError{
			{Problem: Unopened, Offset: 6, Length: 2}, {Problem: Unclosed, Offset: 9, Length: 2}}},
	} {
		_, err := ParseTemplate(test.in)
		var got SyntaxErrors
		if !errors.As(err, &got) {
			t.Errorf("ParseTemplate(%q) error = %v, want SyntaxErrors", test.in, err)
			continue
		}
		for i := range test.want {
			w := &test.want[i]
			w.Text = test.in[w.Offset : w.Offset+w.Length]
		}
		if diff := cmp.Diff(SyntaxErrors(test.want), got); diff != "" {
			t.Errorf("ParseTemplate(%q) errors (-want +got):\n%s", test.in, diff)
		}
	}
}

func TestTemplateShape(t *testing.T) {
	lone, _ := ParseTemplate("{{a}}")
	if r, ok := lone.Lone(); !ok || r.Name != "a" {
		t.Errorf("Lone of {{a}} = %v, %v", r, ok)
	}
	blanks, err := ParseTemplate("{{a | number}} \u00a0")
	if err != nil {
		t.Errorf("whitespace around a cast: %v, want a separate finding", err)
	}
	if r, ok := blanks.BlanksAround(); !ok || r.Name != "a" {
		t.Errorf("BlanksAround = %v, %v", r, ok)
	}
	if _, ok := lone.BlanksAround(); ok {
		t.Error("BlanksAround is true for a template without whitespace")
	}
}

func FuzzParseTemplate(f *testing.F) {
	for _, s := range []string{"", "{{a}}", "{{ a | number }}", "{{{a}}}", "{{a}", "a}}", "{{a}}{{b", "{{\u2028}}", "{{a|b|c}}", "{}{{}}{}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := ParseTemplate(s)
		var errs SyntaxErrors
		if errors.As(err, &errs) {
			for _, e := range errs {
				if e.Offset < 0 || e.Length <= 0 || e.Offset+e.Length > len(s) || e.Text != s[e.Offset:e.Offset+e.Length] {
					t.Fatalf("error does not cover its text: %+v in %q", e, s)
				}
				if utf8.ValidString(s) && !utf8.ValidString(e.Error()) {
					t.Fatalf("message is not UTF-8: %q", e.Error())
				}
			}
			return
		}
		printed := parsed.String()
		again, err := ParseTemplate(printed)
		if err != nil {
			t.Fatalf("%q printed as %q, which does not parse: %v", s, printed, err)
		}
		if again.String() != printed {
			t.Fatalf("%q printed as %q, then as %q", s, printed, again)
		}
		if len(again.References()) != len(parsed.References()) {
			t.Fatalf("%q: %d placeholders, %d after printing", s, len(parsed.References()), len(again.References()))
		}
	})
}

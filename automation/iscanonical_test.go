package automation

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gowebpki/jcs"
)

// Canonicalizing JSON that isCanonical accepts does not change it.
func TestIsCanonical(t *testing.T) {
	for _, text := range []string{`{}`, `[]`, `{"a":[1,-20,"x\n\"é",true,false,null],"b":{"A":0,"a":999999999999999}}`} {
		if !isCanonical([]byte(text)) {
			t.Errorf("%s is canonical", text)
		}
	}
	for _, text := range []string{``, ` {}`, `{"b":1,"a":1}`, `{"a":1,"a":1}`, `[1.0]`, `[-0]`, `[01]`, `[1e3]`, `["\u0041"]`, `["\/"]`, `[1, 2]`, "[\"\n\"]", `{"é":1}`, `[1234567890123456]`, "[\"\xff\"]", `[]]`, `[1,]`, `{"a":1,}`, `{"a\"":1}`, `tru`} {
		if isCanonical([]byte(text)) {
			t.Errorf("%s is taken for canonical", text)
		}
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	parts := []string{`{`, `}`, `[`, `]`, `:`, `,`, `"a"`, `"b"`, `"é"`, `"\n"`, `"\u000f"`, "\"\u2028\"", `"\""`, `1`, `-1`, `0`, `-0`, `1.5`, `10`, `1e1`, `true`, `null`, ` `, `"a":`, `{"a":1}`, `[1]`}
	for range 200_000 {
		var text []byte
		for range 1 + r.IntN(6) {
			text = append(text, parts[r.IntN(len(parts))]...)
		}
		text = fmt.Appendf(nil, "[%s]", text)
		if !isCanonical(text) {
			continue
		}
		if want, err := jcs.Transform(text); err != nil || !bytes.Equal(want, text) {
			t.Fatalf("%s is taken for canonical: %s, %v", text, want, err)
		}
	}
}

// Writing a document in parts gives the same bytes as canonicalizing it as a
// whole.
func TestDocumentIsWrittenInParts(t *testing.T) {
	for _, n := range []int{0, 1, 2, blockSize, blockSize + 1, 3*blockSize + 7} {
		d := Document{Project: "a<b"}
		automations := []Automation{}
		for i := range n {
			automations = append(automations, Automation{Key: fmt.Sprintf("team/%06d", i), Name: "<é\u2028>", Trigger: Trigger{Kind: Pattern, Name: "P & Q"},
				Action: Request{Kind: KindHTTPRequest, Method: "POST", URL: "https://example.com/?a&b", Payload: []byte(`{"a": 1.50, "b":[]}`), Headers: map[string]Header{"X": {}}}})
		}
		for of := range slices.Chunk(automations, 10) {
			encoded, err := Encode(of)
			if err != nil {
				t.Fatal(err)
			}
			d.Automations = append(d.Automations, encoded...)
		}
		want, err := canonical(documentJSON{APIVersion: APIVersion, Automations: automations, Project: d.Project})
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Canonical()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d automations: %v\n%.300s\n%.300s", n, err, got, want)
		}
		indented, err := d.Indented()
		if want := Indent(want); err != nil || !bytes.Equal(indented, want) {
			t.Errorf("%d automations, indented: %v\n%.300s\n%.300s", n, err, indented, want)
		}
	}
}

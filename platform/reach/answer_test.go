package reach

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seguehq/segue/sync"
)

func TestReadAnswer(t *testing.T) {
	const text = `{"name":"Zo\u00eb"}`
	packed := func(pack func(io.Writer) io.WriteCloser, s string) string {
		var b bytes.Buffer
		w := pack(&b)
		if _, err := io.WriteString(w, s); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	zipped := func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	zlibbed := func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }
	deflated := func(w io.Writer) io.WriteCloser {
		f, err := flate.NewWriter(w, 6)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for name, c := range map[string]struct {
		encodings  []string
		body       string
		want, says string
	}{
		"plain":                        {nil, text, text, ""},
		"a byte order mark":            {nil, "\xef\xbb\xbf" + text, text, ""},
		"identity":                     {[]string{"identity"}, text, text, ""},
		"gzip":                         {[]string{"gzip"}, packed(zipped, text), text, ""},
		"x-gzip, in other letters":     {[]string{" X-GZip"}, packed(zipped, text), text, ""},
		"gzip, with a byte order mark": {[]string{"gzip"}, packed(zipped, "\xef\xbb\xbf"+text), text, ""},
		"deflate":                      {[]string{"deflate"}, packed(zlibbed, text), text, ""},
		"deflate, raw":                 {[]string{"deflate"}, packed(deflated, text), text, ""},
		"deflate, then gzip":           {[]string{"deflate, gzip"}, packed(zipped, packed(zlibbed, text)), text, ""},
		"in two headers":               {[]string{"deflate", "gzip"}, packed(zipped, packed(zlibbed, text)), text, ""},
		"nothing at all":               {[]string{"gzip"}, "", "", ""},
		"brotli":                       {[]string{"br"}, "\x0b\x02\x80{}\x03", "", `the platform answers with Content-Encoding "br", which segue does not read`},
		"zstd":                         {[]string{"zstd"}, "(\xb5/\xfd", "", `Content-Encoding "zstd"`},
		"gzip that is none":            {[]string{"gzip"}, text, "", "invalid header"},
		"gzip that is cut":             {[]string{"gzip"}, packed(zipped, text)[:20], "", "in the middle of its answer"},
	} {
		t.Run(name, func(t *testing.T) {
			res := &http.Response{Header: http.Header{"Content-Encoding": c.encodings}, Body: io.NopCloser(strings.NewReader(c.body))}
			got, err := ReadAnswer(res, 1<<20)
			if c.says == "" {
				if err != nil || string(got) != c.want {
					t.Errorf("read %q, %v; want %q", got, err, c.want)
				}
				return
			}
			if err == nil {
				t.Fatalf("read %q, want an error", got)
			}
			failure := Failure(err, "the platform", "")
			if !strings.Contains(failure.Message, c.says) {
				t.Errorf("error %q, want %q in it", failure.Message, c.says)
			}
			if unknown := strings.Contains(c.says, "Content-Encoding"); unknown != (failure.Kind == sync.Refused) {
				t.Errorf("it is of the kind %d", failure.Kind)
			}
		})
	}
	res := &http.Response{Body: io.NopCloser(strings.NewReader("123456"))}
	if got, err := ReadAnswer(res, 3); string(got) != "1234" || err != nil {
		t.Errorf("of a long one it reads %q, %v", got, err)
	}
}

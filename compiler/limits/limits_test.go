package limits

import (
	"math"
	"testing"
	"time"
)

func TestFor(t *testing.T) {
	for _, tt := range []struct {
		bytes int64
		want  Limits
	}{
		{-1, Limits{10 * time.Second, 1e9}},
		{0, Limits{10 * time.Second, 1e9}},
		{1e6, Limits{65 * time.Second, 2.5e9}},
		{2e6, Limits{120 * time.Second, 4e9}},
		{4e6, Limits{230 * time.Second, 7e9}},
		{6e6, Limits{340 * time.Second, 8e9}},
		{math.MaxInt64, Limits{10 * time.Minute, 8e9}},
	} {
		if got := For(tt.bytes); got != tt.want {
			t.Errorf("For(%d) = %v, want %v", tt.bytes, got, tt.want)
		}
	}
	if got, want := (Limits{Time: 3 * time.Second}).Or(For(0)), (Limits{3 * time.Second, 1e9}); got != want {
		t.Errorf("Or = %v, want %v", got, want)
	}
}

func TestParse(t *testing.T) {
	const (
		noTime   = ` is not a duration: write it like "30s" or "2m"`
		noMemory = ` is not an amount of memory: write it like "512MB" or "2GB"`
	)
	for text, want := range map[string]string{
		"30s": "30s", "2m": "2m0s", "1.5h": "1h30m0s", "100ms": "100ms",
		"":     `""` + noTime,
		"30":   `"30"` + noTime,
		"soon": `"soon"` + noTime,
		"-3s":  "a limit of -3s is out of range: use 100ms to 24h",
		"0":    "a limit of 0 is out of range: use 100ms to 24h",
		"25h":  "a limit of 25h is out of range: use 100ms to 24h",
	} {
		d, err := ParseTime(text)
		if got := d.String(); err == nil && got != want || err != nil && err.Error() != want {
			t.Errorf("ParseTime(%q) = %v, %v, want %s", text, d, err, want)
		}
	}
	for text, want := range map[string]string{
		"2GB": "2 GB", "2 gb": "2 GB", "1.5G": "1.5 GB", "512MB": "512 MB", "1GiB": "1 GB",
		"":                      `""` + noMemory,
		"much":                  `"much"` + noMemory,
		"-2GB":                  `"-2GB"` + noMemory,
		"2 apples":              `"2 apples"` + noMemory,
		"NaN":                   `"NaN"` + noMemory,
		"٣GB":                   `"٣GB"` + noMemory,
		"99999999999999999999E": `"99999999999999999999E"` + noMemory,
		"2":                     "a limit of 2 is out of range: use 100MB to 1000GB",
		"2TB":                   "a limit of 2TB is out of range: use 100MB to 1000GB",
	} {
		n, err := ParseMemory(text)
		if got := FormatMemory(n); err == nil && got != want || err != nil && err.Error() != want {
			t.Errorf("ParseMemory(%q) = %v, %v, want %s", text, n, err, want)
		}
	}
}

func TestOverrun(t *testing.T) {
	allowed := Limits{Time: 10 * time.Second, Memory: 1e9}
	for want, over := range map[string]Overrun{
		"took more than 10s of processor time":           {Limit: Time},
		"took more than 1 GB of memory":                  {Limit: Memory},
		"is nested too deeply":                           {Limit: Depth},
		"ended the process that evaluated it: panic: no": {Limit: Crash, Detail: "panic: no"},
	} {
		over.Allowed = allowed
		if got := over.Error(); got != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

func TestPlain(t *testing.T) {
	if got, want := plain("panic: (*adt.Vertex) 0xc0000a4000\x1b[2J\xff"), "panic: (*adt.Vertex) 0x…[2J"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

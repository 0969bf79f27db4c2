package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"testing"
)

// packages returns values such as those of packages with ten automations, of 15 to
// 25 KB, and their keys.
func packages(n int) ([]Key, [][]byte) {
	keys, values := make([]Key, n), make([][]byte, n)
	for i := range keys {
		var b bytes.Buffer
		for j := 0; b.Len() < 15_000+i%10*1000; j++ {
			fmt.Fprintf(&b, `{"key":"team%d/automation-%d","type":"track","trigger":"customer.created","userId":"{{customer.id}}",`+
				`"event":"Account Activated %x","properties":{"plan":"{{customer.plan}}","seats":%d}}`, i, j, sha256.Sum256(fmt.Append(nil, i, j)), j)
		}
		keys[i], values[i] = sha256.Sum256(b.Bytes()), b.Bytes()
	}
	return keys, values
}

func filled(b *testing.B, keys []Key, values [][]byte) Config {
	config := Config{Dir: b.TempDir()}
	c := Open(config)
	for i, key := range keys {
		c.Put(b.Context(), key, values[i])
	}
	c.Close(b.Context())
	return config
}

// A warm run of 1,000 packages: the cache is opened, all results are read, and it
// is closed.
func BenchmarkGetAll1000(b *testing.B) {
	keys, values := packages(1000)
	config := filled(b, keys, values)
	for b.Loop() {
		c := Open(config)
		var found atomic.Int64
		c.GetAll(b.Context(), keys, func(int, []byte) { found.Add(1) })
		c.Close(b.Context())
		if found.Load() != 1000 {
			b.Fatal(found.Load())
		}
	}
}

func BenchmarkGet1000InTurn(b *testing.B) {
	keys, values := packages(1000)
	config := filled(b, keys, values)
	for b.Loop() {
		c := Open(config)
		for _, key := range keys {
			if _, ok := c.Get(b.Context(), key); !ok {
				b.Fatal("a miss")
			}
		}
		c.Close(b.Context())
	}
}

// All entries are new, as in a cold run.
func BenchmarkPut1000InTurn(b *testing.B) {
	_, values := packages(1000)
	c := Open(Config{Dir: b.TempDir()})
	round := 0
	for b.Loop() {
		round++
		for i, value := range values {
			c.Put(b.Context(), sha256.Sum256(fmt.Append(nil, round, i)), value)
		}
	}
	c.Close(context.Background())
}

func BenchmarkDecode(b *testing.B) {
	keys, values := packages(1)
	entry := encode(keys[0], values[0])
	b.ReportMetric(float64(len(entry)), "bytes")
	for b.Loop() {
		if _, err := decode(keys[0], entry); err != nil {
			b.Fatal(err)
		}
	}
}

// A trim that finds nothing to remove among 100,000 entries.
func BenchmarkTrim100000(b *testing.B) {
	config := Config{Dir: b.TempDir()}
	c := Open(config)
	for i := range 100_000 {
		c.Put(b.Context(), sha256.Sum256(fmt.Append(nil, i)), []byte("value"))
	}
	for b.Loop() {
		trim(b.Context(), c.disk.root, DefaultLimit)
	}
	c.Close(b.Context())
}

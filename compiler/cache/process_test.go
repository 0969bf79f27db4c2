package cache

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// roleVariable makes the test binary a process that uses a cache: the role, the
// folder and an argument, with spaces in between.
const roleVariable = "SEGUE_TEST_CACHE_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		var name, dir, argument string
		parts := strings.SplitN(role, " ", 3)
		name, argument, dir = parts[0], parts[1], parts[2]
		if err := roles[name](dir, argument); err != nil {
			fmt.Println("FAILED:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var roles = map[string]func(dir, argument string) error{"full": full, "busy": busy}

// rerun runs the test binary in a role, and returns its output.
func rerun(t *testing.T, role, dir, argument string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role+" "+argument+" "+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", role, argument, err, out)
	}
	return string(out)
}

// full puts entries where no file can have more than 100 bytes.
func full(dir, argument string) error {
	n, err := strconv.Atoi(argument)
	if err != nil {
		return err
	}
	if err := limitFiles(100); err != nil {
		return err
	}
	ctx := context.Background()
	c := Open(Config{Dir: dir, Warn: func(note string) { fmt.Println("note:", note) }})
	for round := range 3 {
		for i := range n {
			c.Put(ctx, key(1000*(round+1)+i), value(300+i))
		}
	}
	c.Close(ctx)
	return nil
}

// busy gets, puts, trims and damages at random, and checks that only the right values are found.
func busy(dir, argument string) error {
	seed, err := strconv.ParseUint(argument, 10, 64)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(seed, 42))
	ctx := context.Background()
	found := 0
	for range 12 {
		c := Open(Config{Dir: dir, Limit: minLimit, Warn: func(note string) { fmt.Println("note:", note) }})
		for range 120 {
			i := random.IntN(500)
			switch random.IntN(10) {
			case 0:
				damageOne(dir, random)
			case 1:
				trim(ctx, c.disk.root, 256<<10)
			case 2, 3, 4:
				c.Put(ctx, key(i), value(i))
			default:
				got, ok := c.Get(ctx, key(i))
				if ok && !bytes.Equal(got, value(i)) {
					return fmt.Errorf("key %d gives %q", i, got)
				}
				if ok {
					found++
				}
			}
		}
		c.Close(ctx)
		if random.IntN(8) == 0 {
			if _, err := Clean(dir); err != nil && !strings.Contains(err.Error(), "directory not empty") {
				return err
			}
		}
	}
	fmt.Println("found", found)
	return nil
}

// damageOne damages a file of the folder in some way.
func damageOne(dir string, random *rand.Rand) {
	all, _ := filepath.Glob(filepath.Join(dir, "??*", "*"))
	if len(all) == 0 {
		return
	}
	name := all[random.IntN(len(all))]
	b, err := os.ReadFile(name)
	if err != nil || len(b) == 0 {
		return
	}
	switch random.IntN(5) {
	case 0:
		_ = os.WriteFile(name, b[:random.IntN(len(b))], 0o600)
	case 1:
		b[random.IntN(len(b))] ^= 1 << random.IntN(8)
		_ = os.WriteFile(name, b, 0o600)
	case 2:
		_ = os.Remove(name)
	case 3:
		_ = os.Rename(name, all[random.IntN(len(all))])
	case 4:
		another := random.IntN(500)
		_ = os.WriteFile(name, encode(key(another), value(another)), 0o600)
	}
}

// Each process finds the right values or none, whatever other processes do to the folder.
func TestManyProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "segue")
	seed := rand.Uint64N(1 << 40)
	t.Logf("seed %d", seed)
	var all sync.WaitGroup
	var mu sync.Mutex
	found := 0
	for i := range uint64(6) {
		all.Go(func() {
			out := rerun(t, "busy", dir, fmt.Sprint(seed+i))
			if strings.Contains(out, "note:") {
				t.Errorf("a note:\n%s", out)
			}
			var n int
			_, _ = fmt.Sscanf(out, "found %d", &n)
			mu.Lock()
			defer mu.Unlock()
			found += n
		})
	}
	all.Wait()
	if found == 0 {
		t.Error("nothing was ever found")
	}
	if u, err := Measure(dir); err != nil {
		t.Errorf("%+v, %v", u, err)
	}
}

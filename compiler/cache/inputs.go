package cache

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
)

const (
	maxCandidates = 8 // sets of inputs that are remembered for an action
	maxInputs     = 100_000
	maxNameLength = 4096
)

// An Input is a file that a result depends on, or anything else that has a name
// and a hash.
type Input struct {
	Name string
	Hash Key
}

// Lookup returns the value of an action whose inputs are known only once it has
// been carried out. The action is the hash of all that is known before. The cache
// remembers for it the last few sets of inputs that were passed to [Cache.Record],
// and hash tells what is there now: false where an input can't be had. The newest
// set in which all hashes are the same gives the result.
//
// The names may come from a server, so hash must read only what the project may
// read. It is asked for the same names by many actions: it should remember hashes.
// That an input was missing can be recorded too, under a hash of the caller's
// choice, such as the zero Key.
//
// A caller that can tell all inputs before, from import clauses, hashes them into
// one key and uses [Cache.Get]: that is one request to the server instead of two.
func (c *Cache) Lookup(ctx context.Context, action Key, hash func(name string) (Key, bool)) ([]byte, bool) {
	if c == nil {
		return nil, false
	}
	index := indexKey(action)
	known, _ := c.candidates(ctx, index, c.local)
	if value, ok := c.match(ctx, action, known, hash); ok {
		return value, true
	}
	more, ok := c.candidates(ctx, index, c.fetch)
	if !ok {
		return nil, false
	}
	// The folder's own candidates are still worth remembering.
	if c.disk != nil && len(known) > 0 {
		c.store(index, encode(index, encodeCandidates(merge(more, known))))
	}
	return c.match(ctx, action, more, hash)
}

// Record keeps the value of an action, and which inputs it had. The order of the
// inputs does not matter. Inputs that name the same thing twice with different
// hashes, because it has changed meanwhile, are not kept.
func (c *Cache) Record(ctx context.Context, action Key, inputs []Input, value []byte) {
	if c == nil || len(inputs) > maxInputs {
		return
	}
	inputs = slices.Clone(inputs)
	slices.SortFunc(inputs, func(a, b Input) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), bytes.Compare(a.Hash[:], b.Hash[:]))
	})
	inputs = slices.Compact(inputs)
	for i, in := range inputs {
		if len(in.Name) > maxNameLength || (i > 0 && in.Name == inputs[i-1].Name) {
			return
		}
	}
	c.Put(ctx, resultKey(action, inputs), value)
	index := indexKey(action)
	known, _ := c.candidates(ctx, index, c.local)
	c.Put(ctx, index, encodeCandidates(merge([][]Input{inputs}, known)))
}

// candidates returns the sets of inputs of an action, the newest first.
func (c *Cache) candidates(
	ctx context.Context, index Key, from func(context.Context, Key) ([]byte, bool),
) ([][]Input, bool) {
	b, ok := from(ctx, index)
	if !ok {
		return nil, false
	}
	sets, err := decodeCandidates(b)
	return sets, err == nil
}

// match returns the result for the first set of inputs that are all the same now.
func (c *Cache) match(ctx context.Context, action Key, sets [][]Input, hash func(string) (Key, bool)) ([]byte, bool) {
	for _, inputs := range sets {
		changed := slices.ContainsFunc(inputs, func(in Input) bool {
			now, ok := hash(in.Name)
			return !ok || now != in.Hash
		})
		if changed {
			continue
		}
		if value, ok := c.Get(ctx, resultKey(action, inputs)); ok {
			return value, true
		}
	}
	return nil, false
}

// merge returns the newer sets and then the older ones, each once.
func merge(newer, older [][]Input) [][]Input {
	var all [][]Input
	for _, set := range slices.Concat(newer, older) {
		known := slices.ContainsFunc(all, func(s []Input) bool { return slices.Equal(s, set) })
		if !known && len(all) < maxCandidates {
			all = append(all, set)
		}
	}
	return all
}

// indexKey is where the sets of inputs of an action are.
func indexKey(action Key) Key {
	return sha256.Sum256(append([]byte("segue inputs v1\n"), action[:]...))
}

// resultKey is where the result of an action with these inputs is.
func resultKey(action Key, inputs []Input) Key {
	b := append([]byte("segue result v1\n"), action[:]...)
	return sha256.Sum256(append(b, encodeCandidates([][]Input{inputs})...))
}

// encodeCandidates writes, for each set, the number of its inputs, and for each of
// these the length of its name, the name and the hash.
func encodeCandidates(sets [][]Input) []byte {
	var b []byte
	for _, set := range sets {
		b = binary.AppendUvarint(b, uint64(len(set)))
		for _, in := range set {
			b = binary.AppendUvarint(b, uint64(len(in.Name)))
			b = append(b, in.Name...)
			b = append(b, in.Hash[:]...)
		}
	}
	return b
}

// decodeCandidates reads what encodeCandidates has written, or any bytes at all.
func decodeCandidates(b []byte) ([][]Input, error) {
	damaged := errors.New("the sets of inputs are damaged")
	number := func(limit int) (int, bool) {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(limit) {
			return 0, false
		}
		b = b[size:]
		return int(n), true
	}
	var sets [][]Input
	for len(b) > 0 {
		n, ok := number(maxInputs)
		if !ok || n > len(b)/(1+len(Key{})) || len(sets) >= maxCandidates {
			return nil, damaged
		}
		set := make([]Input, n)
		for i := range set {
			length, ok := number(maxNameLength)
			if !ok || len(b) < length+len(Key{}) {
				return nil, damaged
			}
			set[i] = Input{string(b[:length]), Key(b[length:][:len(Key{})])}
			b = b[length+len(Key{}):]
		}
		sets = append(sets, set)
	}
	return sets, nil
}

package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/klauspost/compress/s2"
)

// MaxValue is the largest value that is kept, in bytes.
const MaxValue = 64 << 20

// An entry is a file in the folder, and an object on the server:
//
//	16 bytes   format
//	32 bytes   key
//	 8 bytes   length of the value, big-endian
//	 8 bytes   length of the compressed value, big-endian
//	32 bytes   SHA-256 of everything else
//	           the value, compressed as one S2 block
//
// The checksum covers the compressed value, which is shorter, so that only a correct value is decompressed. The
// format must change with every change to this layout.
const (
	entryFormat = "segue cache v01\n"
	keyEnd      = len(entryFormat) + len(Key{})
	sizesEnd    = keyEnd + 16
	headerSize  = sizesEnd + sha256.Size
)

// maxEntry is the size of the largest entry, in bytes.
var maxEntry = int64(headerSize + s2.MaxEncodedLen(MaxValue))

// encode returns the entry of a value.
func encode(key Key, value []byte) []byte {
	block := s2.EncodeBetter(nil, value)
	entry := make([]byte, headerSize+len(block)) // its size is exact because it is kept for a while
	copy(entry[headerSize:], block)
	copy(entry, entryFormat)
	copy(entry[len(entryFormat):], key[:])
	binary.BigEndian.PutUint64(entry[keyEnd:], uint64(len(value)))
	binary.BigEndian.PutUint64(entry[keyEnd+8:], uint64(len(block)))
	sum := checksum(entry)
	copy(entry[sizesEnd:], sum[:])
	return entry
}

// decode returns the value of an entry. The entry may be arbitrary bytes.
func decode(key Key, entry []byte) ([]byte, error) {
	if len(entry) < headerSize || string(entry[:len(entryFormat)]) != entryFormat {
		return nil, errors.New("it is not an entry, or has another format")
	}
	if !bytes.Equal(entry[len(entryFormat):keyEnd], key[:]) {
		return nil, errors.New("it is the entry of another key")
	}
	length := binary.BigEndian.Uint64(entry[keyEnd:])
	block := entry[headerSize:]
	if length > MaxValue || binary.BigEndian.Uint64(entry[keyEnd+8:]) != uint64(len(block)) {
		return nil, errors.New("its length does not match its header")
	}
	if sum := checksum(entry); !bytes.Equal(entry[sizesEnd:headerSize], sum[:]) {
		return nil, errors.New("its checksum does not match")
	}
	if n, err := s2.DecodedLen(block); err != nil || uint64(n) != length {
		return nil, errors.New("the length of its value does not match its header")
	}
	return s2.Decode(make([]byte, 0, max(length, 1)), block)
}

// checksum returns the checksum of an entry, without the field for the checksum.
func checksum(entry []byte) [sha256.Size]byte {
	hash := sha256.New()
	hash.Write(entry[:sizesEnd])
	hash.Write(entry[headerSize:])
	return [sha256.Size]byte(hash.Sum(nil))
}

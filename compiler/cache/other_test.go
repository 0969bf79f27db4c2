//go:build !unix

package cache

import "errors"

func pipe(string) error { return errors.ErrUnsupported }

func limitFiles(uint64) error { return errors.ErrUnsupported }

package fsx

import (
	"errors"
	"io/fs"
	"os"
)

// ErrNotRegular says that something other than a file has the name of one.
var ErrNotRegular = errors.New("it is not a regular file")

// OpenRegular opens a file for reading, where others may have put something else in its place: to open a FIFO waits for
// ever, and a device has no end. A link to a file will do.
func OpenRegular(path string) (*os.File, error) {
	regular := func(fi fs.FileInfo, err error) error {
		if err == nil && !fi.Mode().IsRegular() {
			err = &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
		}
		return err
	}
	if err := regular(os.Stat(path)); err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	// It may have been replaced since.
	if err := regular(file.Stat()); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

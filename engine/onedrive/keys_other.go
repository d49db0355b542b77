//go:build !darwin

package onedrive

import "errors"

// keyReader is of use on macOS only.
type keyReader struct{}

func newKeyReader() (*keyReader, error) {
	return nil, errors.New("no File Provider: it is a part of macOS")
}

func (*keyReader) read(string) Keys { return Keys{Problem: "File Provider is a part of macOS"} }

// setMaterialize has nothing to set: no file here lies in the cloud only.
func setMaterialize(bool) error { return nil }

//go:build !darwin

package stream

// GNU tar, and the tar of macOS.
var tarPrograms = []string{"tar", "bsdtar"}

const utf8Locale = "C.UTF-8"

// storable reports whether the file system can hold a name beside the others.
func storable(string) bool { return true }

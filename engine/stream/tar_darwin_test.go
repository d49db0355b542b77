package stream

import (
	"strings"
	"unicode/utf8"
)

// macOS's tar is bsdtar.
var tarPrograms = []string{"bsdtar"}

const utf8Locale = "en_US.UTF-8"

// storable reports whether APFS can hold a name beside the others: Unicode only, and case twins are one.
func storable(path string) bool { return utf8.ValidString(path) && !strings.HasSuffix(path, "A") }

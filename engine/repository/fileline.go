package repository

import (
	"bytes"
	"encoding/json"
	"math"
)

// decodeFileLine reads a line of files.jsonl.gz. Nearly all are as this program writes them, and need no parser of all that JSON can
// be: a list is decompressed and read in a third of the time.
func decodeFileLine(line []byte, f *File) error {
	if plainFileLine(line, f) {
		return nil
	}
	*f = File{}
	return json.Unmarshal(line, f)
}

// plainFileLine reads a line with all fields in our order and nothing escaped, as json.Unmarshal does. It may leave anything in f
// if it is not one.
func plainFileLine(line []byte, f *File) bool {
	r := lineReader{rest: line, ok: true}
	r.skip(`{"component":"`)
	f.Component = known(r.text())
	r.skip(`,"path":"`)
	f.Path = Name(r.text())
	r.skip(`,"type":"`)
	f.Type = known(r.text())
	r.skip(`,"size":`)
	f.SizeBytes = r.number()
	r.skip(`,"mode":`)
	mode := r.number()
	f.Mode = uint32(mode)
	r.skip(`,"mtime_ns":`)
	f.ModTimeNS = r.number()
	if r.has(`,"sha256":"`) {
		f.SHA256 = r.hash()
	}
	r.skip(`,"offset":`)
	f.Offset = r.number()
	if r.has(`,"link":"`) {
		f.Link = Name(r.text())
	}
	r.skip(`}`)
	return r.ok && len(r.rest) == 0 && mode == int64(f.Mode)
}

// known returns a word without a copy of its own, if it stands in every list.
func known(word []byte) string {
	switch string(word) {
	case TypeFile:
		return TypeFile
	case TypeDir:
		return TypeDir
	case TypeSymlink:
		return TypeSymlink
	case TypeDatabase:
		return TypeDatabase
	case "maia_code":
		return "maia_code"
	case "maia_data_small":
		return "maia_data_small"
	}
	return string(word)
}

// lineReader reads a line from its beginning; ok is false from the first thing on that is not as expected.
type lineReader struct {
	rest []byte
	ok   bool
}

func (r *lineReader) has(text string) bool {
	if !bytes.HasPrefix(r.rest, []byte(text)) {
		return false
	}
	r.rest = r.rest[len(text):]
	return true
}

func (r *lineReader) skip(text string) {
	if !r.has(text) {
		r.ok = false
	}
}

// text reads to the end of a string of printable ASCII that needs no escape, and is no name in base64.
func (r *lineReader) text() []byte {
	n := bytes.IndexByte(r.rest, '"')
	if n < 0 {
		r.ok = false
		return nil
	}
	text := r.rest[:n]
	for _, c := range text {
		if c < ' ' || c >= 0x7f || c == '\\' {
			r.ok = false
			return nil
		}
	}
	if bytes.HasPrefix(text, []byte(base64Prefix)) {
		r.ok = false
	}
	r.rest = r.rest[n+1:]
	return text
}

// number reads an integer of at most 19 digits that fits.
func (r *lineReader) number() int64 {
	negative := r.has("-")
	var n uint64
	digits := 0
	for digits < min(len(r.rest), 19) && '0' <= r.rest[digits] && r.rest[digits] <= '9' {
		n = 10*n + uint64(r.rest[digits]-'0')
		digits++
	}
	if digits == 0 || digits > 1 && r.rest[0] == '0' || n > math.MaxInt64 {
		r.ok = false
		return 0
	}
	r.rest = r.rest[digits:]
	if negative {
		return -int64(n)
	}
	return int64(n)
}

func (r *lineReader) hash() *Hash {
	const size = 2 * len(Hash{})
	if len(r.rest) < size+1 || r.rest[size] != '"' {
		r.ok = false
		return nil
	}
	digits := r.rest[:size]
	h := new(Hash)
	if err := h.UnmarshalText(digits); err != nil {
		r.ok = false
		return nil
	}
	r.rest = r.rest[size+1:]
	return h
}

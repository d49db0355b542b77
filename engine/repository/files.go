package repository

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
)

// Types of a captured file.
const (
	TypeFile     = "file"
	TypeDatabase = "database" // a SQLite database inside a tar
	TypeLarge    = "large"    // a SQLite database with a stream of its own
	TypeDir      = "dir"
	TypeSymlink  = "symlink"
)

// File is one captured file: a line of files.jsonl.gz.
type File struct {
	Component string `json:"component"`
	// Path is the place below the component's folder, as in its tar.
	Path Name   `json:"path"`
	Type string `json:"type"`
	// SizeBytes and SHA256 are those of the content; both are zero for folders and links.
	SizeBytes int64  `json:"size"`
	Mode      uint32 `json:"mode"`
	// ModTimeNS is nanoseconds since 1970 in UTC.
	ModTimeNS int64 `json:"mtime_ns"`
	SHA256    *Hash `json:"sha256,omitempty"`
	// Offset is where the content begins in the component's uncompressed tar; 0 for a large database.
	Offset int64 `json:"offset"`
	Link   Name  `json:"link,omitempty"`
}

// HasContent reports whether the file has bytes of its own, and so a hash.
func (f *File) HasContent() bool {
	return f.Type == TypeFile || f.Type == TypeDatabase || f.Type == TypeLarge
}

// EncodeFiles returns files.jsonl.gz.
//
// like is the list of an earlier backup, or nil: what is the same in both is taken from it, compressed as it is.
func EncodeFiles(files []File, like []byte) ([]byte, error) {
	return compressSmall(like, func(w io.Writer) error { return writeFileLines(w, files) })
}

func writeFileLines(w io.Writer, files []File) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for i := range files {
		if err := enc.Encode(&files[i]); err != nil {
			return fmt.Errorf("encode file list: %w", err)
		}
	}
	return nil
}

// DecodeFiles reads files.jsonl.gz. Every path it returns passes ValidatePath.
func DecodeFiles(b []byte) ([]File, error) {
	zr, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("read file list: %v: %w", err, ErrDamaged)
	}
	return decodeFileLines(zr, maxList(len(b)))
}

// decodeFileLines reads at most limit bytes of uncompressed lines, one by one: of a bomb, only as much is in memory as
// makes sense.
func decodeFileLines(r io.Reader, limit int64) ([]File, error) {
	var files []File
	limited := &io.LimitedReader{R: r, N: limit + 1}
	sc := bufio.NewScanner(limited)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var f File
		if err := decodeFileLine(sc.Bytes(), &f); err != nil {
			return nil, fmt.Errorf("read file list, line %d: %v: %w", len(files)+1, err, ErrDamaged)
		}
		if err := f.validate(); err != nil {
			return nil, fmt.Errorf("read file list, line %d: %w", len(files)+1, err)
		}
		if len(files) == maxEntries {
			return nil, fmt.Errorf("read file list: more than %d lines: %w", maxEntries, ErrDamaged)
		}
		files = append(files, f)
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("read file list: %v: %w", err, ErrDamaged)
	}
	if limited.N <= 0 {
		return nil, fmt.Errorf("read file list: too large: %w", ErrDamaged)
	}
	return files, nil
}

func (f *File) validate() error {
	if err := ValidatePath(string(f.Path)); err != nil {
		return err
	}
	switch {
	case !validComponent(f.Component), f.HasContent() && f.SHA256 == nil, !f.HasContent() && f.SHA256 != nil,
		f.SizeBytes < 0, f.Offset < 0, f.Mode&^0o7777 != 0,
		(f.Type == TypeSymlink) != (f.Link != ""):
		return fmt.Errorf("entry of %.60q: %w", f.Path, ErrDamaged)
	case !f.HasContent() && f.Type != TypeDir && f.Type != TypeSymlink:
		return fmt.Errorf("type %.20q of %.60q: %w", f.Type, f.Path, ErrDamaged)
	}
	return nil
}

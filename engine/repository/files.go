package repository

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

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
func EncodeFiles(files []File) ([]byte, error) {
	return compressSmall(func(w io.Writer) error { return writeFileLines(w, files) })
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
		if err := json.Unmarshal(sc.Bytes(), &f); err != nil {
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

// listSegment is how much of a list one gzip member holds. Members compress at the same time, and cost half a percent in size.
const listSegment = 256 << 10

// compressSmall returns gzip of what write produces, with headers that hold no time or name.
func compressSmall(write func(io.Writer) error) ([]byte, error) {
	w := &memberWriter{free: make(chan *gzip.Writer, runtime.GOMAXPROCS(0))}
	for range cap(w.free) {
		w.free <- nil
	}
	err := write(w)
	if len(w.raw) > 0 || len(w.members) == 0 {
		w.compress(w.raw)
	}
	w.group.Wait()
	for _, m := range w.members {
		err = errors.Join(err, m.err)
	}
	if err != nil {
		return nil, err
	}
	if len(w.members) == 1 {
		return w.members[0].out.Bytes(), nil
	}
	var all []byte
	for _, m := range w.members {
		all = append(all, m.out.Bytes()...)
	}
	return all, nil
}

// memberWriter makes gzip members of what is written to it, as many at a time as there are processors.
type memberWriter struct {
	raw     []byte
	members []*member
	free    chan *gzip.Writer // nil: to be made
	group   sync.WaitGroup
}

type member struct {
	out bytes.Buffer
	err error
}

func (w *memberWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if w.raw == nil {
			w.raw = make([]byte, 0, listSegment)
		}
		k := min(listSegment-len(w.raw), len(p))
		w.raw = append(w.raw, p[:k]...)
		p = p[k:]
		if len(w.raw) == listSegment {
			w.compress(w.raw)
			w.raw = nil
		}
	}
	return n, nil
}

// compress waits for a processor and returns.
func (w *memberWriter) compress(raw []byte) {
	m := new(member)
	w.members = append(w.members, m)
	zw := <-w.free
	w.group.Go(func() {
		defer func() { w.free <- zw }()
		if zw == nil {
			if zw, m.err = gzip.NewWriterLevel(nil, gzip.BestCompression); m.err != nil {
				return
			}
		}
		zw.Reset(&m.out)
		if _, m.err = zw.Write(raw); m.err == nil {
			m.err = zw.Close()
		}
	})
}

// decompress returns the content of a small gzip file; a bomb ends at limit bytes.
func decompress(b []byte, limit int64) ([]byte, error) {
	zr, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%v: %w", err, ErrDamaged)
	}
	raw, err := io.ReadAll(io.LimitReader(zr, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = errors.New("too large")
	}
	if err != nil {
		return nil, fmt.Errorf("%v: %w", err, ErrDamaged)
	}
	return raw, nil
}

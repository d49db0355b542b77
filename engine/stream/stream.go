// Package stream turns something large, a tar or a database, into a sequence of blocks: a tar is cut at its entries
// and inside large files where the content says so, a database at its pages. The same content is cut into the same
// blocks wherever it stands, so that what is stored already is found again.
package stream

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// TarBlock is the unit a tar pads everything to.
const TarBlock = 512

// Kinds of tar entries.
const (
	File    = tar.TypeReg
	Dir     = tar.TypeDir
	Symlink = tar.TypeSymlink
)

// Entry describes a tar entry.
type Entry struct {
	Type byte
	// Path uses slashes; a directory's needs no final one.
	Path string
	Link string
	// Mode is the permission bits with setuid, setgid and sticky.
	Mode int64
	Size int64
	// ModTimeNS is nanoseconds since 1970.
	ModTimeNS int64
}

// Header returns an entry's header: PAX, with the exact name and the sub-second time, without owners.
func Header(e Entry) ([]byte, error) { return AppendHeader(nil, e) }

// AppendHeader appends an entry's header to dst.
func AppendHeader(dst []byte, e Entry) ([]byte, error) {
	if b := plainHeader(dst, e); b != nil {
		return b, nil
	}
	b, err := anyHeader(e)
	return append(dst, b...), err
}

func anyHeader(e Entry) ([]byte, error) {
	h := &tar.Header{
		Typeflag: e.Type, Name: e.Path, Linkname: e.Link, Mode: e.Mode, Size: e.Size,
		ModTime: time.Unix(0, e.ModTimeNS), Format: tar.FormatPAX,
	}
	if e.Type == Dir {
		h.Name += "/"
	}
	if !utf8.ValidString(h.Name) || !utf8.ValidString(h.Linkname) {
		// Without it, readers convert the bytes to the user's character set and may fail.
		h.PAXRecords = map[string]string{"hdrcharset": "BINARY"}
	}
	buf := bytes.NewBuffer(make([]byte, 0, 3*TarBlock))
	if err := tar.NewWriter(buf).WriteHeader(h); err != nil {
		return nil, fmt.Errorf("write tar header of %q: %w", e.Path, err)
	}
	return buf.Bytes(), nil
}

// Padding returns how many zero bytes follow size bytes of content.
func Padding(size int64) int { return int(-size & (TarBlock - 1)) }

// Trailer ends a tar.
var Trailer = make([]byte, 2*TarBlock)

// Bounds of content-defined pieces in bytes; their average is about 64 KiB.
const (
	MinPiece = 16 << 10
	MaxPiece = 256 << 10
)

// Content-defined cutting by a gear hash: h moves one bit left per byte, so its upper bits depend on the last 64
// bytes. Below normalSize a cut needs more bits to be zero than above it, which narrows the spread of sizes
// (Xia et al., FastCDC, USENIX ATC 2016).
const (
	normalSize = 64 << 10
	maskSmall  = uint64(1<<18-1) << 46
	maskLarge  = uint64(1<<14-1) << 50
)

// gear holds 256 fixed random numbers: changing them would make everything look new once.
var gear = func() (t [256]uint64) {
	// splitmix64, seed 1
	x := uint64(1)
	for i := range t {
		x += 0x9e3779b97f4a7c15
		z := x
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		t[i] = z ^ z>>31
	}
	return t
}()

// Cut returns the length of the first piece of p: all of it, up to MaxPiece, where no cut is found. If more content
// follows, p must hold at least MaxPiece bytes, or the cut depends on how the content arrived.
func Cut(p []byte) int {
	n := min(len(p), MaxPiece)
	if n <= MinPiece {
		return n
	}
	var h uint64
	i := MinPiece
	for ; i < min(n, normalSize); i++ {
		h = h<<1 + gear[p[i]]
		if h&maskSmall == 0 {
			return i + 1
		}
	}
	for ; i < n; i++ {
		h = h<<1 + gear[p[i]]
		if h&maskLarge == 0 {
			return i + 1
		}
	}
	return n
}

// BufferSize is how much Pieces looks at together.
const BufferSize = 4*MaxPiece + TarBlock

// Pieces cuts what in yields with cut, which is Cut or Pages of a size, and calls visit for each block in order; with
// pad the last one ends with the zeros that follow the content in a tar. buf has BufferSize bytes and is overwritten. It
// returns how many bytes in had.
func Pieces(in io.Reader, buf []byte, cut func([]byte) int, pad bool, visit func([]byte) error) (size int64, err error) {
	have, eof := 0, false
	for {
		for !eof && have < 4*MaxPiece {
			n, err := in.Read(buf[have : 4*MaxPiece])
			have += n
			size += int64(n)
			if errors.Is(err, io.EOF) {
				eof = true
			} else if err != nil {
				return size, err
			}
		}
		if eof && pad {
			n := Padding(size)
			clear(buf[have : have+n])
			have += n
			pad = false
		}
		done := 0
		for have-done >= MaxPiece || eof && have > done {
			n := cut(buf[done:have])
			if err := visit(buf[done : done+n]); err != nil {
				return size, err
			}
			done += n
		}
		if eof {
			return size, nil
		}
		have = copy(buf, buf[done:have])
	}
}

// Pages returns the cut for a database: blocks of PageBlock bytes, the last one as it comes.
func Pages(pageSize int) func([]byte) int {
	size := PageBlock(pageSize)
	return func(p []byte) int { return min(size, len(p)) }
}

// PageBlock returns the block size for a database: its page size, or as many small pages as make 4 KiB.
func PageBlock(pageSize int) int { return max(pageSize, 4096) }

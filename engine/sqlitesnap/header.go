package sqlitesnap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

var magic = []byte("SQLite format 3\x00")

// Header reports whether b, the first 16 bytes of a file or more, begins as a SQLite database does.
func Header(b []byte) bool { return bytes.HasPrefix(b, magic) }

// headerSize covers the database header and the header of the b-tree page that follows it on page 1.
const headerSize = 100 + 8

// header is what the first page says of the database. See https://www.sqlite.org/fileformat2.html, section 1.3.
type header struct {
	pageSize      int
	wal           bool
	encoding      uint32
	userVersion   int32
	applicationID int32
}

// parseHeader reads the beginning of a first page. An encrypted database may leave the first bytes readable: it is
// recognised by the root page of the schema, which then makes no sense.
func parseHeader(b []byte) (header, error) {
	if len(b) < headerSize || !Header(b) {
		return header{}, ErrNotDatabase
	}
	h := header{
		pageSize:      int(binary.BigEndian.Uint16(b[16:])),
		wal:           b[19] == 2,
		encoding:      binary.BigEndian.Uint32(b[56:]),
		userVersion:   int32(binary.BigEndian.Uint32(b[60:])),
		applicationID: int32(binary.BigEndian.Uint32(b[68:])),
	}
	if h.pageSize == 1 {
		h.pageSize = 1 << 16
	}
	usable := h.pageSize - int(b[20])
	switch {
	case h.pageSize < 512 || h.pageSize > 1<<16 || h.pageSize&(h.pageSize-1) != 0 || usable < 480:
		return header{}, fmt.Errorf("%w: impossible page size", ErrNotDatabase)
	case b[19] != 1 && b[19] != 2:
		return header{}, fmt.Errorf("%w: format version %d", ErrNotDatabase, b[19])
	case b[21] != 64 || b[22] != 32 || b[23] != 32:
		return header{}, fmt.Errorf("%w: impossible payload fractions", ErrNotDatabase)
	}
	const interiorTable, leafTable = 5, 13
	root, cells := b[100], int(binary.BigEndian.Uint16(b[103:]))
	if root != interiorTable && root != leafTable || 100+8+2*cells > usable {
		return header{}, fmt.Errorf("%w: no schema on page 1; it may be encrypted", ErrNotDatabase)
	}
	return h, nil
}

func readHeader(r io.ReaderAt) (header, error) {
	b := make([]byte, headerSize)
	if _, err := r.ReadAt(b, 0); errors.Is(err, io.EOF) {
		return header{}, fmt.Errorf("%w: too short", ErrNotDatabase)
	} else if err != nil {
		return header{}, err
	}
	return parseHeader(b)
}

// walMode reports whether the file says that it is in WAL mode, whatever else is in it.
func walMode(r io.ReaderAt) (bool, error) {
	b := make([]byte, 20)
	if _, err := r.ReadAt(b, 0); errors.Is(err, io.EOF) {
		return false, fmt.Errorf("%w: too short", ErrNotDatabase)
	} else if err != nil {
		return false, err
	}
	if !Header(b) {
		return false, ErrNotDatabase
	}
	return b[19] == 2, nil
}

func (h header) facts() Facts {
	f := Facts{
		PageSize: h.pageSize, UserVersion: int64(h.userVersion), ApplicationID: int64(h.applicationID),
		JournalMode: "rollback", Encoding: "UTF-8",
	}
	if h.wal {
		f.JournalMode = "wal"
	}
	switch h.encoding {
	case 2:
		f.Encoding = "UTF-16le"
	case 3:
		f.Encoding = "UTF-16be"
	}
	return f
}

package repository

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"

	"maia-dr/engine/fsx"
)

// Index knows where each block lies that is stored in the mirror's chunks: SHA-256 to chunk, offset and length. It is
// a cache, a flat table with open addressing of 44 bytes an entry. Not safe for concurrent use.
type Index struct {
	repositoryID string
	chunks       []indexChunk
	table        []indexEntry
	count        int
	saved        bool // the file it was read from says the same
}

type indexChunk struct {
	ref   ChunkRef
	alive bool
}

type indexEntry struct {
	hash   Hash
	chunk  uint32 // 1 and up; 0: the place is empty
	offset uint32
	length uint32
}

const (
	indexFileMagic = "maia-block-index 1\n"
	indexEntrySize = 32 + 4 + 4 + 4
	indexChunkSize = 32 + 8 + 8
)

// NewIndex returns an empty index for a repository, with room for blocks entries.
func NewIndex(repositoryID string, blocks int) *Index {
	x := &Index{repositoryID: repositoryID}
	x.resize(blocks)
	return x
}

func (x *Index) resize(blocks int) {
	size := max(1024, blocks*6/5+1)
	if size <= len(x.table) {
		return
	}
	old := x.table
	x.table = make([]indexEntry, size)
	for i := range old {
		if old[i].chunk != 0 {
			x.table[x.slot(&old[i].hash)] = old[i]
		}
	}
}

// slot returns the place of a hash, or the empty one where it would go.
func (x *Index) slot(h *Hash) int {
	// A hash's share of the table: any length will do, where a power of two would take up to twice the memory.
	n, _ := bits.Mul64(binary.LittleEndian.Uint64(h[:8]), uint64(len(x.table)))
	i := int(n)
	for x.table[i].chunk != 0 && x.table[i].hash != *h {
		if i++; i == len(x.table) {
			i = 0
		}
	}
	return i
}

// Len returns the number of blocks in the index.
func (x *Index) Len() int { return x.count }

// Lookup finds a block. chunk is the index's number of the chunk.
func (x *Index) Lookup(h *Hash) (chunk int, offset, length int64, ok bool) {
	e := &x.table[x.slot(h)]
	if e.chunk == 0 || !x.chunks[e.chunk-1].alive {
		return 0, 0, 0, false
	}
	return int(e.chunk - 1), int64(e.offset), int64(e.length), true
}

// Add records a block; one that is known already is moved to the new place.
func (x *Index) Add(h *Hash, chunk int, offset, length int64) {
	if (x.count+1)*6 > len(x.table)*5 {
		x.resize(x.count*2 + 1)
	}
	e := &x.table[x.slot(h)]
	if e.chunk == 0 {
		x.count++
	}
	*e = indexEntry{hash: *h, chunk: uint32(chunk + 1), offset: uint32(offset), length: uint32(length)}
	x.saved = false
}

// AddChunk gives a chunk a number. Its blocks can be found at once; a chunk that is still being written gets its
// hash and size by SetChunk later.
func (x *Index) AddChunk(ref ChunkRef) int {
	x.chunks = append(x.chunks, indexChunk{ref: ref, alive: true})
	x.saved = false
	return len(x.chunks) - 1
}

// SetChunk sets what AddChunk did not know yet.
func (x *Index) SetChunk(chunk int, ref ChunkRef) { x.chunks[chunk].ref, x.saved = ref, false }

// Chunk returns a chunk's reference by its number.
func (x *Index) Chunk(chunk int) ChunkRef { return x.chunks[chunk].ref }

// FindChunk returns the number of a living chunk.
func (x *Index) FindChunk(h Hash) (int, bool) {
	for i := range x.chunks {
		if x.chunks[i].alive && x.chunks[i].ref.SHA256 == h {
			return i, true
		}
	}
	return 0, false
}

// Drop forgets a chunk: its blocks do not exist any more.
func (x *Index) Drop(chunk int) { x.chunks[chunk].alive, x.saved = false, false }

// Retain drops every chunk for which keep is false.
func (x *Index) Retain(keep func(ChunkRef) bool) {
	for i := range x.chunks {
		if x.chunks[i].alive && !keep(x.chunks[i].ref) {
			x.Drop(i)
		}
	}
}

// Save replaces the index file, unless that says the same already. Dropped chunks and their blocks are left out. The file ends with a SHA-256 of all
// before it.
func (x *Index) Save(fs *fsx.FS, path string) error {
	if x.saved {
		return nil
	}
	number := make([]uint32, len(x.chunks))
	var chunks []indexChunk
	for i, c := range x.chunks {
		if c.alive {
			chunks = append(chunks, c)
			number[i] = uint32(len(chunks))
		}
	}
	blocks := 0
	for i := range x.table {
		if e := &x.table[i]; e.chunk != 0 && number[e.chunk-1] != 0 {
			blocks++
		}
	}
	return fs.WriteDurable(path, 0o600, func(w io.Writer) error {
		sum := sha256.New()
		buf := make([]byte, 0, 64<<10)
		flush := func(limit int) error {
			if len(buf) < limit {
				return nil
			}
			sum.Write(buf)
			_, err := w.Write(buf)
			buf = buf[:0]
			return err
		}
		buf = append(buf, indexFileMagic...)
		buf = append(buf, fmt.Sprintf("%-32.32s", x.repositoryID)...)
		buf = binary.LittleEndian.AppendUint32(buf, uint32(len(chunks)))
		buf = binary.LittleEndian.AppendUint32(buf, uint32(blocks))
		for _, c := range chunks {
			buf = append(buf, c.ref.SHA256[:]...)
			buf = binary.LittleEndian.AppendUint64(buf, uint64(c.ref.SizeBytes))
			buf = binary.LittleEndian.AppendUint64(buf, uint64(c.ref.RawBytes))
			if err := flush(60 << 10); err != nil {
				return err
			}
		}
		for i := range x.table {
			e := &x.table[i]
			if e.chunk == 0 || number[e.chunk-1] == 0 {
				continue
			}
			buf = append(buf, e.hash[:]...)
			buf = binary.LittleEndian.AppendUint32(buf, number[e.chunk-1])
			buf = binary.LittleEndian.AppendUint32(buf, e.offset)
			buf = binary.LittleEndian.AppendUint32(buf, e.length)
			if err := flush(60 << 10); err != nil {
				return err
			}
		}
		if err := flush(0); err != nil {
			return err
		}
		_, err := w.Write(sum.Sum(nil))
		return err
	})
}

// LoadIndex reads the index file of a repository. A file that is damaged, truncated, or of another repository is
// ErrDamaged: the caller rebuilds it.
func LoadIndex(path, repositoryID string) (*Index, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read block index: %w", err)
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read block index: %w", err)
	}
	x, err := decodeIndex(file, fi.Size(), repositoryID)
	if err != nil {
		return nil, fmt.Errorf("read block index: %w", err)
	}
	x.saved = true
	return x, nil
}

// decodeIndex reads an index of size bytes. Nothing of it is believed until its checksum has been compared, but for the
// size of the table, which fits the file's.
func decodeIndex(r io.Reader, size int64, repositoryID string) (*Index, error) {
	const head = len(indexFileMagic) + 32 + 4 + 4
	sum := sha256.New()
	in := bufio.NewReaderSize(io.TeeReader(io.LimitReader(r, size-sha256.Size), sum), 256<<10)
	b := make([]byte, head)
	if _, err := io.ReadFull(in, b); err != nil || string(b[:len(indexFileMagic)]) != indexFileMagic {
		return nil, fmt.Errorf("not a block index: %w", errors.Join(ErrDamaged, err))
	}
	if got := string(b[len(indexFileMagic) : len(indexFileMagic)+32]); got != fmt.Sprintf("%-32.32s", repositoryID) {
		return nil, fmt.Errorf("of another repository: %w", ErrDamaged)
	}
	chunks := int(binary.LittleEndian.Uint32(b[head-8:]))
	blocks := int(binary.LittleEndian.Uint32(b[head-4:]))
	if int64(head+chunks*indexChunkSize+blocks*indexEntrySize+sha256.Size) != size {
		return nil, fmt.Errorf("of the wrong size: %w", ErrDamaged)
	}
	x := NewIndex(repositoryID, blocks+blocks/8)
	for ; chunks > 0; chunks-- {
		b := b[:indexChunkSize]
		if _, err := io.ReadFull(in, b); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		x.AddChunk(ChunkRef{
			SHA256:    Hash(b[:32]),
			SizeBytes: int64(binary.LittleEndian.Uint64(b[32:])),
			RawBytes:  int64(binary.LittleEndian.Uint64(b[40:])),
		})
	}
	for ; blocks > 0; blocks-- {
		b := b[:indexEntrySize]
		if _, err := io.ReadFull(in, b); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		e := indexEntry{
			hash:   Hash(b[:32]),
			chunk:  binary.LittleEndian.Uint32(b[32:]),
			offset: binary.LittleEndian.Uint32(b[36:]),
			length: binary.LittleEndian.Uint32(b[40:]),
		}
		if e.chunk == 0 || int(e.chunk) > len(x.chunks) || int64(e.offset)+int64(e.length) > x.chunks[e.chunk-1].ref.RawBytes {
			return nil, fmt.Errorf("block %s lies outside its chunk: %w", hex.EncodeToString(e.hash[:4]), ErrDamaged)
		}
		x.Add(&e.hash, int(e.chunk-1), int64(e.offset), int64(e.length))
	}
	want := make([]byte, sha256.Size)
	if _, err := io.ReadFull(r, want); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if !bytes.Equal(sum.Sum(nil), want) {
		return nil, fmt.Errorf("its checksum differs: %w", ErrDamaged)
	}
	return x, nil
}

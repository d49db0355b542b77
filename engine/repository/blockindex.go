package repository

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
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
	size := 1024
	for size*5/6 < blocks {
		size *= 2
	}
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
	mask := len(x.table) - 1
	i := int(binary.LittleEndian.Uint64(h[:8])) & mask
	for x.table[i].chunk != 0 && x.table[i].hash != *h {
		i = (i + 1) & mask
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
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read block index: %w", err)
	}
	x, err := decodeIndex(b, repositoryID)
	if err != nil {
		return nil, fmt.Errorf("read block index: %w", err)
	}
	x.saved = true
	return x, nil
}

func decodeIndex(b []byte, repositoryID string) (*Index, error) {
	const head = len(indexFileMagic) + 32 + 4 + 4
	if len(b) < head+sha256.Size || !bytes.HasPrefix(b, []byte(indexFileMagic)) {
		return nil, fmt.Errorf("not a block index: %w", ErrDamaged)
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return nil, fmt.Errorf("its checksum differs: %w", ErrDamaged)
	}
	if got := string(b[len(indexFileMagic) : len(indexFileMagic)+32]); got != fmt.Sprintf("%-32.32s", repositoryID) {
		return nil, fmt.Errorf("of another repository: %w", ErrDamaged)
	}
	chunks := int(binary.LittleEndian.Uint32(b[head-8:]))
	blocks := int(binary.LittleEndian.Uint32(b[head-4:]))
	rest := body[head:]
	if len(rest) != chunks*indexChunkSize+blocks*indexEntrySize {
		return nil, fmt.Errorf("of the wrong size: %w", ErrDamaged)
	}
	x := NewIndex(repositoryID, blocks+blocks/8)
	for ; chunks > 0; chunks-- {
		ref := ChunkRef{
			SHA256:    Hash(rest[:32]),
			SizeBytes: int64(binary.LittleEndian.Uint64(rest[32:])),
			RawBytes:  int64(binary.LittleEndian.Uint64(rest[40:])),
		}
		x.AddChunk(ref)
		rest = rest[indexChunkSize:]
	}
	for ; len(rest) > 0; rest = rest[indexEntrySize:] {
		e := indexEntry{
			hash:   Hash(rest[:32]),
			chunk:  binary.LittleEndian.Uint32(rest[32:]),
			offset: binary.LittleEndian.Uint32(rest[36:]),
			length: binary.LittleEndian.Uint32(rest[40:]),
		}
		if e.chunk == 0 || int(e.chunk) > len(x.chunks) || int64(e.offset)+int64(e.length) > x.chunks[e.chunk-1].ref.RawBytes {
			return nil, fmt.Errorf("block %s lies outside its chunk: %w", hex.EncodeToString(e.hash[:4]), ErrDamaged)
		}
		x.Add(&e.hash, int(e.chunk-1), int64(e.offset), int64(e.length))
	}
	return x, nil
}

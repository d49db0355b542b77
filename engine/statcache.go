package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"fmt"
	"io"
	"os"
	"time"

	"maia-dr/engine/component"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

// statCache remembers where the content of each file was stored, so that a file whose size, times and inode are
// unchanged is not read again. It is only believed where all chunks named still pass the index's test.
type statCache struct {
	RepositoryID string
	Chunks       []repository.Hash
	Entries      map[string]cacheEntry
}

// cacheEntry is what is known of one file. Chunk numbers in Extents count in the cache's Chunks.
type cacheEntry struct {
	Kind component.Kind
	Stat component.Stat
	// WAL is the state of the file's -wal, for a database: it is unchanged only if both are.
	WAL     component.Stat
	Size    int64
	SHA256  repository.Hash
	Extents repository.Extents
	Facts   *repository.DatabaseFacts
}

const statCacheMagic = "maia-stat-cache 1\n"

// settled is how long a file must have rested before its times are believed: a write in the same tick of the clock
// as the last look would change no time.
const settled = 2 * time.Second

func newStatCache(repositoryID string) *statCache {
	return &statCache{RepositoryID: repositoryID, Entries: map[string]cacheEntry{}}
}

// loadStatCache reads the cache; one that is missing, damaged or of another repository is empty.
func loadStatCache(path, repositoryID string) *statCache {
	empty := newStatCache(repositoryID)
	b, err := os.ReadFile(path)
	if err != nil || len(b) < len(statCacheMagic)+sha256.Size || !bytes.HasPrefix(b, []byte(statCacheMagic)) {
		return empty
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return empty
	}
	c := new(statCache)
	if err := gob.NewDecoder(bytes.NewReader(body[len(statCacheMagic):])).Decode(c); err != nil || c.RepositoryID != repositoryID || c.Entries == nil {
		return empty
	}
	return c
}

func (c *statCache) save(fs *fsx.FS, path string) error {
	var buf bytes.Buffer
	buf.WriteString(statCacheMagic)
	if err := gob.NewEncoder(&buf).Encode(c); err != nil {
		return fmt.Errorf("encode stat cache: %w", err)
	}
	sum := sha256.Sum256(buf.Bytes())
	buf.Write(sum[:])
	return fs.WriteDurable(path, 0o600, func(w io.Writer) error {
		_, err := w.Write(buf.Bytes())
		return err
	})
}

// chunkNumber returns the cache's number for a chunk.
type chunkNumbers struct {
	cache  *statCache
	number map[repository.Hash]int
}

func (n *chunkNumbers) of(h repository.Hash) int {
	i, ok := n.number[h]
	if !ok {
		i = len(n.cache.Chunks)
		n.cache.Chunks = append(n.cache.Chunks, h)
		n.number[h] = i
	}
	return i
}

// walStat returns the state of a database's -wal; the zero value means that there is none, or an empty one. SQLite leaves such a
// file where it only read, and its times change whenever a superuser looks at the database.
func walStat(source string) component.Stat {
	fi, err := os.Lstat(source + "-wal")
	if err != nil || fi.Mode().IsRegular() && fi.Size() == 0 {
		return component.Stat{}
	}
	return component.StatOf(fi)
}

// rested reports whether a file has been unchanged long enough at the moment now for its times to be believed.
func rested(st component.Stat, now time.Time) bool {
	limit := now.Add(-settled).UnixNano()
	return st.MTimeNS < limit && st.CTimeNS < limit
}

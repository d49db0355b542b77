package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"maia-dr/engine/component"
	"maia-dr/engine/event"
	"maia-dr/engine/repository"
	"maia-dr/engine/stream"
)

// capture turns entries into extents. Extents count chunks by their number in the index until the manifest is made.
// It is used by one goroutine.
type capture struct {
	e      *Engine
	ctx    context.Context
	index  *repository.Index
	packer *repository.Packer
	// chunkOf maps the packer's chunks to the index's numbers.
	chunkOf []int
	old     *statCache
	// oldChunk maps the old cache's chunks to the index's numbers; -1: gone.
	oldChunk []int
	kept     map[string]cacheEntry // for the next cache; extents count in the index
	read     bool                  // something in kept was read, not taken from the old cache

	buf, small  []byte
	tarHeader   []byte // the last one; its memory is used again
	done, total int64
	warnings    []repository.Warning
	vanished    []vanishedFile
	fullCheck   func(source string) bool
	// plain are databases that have been tried and can only be kept as plain files; beside is what lies beside each
	// database, and besideTaken the sizes of what was captured of that after all.
	plain       map[string]bool
	beside      map[string][]component.Entry
	besideTaken []int64
	// redacted are copies that take the place of secret-bearing files.
	redacted map[string][]byte
}

// smallFile is the size up to which a file is read whole before any of it is stored: then its header and content
// stand together.
const smallFile = 1 << 20

// attempts is how often a file that changes while it is read is read again.
const attempts = 3

var errUnstable = errors.New("it changed while it was read")

func (c *capture) warn(code, path, text, hint string) {
	w := repository.Warning{Code: code, Path: repository.Name(path), Text: text, Hint: hint}
	c.warnings = append(c.warnings, w)
	c.e.warn(w)
}

// block stores a block unless it is stored already and returns where it is.
func (c *capture) block(b []byte) (repository.Extent, error) {
	h := repository.Hash(sha256.Sum256(b))
	return c.hashedBlock(&h, b)
}

func (c *capture) hashedBlock(h *repository.Hash, b []byte) (repository.Extent, error) {
	if chunk, off, n, ok := c.index.Lookup(h); ok && n == int64(len(b)) {
		return repository.Extent{Chunk: chunk, Offset: off, Length: n}, nil
	}
	ordinal, off, err := c.packer.Append(b)
	if err != nil {
		return repository.Extent{}, err
	}
	for ordinal >= len(c.chunkOf) {
		c.chunkOf = append(c.chunkOf, c.index.AddChunk(repository.ChunkRef{RawBytes: repository.MaxChunkBytes}))
	}
	c.index.Add(h, c.chunkOf[ordinal], off, int64(len(b)))
	return repository.Extent{Chunk: c.chunkOf[ordinal], Offset: off, Length: int64(len(b))}, nil
}

// tarResult is a component's tar as extents, and the files in it.
type tarResult struct {
	extents   repository.Extents
	size      int64
	files     []repository.File
	databases []repository.Database
	source    int64
}

func (t *tarResult) add(x ...repository.Extent) {
	for _, e := range x {
		t.extents = t.extents.Add(e)
		t.size += e.Length
	}
}

// tar captures entries as one tar.
func (c *capture) tar(entries []component.Entry) (*tarResult, error) {
	t := new(tarResult)
	for i := range entries {
		en := &entries[i]
		if err := c.ctx.Err(); err != nil {
			return nil, err
		}
		if err := c.tarEntry(t, en); err != nil {
			return nil, fmt.Errorf("capture %s: %w", en.Path, err)
		}
		c.done += en.Stat.Size
		c.e.progress(event.Capture, c.done, c.total)
	}
	ext, err := c.block(stream.Trailer)
	if err != nil {
		return nil, err
	}
	t.add(ext)
	return t, nil
}

func (c *capture) tarEntry(t *tarResult, en *component.Entry) (err error) {
	f := repository.File{
		Component: en.Component, Path: repository.Name(en.Path), Mode: en.Mode, ModTimeNS: en.Stat.MTimeNS,
	}
	switch en.Kind {
	case component.Dir:
		f.Type = repository.TypeDir
		return c.bareEntry(t, &f, stream.Dir)
	case component.Symlink:
		f.Type, f.Link = repository.TypeSymlink, repository.Name(en.Link)
		return c.bareEntry(t, &f, stream.Symlink)
	}
	got, err := c.content(en)
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if en.Kind == component.Database && got.facts == nil {
		defer func() {
			if err == nil {
				err = c.sidecars(t, en)
			}
		}()
	}
	f.Type, f.SizeBytes, f.SHA256 = repository.TypeFile, got.size, &got.sha256
	if got.facts != nil {
		f.Type = repository.TypeDatabase
	}
	header, err := c.header(&f, stream.File)
	if err != nil {
		return err
	}
	t.add(header)
	f.Offset = t.size
	content, err := got.store(c)
	if err != nil {
		return err
	}
	t.add(content...)
	t.files = append(t.files, f)
	t.source += f.SizeBytes
	if got.facts != nil {
		t.databases = append(t.databases, repository.Database{
			Database: repository.Name(path.Base(en.Path)), Path: f.Path, OriginalSize: got.size, SHA256: got.sha256, Facts: *got.facts,
		})
	}
	return nil
}

// sidecars captures what lies beside a database that is kept as a plain file: committed rows may be only there.
func (c *capture) sidecars(t *tarResult, database *component.Entry) error {
	for i := range c.beside[database.Path] {
		en := &c.beside[database.Path][i]
		if strings.HasSuffix(en.Path, "-shm") {
			continue // SQLite makes it again out of the -wal
		}
		before := len(t.files)
		if err := c.tarEntry(t, en); err != nil {
			return err
		}
		if len(t.files) > before || c.isVanished(en.Path) {
			c.besideTaken = append(c.besideTaken, en.Stat.Size)
		}
	}
	return nil
}

func (c *capture) isVanished(path string) bool {
	return slices.ContainsFunc(c.vanished, func(v vanishedFile) bool { return string(v.Path) == path })
}

func (c *capture) bareEntry(t *tarResult, f *repository.File, kind byte) error {
	header, err := c.header(f, kind)
	if err != nil {
		return err
	}
	t.add(header)
	t.files = append(t.files, *f)
	return nil
}

func (c *capture) header(f *repository.File, kind byte) (repository.Extent, error) {
	b, err := stream.AppendHeader(c.tarHeader[:0], stream.Entry{
		Type: kind, Path: string(f.Path), Link: string(f.Link), Mode: int64(f.Mode), Size: f.SizeBytes, ModTimeNS: f.ModTimeNS,
	})
	if err != nil {
		return repository.Extent{}, err
	}
	c.tarHeader = b
	return c.block(b)
}

// content is a file's bytes on their way: either still in memory, so that they can follow their header, or stored.
type content struct {
	size    int64
	sha256  repository.Hash
	facts   *repository.DatabaseFacts
	small   []byte
	extents repository.Extents
	commit  func(repository.Extents) // enters the cache
}

// store stores what is still in memory and returns the extents, padded to the tar's unit.
func (k *content) store(c *capture) (repository.Extents, error) {
	if k.extents == nil && k.size > 0 {
		x, err := c.cut(k.small)
		if err != nil {
			return nil, err
		}
		k.extents = x
	}
	if k.commit != nil {
		k.commit(k.extents)
	}
	return k.extents, nil
}

// cut stores content that is whole in memory, with its padding, for which b has room.
func (c *capture) cut(b []byte) (repository.Extents, error) {
	pad := stream.Padding(int64(len(b)))
	b = b[:len(b)+pad]
	clear(b[len(b)-pad:])
	var x repository.Extents
	for len(b) > 0 {
		n := stream.Cut(b)
		e, err := c.block(b[:n])
		if err != nil {
			return nil, err
		}
		x = x.Add(e)
		b = b[n:]
	}
	return x, nil
}

// vanishedFile was there when the inventory was taken and could not be captured.
type vanishedFile struct {
	repository.LeftOut
	component string
}

// errGone says that an entry was dropped and recorded as left out.
var errGone = errors.New("left out")

func (c *capture) gone(en *component.Entry, reason string) error {
	c.vanished = append(c.vanished, vanishedFile{
		component: en.Component, LeftOut: repository.LeftOut{Path: repository.Name(en.Path), Reason: reason},
	})
	c.warn("file_left_out", en.Path, reason, "if the file matters, back up again")
	return errGone
}

// content reads an entry's bytes, as a snapshot if it is a database, or takes them from the cache.
func (c *capture) content(en *component.Entry) (*content, error) {
	if redacted := c.redacted[place(en.Component, en.Path)]; redacted != nil {
		// With room for the padding.
		small := append(make([]byte, 0, len(redacted)+stream.TarBlock), redacted...)
		return &content{size: int64(len(small)), sha256: repository.SumHash(small), small: small}, nil
	}
	if k := c.cached(en, true); k != nil {
		return k, nil
	}
	if en.Kind == component.Database && !c.plain[en.Source] {
		k, err := c.database(en, true)
		if k != nil || err != nil {
			return k, err
		}
	}
	return c.plainFile(en, true)
}

// cached returns an unchanged file's content from the cache. padded tells tars from streams of their own: their
// extents differ at the end.
func (c *capture) cached(en *component.Entry, padded bool) *content {
	old, ok := c.old.Entries[cacheKey(en.Source, padded)]
	if !ok || old.Stat != en.Stat || old.Kind != en.Kind || en.Kind == component.Database && old.WAL != walStat(en.Source) {
		return nil
	}
	if en.Kind == component.Database {
		// What stood in the -wal when the inventory was taken may since have been moved into the file, and the -wal be gone. The file
		// is looked at after the -wal: the other way round, it could be moved between the two looks.
		if fi, err := os.Lstat(en.Source); err != nil || component.StatOf(fi) != en.Stat {
			return nil
		}
	}
	x := make(repository.Extents, len(old.Extents))
	for i, e := range old.Extents {
		if e.Chunk >= len(c.old.Chunks) {
			return nil
		}
		n := c.oldChunk[e.Chunk]
		if n < 0 {
			return nil
		}
		e.Chunk = n
		x[i] = e
	}
	c.kept[cacheKey(en.Source, padded)] = cacheEntry{
		Kind: old.Kind, Stat: old.Stat, WAL: old.WAL, Size: old.Size, SHA256: old.SHA256, Extents: x, Facts: old.Facts,
	}
	if old.Facts != nil {
		c.warnCheck(en, old.Facts)
	}
	return &content{size: old.Size, sha256: old.SHA256, facts: old.Facts, extents: x}
}

// cacheKey tells a database that moved between a tar and a stream of its own.
func cacheKey(source string, padded bool) string {
	if padded {
		return source
	}
	return source + "\x00stream"
}

// remember returns the function that enters a file in the next cache once its extents are known.
// began is when it began to be read.
func (c *capture) remember(en *component.Entry, padded bool, began time.Time, st, wal component.Stat, k *content) func(repository.Extents) {
	if !rested(st, began) || wal != (component.Stat{}) && !rested(wal, began) {
		return nil
	}
	return func(x repository.Extents) {
		c.read = true
		c.kept[cacheKey(en.Source, padded)] = cacheEntry{
			Kind: en.Kind, Stat: st, WAL: wal, Size: k.size, SHA256: k.sha256, Extents: x, Facts: k.facts,
		}
	}
}

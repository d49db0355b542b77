package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"maia-dr/engine/component"
	"maia-dr/engine/event"
	"maia-dr/engine/repository"
	"maia-dr/engine/sqlitesnap"
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

	buf         []byte
	storedBytes int64 // raw bytes of new blocks
	done, total int64
	warnings    []repository.Warning
	vanished    []vanishedFile
	fullCheck   func(source string) bool
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
	c.storedBytes += int64(len(b))
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

func (c *capture) tarEntry(t *tarResult, en *component.Entry) error {
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
			Database: baseName(en.Path), Path: f.Path, OriginalSize: got.size, SHA256: got.sha256, Facts: *got.facts,
		})
	}
	return nil
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
	b, err := stream.Header(stream.Entry{
		Type: kind, Path: string(f.Path), Link: string(f.Link), Mode: int64(f.Mode), Size: f.SizeBytes, ModTimeNS: f.ModTimeNS,
	})
	if err != nil {
		return repository.Extent{}, err
	}
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

// cut stores content that is whole in memory, with its padding.
func (c *capture) cut(b []byte) (repository.Extents, error) {
	b = append(b, make([]byte, stream.Padding(int64(len(b))))...)
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
	if k := c.cached(en, true); k != nil {
		return k, nil
	}
	if en.Kind == component.Database {
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
func (c *capture) remember(en *component.Entry, padded bool, st, wal component.Stat, k *content) func(repository.Extents) {
	if !rested(st, c.e.now()) || wal != (component.Stat{}) && !rested(wal, c.e.now()) {
		return nil
	}
	return func(x repository.Extents) {
		c.kept[cacheKey(en.Source, padded)] = cacheEntry{
			Kind: en.Kind, Stat: st, WAL: wal, Size: k.size, SHA256: k.sha256, Extents: x, Facts: k.facts,
		}
	}
}

// plainFile reads a regular file. One that changes meanwhile is read again, and in the end kept with a warning.
func (c *capture) plainFile(en *component.Entry, padded bool) (*content, error) {
	for try := 1; ; try++ {
		k, err := c.readOnce(en, padded)
		switch {
		case err == nil:
			return k, nil
		case errors.Is(err, errUnstable) && try < attempts:
			continue
		case errors.Is(err, errUnstable):
			c.warn("changed_while_read", en.Path, "the file kept changing while it was read; its copy may be torn", "back up again when the program that writes it is quiet")
			return k, nil
		case errors.Is(err, fs.ErrNotExist):
			return nil, c.gone(en, "it vanished during the backup")
		case errors.Is(err, unix.ELOOP), errors.Is(err, errNotRegular):
			return nil, c.gone(en, "it stopped being a plain file during the backup")
		case errors.Is(err, unix.EPERM):
			return nil, c.gone(en, "macOS privacy protection refused to read it")
		case errors.Is(err, unix.EACCES):
			return nil, c.gone(en, "its mode does not let you read it")
		case isReadError(err):
			return nil, c.gone(en, fmt.Sprintf("it could not be read: %v", errors.Unwrap(err)))
		default:
			return nil, err
		}
	}
}

var errNotRegular = errors.New("not a regular file")

// isReadError tells failures of the source from failures of the destination: only reads of en.Source make one.
func isReadError(err error) bool {
	var re *readError
	return errors.As(err, &re)
}

type readError struct{ err error }

func (r *readError) Error() string { return r.err.Error() }
func (r *readError) Unwrap() error { return r.err }

// readOnce reads a file once. With errUnstable comes what was read.
func (c *capture) readOnce(en *component.Entry, padded bool) (*content, error) {
	// O_NONBLOCK: what is a FIFO by now must not hold the backup up.
	file, err := os.OpenFile(en.Source, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &readError{err}
	}
	defer file.Close()
	before, err := file.Stat()
	if err != nil {
		return nil, &readError{err}
	}
	if !before.Mode().IsRegular() {
		return nil, errNotRegular
	}
	k, err := c.readAll(file, before.Size(), padded)
	if err != nil {
		return nil, err
	}
	after, err := os.Lstat(en.Source)
	if err != nil {
		return nil, &readError{err}
	}
	if st := component.StatOf(before); component.StatOf(after) != st || k.size != before.Size() {
		return k, errUnstable
	} else {
		k.commit = c.remember(en, padded, st, component.Stat{}, k)
	}
	return k, nil
}

// readAll reads to the end of file, or to limit: a file that grows meanwhile would never end.
func (c *capture) readAll(file *os.File, limit int64, padded bool) (*content, error) {
	sum := sha256.New()
	in := io.LimitReader(file, limit)
	if limit <= smallFile && padded {
		b := make([]byte, limit, limit+stream.TarBlock)
		n, err := io.ReadFull(in, b)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, &readError{err}
		}
		sum.Write(b[:n])
		return &content{size: int64(n), sha256: repository.Hash(sum.Sum(nil)), small: b[:n]}, nil
	}
	k := new(content)
	var err error
	k.extents, k.size, err = c.cutReader(in, sum, padded)
	sum.Sum(k.sha256[:0])
	return k, err
}

// cutReader stores what in yields, cut by content; sum receives the bytes.
func (c *capture) cutReader(in io.Reader, sum hash.Hash, padded bool) (x repository.Extents, size int64, err error) {
	if c.buf == nil {
		c.buf = make([]byte, 4*stream.MaxPiece+stream.TarBlock)
	}
	have, eof := 0, false
	for {
		for !eof && have < 4*stream.MaxPiece {
			n, err := in.Read(c.buf[have : 4*stream.MaxPiece])
			sum.Write(c.buf[have : have+n])
			have += n
			size += int64(n)
			if errors.Is(err, io.EOF) {
				eof = true
				if padded {
					pad := stream.Padding(size)
					clear(c.buf[have : have+pad])
					have += pad
				}
			} else if err != nil {
				return nil, 0, &readError{err}
			}
		}
		if have == 0 {
			return x, size, nil
		}
		done := 0
		for have-done >= stream.MaxPiece || eof && have > done {
			n := stream.Cut(c.buf[done:have])
			e, err := c.block(c.buf[done : done+n])
			if err != nil {
				return nil, 0, err
			}
			x = x.Add(e)
			done += n
		}
		if err := c.ctx.Err(); err != nil {
			return nil, 0, err
		}
		have = copy(c.buf, c.buf[done:have])
	}
}

// database captures a database as a snapshot. nil, nil means that it has to be taken as a plain file: a warning has
// been given.
func (c *capture) database(en *component.Entry, padded bool) (*content, error) {
	var err error
	for range attempts {
		var k *content
		if k, err = c.snapshot(en, padded); err == nil {
			return k, nil
		}
		if !errors.Is(err, sqlitesnap.ErrChanged) {
			break
		}
	}
	switch {
	case c.ctx.Err() != nil:
		return nil, c.ctx.Err()
	case errors.Is(err, fs.ErrNotExist):
		return nil, c.gone(en, "it vanished during the backup")
	case errors.Is(err, sqlitesnap.ErrNotDatabase):
		c.warn("database_unreadable", en.Path, "it begins like a SQLite database but is none, or is encrypted; it was stored as a plain file", "if a program writes it during backups, its copy may be torn")
	case errors.Is(err, sqlitesnap.ErrCorrupt):
		c.warn("database_corrupt", en.Path, "the database is damaged; it was stored byte by byte as it is", "repair it, or restore it from an earlier backup")
	case errors.Is(err, sqlitesnap.ErrLocked):
		c.warn("database_locked", en.Path, "another program held the database locked; it was stored as a plain file and may be torn", "close that program and back up again")
	case errors.Is(err, sqlitesnap.ErrChanged):
		c.warn("database_busy", en.Path, "the database changed too often for a consistent copy; it was stored as a plain file and may be torn", "back up again when the program that writes it is quiet")
	default:
		return nil, err
	}
	return nil, nil
}

func (c *capture) snapshot(en *component.Entry, padded bool) (*content, error) {
	before, err := os.Lstat(en.Source)
	if err != nil {
		return nil, err
	}
	wal := walStat(en.Source)
	snap, err := sqlitesnap.Open(c.ctx, en.Source, sqlitesnap.Options{
		Scratch: c.e.state.Scratch(), FullCheck: c.fullCheck(en.Source),
	})
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	k := &content{size: snap.Size()}
	sum := sha256.New()
	var tail []byte
	size := stream.PageBlock(snap.PageSize())
	err = snap.Read(c.ctx, func(p []byte) error {
		// The stream's hash and its blocks are computed side by side.
		hashed := make(chan struct{})
		go func() { sum.Write(p); close(hashed) }()
		defer func() { <-hashed }()
		return c.pages(&k.extents, &tail, p, size)
	})
	if err == nil && (len(tail) > 0 || padded) {
		tail = append(tail, make([]byte, padding(padded, k.size))...)
		if len(tail) > 0 {
			var e repository.Extent
			if e, err = c.block(tail); err == nil {
				k.extents = k.extents.Add(e)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	facts, err := snap.Finish(c.ctx)
	if err != nil {
		return nil, err
	}
	sum.Sum(k.sha256[:0])
	f := repository.DatabaseFacts(facts)
	k.facts = &f
	if f.Check != "none" && f.CheckResult != "ok" {
		c.warn("database_check_failed", en.Path, f.Check+" reports: "+f.CheckResult, "repair it, or restore it from an earlier backup; this backup holds it as it is")
	}
	k.commit = c.remember(en, padded, component.StatOf(before), wal, k)
	return k, nil
}

func padding(padded bool, size int64) int {
	if !padded {
		return 0
	}
	return stream.Padding(size)
}

// pages stores whole blocks of p; what is left over waits in tail for the next call.
func (c *capture) pages(x *repository.Extents, tail *[]byte, p []byte, size int) error {
	if len(*tail) > 0 {
		n := min(size-len(*tail), len(p))
		*tail = append(*tail, p[:n]...)
		p = p[n:]
		if len(*tail) < size {
			return nil
		}
		e, err := c.block(*tail)
		if err != nil {
			return err
		}
		*x = x.Add(e)
		*tail = (*tail)[:0]
	}
	for len(p) >= size {
		e, err := c.block(p[:size])
		if err != nil {
			return err
		}
		*x = x.Add(e)
		p = p[size:]
	}
	*tail = append(*tail, bytes.Clone(p)...)
	return nil
}

func baseName(path string) repository.Name {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return repository.Name(path[i+1:])
		}
	}
	return repository.Name(path)
}

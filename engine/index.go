package engine

import (
	"crypto/sha256"
	"fmt"
	"io"

	"maia-dr/engine/event"
	"maia-dr/engine/repository"
	"maia-dr/engine/stream"
)

// rebaseBelow is the part of a chunk, in percent, that the newest backup has to use for the chunk to be worth
// referring to. One chunk a run is stored afresh, the emptiest first: it bounds how many chunks a restore reads. Each such
// part is uploaded once more, and frees nothing while a monthly backup needs the old chunk: at 30 %, a day of the sample's second
// half-year came to 6.3 MB, with 81 chunks to restore from.
const rebaseBelow = 20

// readIndex reads the block index beside other work; nil: it cannot be read.
func (b *backup) readIndex() <-chan *repository.Index {
	path, id := b.e.state.BlockIndex(), b.descriptor.RepositoryID
	out := make(chan *repository.Index, 1)
	go func() {
		x, err := repository.LoadIndex(path, id)
		if err != nil {
			x = nil
		}
		out <- x
	}()
	return out
}

// readStatCache begins to read the stat cache.
func (s *session) readStatCache() <-chan *statCache {
	path, id := s.e.state.StatCache(), s.descriptor.RepositoryID
	out := make(chan *statCache, 1)
	go func() { out <- loadStatCache(path, id) }()
	return out
}

// loadIndex takes the block index that was read, or rebuilds it from the mirror. Whatever it names then lies in the mirror
// with the recorded size.
func (b *backup) loadIndex(x *repository.Index) error {
	present, err := b.mirror.List()
	if err != nil {
		return err
	}
	inMirror := func(ref repository.ChunkRef) bool { return present.Chunks[ref.SHA256] == ref.SizeBytes }
	last := b.last()
	if !namesAll(x, last) {
		if last == nil {
			x = repository.NewIndex(b.descriptor.RepositoryID, int(b.cap.total/4096))
		} else {
			b.e.note("The block index is missing or out of date and is rebuilt from the newest backup.")
			if x, err = b.rebuildIndex(last, inMirror); err != nil {
				return fmt.Errorf("rebuild the block index: %w", err)
			}
		}
	}
	x.Retain(inMirror)
	b.index = x
	if last != nil {
		b.rebase(last)
	}
	return nil
}

// namesAll reports whether the index knows every chunk of the newest backup. One from an older state directory does
// not.
func namesAll(x *repository.Index, last *repository.Manifest) bool {
	if x == nil || last == nil {
		return x != nil
	}
	for _, c := range last.Chunks {
		if _, ok := x.FindChunk(c.SHA256); !ok {
			return false
		}
	}
	return true
}

// rebase drops the emptiest chunk: its blocks count as new, and their files are read again.
func (b *backup) rebase(last *repository.Manifest) {
	emptiest, percent := -1, int64(rebaseBelow)
	for i, used := range last.ChunkUse() {
		n, ok := b.index.FindChunk(last.Chunks[i].SHA256)
		if p := used * 100 / last.Chunks[i].RawBytes; ok && p < percent {
			emptiest, percent = n, p
		}
	}
	if emptiest >= 0 {
		b.e.log.Info().Str("chunk", b.index.Chunk(emptiest).SHA256.String()).Int64("percent", percent).Msg("re-base")
		b.index.Drop(emptiest)
	}
}

// rebuildIndex reassembles the newest backup's streams from the mirror and cuts them again.
func (b *backup) rebuildIndex(last *repository.Manifest, inMirror func(repository.ChunkRef) bool) (*repository.Index, error) {
	var total, done int64
	for _, c := range last.Chunks {
		total += c.RawBytes
	}
	b.e.phase(event.Rebuild, total)
	x := repository.NewIndex(b.descriptor.RepositoryID, int(total/4096))
	number := make([]int, len(last.Chunks))
	for i, c := range last.Chunks {
		number[i] = -1
		if inMirror(c) {
			number[i] = x.AddChunk(c)
		}
	}
	files, err := b.mirror.ReadFiles(last)
	if err != nil {
		// Without the list nothing can be cut: everything is stored afresh, once.
		b.e.log.Warn().Err(err).Msg("rebuild block index")
		return x, nil
	}
	report := b.e.counter(event.Rebuild, total, &done)
	for _, s := range last.Streams() {
		if err := b.indexStream(x, last, s, files, number, report); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// indexStream enters the blocks of one stream.
func (b *backup) indexStream(x *repository.Index, m *repository.Manifest, s repository.Stream, files []repository.File, number []int, report func(int64)) error {
	scratch, err := b.e.scratchFile()
	if err != nil {
		return err
	}
	defer scratch.Close()
	var pieces []repository.Piece
	for _, p := range repository.Pieces(s.Extents, scratch, 0) {
		if number[p.Chunk] >= 0 {
			pieces = append(pieces, p)
		}
	}
	src := &repository.Source{Dirs: []string{b.mirror.Dir}}
	bad, err := src.Copy(b.ctx, m.Chunks, pieces, false, report)
	if err != nil {
		return err
	}
	for _, c := range bad {
		if n, ok := x.FindChunk(c.Chunk.SHA256); ok {
			x.Drop(n)
			for i := range number {
				if number[i] == n {
					number[i] = -1
				}
			}
		}
	}
	loc := repository.NewLocator(s.Extents)
	add := func(off int64, block []byte) error {
		// A block that was cut in two by other content does not exist as such.
		e, err := loc.Slice(off, int64(len(block)))
		if err != nil || len(e) != 1 || number[e[0].Chunk] < 0 {
			return nil //nolint:nilerr // a block that is not found counts as new
		}
		h := repository.Hash(sha256.Sum256(block))
		x.Add(&h, number[e[0].Chunk], e[0].Offset, int64(len(block)))
		return nil
	}
	if s.Database != nil {
		return cutContent(scratch, 0, s.Database.OriginalSize, s.Database.Facts.PageSize, false, add)
	}
	return cutTar(scratch, m, s.Component, files, add)
}

// cutTar visits the blocks of a component's tar as capture cut them.
func cutTar(r io.ReaderAt, m *repository.Manifest, name string, files []repository.File, visit func(int64, []byte) error) error {
	pageSize := map[repository.Name]int{}
	for _, db := range m.Components[name].Databases {
		pageSize[db.Path] = db.Facts.PageSize
	}
	var pos int64
	for i := range files {
		f := &files[i]
		if f.Component != name {
			continue
		}
		header, err := stream.Header(stream.Entry{
			Type: tarType(f.Type), Path: string(f.Path), Link: string(f.Link), Mode: int64(f.Mode), Size: f.SizeBytes, ModTimeNS: f.ModTimeNS,
		})
		if err != nil {
			return err
		}
		if err := visit(pos, header); err != nil {
			return err
		}
		pos += int64(len(header))
		if !f.HasContent() {
			continue
		}
		if err := cutContent(r, f.Offset, f.SizeBytes, pageSize[f.Path], true, visit); err != nil {
			return err
		}
		pos += f.SizeBytes + int64(stream.Padding(f.SizeBytes))
	}
	return visit(pos, stream.Trailer)
}

// cutContent visits the blocks of one file: pages if pageSize is set, else pieces by content.
func cutContent(r io.ReaderAt, off, size int64, pageSize int, padded bool, visit func(int64, []byte) error) error {
	cut := stream.Cut
	if pageSize > 0 {
		cut = stream.Pages(pageSize)
	}
	_, err := stream.Pieces(io.NewSectionReader(r, off, size), make([]byte, stream.BufferSize), cut, padded, func(block []byte) error {
		err := visit(off, block)
		off += int64(len(block))
		return err
	})
	return err
}

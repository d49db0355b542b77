package repository

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/klauspost/compress/gzip"

	"maia-dr/engine/fsx"
	"maia-dr/engine/repository/inflate"
)

// segmentBytes is how much content one gzip member holds. Members compress concurrently and cost 0.4 % in size.
const segmentBytes = 1 << 20

// The gzip levels of chunks. A day's backup is small, and every byte of it is uploaded: it gets the better one. What comes
// behind the first BulkBytes of a run, a first backup's most, takes half the time for 5 % more.
const (
	DefaultLevel = 6
	BulkLevel    = 2
	BulkBytes    = 32 << 20
)

// Packer appends blocks to chunks in a repository's chunk folder. Compression runs concurrently; memory is bounded
// by a few segments. Its methods are for one goroutine.
type Packer struct {
	fs  *fsx.FS
	dir string

	current *segment
	chunk   int   // number of the chunk being filled, counted from 0
	filled  int64 // raw bytes in it
	level   int   // of the segment being filled
	bulk    int64 // raw bytes until level is BulkLevel; negative: never

	free    chan *segment
	work    chan *segment
	ordered chan *segment
	group   sync.WaitGroup
	stop    context.CancelCauseFunc
	ctx     context.Context
	refs    []*ChunkRef // owned by the writer until it ends; each by whoever commits it
	syncing chan struct{}
}

// syncs is how many finished chunks are being synced while the next is written: a disk takes longer for one than two
// processors take to compress it.
const syncs = 2

type segment struct {
	raw       []byte
	out       bytes.Buffer
	level     int
	done      chan error
	endsChunk bool
}

// NewPacker returns a Packer that writes into dir, which must exist. level is one of gzip's for all content; 0:
// DefaultLevel, and a faster one where there is much. Close or Abort must follow; cancelling ctx makes both fail soon.
func NewPacker(ctx context.Context, fs *fsx.FS, dir string, level int) *Packer {
	bulk := int64(-1)
	if level == 0 {
		level, bulk = DefaultLevel, BulkBytes
	}
	workers := runtime.GOMAXPROCS(0)
	depth := workers + 2
	p := &Packer{
		fs: fs, dir: dir, level: level, bulk: bulk,
		syncing: make(chan struct{}, syncs),
		free:    make(chan *segment, depth), work: make(chan *segment, depth), ordered: make(chan *segment, depth),
	}
	p.ctx, p.stop = context.WithCancelCause(ctx)
	for range depth {
		p.free <- &segment{done: make(chan error, 1)}
	}
	p.group.Add(workers + 1)
	for range workers {
		go p.compress()
	}
	go p.write()
	return p
}

// Append stores a block and returns where its content will stand: the number of the chunk, counted from 0 in this
// Packer, and the offset in its content. The block is copied.
func (p *Packer) Append(block []byte) (chunk int, offset int64, err error) {
	if len(block) > MaxChunkBytes {
		return 0, 0, fmt.Errorf("block of %d bytes is larger than a chunk", len(block))
	}
	if p.filled+int64(len(block)) > MaxChunkBytes {
		if err := p.endChunk(); err != nil {
			return 0, 0, err
		}
	}
	chunk, offset = p.chunk, p.filled
	p.filled += int64(len(block))
	for len(block) > 0 {
		if p.current == nil {
			if p.current, err = p.take(); err != nil {
				return 0, 0, err
			}
		}
		n := min(segmentBytes-len(p.current.raw), len(block))
		p.current.raw = append(p.current.raw, block[:n]...)
		block = block[n:]
		if len(p.current.raw) == segmentBytes {
			if err := p.submit(false); err != nil {
				return 0, 0, err
			}
		}
	}
	return chunk, offset, nil
}

func (p *Packer) take() (*segment, error) {
	select {
	case s := <-p.free:
		if s.raw == nil {
			s.raw = make([]byte, 0, segmentBytes)
		}
		s.raw, s.endsChunk = s.raw[:0], false
		s.out.Reset()
		return s, nil
	case <-p.ctx.Done():
		return nil, context.Cause(p.ctx)
	}
}

func (p *Packer) submit(endsChunk bool) error {
	s := p.current
	p.current = nil
	s.endsChunk, s.level = endsChunk, p.level
	if p.bulk > 0 {
		if p.bulk -= int64(len(s.raw)); p.bulk <= 0 {
			p.level = BulkLevel
		}
	}
	if err := context.Cause(p.ctx); err != nil {
		return err
	}
	// Neither blocks: there are no more segments than places.
	p.ordered <- s
	p.work <- s
	return nil
}

func (p *Packer) endChunk() error {
	if p.filled == 0 {
		return nil
	}
	if p.current == nil {
		// The last segment ended just at its limit: an empty one carries the mark.
		s, err := p.take()
		if err != nil {
			return err
		}
		p.current = s
	}
	p.chunk++
	p.filled = 0
	return p.submit(true)
}

// Close finishes the last chunk and returns all chunks in order. Each lies under its name with its content synced;
// the folder is synced too.
func (p *Packer) Close() ([]ChunkRef, error) {
	err := p.endChunk()
	close(p.work)
	close(p.ordered)
	p.group.Wait()
	err = errors.Join(err, context.Cause(p.ctx))
	p.stop(nil)
	if err != nil {
		return nil, fmt.Errorf("write chunks: %w", err)
	}
	if len(p.refs) > 0 {
		if err := p.fs.SyncDir(p.dir); err != nil {
			return nil, fmt.Errorf("write chunks: %w", err)
		}
	}
	refs := make([]ChunkRef, len(p.refs))
	for i, ref := range p.refs {
		refs[i] = *ref
	}
	return refs, nil
}

// Abort ends a Packer whose chunks are not wanted. Chunks that were finished stay; nothing refers to them.
func (p *Packer) Abort() {
	p.stop(context.Canceled)
	close(p.work)
	close(p.ordered)
	p.group.Wait()
}

func (p *Packer) compress() {
	defer p.group.Done()
	writers := map[int]*gzip.Writer{}
	for s := range p.work {
		var err error
		zw := writers[s.level]
		if zw == nil {
			zw, err = gzip.NewWriterLevel(nil, s.level)
			writers[s.level] = zw
		}
		if err == nil && len(s.raw) > 0 {
			zw.Reset(&s.out)
			zw.Extra = inflate.Field()
			if _, err = zw.Write(s.raw); err == nil {
				err = zw.Close()
			}
			if err == nil {
				inflate.Declare(s.out.Bytes(), len(s.raw))
			}
		}
		s.done <- err
	}
}

// write takes the segments in order and writes the chunk files.
func (p *Packer) write() {
	defer p.group.Done()
	var c *chunkFile
	defer func() {
		if c != nil {
			c.discard(p.fs)
		}
	}()
	for s := range p.ordered {
		err := <-s.done
		if err == nil && context.Cause(p.ctx) == nil {
			c, err = p.writeSegment(c, s)
		}
		if err != nil {
			p.stop(err)
		}
		p.free <- s
	}
}

func (p *Packer) writeSegment(c *chunkFile, s *segment) (*chunkFile, error) {
	if c == nil {
		file, err := p.fs.CreateTemp(p.dir, "chunk.")
		if err != nil {
			return nil, err
		}
		c = &chunkFile{file: file, sum: sha256.New()}
	}
	c.raw += int64(len(s.raw))
	c.size += int64(s.out.Len())
	c.sum.Write(s.out.Bytes())
	if _, err := c.file.Write(s.out.Bytes()); err != nil {
		return c, err
	}
	if !s.endsChunk {
		return c, nil
	}
	ref := &ChunkRef{SizeBytes: c.size, RawBytes: c.raw}
	c.sum.Sum(ref.SHA256[:0])
	p.refs = append(p.refs, ref)
	p.syncing <- struct{}{}
	p.group.Go(func() {
		defer func() { <-p.syncing }()
		if err := c.commit(p.fs, filepath.Join(p.dir, ChunkName(ref.SHA256))); err != nil {
			c.discard(p.fs)
			p.stop(err)
		}
	})
	return nil, nil
}

type chunkFile struct {
	file      *fsx.File
	sum       hash.Hash
	raw, size int64
}

func (c *chunkFile) commit(fs *fsx.FS, path string) error {
	if err := c.file.Sync(); err != nil {
		return err
	}
	if err := c.file.Close(); err != nil {
		return err
	}
	return fs.Rename(c.file.Name(), path)
}

func (c *chunkFile) discard(fs *fsx.FS) {
	c.file.Close()
	fs.Discard(c.file.Name())
}

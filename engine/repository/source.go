package repository

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"maia-dr/engine/fsx"
	"maia-dr/engine/repository/inflate"
)

// Source reads chunks from the copies of a repository, the first one preferred. Safe for concurrent use.
type Source struct {
	// Dirs are repository folders: OneDrive, the mirror.
	Dirs []string
	// Choose, if set, says which copies of a chunk to try instead. It is called once for each chunk of a Copy, from
	// several goroutines.
	Choose func(ChunkRef) []string
	// Ready, if set, is called before a chunk's file is read, and returns when that will not wait for a download; with
	// its error that copy is passed over.
	Ready func(ctx context.Context, path string) error
	// Partly, if set, says of which chunks a Copy reads no more than it needs, and not their hash: for who compares what is taken
	// out of them with hashes of its own. A copy counts as whole then if what was needed could be decompressed. It is called from
	// several goroutines.
	Partly func(ChunkRef) bool
	// Done, if set, is told each chunk of a Copy when its pieces are written, or that no copy of it is whole; from several
	// goroutines.
	Done func(chunk int, bad *ChunkError)
}

// Piece asks for one extent of a chunk to be written to Dst at DstOff.
type Piece struct {
	Extent
	Dst    io.WriterAt
	DstOff int64
}

// Pieces asks for a stream's bytes to be written to dst, beginning at off.
func Pieces(x Extents, dst io.WriterAt, off int64) []Piece {
	out := make([]Piece, len(x))
	for i, e := range x {
		out[i] = Piece{Extent: e, Dst: dst, DstOff: off}
		off += e.Length
	}
	return out
}

// ChunkError says that no copy of a chunk is whole.
type ChunkError struct {
	Chunk ChunkRef
	Err   error
}

func (e *ChunkError) Error() string {
	return fmt.Sprintf("chunk %s: %v", ChunkName(e.Chunk.SHA256), e.Err)
}

func (e *ChunkError) Unwrap() error { return e.Err }

// Copy writes the pieces. Every chunk they need is read once, hashed (but see Partly), and decompressed as far as it is
// needed, or to its end if whole is set; several at a time, in the order in which the pieces come to them. progress, which may be nil,
// is told of raw bytes as they come. Chunks of which no copy is whole are returned; what was written for their pieces is
// not to be trusted. Other errors (a full disk, a cancelled ctx) end the work.
func (s *Source) Copy(ctx context.Context, chunks []ChunkRef, pieces []Piece, whole bool, progress func(n int64)) ([]*ChunkError, error) {
	byChunk := make(map[int][]Piece)
	var order []int
	for _, p := range pieces {
		if byChunk[p.Chunk] == nil {
			order = append(order, p.Chunk)
		}
		byChunk[p.Chunk] = append(byChunk[p.Chunk], p)
	}
	if whole {
		for i := range chunks {
			if byChunk[i] == nil {
				order = append(order, i)
			}
		}
	}
	var mu sync.Mutex
	var bad []*ChunkError
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, i := range order {
		g.Go(func() error {
			list := byChunk[i]
			slices.SortFunc(list, func(a, b Piece) int { return int(a.Offset - b.Offset) })
			err := s.copyChunk(ctx, chunks[i], list, whole, progress)
			ce, isBad := errors.AsType[*ChunkError](err)
			if err != nil && !isBad {
				return err
			}
			if isBad {
				mu.Lock()
				bad = append(bad, ce)
				mu.Unlock()
			}
			if s.Done != nil {
				s.Done(i, ce)
			}
			return nil
		})
	}
	err := g.Wait()
	return bad, err
}

// copyChunk tries each copy of a chunk until one is whole.
func (s *Source) copyChunk(ctx context.Context, ref ChunkRef, pieces []Piece, whole bool, progress func(int64)) error {
	var errs []error
	dirs := s.Dirs
	if s.Choose != nil {
		dirs = s.Choose(ref)
	}
	partly := s.Partly != nil && s.Partly(ref)
	for _, dir := range dirs {
		path := filepath.Join(dir, ChunksDir, ChunkName(ref.SHA256))
		var err error
		if s.Ready != nil {
			err = s.Ready(ctx, path)
		}
		if err == nil {
			err = readChunk(ctx, path, ref, pieces, whole, partly, progress)
		}
		if err == nil {
			return nil
		}
		var we *writeError
		if errors.As(err, &we) || ctx.Err() != nil {
			return err
		}
		errs = append(errs, fmt.Errorf("in %s: %w", dir, err))
	}
	return &ChunkError{Chunk: ref, Err: errors.Join(errs...)}
}

// writeError is a failure of the destination, which no other copy of the chunk can mend.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

var readerPool sync.Pool // *chunkReader

type chunkReader struct {
	zr  inflate.Reader
	buf []byte // for what is hashed only
}

// readChunk hashes a chunk's file, unless it is to be read partly, and writes its pieces, which are sorted by offset.
func readChunk(ctx context.Context, path string, ref ChunkRef, pieces []Piece, whole, partly bool, progress func(int64)) error {
	file, err := fsx.OpenRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrMissing
	}
	if errors.Is(err, fsx.ErrNotRegular) {
		return fmt.Errorf("%v: %w", fsx.ErrNotRegular, ErrDamaged)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if fi, err := file.Stat(); err != nil {
		return err
	} else if fi.Size() != ref.SizeBytes {
		return fmt.Errorf("%d bytes instead of %d: %w", fi.Size(), ref.SizeBytes, ErrDamaged)
	}
	// It may grow meanwhile.
	in := io.LimitReader(file, ref.SizeBytes)
	var sum hash.Hash
	if !partly {
		sum = sha256.New()
		in = io.TeeReader(in, sum)
	}
	cr, _ := readerPool.Get().(*chunkReader)
	if cr == nil {
		cr = &chunkReader{buf: make([]byte, 256<<10)}
	}
	defer readerPool.Put(cr)
	if err := cr.scatter(ctx, in, ref, pieces, whole, progress); err != nil {
		return err
	}
	if partly {
		return nil
	}
	if _, err := io.CopyBuffer(io.Discard, in, cr.buf); err != nil {
		return err
	}
	if got := Hash(sum.Sum(nil)); got != ref.SHA256 {
		return fmt.Errorf("its SHA-256 is %s: %w", got, ErrDamaged)
	}
	return nil
}

// scatter decompresses in and writes each piece as its bytes come by. Pieces may overlap.
func (cr *chunkReader) scatter(ctx context.Context, in io.Reader, ref ChunkRef, pieces []Piece, whole bool, progress func(int64)) error {
	if !whole && len(pieces) == 0 {
		return nil
	}
	cr.zr.Reset(in)
	var end int64
	for _, p := range pieces {
		end = max(end, p.Offset+p.Length)
	}
	var active []Piece
	var pos int64
	for whole || pos < end {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !whole && len(active) == 0 {
			n, err := cr.zr.Skip(pieces[0].Offset - pos)
			if err != nil {
				return contentError(err)
			}
			if n > 0 {
				pos += n
				if progress != nil {
					progress(n)
				}
				continue
			}
		}
		// A member at a time, so that a bomb is noticed within about 1 MiB.
		buf, err := cr.zr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return contentError(err)
		}
		n := int64(len(buf))
		if pos+n > ref.RawBytes {
			return fmt.Errorf("more than its %d bytes of content: %w", ref.RawBytes, ErrDamaged)
		}
		for len(pieces) > 0 && pieces[0].Offset < pos+n {
			active = append(active, pieces[0])
			pieces = pieces[1:]
		}
		if active, err = writeActive(active, pos, buf); err != nil {
			return err
		}
		pos += n
		if progress != nil {
			progress(n)
		}
	}
	if pos < end || whole && pos != ref.RawBytes {
		return fmt.Errorf("%d bytes of content instead of %d: %w", pos, ref.RawBytes, ErrDamaged)
	}
	return nil
}

// contentError tells content that is damaged from a file that cannot be read: the latter, an evicted chunk for one,
// says nothing about the bytes.
func contentError(err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return err
	}
	return fmt.Errorf("%v: %w", err, ErrDamaged)
}

// writeActive writes what buf, which stands at pos in the chunk, holds of the active pieces, and keeps those that
// go on behind it.
func writeActive(active []Piece, pos int64, buf []byte) ([]Piece, error) {
	keep := active[:0]
	for _, p := range active {
		from := max(p.Offset, pos)
		to := min(p.Offset+p.Length, pos+int64(len(buf)))
		if _, err := p.Dst.WriteAt(buf[from-pos:to-pos], p.DstOff+from-p.Offset); err != nil {
			return nil, &writeError{err: err}
		}
		if p.Offset+p.Length > pos+int64(len(buf)) {
			keep = append(keep, p)
		}
	}
	return keep, nil
}

// CheckChunk reads one copy of a chunk to its end: size, SHA-256, and with content also that it decompresses to its
// recorded length.
func CheckChunk(ctx context.Context, dir string, ref ChunkRef, content bool) error {
	return readChunk(ctx, filepath.Join(dir, ChunksDir, ChunkName(ref.SHA256)), ref, nil, content, false, nil)
}

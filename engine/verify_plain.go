package engine

import (
	"context"
	"fmt"
	"io"

	"maia-dr/engine/event"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

// maxPlain is how much content of chunks a verification of several backups keeps decompressed in scratch; of more, each
// backup's chunks are decompressed for it again.
const maxPlain = 4 << 30

// plainChunks is the content of chunks that several backups refer to, one behind the other in a file without a name.
type plainChunks struct {
	file *fsx.File
	at   map[plainKey]int64
	end  int64
}

// plainKey names a chunk as it is read: from OneDrive's copy alone, or from any.
type plainKey struct {
	chunk  repository.Hash
	remote bool
}

// keepPlain begins to keep chunks' content if there are several backups to verify and it is not too much.
func (w *verification) keepPlain(backups int, chunks map[repository.Hash]repository.ChunkRef) (*plainChunks, error) {
	var total int64
	for _, c := range chunks {
		total += c.RawBytes
	}
	if backups < 2 || total > maxPlain {
		return nil, nil
	}
	file, err := w.e.scratchFile()
	if err != nil {
		return nil, err
	}
	return &plainChunks{file: file, at: map[plainKey]int64{}}, nil
}

// compare hashes files out of chunks' content, after decompressing what is not there yet. Its results are checkStreams'.
func (p *plainChunks) compare(ctx context.Context, e *Engine, src *repository.Source, m *repository.Manifest, groups []streamFiles, remote bool) ([]*repository.ChunkError, []fileProblem, error) {
	bad, err := p.load(ctx, e, src, m, groups, remote)
	if err != nil {
		return bad, nil, err
	}
	lost := map[repository.Hash]bool{}
	for _, c := range bad {
		lost[c.Chunk.SHA256] = true
	}
	streams := make([]io.ReaderAt, len(groups))
	var problems []fileProblem
	for i := range groups {
		loc := repository.NewLocator(groups[i].stream.Extents)
		streams[i] = &plainStream{chunks: p, m: m, loc: loc, remote: remote}
		if len(lost) == 0 {
			continue
		}
		var whole []*repository.File
		for _, f := range groups[i].files {
			x, err := loc.Slice(f.Offset, f.SizeBytes)
			ok := err == nil
			for _, e := range x {
				ok = ok && !lost[m.Chunks[e.Chunk].SHA256]
			}
			if ok {
				whole = append(whole, f)
			} else {
				problems = append(problems, fileProblem{Path: f.Path, Reason: "its bytes are not what they were"})
			}
		}
		groups[i].files = whole
	}
	more, err := compareStreams(ctx, groups, streams, nil)
	return bad, append(problems, more...), err
}

// load decompresses the chunks that the files need and that are not there.
func (p *plainChunks) load(ctx context.Context, e *Engine, src *repository.Source, m *repository.Manifest, groups []streamFiles, remote bool) ([]*repository.ChunkError, error) {
	var pieces []repository.Piece
	var total, done int64
	asked := map[int]int64{}
	for _, g := range groups {
		loc := repository.NewLocator(g.stream.Extents)
		for _, f := range g.files {
			x, err := loc.Slice(f.Offset, f.SizeBytes)
			if err != nil {
				return nil, fmt.Errorf("%.80q: %w", f.Path, err)
			}
			for _, e := range x {
				c := m.Chunks[e.Chunk]
				if _, ok := p.at[plainKey{c.SHA256, remote}]; ok {
					continue
				}
				if _, ok := asked[e.Chunk]; ok {
					continue
				}
				asked[e.Chunk] = p.end
				pieces = append(pieces, repository.Piece{Extent: repository.Extent{Chunk: e.Chunk, Length: c.RawBytes}, Dst: p.file, DstOff: p.end})
				p.end += c.RawBytes
				total += c.RawBytes
			}
		}
	}
	bad, err := src.Copy(ctx, m.Chunks, pieces, false, e.counter(event.Verify, total, &done))
	if err != nil {
		return bad, err
	}
	for i, at := range asked {
		p.at[plainKey{m.Chunks[i].SHA256, remote}] = at
	}
	for _, c := range bad {
		delete(p.at, plainKey{c.Chunk.SHA256, remote})
	}
	return bad, nil
}

// plainStream is a stream of one backup, put together out of chunks' content as it is read.
type plainStream struct {
	chunks *plainChunks
	m      *repository.Manifest
	loc    *repository.Locator
	remote bool
}

func (s *plainStream) ReadAt(b []byte, off int64) (n int, err error) {
	x, err := s.loc.Slice(off, int64(len(b)))
	if err != nil {
		return 0, err
	}
	for _, e := range x {
		at, ok := s.chunks.at[plainKey{s.m.Chunks[e.Chunk].SHA256, s.remote}]
		if !ok {
			return n, fmt.Errorf("chunk %s was not read: %w", s.m.Chunks[e.Chunk].SHA256, repository.ErrMissing)
		}
		k, err := s.chunks.file.ReadAt(b[n:n+int(e.Length)], at+e.Offset)
		n += k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

package engine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sync/errgroup"

	"maia-dr/engine/component"
	"maia-dr/engine/event"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

// fetch gets the content of every file that is not in its place yet: of streams into staged files, of small archives
// into memory.
func (r *restore) fetch() error {
	wanted := map[*repository.File]*placement{}
	for _, p := range r.places {
		if !p.equal && p.file.HasContent() && p.body == nil {
			wanted[p.file] = p
		}
	}
	groups, err := byStream(r.m, r.files, func(f *repository.File) bool { return wanted[f] != nil })
	if err != nil {
		return err
	}
	// Every file is hashed, and every member of a chunk has its checksum: a second hash of all that is read would find little
	// else. Only a drill asks for it, whose object are the chunks. Where a file is not what it should be all the same, another
	// copy of its chunks may have it, and their hashes say which copy that is.
	hashed := r.rehearsal != nil
	if err := r.fetchStreams(groups, wanted, hashed); err != nil {
		return err
	}
	if !hashed {
		doubted := func(f *repository.File) bool { return wanted[f] != nil && wanted[f].doubted }
		if groups, err = byStream(r.m, r.files, doubted); err != nil {
			return err
		}
		if len(groups) > 0 {
			if err := r.fetchStreams(groups, wanted, true); err != nil {
				return err
			}
		}
	}
	return r.fetchSmall(wanted)
}

// fetchStreams gets the files of streams. Each stream is taken apart as soon as its last chunk is there; large databases
// come first, because their check takes longest. hashed: with every chunk's hash.
func (r *restore) fetchStreams(groups []streamFiles, wanted map[*repository.File]*placement, hashed bool) error {
	slices.SortStableFunc(groups, func(a, b streamFiles) int {
		switch {
		case a.stream.Database == nil && b.stream.Database != nil:
			return 1
		case a.stream.Database != nil && b.stream.Database == nil:
			return -1
		}
		return cmp.Compare(b.stream.Extents.Size(), a.stream.Extents.Size())
	})
	a := &arrivals{needed: map[int][]int{}, waits: make([]int, len(groups)), bad: map[repository.Hash]error{}, ready: make(chan readyStream, len(groups))}
	scratch := make([]*fsx.File, len(groups))
	defer func() {
		for _, f := range scratch {
			if f != nil {
				f.Close()
			}
		}
	}()
	var pieces []repository.Piece
	for i, g := range groups {
		f, err := r.e.fs.Create(filepath.Join(r.target.stage, "stream."+strconv.FormatInt(r.stagedFiles.Add(1), 10)), 0o600)
		if err != nil {
			return err
		}
		scratch[i] = f
		p, err := g.pieces(f)
		if err != nil {
			return err
		}
		a.expect(i, p)
		pieces = append(pieces, p...)
	}
	// A full drill reads to the end of every chunk, also what no file needs: the next backup may refer to it.
	whole := r.rehearsal != nil && !r.rehearsal.light()
	var total, done int64
	for i, c := range r.m.Chunks {
		if whole || len(a.needed[i]) > 0 {
			total += c.RawBytes
		}
	}
	r.e.phase(event.Read, total)
	ctx, stop := context.WithCancel(r.ctx)
	defer stop()
	staged := make(chan error, 1)
	go func() {
		// A stream at a time each: many files that are made in one folder at once only wait for each other.
		var g errgroup.Group
		g.SetLimit(runtime.GOMAXPROCS(0))
		for s := range a.ready {
			g.Go(func() error {
				err := r.stageStream(scratch[s.n], &groups[s.n], wanted, s.bad)
				if err != nil {
					stop()
				}
				return err
			})
		}
		staged <- g.Wait()
	}()
	src := *r.source() // a drill's own is used again
	src.Done = a.done
	src.Partly = func(repository.ChunkRef) bool { return !hashed }
	lost, err := src.Copy(ctx, r.m.Chunks, pieces, whole, r.e.counter(event.Read, total, &done))
	close(a.ready)
	if serr := <-staged; serr != nil {
		return serr // it may have stopped the other
	}
	if err != nil {
		return err
	}
	for _, b := range lost {
		if r.rehearsal != nil {
			r.rehearsal.problem("%v", b)
		}
	}
	for i, g := range groups {
		if g.stream.Database == nil {
			// Its files were copied out of it. What is removed now is never written out to the disk.
			r.e.fs.Discard(scratch[i].Name())
		}
	}
	return nil
}

// arrivals tells which streams are ready: all their chunks were read.
type arrivals struct {
	mu     sync.Mutex
	needed map[int][]int // by chunk the streams that need it
	waits  []int         // by stream how many chunks it still waits for
	bad    map[repository.Hash]error
	ready  chan readyStream // has room for all
}

// readyStream is a stream by its number, and the chunks so far of which no copy is whole.
type readyStream struct {
	n   int
	bad map[repository.Hash]error
}

// expect enters the pieces of a stream, all at once.
func (a *arrivals) expect(n int, pieces []repository.Piece) {
	for _, p := range pieces {
		if !slices.Contains(a.needed[p.Chunk], n) {
			a.needed[p.Chunk] = append(a.needed[p.Chunk], n)
			a.waits[n]++
		}
	}
	if a.waits[n] == 0 {
		a.ready <- readyStream{n: n}
	}
}

// done is a Source's Done.
func (a *arrivals) done(chunk int, err *repository.ChunkError) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.bad[err.Chunk.SHA256] = err
	}
	for _, n := range a.needed[chunk] {
		if a.waits[n]--; a.waits[n] == 0 {
			a.ready <- readyStream{n, maps.Clone(a.bad)}
		}
	}
}

func (r *restore) stageStream(scratch *fsx.File, g *streamFiles, wanted map[*repository.File]*placement, bad map[repository.Hash]error) error {
	buf := make([]byte, 256<<10)
	for _, f := range g.files {
		p := wanted[f]
		if err := r.stageFile(scratch, g, f, p, bad, buf); err != nil {
			return err
		}
		if p.staged == "" && p.check != nil {
			p.check.end() // nobody is going to ask for it
			p.check = nil
			r.e.fs.Discard(scratch.Name())
		}
	}
	return nil
}

// stageFile verifies one file's bytes. A database's stream becomes the file itself, whose check begins; a file of a tar is
// copied out, by way of buf. It is called from several goroutines.
func (r *restore) stageFile(scratch *fsx.File, g *streamFiles, f *repository.File, p *placement, bad map[repository.Hash]error, buf []byte) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	sum := sha256.New()
	in := io.NewSectionReader(scratch, f.Offset, f.SizeBytes)
	staged := scratch.Name()
	if f.Type == repository.TypeLarge {
		r.beginCheck(p, staged)
		if _, err := io.CopyBuffer(sum, in, buf); err != nil {
			return err
		}
	} else {
		// Two entries of a file list that was tampered with may lie at one offset.
		staged = filepath.Join(r.target.stage, "file."+strconv.FormatInt(r.stagedFiles.Add(1), 10))
		out, err := r.e.fs.Create(staged, 0o600)
		if err != nil {
			return err
		}
		_, err = io.CopyBuffer(io.MultiWriter(out, sum), in, buf)
		if err = errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
	if repository.Hash(sum.Sum(nil)) == *f.SHA256 {
		p.staged, p.doubted = staged, false
		return nil
	}
	p.reason, p.doubted = "its bytes are not what they were", true
	loc := repository.NewLocator(g.stream.Extents)
	if x, err := loc.Slice(f.Offset, f.SizeBytes); err == nil {
		for _, e := range x {
			if err := bad[r.m.Chunks[e.Chunk].SHA256]; err != nil {
				p.reason, p.doubted = err.Error(), false
			}
		}
	}
	return nil
}

// fetchSmall gets the files of small archives and those of the backup's folder.
func (r *restore) fetchSmall(wanted map[*repository.File]*placement) error {
	archives := map[string]map[string][]byte{}
	unreadable := map[string]error{}
	for f, p := range wanted {
		if inStream(f.Component) {
			continue
		}
		name := string(f.Path)
		if archive := archiveOf(f.Component); archive != "" {
			if archives[archive] == nil && unreadable[archive] == nil {
				archives[archive], unreadable[archive] = r.readArchive(r.m, archive, filesOf(r.files, f.Component))
			}
			if err := unreadable[archive]; err != nil {
				p.reason = err.Error()
				continue
			}
			p.body = archives[archive][name]
		} else {
			b, err := r.readFile(r.m, name)
			if err != nil {
				p.reason = err.Error()
				continue
			}
			p.body = b
		}
		if p.body == nil {
			p.body = []byte{}
		}
		if repository.SumHash(p.body) != *f.SHA256 {
			p.body, p.reason = nil, "its bytes are not what they were"
		}
	}
	return nil
}

func archiveOf(name string) string {
	switch name {
	case component.LaunchAgents:
		return repository.LaunchAgentsName
	case component.ShellConfigs:
		return repository.ShellConfigsName
	}
	return ""
}

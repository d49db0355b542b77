package repository

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"maia-dr/packaging/ci/faults/matrix"
)

// putChunk stores content as one chunk and returns its reference.
func putChunk(t testing.TB, dir string, gz []byte, raw int64) ChunkRef {
	t.Helper()
	ref := ChunkRef{SumHash(gz), int64(len(gz)), raw}
	put(t, filepath.Join(dir, ChunksDir, ChunkName(ref.SHA256)), gz)
	return ref
}

func TestSourceFallsBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	content := randomBytes(rng, 40000)
	good := storedGzip(content)
	other := storedGzip(randomBytes(rng, 40000))
	flipped := bytes.Clone(good)
	flipped[20000] ^= 1
	for name, first := range map[string][]byte{
		"missing": nil, "empty": {}, "truncated": good[:len(good)-1], "extended": append(bytes.Clone(good), 0),
		"flipped": flipped, "another": other,
	} {
		a, _ := chunkRepo(t)
		b, _ := chunkRepo(t)
		ref := putChunk(t, b, good, 40000)
		path := filepath.Join(a, ChunksDir, ChunkName(ref.SHA256))
		if first != nil {
			put(t, path, first)
		}
		for _, whole := range []bool{false, true} {
			got := make(memory, 40000)
			pieces := []Piece{{Extent{0, 0, 30000}, got, 0}, {Extent{0, 30000, 10000}, got, 30000}}
			bad, err := (&Source{Dirs: []string{a, b}}).Copy(t.Context(), []ChunkRef{ref}, pieces, whole, nil)
			if err != nil || bad != nil || !bytes.Equal(got, content) {
				t.Errorf("%s first copy: %v %v", name, bad, err)
			}
			bad, err = (&Source{Dirs: []string{a, a}}).Copy(t.Context(), []ChunkRef{ref}, pieces, whole, nil)
			want := ErrDamaged
			if first == nil {
				want = ErrMissing
			}
			if err != nil || len(bad) != 1 || bad[0].Chunk != ref || !errors.Is(bad[0], want) {
				t.Errorf("%s in both copies: %v %v", name, bad, err)
			}
		}
	}
}

// Bad chunks do not keep the others from being restored.
func TestSourceReportsEachBadChunk(t *testing.T) {
	dir, _ := chunkRepo(t)
	var refs []ChunkRef
	var pieces []Piece
	var got []memory
	for i := range 20 {
		content := bytes.Repeat([]byte{byte(i)}, 1000)
		refs = append(refs, putChunk(t, dir, storedGzip(content), 1000))
		got = append(got, make(memory, 1000))
		pieces = append(pieces, Piece{Extent{i, 0, 1000}, got[i], 0})
		if i%3 == 0 {
			if err := os.Remove(filepath.Join(dir, ChunksDir, ChunkName(refs[i].SHA256))); err != nil {
				t.Fatal(err)
			}
		}
	}
	var seen atomic.Int64
	var mu sync.Mutex
	told := map[int]bool{}
	src := &Source{Dirs: []string{dir}, Done: func(chunk int, bad *ChunkError) {
		mu.Lock()
		defer mu.Unlock()
		if told[chunk] || (bad != nil) != (chunk%3 == 0) || bad != nil && bad.Chunk != refs[chunk] {
			t.Errorf("told of chunk %d: %v", chunk, bad)
		}
		told[chunk] = true
		if bad == nil && !bytes.Equal(got[chunk], bytes.Repeat([]byte{byte(chunk)}, 1000)) {
			t.Errorf("told of chunk %d before it was written", chunk)
		}
	}}
	bad, err := src.Copy(t.Context(), refs, pieces, false, func(n int64) { seen.Add(n) })
	if err != nil || len(bad) != 7 || len(told) != 20 || seen.Load() != 13*1000 {
		t.Errorf("%d bad, %d told, %d bytes of progress, %v", len(bad), len(told), seen.Load(), err)
	}
	for i := range got {
		if i%3 != 0 && !bytes.Equal(got[i], bytes.Repeat([]byte{byte(i)}, 1000)) {
			t.Errorf("chunk %d came out wrong", i)
		}
	}
}

// With whole, chunks that no piece asks for are read too; without, they are not.
func TestSourceWhole(t *testing.T) {
	dir, _ := chunkRepo(t)
	refs := []ChunkRef{putChunk(t, dir, storedGzip([]byte("one")), 3), {SumHash(nil), 5, 5}}
	src := &Source{Dirs: []string{dir}}
	got := make(memory, 1)
	pieces := []Piece{{Extent{0, 1, 1}, got, 0}}
	if bad, err := src.Copy(t.Context(), refs, pieces, false, nil); bad != nil || err != nil || string(got) != "n" {
		t.Error(bad, err, got)
	}
	if bad, err := src.Copy(t.Context(), refs, pieces, true, nil); err != nil || len(bad) != 1 || !errors.Is(bad[0], ErrMissing) {
		t.Error(bad, err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) WriteAt([]byte, int64) (int, error) { return 0, w.err }

// A destination that fails is no chunk that is bad: the second copy would not help.
func TestSourceDestinationFails(t *testing.T) {
	dir, _ := chunkRepo(t)
	ref := putChunk(t, dir, storedGzip([]byte("one")), 3)
	pieces := []Piece{{Extent{0, 0, 3}, failingWriter{syscall.ENOSPC}, 0}}
	bad, err := (&Source{Dirs: []string{dir, dir}}).Copy(t.Context(), []ChunkRef{ref}, pieces, false, nil)
	if bad != nil || !errors.Is(err, syscall.ENOSPC) {
		t.Error(bad, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if bad, err := (&Source{Dirs: []string{dir}}).Copy(ctx, []ChunkRef{ref}, pieces, true, nil); bad != nil || !errors.Is(err, context.Canceled) {
		t.Error(bad, err)
	}
}

// Every bit of a chunk counts, in both ways of looking.
func TestCheckChunkFindsEveryFlip(t *testing.T) {
	faults := matrix.Of(t, "15")
	dir, chunks := chunkRepo(t)
	p := NewPacker(t.Context(), nil, chunks, 6)
	packAll(t, p, [][]byte{bytes.Repeat([]byte("small and compressible "), 40), []byte("end")})
	refs, err := p.Close()
	if err != nil {
		t.Fatal(err)
	}
	ref := refs[0]
	path := filepath.Join(chunks, ChunkName(ref.SHA256))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		for bit := range 8 {
			faults.Inject()
			whole[i] ^= 1 << bit
			put(t, path, whole)
			whole[i] ^= 1 << bit
			for _, content := range []bool{false, true} {
				if err := CheckChunk(t.Context(), dir, ref, content); !errors.Is(err, ErrDamaged) {
					t.Fatalf("byte %d, bit %d, content %v: %v", i, bit, content, err)
				}
			}
		}
	}
	put(t, path, whole)
	if err := CheckChunk(t.Context(), dir, ref, true); err != nil {
		t.Error(err)
	}
	for n := range whole {
		put(t, path, whole[:n])
		if err := CheckChunk(t.Context(), dir, ref, false); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
}

// Chunks whose name is right but whose content is not what the manifest says: made by a bad writer, or to do harm.
func TestContentIsCheckedToo(t *testing.T) {
	faults := matrix.Of(t, "17")
	content := bytes.Repeat([]byte("x"), 1000)
	gz := storedGzip(content)
	for name, tc := range map[string]struct {
		gz  []byte
		raw int64
	}{
		"content longer":     {gz, 999},
		"content shorter":    {gz, 1001},
		"no checksum":        {gz[:len(gz)-8], 1000},
		"half a checksum":    {gz[:len(gz)-4], 1000},
		"wrong checksum":     {append(bytes.Clone(gz[:len(gz)-8]), make([]byte, 8)...), 1000},
		"something after it": {append(bytes.Clone(gz), "garbage"...), 1000},
		"second cut off":     {append(bytes.Clone(gz), gz[:20]...), 2000},
		"no gzip":            {content, 1000},
		"empty":              {nil, 1000},
	} {
		faults.Inject()
		dir, _ := chunkRepo(t)
		ref := putChunk(t, dir, tc.gz, tc.raw)
		if err := CheckChunk(t.Context(), dir, ref, true); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir, _ := chunkRepo(t)
	two := putChunk(t, dir, append(bytes.Clone(gz), gz...), 2000)
	if err := CheckChunk(t.Context(), dir, two, true); err != nil {
		t.Errorf("two members: %v", err)
	}
}

// What no piece needs is not decompressed: not even what could not be. All of the chunk is hashed nevertheless.
func TestMembersArePassedOver(t *testing.T) {
	dir, chunks := chunkRepo(t)
	p := NewPacker(t.Context(), nil, chunks, 0)
	content := randomBytes(rand.New(rand.NewPCG(1, 2)), 6*segmentBytes)
	if _, _, err := p.Append(content); err != nil {
		t.Fatal(err)
	}
	refs, err := p.Close()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(chunks, ChunkName(refs[0].SHA256)))
	if err != nil {
		t.Fatal(err)
	}
	const from, to = segmentBytes + 5, 2*segmentBytes + 5 // the second and the third of six
	spoiled := bytes.Clone(whole)
	for i := range 6 {
		if i != 1 && i != 2 {
			spoiled[i*len(whole)/6+len(whole)/12] ^= 1
		}
	}
	ref := putChunk(t, dir, spoiled, refs[0].RawBytes)
	got := make(memory, to-from)
	bad, err := (&Source{Dirs: []string{dir}}).Copy(t.Context(), []ChunkRef{ref}, []Piece{{Extent{0, from, to - from}, got, 0}}, false, nil)
	if err != nil || bad != nil || !bytes.Equal(got, content[from:to]) {
		t.Errorf("a piece of two members between spoiled ones: %v %v", bad, err)
	}
	if err := CheckChunk(t.Context(), dir, ref, true); !errors.Is(err, ErrDamaged) {
		t.Errorf("the whole of it: %v", err)
	}
	put(t, filepath.Join(dir, ChunksDir, ChunkName(refs[0].SHA256)), spoiled)
	bad, err = (&Source{Dirs: []string{dir}}).Copy(t.Context(), refs, []Piece{{Extent{0, from, to - from}, got, 0}}, false, nil)
	if err != nil || len(bad) != 1 || !errors.Is(bad[0], ErrDamaged) {
		t.Errorf("a piece of a chunk that is not what it was: %v %v", bad, err)
	}
	// Whoever has hashes of his own for what he takes gets it; what is damaged where he takes it is not his.
	partly := &Source{Dirs: []string{dir}, Partly: func(ref ChunkRef) bool { return ref == refs[0] }}
	clear(got)
	pieces := []Piece{{Extent{0, from, to - from}, got, 0}}
	if bad, err := partly.Copy(t.Context(), refs, pieces, false, nil); err != nil || bad != nil || !bytes.Equal(got, content[from:to]) {
		t.Errorf("a piece of a chunk that is read partly: %v %v", bad, err)
	}
	spoiled[len(whole)/6+len(whole)/12] ^= 1
	put(t, filepath.Join(dir, ChunksDir, ChunkName(refs[0].SHA256)), spoiled)
	if bad, err := partly.Copy(t.Context(), refs, pieces, false, nil); err != nil || len(bad) != 1 || !errors.Is(bad[0], ErrDamaged) {
		t.Errorf("a damaged piece of a chunk that is read partly: %v %v", bad, err)
	}
}

// A bomb is given up as soon as it is longer than the manifest says.
func TestBombStops(t *testing.T) {
	matrix.Count(t, 1, "23")
	zeros, err := compressSmall(nil, func(w io.Writer) error {
		_, err := w.Write(make([]byte, 16<<20))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	bomb := bytes.Repeat(zeros, 256) // 4 GB
	dir, _ := chunkRepo(t)
	ref := putChunk(t, dir, bomb, 1000)
	var read atomic.Int64
	bad, err := (&Source{Dirs: []string{dir}}).Copy(t.Context(), []ChunkRef{ref}, nil, true, func(n int64) { read.Add(n) })
	if err != nil || len(bad) != 1 || !errors.Is(bad[0], ErrDamaged) || read.Load() > 1<<20 {
		t.Errorf("%v %v, %d bytes read", bad, err, read.Load())
	}
	if _, err := decompress(bomb, 1<<20); !errors.Is(err, ErrDamaged) {
		t.Errorf("a small file that is a bomb: %v", err)
	}
	if raw, err := decompress(zeros, 16<<20); err != nil || len(raw) != 16<<20 {
		t.Errorf("a small file of just the limit: %d bytes, %v", len(raw), err)
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// An evicted chunk cannot be read; that does not make it damaged.
func TestUnreadableIsNotDamaged(t *testing.T) {
	evicted := &fs.PathError{Op: "read", Path: "chunk", Err: syscall.EDEADLK}
	cr := &chunkReader{buf: make([]byte, 4096)}
	err := cr.scatter(t.Context(), failingReader{evicted}, ChunkRef{RawBytes: 10}, nil, true, nil)
	if !errors.Is(err, syscall.EDEADLK) || errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

func TestPiecesAndLocator(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	chunks := [][]byte{randomBytes(rng, 5000), randomBytes(rng, 3000), randomBytes(rng, 10)}
	for range 300 {
		var x Extents
		var want []byte
		for range rng.IntN(12) {
			c := rng.IntN(len(chunks))
			off := rng.IntN(len(chunks[c]))
			n := rng.IntN(len(chunks[c]) - off + 1)
			x = x.Add(Extent{c, int64(off), int64(n)})
			want = append(want, chunks[c][off:off+n]...)
		}
		if x.Size() != int64(len(want)) {
			t.Fatalf("size %d, want %d", x.Size(), len(want))
		}
		loc := NewLocator(x)
		off := rng.IntN(len(want) + 1)
		n := rng.IntN(len(want) - off + 1)
		part, err := loc.Slice(int64(off), int64(n))
		if err != nil {
			t.Fatal(err)
		}
		dst := make(memory, n+7)
		for _, p := range Pieces(part, dst, 7) {
			if _, err := p.Dst.WriteAt(chunks[p.Chunk][p.Offset:p.Offset+p.Length], p.DstOff); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(dst[7:], want[off:off+n]) {
			t.Fatalf("%v: bytes %d to %d differ", x, off, off+n)
		}
		for _, out := range [][2]int64{{-1, 1}, {0, -1}, {0, x.Size() + 1}, {x.Size() + 1, 0}, {1, 1<<63 - 1}, {1<<63 - 1, 1}} {
			if _, err := loc.Slice(out[0], out[1]); !errors.Is(err, ErrDamaged) {
				t.Fatalf("%v of %d bytes is accepted: %v", out, x.Size(), err)
			}
		}
	}
}

package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"maia-dr/engine/fsx"
	"maia-dr/packaging/ci/faults/matrix"
)

// placed is a block and where the Packer said that it stands.
type placed struct {
	Extent
	block []byte
}

func packAll(t testing.TB, p *Packer, blocks [][]byte) []placed {
	t.Helper()
	var out []placed
	for _, b := range blocks {
		chunk, off, err := p.Append(b)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, placed{Extent{chunk, off, int64(len(b))}, b})
	}
	return out
}

func randomBlocks(rng *rand.Rand, total int) [][]byte {
	var blocks [][]byte
	for total > 0 {
		n := 1 + rng.IntN([]int{10, 5000, 70000, segmentBytes + 5000}[rng.IntN(4)])
		if rng.IntN(20) == 0 {
			n = segmentBytes
		}
		blocks = append(blocks, mixedBytes(rng, min(n, total)))
		total -= len(blocks[len(blocks)-1])
	}
	return blocks
}

// chunkRepo returns a folder with an empty chunks folder in it.
func chunkRepo(t testing.TB) (dir, chunks string) {
	t.Helper()
	dir = t.TempDir()
	chunks = filepath.Join(dir, ChunksDir)
	if err := os.Mkdir(chunks, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, chunks
}

// Blocks come back byte by byte, through whatever overlapping pieces they are asked for.
func TestPackerRoundTrip(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 1))
		dir, chunks := chunkRepo(t)
		p := NewPacker(t.Context(), nil, chunks, 1+rng.IntN(6))
		blocks := packAll(t, p, randomBlocks(rng, 1+rng.IntN(2<<20)))
		refs, err := p.Close()
		if err != nil {
			t.Fatal(err)
		}
		content := map[int][]byte{}
		for _, b := range blocks {
			if b.Offset != int64(len(content[b.Chunk])) {
				t.Fatalf("seed %d: block at %d, want %d", seed, b.Offset, len(content[b.Chunk]))
			}
			content[b.Chunk] = append(content[b.Chunk], b.block...)
		}
		checkRefs(t, dir, refs, content)
		var pieces []Piece
		var want, got []memory
		for range 50 {
			c := rng.IntN(len(refs))
			off := rng.Int64N(refs[c].RawBytes)
			n := 1 + rng.Int64N(refs[c].RawBytes-off)
			lead := rng.IntN(3)
			dst := make(memory, int64(lead)+n)
			got = append(got, dst)
			want = append(want, append(make(memory, lead), content[c][off:off+n]...))
			pieces = append(pieces, Piece{Extent{c, off, n}, dst, int64(lead)})
		}
		src := &Source{Dirs: []string{dir}}
		for _, whole := range []bool{false, true} {
			for _, g := range got {
				clear(g)
			}
			bad, err := src.Copy(t.Context(), refs, pieces, whole, nil)
			if err != nil || bad != nil {
				t.Fatalf("seed %d: %v %v", seed, bad, err)
			}
			for i := range got {
				if !bytes.Equal(got[i], want[i]) {
					t.Fatalf("seed %d: piece %d differs", seed, i)
				}
			}
		}
	}
}

func checkRefs(t *testing.T, dir string, refs []ChunkRef, content map[int][]byte) {
	t.Helper()
	if len(refs) != len(content) {
		t.Fatalf("%d chunks, want %d", len(refs), len(content))
	}
	var wantNames []string
	for i, ref := range refs {
		if ref.RawBytes != int64(len(content[i])) {
			t.Errorf("chunk %d holds %d bytes, want %d", i, ref.RawBytes, len(content[i]))
		}
		if err := CheckChunk(t.Context(), dir, ref, true); err != nil {
			t.Errorf("chunk %d: %v", i, err)
		}
		wantNames = append(wantNames, ChunkName(ref.SHA256))
	}
	entries, err := os.ReadDir(filepath.Join(dir, ChunksDir))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(wantNames)
	if !slices.Equal(got, wantNames) {
		t.Errorf("files %v, want %v", got, wantNames)
	}
}

// A chunk ends where the next block does not fit, and one that is just full is used to its last byte.
func TestPackerFillsChunks(t *testing.T) {
	dir, chunks := chunkRepo(t)
	p := NewPacker(t.Context(), nil, chunks, 1)
	large := make([]byte, 16_000_000)
	blocks := [][]byte{large, large, large, []byte("a"), large, large, large[:len(large)-1], []byte("bc")}
	var at [][2]int64
	for _, b := range blocks {
		chunk, off, err := p.Append(b)
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, [2]int64{int64(chunk), off})
	}
	want := [][2]int64{{0, 0}, {0, 16_000_000}, {0, 32_000_000}, {1, 0}, {1, 1}, {1, 16_000_001}, {1, 32_000_001}, {2, 0}}
	if !slices.Equal(at, want) {
		t.Errorf("blocks stand at %v, want %v", at, want)
	}
	if _, _, err := p.Append(make([]byte, MaxChunkBytes+1)); err == nil {
		t.Error("a block larger than a chunk is accepted")
	}
	refs, err := p.Close()
	if err != nil {
		t.Fatal(err)
	}
	var raw []int64
	for _, r := range refs {
		raw = append(raw, r.RawBytes)
		if err := CheckChunk(t.Context(), dir, r, true); err != nil {
			t.Error(err)
		}
	}
	if !slices.Equal(raw, []int64{MaxChunkBytes, MaxChunkBytes, 2}) {
		t.Errorf("chunks hold %v", raw)
	}
}

func TestPackerOfNothing(t *testing.T) {
	dir, chunks := chunkRepo(t)
	p := NewPacker(t.Context(), nil, chunks, 0)
	if _, _, err := p.Append(nil); err != nil {
		t.Fatal(err)
	}
	refs, err := p.Close()
	if err != nil || len(refs) > 0 || len(tree(t, dir)) > 0 {
		t.Error(refs, err, names(tree(t, dir)))
	}
}

// Aborted or cancelled at any moment, a Packer leaves no temporary file; TestMain looks for its goroutines.
func TestPackerEnds(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	blocks := randomBlocks(rng, 6<<20)
	for stop := 0; stop <= len(blocks); stop += 1 + len(blocks)/5 {
		for _, how := range []string{"abort", "cancel and close", "cancel and abort"} {
			dir, chunks := chunkRepo(t)
			ctx, cancel := context.WithCancel(t.Context())
			p := NewPacker(ctx, nil, chunks, 1)
			packAll(t, p, blocks[:stop])
			if how != "abort" {
				cancel()
			}
			if how == "cancel and close" {
				if _, err := p.Close(); !errors.Is(err, context.Canceled) {
					t.Errorf("Close after cancelling: %v", err)
				}
			} else {
				p.Abort()
			}
			cancel()
			if files := names(tree(t, dir)); len(files) > 0 {
				t.Errorf("%s after %d blocks leaves %v", how, stop, files)
			}
		}
	}
}

// Append does not wait for ever when the disk has failed.
func TestPackerAppendAfterCancel(t *testing.T) {
	_, chunks := chunkRepo(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	p := NewPacker(ctx, nil, chunks, 1)
	why := errors.New("why")
	cancel(why)
	var err error
	for range 100 {
		if _, _, err = p.Append(make([]byte, segmentBytes)); err != nil {
			break
		}
	}
	if !errors.Is(err, why) {
		t.Errorf("Append after cancelling: %v", err)
	}
	if _, err := p.Close(); !errors.Is(err, why) {
		t.Errorf("Close after cancelling: %v", err)
	}
}

// faultAt makes the nth call fail and counts them by kind. Packer and Source call it from several goroutines.
type faultAt struct {
	mu    sync.Mutex
	n     int
	err   error
	calls int
	hit   map[fsx.Op]int
}

func (f *faultAt) fault(op fsx.Op, _ string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls++; f.calls == f.n {
		if f.hit == nil {
			f.hit = map[fsx.Op]int{}
		}
		f.hit[op]++
		return f.err
	}
	return nil
}

// The nth call to the file system fails, for every n: it is reported, nothing that is wrong lies under a final
// name, and no temporary file stays.
func TestPackerFaults(t *testing.T) {
	faults := matrix.Of(t, "5")
	rng := rand.New(rand.NewPCG(5, 1))
	blocks := randomBlocks(rng, 2<<20)
	f := &faultAt{err: syscall.ENOSPC}
	for f.n = 1; ; f.n++ {
		faults.Inject()
		f.calls = 0
		dir, chunks := chunkRepo(t)
		p := NewPacker(t.Context(), &fsx.FS{Fault: f.fault}, chunks, 1)
		err := func() error {
			for i, b := range blocks {
				if i == len(blocks)/2 {
					// Two chunks, without 48 MB.
					if err := p.endChunk(); err != nil {
						return err
					}
				}
				if _, _, err := p.Append(b); err != nil {
					return err
				}
			}
			return nil
		}()
		refs, cerr := p.Close()
		err = errors.Join(err, cerr)
		for name, content := range tree(t, dir) {
			if want := ChunksDir + "/" + ChunkName(SumHash([]byte(content))); name != want {
				t.Fatalf("call %d: %s holds what belongs into %s", f.n, name, want)
			}
		}
		if f.calls < f.n {
			if err != nil || len(refs) != 2 {
				t.Fatal(refs, err)
			}
			break
		}
		if cerr == nil || !errors.Is(err, syscall.ENOSPC) || refs != nil {
			t.Fatalf("call %d: %v, chunks %v", f.n, err, refs)
		}
	}
	for _, op := range []fsx.Op{fsx.OpCreate, fsx.OpWrite, fsx.OpSync, fsx.OpRename, fsx.OpSyncDir} {
		if f.hit[op] == 0 {
			t.Errorf("no %s failed; the calls were %v", op, f.hit)
		}
	}
}

func BenchmarkPacker(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	data := mixedBytes(rng, 8<<20)
	for _, level := range []int{1, DefaultLevel} {
		b.Run(fmt.Sprintf("level=%d", level), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				_, chunks := chunkRepo(b)
				p := NewPacker(b.Context(), nil, chunks, level)
				for at := 0; at < len(data); at += 4096 {
					if _, _, err := p.Append(data[at : at+4096]); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := p.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

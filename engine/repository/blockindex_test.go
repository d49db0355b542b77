package repository

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"maia-dr/engine/fsx"
	"maia-dr/packaging/ci/faults/matrix"
)

const testRepositoryID = "0123456789abcdef0123456789abcdef"

// blockHash returns a hash that is as good as the nth block's.
func blockHash(n int) (h Hash) {
	binary.LittleEndian.PutUint64(h[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.LittleEndian.PutUint64(h[8:], uint64(n))
	return h
}

// model is what an Index is meant to be.
type model map[Hash]placed

// randomIndex adds blocks, some twice, to chunks, some of them dropped again.
func randomIndex(rng *rand.Rand, blocks int) (*Index, model) {
	x, want := NewIndex(testRepositoryID, 0), model{}
	for i := range 1 + rng.IntN(5) {
		x.AddChunk(ChunkRef{blockHash(-i - 1), rng.Int64N(1 << 40), MaxChunkBytes})
	}
	for range blocks {
		h := blockHash(rng.IntN(blocks * 2))
		e := Extent{rng.IntN(len(x.chunks)), rng.Int64N(MaxChunkBytes - 5000), 1 + rng.Int64N(5000)}
		x.Add(&h, e.Chunk, e.Offset, e.Length)
		want[h] = placed{Extent: e}
	}
	if drop := rng.IntN(len(x.chunks) + 1); drop < len(x.chunks) {
		x.Drop(drop)
		for h, e := range want {
			if e.Chunk == drop {
				delete(want, h)
			}
		}
	}
	return x, want
}

// wantIndex compares by the chunks' hashes: their numbers change when dropped ones are left out.
func wantIndex(t *testing.T, x, numbered *Index, want model, blocks int) {
	t.Helper()
	for i := range blocks * 2 {
		h := blockHash(i)
		chunk, off, n, ok := x.Lookup(&h)
		w, wok := want[h]
		if ok != wok {
			t.Fatalf("block %d: found is %v, want %v", i, ok, wok)
		}
		if ok && (x.Chunk(chunk) != numbered.Chunk(w.Chunk) || off != w.Offset || n != w.Length) {
			t.Fatalf("block %d: %v %d %d, want %+v", i, x.Chunk(chunk), off, n, w)
		}
	}
}

func TestIndexAgainstModel(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		blocks := 1 + rng.IntN(2000)
		x, want := randomIndex(rng, blocks)
		wantIndex(t, x, x, want, blocks)
		path := filepath.Join(t.TempDir(), "block.index")
		if err := x.Save(nil, path); err != nil {
			t.Fatal(err)
		}
		y, err := LoadIndex(path, testRepositoryID)
		if err != nil {
			t.Fatal(err)
		}
		wantIndex(t, y, x, want, blocks)
		if y.Len() != len(want) {
			t.Fatalf("%d blocks after loading, want %d", y.Len(), len(want))
		}
	}
}

func TestIndexGrows(t *testing.T) {
	const blocks = 200_000
	x := NewIndex(testRepositoryID, 0)
	chunk := x.AddChunk(ChunkRef{RawBytes: MaxChunkBytes})
	for i := range blocks {
		h := blockHash(i)
		x.Add(&h, chunk, int64(i), 1)
	}
	if x.Len() != blocks {
		t.Fatalf("%d blocks, want %d", x.Len(), blocks)
	}
	for i := range blocks {
		h := blockHash(i)
		if c, off, n, ok := x.Lookup(&h); !ok || c != chunk || off != int64(i) || n != 1 {
			t.Fatalf("block %d: %d %d %d %v", i, c, off, n, ok)
		}
		h = blockHash(blocks + i)
		if _, _, _, ok := x.Lookup(&h); ok {
			t.Fatalf("block %d is found", blocks+i)
		}
	}
	// DESIGN.md: at most 48 bytes a block in the file.
	path := filepath.Join(t.TempDir(), "block.index")
	if err := x.Save(nil, path); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if fi.Size() > blocks*48 {
		t.Errorf("%d bytes for %d blocks", fi.Size(), blocks)
	}
}

func TestIndexChunks(t *testing.T) {
	x := NewIndex(testRepositoryID, 10)
	open := x.AddChunk(ChunkRef{RawBytes: MaxChunkBytes})
	other := x.AddChunk(ChunkRef{blockHash(2), 20, 200})
	a, b := blockHash(10), blockHash(11)
	x.Add(&a, open, 0, 4)
	x.Add(&b, other, 0, 4)
	x.SetChunk(open, ChunkRef{blockHash(1), 10, 100})
	for n, h := range []Hash{blockHash(1), blockHash(2)} {
		if got, ok := x.FindChunk(h); !ok || got != n {
			t.Errorf("chunk %d: %d %v", n, got, ok)
		}
	}
	x.Retain(func(c ChunkRef) bool { return c.SizeBytes == 20 })
	if _, ok := x.FindChunk(blockHash(1)); ok {
		t.Error("a chunk that was not retained is found")
	}
	if _, _, _, ok := x.Lookup(&a); ok {
		t.Error("a block of a chunk that was not retained is found")
	}
	if _, _, _, ok := x.Lookup(&b); !ok {
		t.Error("a block of a chunk that was retained is lost")
	}
	// Stored anew, it is found in its new place.
	x.Add(&a, other, 8, 4)
	if c, off, _, ok := x.Lookup(&a); !ok || c != other || off != 8 {
		t.Errorf("a block that was stored anew: %d %d %v", c, off, ok)
	}
}

func smallIndex(t testing.TB) []byte {
	t.Helper()
	x := NewIndex(testRepositoryID, 0)
	c := x.AddChunk(ChunkRef{blockHash(1), 10, 100})
	for i := range 3 {
		h := blockHash(10 + i)
		x.Add(&h, c, int64(i*30), 30)
	}
	path := filepath.Join(t.TempDir(), "block.index")
	if err := x.Save(nil, path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sealIndex gives a body the checksum that belongs to it.
func sealIndex(body []byte) []byte {
	sum := SumHash(body)
	return append(bytes.Clone(body), sum[:]...)
}

func TestIndexRefuses(t *testing.T) {
	whole := smallIndex(t)
	refused := func(what string, b []byte, id string) {
		t.Helper()
		if x, err := decodeBytes(b, id); !errors.Is(err, ErrDamaged) || x != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := decodeBytes(whole, testRepositoryID); err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			refused(fmt.Sprintf("byte %d bit %d", i, bit), b, testRepositoryID)
		}
		refused(fmt.Sprintf("%d bytes", i), whole[:i], testRepositoryID)
	}
	refused("extended", append(bytes.Clone(whole), 0), testRepositoryID)
	refused("another repository", whole, "f"+testRepositoryID[1:])
	refused("no repository", whole, "")
	// With a checksum that fits, as a bug would write it.
	body := whole[:len(whole)-32]
	head := len(indexFileMagic) + 32
	first := head + 8 + indexChunkSize
	for what, change := range map[string]func(b []byte){
		"more chunks":      func(b []byte) { b[head]++ },
		"many chunks":      func(b []byte) { b[head+3] = 0xff },
		"many blocks":      func(b []byte) { b[head+7] = 0xff },
		"chunk 0":          func(b []byte) { b[first+32] = 0 },
		"chunk 2":          func(b []byte) { b[first+32] = 2 },
		"chunk 2^32-1":     func(b []byte) { copy(b[first+32:], "\xff\xff\xff\xff") },
		"block too far":    func(b []byte) { b[first+36] = 71 },
		"block too long":   func(b []byte) { b[first+40] = 101 },
		"chunk of -1 byte": func(b []byte) { copy(b[head+8+40:], "\xff\xff\xff\xff\xff\xff\xff\xff") },
	} {
		b := bytes.Clone(body)
		change(b)
		refused(what, sealIndex(b), testRepositoryID)
	}
	if _, err := LoadIndex(filepath.Join(t.TempDir(), "none"), testRepositoryID); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// An index that cannot be saved leaves the old one.
func TestIndexSaveFaults(t *testing.T) {
	faults := matrix.Of(t, "4")
	path := filepath.Join(t.TempDir(), "block.index")
	old := smallIndex(t)
	x := NewIndex(testRepositoryID, 0)
	f := &faultAt{err: syscall.EIO}
	for f.n = 1; ; f.n++ {
		faults.Inject()
		f.calls = 0
		put(t, path, old)
		err := x.Save(&fsx.FS{Fault: f.fault}, path)
		b, rerr := os.ReadFile(path)
		if rerr != nil {
			t.Fatal(rerr)
		}
		if f.calls < f.n {
			if err != nil || bytes.Equal(b, old) {
				t.Error(err)
			}
			break
		}
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("call %d: %v", f.n, err)
		}
		if _, err := decodeBytes(b, testRepositoryID); err != nil {
			t.Errorf("call %d: %v", f.n, err)
		}
		wantNoTemps(t, filepath.Dir(path))
	}
}

func BenchmarkIndex(b *testing.B) {
	x := NewIndex(testRepositoryID, 0)
	c := x.AddChunk(ChunkRef{RawBytes: MaxChunkBytes})
	hashes := make([]Hash, 100_000)
	for i := range hashes {
		hashes[i] = blockHash(i)
		x.Add(&hashes[i], c, int64(i), 1)
	}
	i := 0
	for b.Loop() {
		if _, _, _, ok := x.Lookup(&hashes[i%len(hashes)]); !ok {
			b.Fatal("lost")
		}
		i++
	}
}

func decodeBytes(b []byte, repositoryID string) (*Index, error) {
	return decodeIndex(bytes.NewReader(b), int64(len(b)), repositoryID)
}

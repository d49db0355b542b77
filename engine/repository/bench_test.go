package repository

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// The lists of these benchmarks are as long as those of a large backup that a month of days led to.
const (
	benchBlocks  = 100_000
	benchFiles   = 1_500
	benchExtents = 20_000
)

// BenchmarkIndexFile saves and loads the block index.
func BenchmarkIndexFile(b *testing.B) {
	x := NewIndex(testRepositoryID, 0)
	c := x.AddChunk(ChunkRef{RawBytes: MaxChunkBytes})
	for i := range benchBlocks {
		h := blockHash(i)
		x.Add(&h, c, int64(i), 1)
	}
	path := filepath.Join(b.TempDir(), "block.index")
	b.Run("do=save", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := x.Save(nil, path); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("do=load", func(b *testing.B) {
		if err := x.Save(nil, path); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if y, err := LoadIndex(path, testRepositoryID); err != nil || y.Len() != benchBlocks {
				b.Fatal(err)
			}
		}
	})
}

// largeExample is the example with many files, and a database in many extents.
func largeExample(b *testing.B) *example {
	b.Helper()
	x := newExample(b)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range benchFiles {
		f, sum := x.files[0], blockHash(i)
		f.Path, f.SHA256, f.Offset = Name(fmt.Sprintf("claude/context/area_%02d/note %d.md", i%40, i)), &sum, int64(i)*8192
		x.files = append(x.files, f)
	}
	var extents Extents
	var size int64
	for range benchExtents {
		e := Extent{Chunk: 0, Offset: 4096 * rng.Int64N(10_000), Length: 4096 * (1 + rng.Int64N(20))}
		size += e.Length
		extents = extents.Add(e)
	}
	large := x.manifest.Components["maia_data_large"]
	large.SizeBytes, large.Databases[0].Extents, large.Databases[0].OriginalSize = size, extents, size
	large.Databases[0].Facts.Pages = size / 4096
	x.manifest.Chunks[0].RawBytes = MaxChunkBytes
	x.encode(b)
	return x
}

// BenchmarkLists encodes and decodes the three lists of a backup.
func BenchmarkLists(b *testing.B) {
	x := largeExample(b)
	last, err := EncodeFiles(x.files, nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, list := range []struct {
		name   string
		encode func() ([]byte, error)
		decode func([]byte) error
	}{
		{"files", func() ([]byte, error) { return EncodeFiles(x.files, nil) }, func(p []byte) error { _, err := DecodeFiles(p); return err }},
		{"files-again", func() ([]byte, error) { return EncodeFiles(x.files, last) }, func(p []byte) error { _, err := DecodeFiles(p); return err }},
		{"manifest", x.manifest.Encode, func(p []byte) error { _, err := DecodeManifest(p); return err }},
		{"restore-index", func() ([]byte, error) { return x.index.Encode(nil) }, func(p []byte) error { _, err := DecodeRestoreIndex(p); return err }},
	} {
		encoded, err := list.encode()
		if err != nil {
			b.Fatal(err)
		}
		if err := list.decode(encoded); err != nil {
			b.Fatalf("%s: %v", list.name, err)
		}
		b.Run("list="+list.name+"/do=encode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := list.encode(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(encoded))/1e3, "kB")
		})
		b.Run("list="+list.name+"/do=decode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := list.decode(encoded); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPublish brings one chunk of 8 MB into a repository, cloned or copied as the volume has it, and hashes a file.
func BenchmarkPublish(b *testing.B) {
	const size = 8 << 20
	u := newPublishing(b)
	data := randomBytes(rand.New(rand.NewPCG(1, 1)), size)
	sum := SumHash(data)
	rel := filepath.Join(ChunksDir, ChunkName(sum))
	from, to := filepath.Join(u.p.Mirror.Dir, rel), filepath.Join(u.p.Target.Dir, rel)
	if err := os.WriteFile(from, data, 0o600); err != nil {
		b.Fatal(err)
	}
	b.Run("do=put", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			if err := u.p.Put(b.Context(), rel, size, sum); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if err := os.Remove(to); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
	b.Run("do=hash", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			if _, n, err := HashFile(from); err != nil || n != size {
				b.Fatal(n, err)
			}
		}
	})
}

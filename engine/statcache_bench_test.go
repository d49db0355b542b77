package engine

import (
	"fmt"
	"path/filepath"
	"testing"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
)

// BenchmarkStatCache saves and loads the stat cache of 1,500 files and a database in 10,000 extents.
func BenchmarkStatCache(b *testing.B) {
	const files, extents = 1500, 10_000
	c := newStatCache("0123456789abcdef0123456789abcdef")
	c.Chunks = []repository.Hash{repository.SumHash([]byte("chunk"))}
	for i := range files {
		name := fmt.Sprintf("claude/context/area_%02d/note_%d.md", i%40, i)
		c.Entries[name] = cacheEntry{Stat: component.Stat{Size: 8000, MTimeNS: int64(i)}, Size: 8000, SHA256: repository.SumHash([]byte(name)),
			Extents: repository.Extents{{Offset: int64(i) * 8000, Length: 8000}}}
	}
	large := cacheEntry{Size: extents * 8192}
	for i := range int64(extents) {
		large.Extents = append(large.Extents, repository.Extent{Offset: i * 8192, Length: 4096})
	}
	c.Entries["claude/data/tickets.db"] = large
	path := filepath.Join(b.TempDir(), "stat.cache")
	b.Run("do=save", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := c.save(nil, path); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("do=load", func(b *testing.B) {
		if err := c.save(nil, path); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if n := len(loadStatCache(path, c.RepositoryID).Entries); n != files+1 {
				b.Fatal(n)
			}
		}
	})
}

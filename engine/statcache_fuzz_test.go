package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"maia-dr/engine/component"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

const fuzzRepositoryID = "00112233445566778899aabbccddeeff"

func statCacheSeeds(t testing.TB) [][]byte {
	t.Helper()
	full := newStatCache(fuzzRepositoryID)
	full.Chunks = []repository.Hash{repository.SumHash([]byte("x"))}
	full.Entries["a"] = cacheEntry{Kind: component.File, Size: 3, Extents: repository.Extents{{Chunk: 0, Offset: 1, Length: 3}},
		Facts: &repository.DatabaseFacts{PageSize: 4096, Tables: map[string]int64{"t": 1}}}
	full.Entries["b"] = cacheEntry{Stat: component.Stat{MTimeNS: 5}}
	var out [][]byte
	for _, c := range []*statCache{full, newStatCache(fuzzRepositoryID), newStatCache("another")} {
		var b bytes.Buffer
		if err := gob.NewEncoder(&b).Encode(c); err != nil {
			t.Fatal(err)
		}
		out = append(out, b.Bytes())
	}
	return out
}

// FuzzStatCache: a cache of any content, with a sum that fits, is taken or is empty, and what is taken is saved and read as the
// same again. The input is what stands between the first line and the sum, or nothing would get past that.
func FuzzStatCache(f *testing.F) {
	for _, seed := range statCacheSeeds(f) {
		f.Add(seed)
		f.Add(seed[:len(seed)/2])
	}
	path := filepath.Join(f.TempDir(), "cache")
	f.Fuzz(func(t *testing.T, body []byte) {
		b := append([]byte(statCacheMagic), body...)
		sum := sha256.Sum256(b)
		if err := os.WriteFile(path, append(b, sum[:]...), 0o600); err != nil {
			t.Fatal(err)
		}
		c := loadStatCache(path, fuzzRepositoryID)
		if c.Entries == nil || c.RepositoryID != fuzzRepositoryID {
			t.Fatalf("%+v", c)
		}
		if err := c.save(new(fsx.FS), path); err != nil {
			t.Fatal(err)
		}
		again := loadStatCache(path, fuzzRepositoryID)
		if len(again.Entries) != len(c.Entries) || len(again.Chunks) != len(c.Chunks) {
			t.Fatalf("%+v, was %+v", again, c)
		}
		for name, e := range c.Entries {
			if got := again.Entries[name]; got.Size != e.Size || got.Stat != e.Stat || got.SHA256 != e.SHA256 || len(got.Extents) != len(e.Extents) {
				t.Errorf("%q: %+v, was %+v", name, got, e)
			}
		}
	})
}

// TestStatCacheSeeds: the first seed is taken with all that is in it, and the last one is another repository's.
func TestStatCacheSeeds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache")
	for i, seed := range statCacheSeeds(t) {
		b := append([]byte(statCacheMagic), seed...)
		sum := sha256.Sum256(b)
		if err := os.WriteFile(path, append(b, sum[:]...), 0o600); err != nil {
			t.Fatal(err)
		}
		c := loadStatCache(path, fuzzRepositoryID)
		if want := []int{2, 0, 0}[i]; len(c.Entries) != want {
			t.Errorf("seed %d: %+v", i, c)
		}
		if i == 0 && !reflect.DeepEqual(c.Entries["a"].Facts.Tables, map[string]int64{"t": 1}) {
			t.Errorf("%+v", c.Entries["a"])
		}
	}
}

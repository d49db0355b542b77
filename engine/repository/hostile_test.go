package repository

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// within fails the test if f takes for ever, and leaves it behind.
func within(t *testing.T, limit time.Duration, what string, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		t.Fatalf("%s: it was not done after %v", what, limit)
		return nil
	}
}

// TestNoFile: whatever has the name of a file and is none is damaged, and nobody waits for it.
func TestNoFile(t *testing.T) {
	const id = "full_20251013_030000"
	kinds := map[string]func(path string) error{
		"a FIFO":             func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a folder":           func(path string) error { return os.Mkdir(path, 0o700) },
		"a link to a device": func(path string) error { return os.Symlink("/dev/zero", path) },
	}
	for what, put := range kinds {
		r := Repo{Dir: t.TempDir()}
		m := &Manifest{BackupID: id, Files: []FileRef{{Path: FilesName, SizeBytes: 4096}}}
		ref := ChunkRef{SHA256: SumHash([]byte("x")), SizeBytes: 4096, RawBytes: 10}
		for _, dir := range []string{r.Path(id), r.Path(ChunksDir)} {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{RepositoryName, WriterName(1), id + "/" + ManifestName, id + "/" + FilesName, id + "/" + RestoreIndexName, id + "/" + MACName,
			ChunksDir + "/" + ChunkName(ref.SHA256)} {
			if err := put(r.Path(name)); err != nil {
				t.Fatal(err)
			}
		}
		for reader, read := range map[string]func() error{
			"Descriptor":   func() error { _, err := r.Descriptor(); return err },
			"Writer":       func() error { _, err := r.Writer(); return err },
			"ReadManifest": func() error { _, _, err := r.ReadManifest(id); return err },
			"ReadFiles":    func() error { _, err := r.ReadFiles(m); return err },
			"index":        func() error { _, err := r.ReadSmall(id, RestoreIndexName); return err },
			"MAC":          func() error { _, err := r.ReadSmall(id, MACName); return err },
			"manifestRef":  func() error { _, err := manifestRef(r.Path(id, RestoreIndexName)); return err },
			"chunk":        func() error { return CheckChunk(t.Context(), r.Dir, ref, true) },
		} {
			if err := within(t, 20*time.Second, reader+" of "+what, read); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s of %s: %v", reader, what, err)
			}
		}
		if err := within(t, 20*time.Second, "HashFile of "+what, func() error { _, _, err := HashFile(r.Path(RepositoryName)); return err }); err == nil {
			t.Errorf("%s has a hash", what)
		}
	}
}

// allocated returns how many bytes f allocates. Tests that call it run alone.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestPromisedSizes: a size that a manifest or a folder promises takes up no memory before the bytes are there, and no
// file of a backup's folder is read that is larger than any.
func TestPromisedSizes(t *testing.T) {
	const id = "full_20251013_030000"
	r := Repo{Dir: t.TempDir()}
	if err := os.Mkdir(r.Path(id), 0o700); err != nil {
		t.Fatal(err)
	}
	sparse := func(name string, size int64) {
		if err := os.WriteFile(r.Path(id, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(r.Path(id, name), size); err != nil {
			t.Fatal(err)
		}
	}
	sparse(FilesName, 3<<30)
	sparse(ManifestName, maxManifest+1)
	sparse(RestoreIndexName, maxIndexFile+1)
	sparse(MACName, maxMAC+1)
	m := &Manifest{BackupID: id, Files: []FileRef{{Path: FilesName, SizeBytes: 3 << 30}}}
	n := allocated(func() {
		for name, read := range map[string]func() error{
			FilesName:        func() error { _, err := r.ReadFile(m, FilesName); return err },
			ManifestName:     func() error { _, _, err := r.ReadManifest(id); return err },
			RestoreIndexName: func() error { _, err := r.ReadSmall(id, RestoreIndexName); return err },
			MACName:          func() error { _, err := r.ReadSmall(id, MACName); return err },
		} {
			if err := read(); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	if n > 8<<20 {
		t.Errorf("%d MB were allocated", n>>20)
	}
}

// TestSmallJSONLargeStructs: a few bytes of JSON that stand for many of a struct are refused before there are too many.
func TestSmallJSONLargeStructs(t *testing.T) {
	many := func(before, one, after string) []byte {
		return []byte(before + strings.Repeat(one+",", maxObjects) + one + after)
	}
	b := many(`{"format":1,"components":{"maia_data_large":{"databases":[`, "{}", `]}}}`)
	var err error
	if n := allocated(func() { _, err = DecodeManifest(b) }); !errors.Is(err, ErrDamaged) || n > 400<<20 {
		t.Errorf("%d MB of JSON: %d MB were allocated: %v", len(b)>>20, n>>20, err)
	}
	for _, c := range []struct {
		text            string
		values, objects int
		ok              bool
	}{
		{`[1,2,3]`, 5, 0, true}, {`[1,2,3]`, 4, 0, false},
		{`{"a":{"b":{}}}`, 99, 0, true}, {`[{},{}]`, 99, 2, true}, {`[{},{}]`, 99, 1, false}, {`{"a":[{"b":[{}]}]}`, 99, 1, false},
	} {
		if err := checkJSON([]byte(c.text), c.values, c.objects); (err == nil) != c.ok {
			t.Errorf("%s with %d and %d: %v", c.text, c.values, c.objects, err)
		}
	}
	// A string of commas is no list of extents.
	if n := allocated(func() { err = new(Extents).UnmarshalText(bytes.Repeat([]byte(","), 4<<20)) }); err == nil || n > 40<<20 {
		t.Errorf("%d MB for 4 MB of commas: %v", n>>20, err)
	}
	// Nor a line of spaces one of fields.
	line := append([]byte(indexMagic+"\n"+strings.Repeat(" ", 8<<20)), '\n')
	if n := allocated(func() { _, err = parseIndexLines(line) }); !errors.Is(err, ErrDamaged) || n > 40<<20 {
		t.Errorf("%d MB for 8 MB of spaces: %v", n>>20, err)
	}
}

// TestManyChunks: extents that jump through many chunks are counted in their order, not each against all.
func TestManyChunks(t *testing.T) {
	const n = 300_000
	x := make(Extents, n)
	for i := range x {
		x[i] = Extent{Chunk: n - 1 - i, Length: 1}
	}
	err := within(t, 20*time.Second, "count the chunks", func() error {
		if got := x.Chunks(); len(got) != n || got[0] != 0 || got[n-1] != n-1 {
			return fmt.Errorf("%d chunks", len(got))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestIndexWithoutEnd: whoever looks for the manifest's line in an index does not look for ever.
func TestIndexWithoutEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), RestoreIndexName)
	manifest := "file 1 " + SumHash(nil).String() + " " + ManifestName + "\n"
	more := gzipOf(t, bytes.Repeat([]byte("root "+strings.Repeat("x", 60_000)+"\n"), 100))
	for members, ok := range map[int]bool{1: true, maxIndexHead/6_000_000 + 1: false} {
		gz := slices.Concat(gzipOf(t, []byte(indexMagic+"\n")), bytes.Repeat(more, members), gzipOf(t, []byte(manifest)))
		if err := os.WriteFile(path, gz, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := manifestRef(path); (err == nil) != ok || err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("behind %d MB: %v", members*6, err)
		}
	}
}

package engine

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"maia-dr/engine/repository"
)

// memory is a destination in memory.
type memory []byte

func (m memory) WriteAt(p []byte, off int64) (int, error) { return copy(m[off:], p), nil }

// TestPiecesShared: files of a list that was made for it share bytes. They are asked for once, and all of them are there; what no
// file has is not asked for.
func TestPiecesShared(t *testing.T) {
	const n = 1000
	var x repository.Extents
	for i := range n {
		x = append(x, repository.Extent{Chunk: i % 7, Offset: int64(i) * 3, Length: 1})
	}
	g := &streamFiles{stream: repository.Stream{Component: "maia_code", Extents: x}}
	for range 2000 {
		g.files = append(g.files, &repository.File{Path: "all", Offset: 10, SizeBytes: n - 20})
	}
	for i := range int64(n/2 - 10) {
		g.files = append(g.files, &repository.File{Path: "inner", Offset: 10 + i, SizeBytes: n - 20 - 2*i})
	}
	dst := make(memory, n)
	out, err := g.pieces(dst)
	if err != nil || len(out) != n-20 {
		t.Fatalf("%d pieces, %v", len(out), err)
	}
	for _, p := range out {
		if x[p.DstOff] != p.Extent {
			t.Fatalf("%+v at %d", p.Extent, p.DstOff)
		}
		if _, err := p.Dst.WriteAt([]byte{1}, p.DstOff); err != nil {
			t.Fatal(err)
		}
	}
	if want := slices.Concat(make([]byte, 10), bytes.Repeat([]byte{1}, n-20), make([]byte, 10)); !bytes.Equal(dst, want) {
		t.Errorf("%v", dst)
	}
	for _, f := range []repository.File{{Path: "x", Offset: n + 1}, {Path: "x", Offset: 5, SizeBytes: n - 4}, {Path: "x", Offset: 1 << 61, SizeBytes: 1 << 62}} {
		g.files = []*repository.File{&f}
		if _, err := g.pieces(dst); !errors.Is(err, repository.ErrDamaged) {
			t.Errorf("%d at %d: %v", f.SizeBytes, f.Offset, err)
		}
	}
}

// TestListsAreChecked: lists that cannot be decoded, or that say something else than the manifest, are not committed.
func TestListsAreChecked(t *testing.T) {
	list, err := repository.EncodeFiles(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &backup{attempt: attempt{
		manifest: &repository.Manifest{Format: repository.Format, BackupID: "full_20260101_030000"}, raw: []byte("{}"),
		small: map[string][]byte{repository.FilesName: list},
	}}
	index, err := repository.NewRestoreIndex(b.manifest, b.raw, nil, originOf(b.manifest)).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	b.restoreIndex = index
	if err := b.checkSmall(); err != nil {
		t.Errorf("lists that agree: %v", err)
	}
	b.restoreIndex = index[:len(index)-9]
	if err := b.checkSmall(); !errors.Is(err, repository.ErrDamaged) {
		t.Errorf("an index that is cut off: %v", err)
	}
	b.restoreIndex, b.small[repository.FilesName] = index, list[:len(list)-9]
	if err := b.checkSmall(); !errors.Is(err, repository.ErrDamaged) {
		t.Errorf("a list that is cut off: %v", err)
	}
	b.small[repository.FilesName], b.raw = list, []byte("{ }")
	if err := b.checkSmall(); !errors.Is(err, repository.ErrDamaged) {
		t.Errorf("the index of another manifest: %v", err)
	}
}

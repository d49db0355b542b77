package engine_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/repository"
	"maia-dr/packaging/ci/faults/matrix"
)

// imposter returns a chunk as large as the one that is given, of as many bytes, which differ in many places. It decompresses well.
func imposter(t *testing.T, chunk []byte) []byte {
	t.Helper()
	raw := gunzip(t, chunk)
	for i := 100; i < len(raw); i += 10_000 {
		raw[i] ^= 1
	}
	var out []byte
	for part := range slices.Chunk(raw, 1<<20) {
		out = append(out, gz(t, part)...)
	}
	lacking := len(chunk) - len(out)
	if lacking < 2 || lacking-2 > math.MaxUint16 {
		t.Fatalf("%d bytes are lacking", lacking)
	}
	// The first member gets an extra field of that length.
	b := slices.Insert(out, 10, append(binary.LittleEndian.AppendUint16(nil, uint16(lacking-2)), make([]byte, lacking-2)...)...)
	b[3] |= 1 << 2
	if got := gunzip(t, b); !bytes.Equal(got, raw) {
		t.Fatal("it is not what it should be")
	}
	return b
}

// TestImposters: chunks in OneDrive that have another content, with the right size and good checksums. A restore, which hashes the
// files, notices, looks at the chunks' hashes and takes the mirror's; without a mirror it names chunks and files, and restores the rest.
func TestImposters(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "16")
	r := newRig(t)
	r.backup()
	r.day(1)
	m := r.backup().Manifest
	for _, c := range m.Chunks {
		faults.Inject()
		path := filepath.Join(r.repo(), repository.ChunksDir, repository.ChunkName(c.SHA256))
		write(t, path, imposter(t, read(t, path)))
	}
	to, _ := r.restore("latest")
	r.sameAsSource(to, m)
	if list, err := os.ReadDir(to); err != nil || slices.ContainsFunc(list, func(d os.DirEntry) bool { return strings.Contains(d.Name(), "partial") }) {
		t.Errorf("a part of it lies about: %v, %v", list, err)
	}

	remove(t, filepath.Join(r.mirror(), repository.ChunksDir))
	without := filepath.Join(t.TempDir(), "without")
	res, err := r.engine().Restore(t.Context(), engine.RestoreOptions{Backup: "latest", To: without})
	if err != nil || len(res.Failed) == 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	for _, failed := range res.Failed {
		if !strings.Contains(failed, "its SHA-256 is") {
			t.Errorf("it fails without a reason: %s", failed)
		}
	}
	if _, err := os.Lstat(filepath.Join(without, "claude/data/servicedesk_tickets.db")); err == nil {
		t.Error("a database that is not what it was is in place")
	}
}

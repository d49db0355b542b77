package engine_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"maia-dr/engine/repository"
)

// TestSidecarsOfPlainDatabases: a database that no snapshot can be taken of is kept as a plain file, and with it what
// lies beside it, small or large.
func TestSidecarsOfPlainDatabases(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	want := map[string][]byte{}
	for name, size := range map[string]int{"sealed": 40_000, "sealed-large": 2_000_000} {
		body := append([]byte("SQLite format 3\x00"), bytes.Repeat([]byte("no pages "), size/9)...)
		want[name+".db"] = body
		want[name+".db-wal"] = append([]byte("\x37\x7f\x06\x82"), bytes.Repeat([]byte(name), 1000)...)
		want[name+".db-journal"] = append([]byte("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"), bytes.Repeat([]byte(name), 10)...)
		want[name+".db-shm"] = bytes.Repeat([]byte("\x18\xe2\x2d\x00"), 100)
	}
	dir := filepath.Join(r.fix.Root, "claude", "data")
	for name, body := range want {
		write(t, filepath.Join(dir, name), body)
	}
	for range 2 { // the second time out of the cache
		res := r.backup()
		if !slices.ContainsFunc(res.Warnings, func(w repository.Warning) bool {
			return w.Path == "claude/data/sealed-large.db" && w.Code == "database_unreadable"
		}) {
			t.Errorf("no warning of the large one: %+v", res.Warnings)
		}
		for _, w := range res.Warnings {
			if w.Code == "coverage_unbalanced" {
				t.Errorf("%+v: %+v", w, res.Manifest.Coverage)
			}
		}
		to, _ := r.restore("latest")
		for name, body := range want {
			got, err := os.ReadFile(filepath.Join(to, "claude", "data", name))
			if filepath.Ext(name) == ".db-shm" {
				if err == nil {
					t.Errorf("%s was restored", name)
				}
			} else if !bytes.Equal(got, body) {
				t.Errorf("%s: %d bytes instead of %d, %v", name, len(got), len(body), err)
			}
		}
		byScript := filepath.Join(t.TempDir(), "restored")
		r.restoreByScript(r.repo(), res.BackupID, byScript)
		sameMaps(t, "by the script", snapshotTree(t, to), snapshotTree(t, byScript))
	}
	r.verifyAll()
}

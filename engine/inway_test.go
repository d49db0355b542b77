package engine_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/repository"
)

// TestInTheWay: whatever lies where a restore puts something is moved aside, to the byte; nothing is written through a link; and
// what a database left behind, which would be played into the restored one, does not stay beside it.
func TestInTheWay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.backup().BackupID
	to, outside := filepath.Join(r.base, "to"), filepath.Join(r.base, "outside")
	mkdirAll(t, outside)
	const database = "claude/data/servicedesk_tickets.db"
	mine := map[string]string{
		"CLAUDE.md": "mine", database: "no database", database + "-wal": "a stale journal", database + "-shm": "its index", database + "-journal": "another",
		"README.md/in a folder.txt": "that has a file's name", "claude/agents": "a file that has a folder's name",
	}
	for path, body := range mine {
		mkdirAll(t, filepath.Dir(filepath.Join(to, path)))
		write(t, filepath.Join(to, path), []byte(body))
	}
	write(t, filepath.Join(to, "stranger.txt"), []byte("a stranger"))
	if err := os.Symlink(outside, filepath.Join(to, "claude/context")); err != nil {
		t.Fatal(err)
	}
	res, err := r.engine().Restore(t.Context(), engine.RestoreOptions{Backup: id, To: to})
	if err != nil || len(res.Failed)+len(res.Doubtful) > 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	for path, want := range mine {
		if got, err := os.ReadFile(filepath.Join(res.MovedAside, path)); err != nil || string(got) != want {
			t.Errorf("%s: %q is left of it, %v", path, got, err)
		}
		if got, err := os.ReadFile(filepath.Join(to, path)); err == nil && string(got) == want {
			t.Errorf("%s is still in the way", path)
		}
	}
	if link, err := os.Readlink(filepath.Join(res.MovedAside, "claude/context")); err != nil || link != outside {
		t.Errorf("the link in the way: %q, %v", link, err)
	}
	if in := entries(t, outside); len(in) > 0 {
		t.Errorf("%s was written through a link", in[0].Name())
	}
	if got := read(t, filepath.Join(to, "stranger.txt")); string(got) != "a stranger" {
		t.Errorf("a stranger is now %q", got)
	}
}

// TestForgedFolderFile: a file of the backup's folder that is not what the file list says is not restored, and named.
func TestForgedFolderFile(t *testing.T) {
	t.Parallel()
	f, begin := newForge(t)
	begin()
	other := repository.SumHash([]byte("another"))
	f.find(repository.SystemMetadataName).SHA256 = &other
	f.save()
	to := filepath.Join(f.base, "to")
	res, err := f.engine().Restore(t.Context(), engine.RestoreOptions{Backup: f.m.BackupID, To: to})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(res.Failed, func(s string) bool { return strings.Contains(s, repository.SystemMetadataName) }) {
		t.Errorf("it is not named: %q", res.Failed)
	}
	if _, err := os.Lstat(filepath.Join(to, engine.BesideDir, "packages", repository.SystemMetadataName)); err == nil {
		t.Error("it was restored")
	}
}

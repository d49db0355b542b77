package engine_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
	"maia-dr/packaging/ci/faults/matrix"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	before := snapshotTree(t, r.fix.Home)
	first := r.backup()
	if !maps.Equal(before, snapshotTreeWithout(t, r.fix.Home, r.repo())) {
		t.Error("the source is not what it was before the backup")
	}
	r.verifyAll()
	restored, _ := r.restore("latest")
	r.sameAsSource(restored, first.Manifest)

	r.day(1)
	second := r.backup()
	if second.NewChunks > 2 {
		t.Errorf("a day added %d chunks", second.NewChunks)
	}
	if second.StoredBytes > first.StoredBytes/2 {
		t.Errorf("a day stored %d bytes, the first backup %d", second.StoredBytes, first.StoredBytes)
	}
	res := r.verifyAll()
	if len(res.Backups) != 2 {
		t.Errorf("%d backups verified, want 2", len(res.Backups))
	}
	restored, _ = r.restore("latest")
	r.sameAsSource(restored, second.Manifest)
	old, _ := r.restore(first.BackupID)
	if maps.Equal(snapshotTree(t, old), snapshotTree(t, restored)) {
		t.Error("the day changed nothing")
	}
}

// snapshotTreeWithout leaves out what the backup itself put into OneDrive, and the folder's own time does not count.
func snapshotTreeWithout(t testing.TB, dir, without string) map[string]string {
	out := snapshotTree(t, dir)
	rel, _ := filepath.Rel(dir, without)
	for path := range out {
		if path == rel || strings.HasPrefix(path, rel+"/") {
			delete(out, path)
		}
	}
	return out
}

func TestUnchangedStoresNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.backup()
	r.clock = time.Now().Add(time.Hour) // the files' times are settled
	r.backup()
	r.clock = r.clock.Add(time.Hour)
	res := r.backup()
	if res.NewChunks != 0 {
		t.Errorf("nothing changed, yet there are %d new chunks", res.NewChunks)
	}
	restored, _ := r.restore("latest")
	r.sameAsSource(restored, res.Manifest)
}

// TestCaches: whatever happens to the local caches, the next backup is whole.
func TestCaches(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "31a")
	for name, spoil := range map[string]func(t *testing.T, r *rig){
		"index deleted":      func(t *testing.T, r *rig) { remove(t, filepath.Join(r.state, "block.index")) },
		"index damaged":      func(t *testing.T, r *rig) { flip(t, filepath.Join(r.state, "block.index"), 100) },
		"index truncated":    func(t *testing.T, r *rig) { truncate(t, filepath.Join(r.state, "block.index"), 500) },
		"stat cache deleted": func(t *testing.T, r *rig) { remove(t, filepath.Join(r.state, "stat.cache")) },
		"stat cache damaged": func(t *testing.T, r *rig) { flip(t, filepath.Join(r.state, "stat.cache"), 60) },
		"mirror deleted":     func(t *testing.T, r *rig) { remove(t, r.mirror()) },
		"mirror chunks gone": func(t *testing.T, r *rig) {
			remove(t, filepath.Join(r.mirror(), "chunks"))
			mkdir(t, filepath.Join(r.mirror(), "chunks"))
		},
		"mirror without its folder of chunks": func(t *testing.T, r *rig) { remove(t, filepath.Join(r.mirror(), "chunks")) },
		"temporary file beside a manifest": func(t *testing.T, r *rig) {
			write(t, filepath.Join(r.mirror(), r.committed()[0], ".restore_maia.sh.1.tmp"), nil)
		},
		"both caches deleted": func(t *testing.T, r *rig) {
			remove(t, filepath.Join(r.state, "stat.cache"))
			remove(t, filepath.Join(r.state, "block.index"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			faults.Inject()
			t.Parallel()
			r := newRig(t)
			r.clock = time.Now().Add(time.Hour)
			r.backup()
			r.day(1)
			spoil(t, r)
			res := r.backup()
			r.verifyAll()
			if left, err := filepath.Glob(filepath.Join(r.mirror(), "full_*/.*")); err != nil || len(left) > 0 {
				t.Errorf("left over: %q, %v", left, err)
			}
			restored, _ := r.restore("latest")
			r.sameAsSource(restored, res.Manifest)
			if strings.HasPrefix(name, "index") && res.StoredBytes > res.SourceBytes/4 {
				t.Errorf("%d bytes stored: the index was not rebuilt from the mirror", res.StoredBytes)
			}
		})
	}
}

// TestOlderIndex: an index from an older state directory refers only to chunks that are there.
func TestOlderIndex(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "31a")
	r := newRig(t)
	r.clock = time.Now().Add(time.Hour)
	r.backup()
	index := read(t, filepath.Join(r.state, "block.index"))
	cache := read(t, filepath.Join(r.state, "stat.cache"))
	for n := 1; n <= 3; n++ {
		r.day(n)
		r.backup()
	}
	write(t, filepath.Join(r.state, "block.index"), index)
	write(t, filepath.Join(r.state, "stat.cache"), cache)
	r.day(4)
	res := r.backup()
	r.verifyAll()
	restored, _ := r.restore("latest")
	r.sameAsSource(restored, res.Manifest)
}

func TestVanishedFilesArePublishedAgain(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "31a")
	r := newRig(t)
	first := r.backup()
	chunk := repository.ChunkName(first.Manifest.Chunks[0].SHA256)
	for _, gone := range []string{
		filepath.Join("chunks", chunk), filepath.Join(first.BackupID, repository.FilesName),
		filepath.Join(first.BackupID, repository.ManifestName), first.BackupID,
	} {
		faults.Inject()
		remove(t, filepath.Join(r.repo(), gone))
		r.backup()
		if _, err := os.Stat(filepath.Join(r.repo(), gone)); err != nil {
			t.Errorf("%s was not published again: %v", gone, err)
		}
		r.verifyAll()
	}
}

func TestVerifyMendsFromTheTwin(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.backup()
	chunk := filepath.Join("chunks", repository.ChunkName(first.Manifest.Chunks[0].SHA256))
	flip(t, filepath.Join(r.repo(), chunk), 1000)
	res := r.verifyAll()
	if len(res.Repaired) != 1 {
		t.Fatalf("repaired: %v", res.Repaired)
	}
	// Bad in both places: named, and stored afresh by the next backup.
	flip(t, filepath.Join(r.repo(), chunk), 1000)
	flip(t, filepath.Join(r.mirror(), chunk), 1000)
	res, err := r.engine().Verify(t.Context(), engine.VerifyOptions{All: true})
	if err != nil || res.OK() || len(res.BadChunks) != 1 || !strings.Contains(res.BadChunks[0], chunk) {
		t.Fatalf("a chunk that is bad everywhere was not named: %+v, %v", res, err)
	}
	second := r.backup()
	one, err := r.engine().Verify(t.Context(), engine.VerifyOptions{Backups: []string{second.BackupID}})
	if err != nil || !one.OK() {
		t.Errorf("the backup after the damage is not whole: %+v, %v", one, err)
	}
	restored, _ := r.restore(second.BackupID)
	r.sameAsSource(restored, second.Manifest)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		code engine.Code
		make func(t *testing.T, r *rig) error
	}{
		{"no OneDrive folder", engine.CodeNoOneDrive, func(t *testing.T, r *rig) error {
			remove(t, r.fix.OneDrive)
			_, err := r.engine().Backup(t.Context(), engine.BackupOptions{})
			if _, serr := os.Stat(r.fix.OneDrive); serr == nil {
				t.Error("the vanished folder was made again")
			}
			return err
		}},
		{"no root", engine.CodeNoRoot, func(t *testing.T, r *rig) error {
			r.fix.Root = filepath.Join(r.base, "nowhere")
			_, err := r.engine().Backup(t.Context(), engine.BackupOptions{})
			return err
		}},
		{"disk full", engine.CodeDiskFull, func(t *testing.T, r *rig) error {
			r.failOn(fsx.OpWrite, "mirror", unix.ENOSPC)
			_, err := r.engine().Backup(t.Context(), engine.BackupOptions{})
			return err
		}},
		{"folder read-only", engine.CodeReadOnly, func(t *testing.T, r *rig) error {
			r.failOn(fsx.OpMkdir, "OneDrive", unix.EROFS)
			_, err := r.engine().Backup(t.Context(), engine.BackupOptions{})
			return err
		}},
		{"repository vanished", engine.CodeRepositoryGone, func(t *testing.T, r *rig) error {
			r.backup()
			remove(t, r.repo())
			_, err := r.engine().Backup(t.Context(), engine.BackupOptions{})
			return err
		}},
		{"repository without its descriptor", engine.CodeRepositoryGone, func(t *testing.T, r *rig) error {
			r.backup()
			remove(t, filepath.Join(r.repo(), repository.RepositoryName))
			r.state = filepath.Join(r.base, "state-2")
			_, err := r.engine().Backup(t.Context(), engine.BackupOptions{})
			return err
		}},
		{"another machine", engine.CodeForeignWriter, func(t *testing.T, r *rig) error {
			r.backup()
			r.hardware = "machine-2"
			_, err := r.engine().Backup(t.Context(), engine.BackupOptions{})
			return err
		}},
		{"another state directory", engine.CodeForeignWriter, func(t *testing.T, r *rig) error {
			r.backup()
			r.state = filepath.Join(r.base, "state-2")
			_, err := r.engine().Backup(t.Context(), engine.BackupOptions{})
			return err
		}},
		{"newer format", engine.CodeNewerFormat, func(t *testing.T, r *rig) error {
			first := r.backup()
			for _, dir := range []string{r.repo(), r.mirror()} {
				path := filepath.Join(dir, first.BackupID, repository.ManifestName)
				write(t, path, bytes.Replace(read(t, path), []byte(`"format": 1`), []byte(`"format": 9`), 1))
			}
			_, err := r.engine().Restore(t.Context(), engine.RestoreOptions{Backup: "latest", To: filepath.Join(r.base, "x")})
			return err
		}},
		{"lock held", engine.CodeBusy, func(t *testing.T, r *rig) error {
			r.backup()
			lock, err := r.engine().State().Lock()
			if err != nil {
				t.Fatal(err)
			}
			defer lock.Unlock()
			_, err = r.engine().Backup(t.Context(), engine.BackupOptions{})
			return err
		}},
		{"unknown backup", engine.CodeUnknownBackup, func(t *testing.T, r *rig) error {
			r.backup()
			_, err := r.engine().Show("full_19990101", false)
			return err
		}},
		{"ambiguous prefix", engine.CodeAmbiguous, func(t *testing.T, r *rig) error {
			r.backup()
			r.backup()
			_, err := r.engine().Show("full_2025", false)
			return err
		}},
		{"no backup", engine.CodeNoRepository, func(t *testing.T, r *rig) error {
			_, err := r.engine().List()
			return err
		}},
		{"cancelled", engine.CodeCancelled, func(t *testing.T, r *rig) error {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := r.engine().Backup(ctx, engine.BackupOptions{})
			return err
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			err := c.make(t, r)
			if engine.CodeOf(err) != c.code || err == nil {
				t.Fatalf("got %v (%s), want %s", err, engine.CodeOf(err), c.code)
			}
			var known *engine.Error
			if !errors.As(err, &known) || known.Advice() == "" {
				t.Errorf("%v does not say what to do", err)
			}
		})
	}
}

func TestEveryCodeHasAHint(t *testing.T) {
	for _, c := range engine.Codes() {
		if (&engine.Error{Code: c}).Advice() == "" {
			t.Errorf("%s has no hint", c)
		}
	}
}

func TestAdopt(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "31a")
	r := newRig(t)
	first := r.backup()
	r.hardware, r.state = "machine-2", filepath.Join(r.base, "state-2")
	res, err := r.engine().Backup(t.Context(), engine.BackupOptions{NoVault: true, Adopt: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range res.Manifest.Chunks {
		if slices.Contains(first.Manifest.Chunks, c) && res.NewChunks == 0 {
			t.Errorf("the new writer refers to a chunk of the former one")
		}
	}
	r.verifyAll()
	// The former writer is refused from now on.
	r.hardware, r.state = "machine-1", filepath.Join(r.base, "state")
	if _, err := r.engine().Backup(t.Context(), engine.BackupOptions{}); engine.CodeOf(err) != engine.CodeForeignWriter {
		t.Errorf("the former writer was not refused: %v", err)
	}
}

// failOn makes calls of one kind fail from now on, on paths that contain part.
func (r *rig) failOn(op fsx.Op, part string, err error) {
	f := func(o fsx.Op, path string) error {
		if o == op && strings.Contains(path, part) {
			return err
		}
		return nil
	}
	r.fault.Store(&f)
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t testing.TB, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func truncate(t testing.TB, path string, n int64) {
	t.Helper()
	if err := os.Truncate(path, n); err != nil {
		t.Fatal(err)
	}
}

// flip flips one bit.
func flip(t testing.TB, path string, at int) {
	t.Helper()
	b := read(t, path)
	b[at] ^= 1
	write(t, path, b)
}

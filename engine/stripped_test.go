package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine"
	"maia-dr/engine/repository"
	"maia-dr/engine/vault"
)

// TestStripped: a backup from which the vault was taken, or that never had one, does not pass where a password is to prove it: the
// newest one that it may prove is taken, and one that is asked for by name is refused. Without a password it is said.
func TestStripped(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	res, err := r.sealed(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	proven := res.BackupID
	r.clock = r.clock.Add(24 * time.Hour)
	bare := r.backup().BackupID
	r.state = filepath.Join(r.base, "state-of-another")
	restore := func(id string, only bool) (*engine.RestoreResult, error) {
		return r.engine().Restore(t.Context(), engine.RestoreOptions{
			Backup: id, To: filepath.Join(r.base, "to"), DryRun: true, OnlyProven: only,
			Password: func(context.Context, int, int) (vault.Password, error) { return password(t, testPassword), nil },
		})
	}
	got, err := restore("latest", true)
	if err != nil || got.Plan.BackupID != proven || !got.Plan.Authenticated || len(got.Plan.Newer) != 1 || !strings.Contains(got.Plan.Newer[0], bare+" has no vault") {
		t.Errorf("the latest: %+v, %v", got, err)
	}
	if got, err := restore(bare, true); engine.CodeOf(err) != engine.CodePasswordMissing {
		t.Errorf("by name: %+v, %v", got, err)
	}
	if got, err := restore("latest", false); err != nil || got.Plan.BackupID != bare || !got.Plan.Stripped || got.Plan.Authenticated {
		t.Errorf("without a demand: %+v, %v", got, err)
	}
	// The one that was proven, with its vault taken away and a manifest that says it has none.
	dir := filepath.Join(r.repo(), proven)
	m := string(read(t, filepath.Join(dir, repository.ManifestName)))
	write(t, filepath.Join(dir, repository.ManifestName), []byte(strings.Replace(m, `"password_number": 1,`, `"password_number": 0,`, 1)))
	remove(t, filepath.Join(dir, repository.MACName))
	if got, err := restore(proven, true); engine.CodeOf(err) != engine.CodePasswordMissing {
		t.Errorf("stripped: %+v, %v", got, err)
	}
	// And with one that says it has, and no MAC.
	write(t, filepath.Join(dir, repository.ManifestName), []byte(m))
	if got, err := restore(proven, false); err == nil {
		t.Errorf("without a MAC: %+v", got)
	}
}

// TestNoFileInRepository: something in OneDrive that has the name of a file and is none is damage, and nobody waits for it.
func TestNoFileInRepository(t *testing.T) {
	t.Parallel()
	f, back := newForge(t)
	back()
	chunk := repository.ChunksDir + "/" + repository.ChunkName(f.m.Chunks[0].SHA256)
	for _, name := range []string{
		repository.RepositoryName, repository.WriterName(1), f.m.BackupID + "/" + repository.ManifestName, f.m.BackupID + "/" + repository.FilesName,
		f.m.BackupID + "/" + repository.RestoreIndexName, f.m.BackupID + "/" + repository.LaunchAgentsName, chunk,
	} {
		back()
		path := filepath.Join(f.repo(), name)
		remove(t, path)
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		for what, do := range map[string]func() error{
			"restore": func() error {
				res, err := f.engine().Restore(t.Context(), engine.RestoreOptions{Backup: f.m.BackupID, To: filepath.Join(f.base, "to")})
				if err == nil && len(res.Failed) == 0 && name != repository.WriterName(1) && !strings.HasSuffix(name, repository.RestoreIndexName) {
					t.Errorf("%s is a FIFO, and all was restored", name)
				}
				return err
			},
			"verify": func() error {
				res, err := f.engine().Verify(t.Context(), engine.VerifyOptions{All: true})
				if err == nil && res.OK() && name != repository.WriterName(1) {
					t.Errorf("%s is a FIFO, and all is said to be well", name)
				}
				return err
			},
			"list": func() error { _, err := f.engine().List(); return err },
		} {
			done := make(chan error, 1)
			go func() { done <- do() }()
			select {
			case err := <-done:
				t.Logf("%s, %s: %v", name, what, err)
			case <-time.After(time.Minute):
				t.Fatalf("%s: %s waits for a FIFO", name, what)
			}
		}
		if err := os.RemoveAll(filepath.Join(f.base, "to")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLastSecond: a folder with the name of the last backup there can be stops backups with its name, and not with a name that is
// none.
func TestLastSecond(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.backup()
	last := filepath.Join(r.repo(), "full_99991231_235959")
	mkdir(t, last)
	_, err := r.engine().Backup(t.Context(), engine.BackupOptions{NoVault: true})
	if e, ok := errors.AsType[*engine.Error](err); !ok || e.Path != last || !strings.Contains(e.Hint, "remove it") {
		t.Errorf("%v", err)
	}
	remove(t, last)
	r.backup()
}

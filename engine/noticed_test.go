package engine_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine"
	"maia-dr/engine/event"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

// TestLinkInPlace: a file that has become a link when it is its turn is left out, and named; what the link leads to is no file of
// the root, and is not stored under its name.
func TestLinkInPlace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	outside := filepath.Join(r.base, "outside.txt")
	write(t, outside, []byte("nobody's business"))
	file := filepath.Join(r.fix.Root, "CLAUDE.md")
	var once sync.Once
	r.sink = func(e event.Event) {
		if e.Kind == event.PhaseStarted && e.Phase == event.Capture {
			once.Do(func() {
				remove(t, file)
				if err := os.Symlink(outside, file); err != nil {
					t.Error(err)
				}
			})
		}
	}
	res := r.backup()
	if !slices.ContainsFunc(res.Warnings, func(w repository.Warning) bool { return w.Code == "file_left_out" && w.Path == "CLAUDE.md" }) {
		t.Errorf("it is not named: %+v", res.Warnings)
	}
	to, _ := r.restore(res.BackupID)
	if got, err := os.ReadFile(filepath.Join(to, "CLAUDE.md")); err == nil {
		t.Errorf("it was stored as %q", got)
	}
}

// TestAdoptBack: a machine that takes over what it wrote before, and another one since, refers to nothing that it still has from
// then.
func TestAdoptBack(t *testing.T) {
	t.Parallel()
	for _, cutOff := range []bool{false, true} {
		r := newRig(t)
		r.backup()
		adopt := func(day int) (*engine.BackupResult, error) {
			r.day(day)
			res, err := r.engine().Backup(t.Context(), engine.BackupOptions{NoVault: true, Adopt: true})
			r.clock = r.clock.Add(24 * time.Hour)
			return res, err
		}
		mine := r.state
		r.hardware, r.state = "machine-2", filepath.Join(r.base, "state-2")
		if cutOff { // then the newest backup is still one of which the first machine has every chunk
			hook := func(op fsx.Op, path string) error {
				if op == fsx.OpRename && filepath.Dir(path) == filepath.Join(r.repo(), repository.ChunksDir) {
					return unix.EIO
				}
				return nil
			}
			r.fault.Store(&hook)
		}
		if _, err := adopt(1); (err != nil) != cutOff {
			t.Fatal(err)
		}
		r.fault.Store(nil)
		r.hardware, r.state = "machine-1", mine
		res, err := adopt(2)
		if err != nil {
			t.Fatal(err)
		}
		if res.NewChunks == 0 || res.NewChunks != len(res.Manifest.Chunks) {
			t.Errorf("cut off %v: %d of %d chunks are new", cutOff, res.NewChunks, len(res.Manifest.Chunks))
		}
		r.verifyAll()
	}
}

// TestUnpublishedStay: backups that could not be brought into OneDrive lie whole in the mirror until they can, however many there
// are.
func TestUnpublishedStay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.backup()
	hook := func(op fsx.Op, path string) error {
		if op == fsx.OpRename && filepath.Dir(path) == filepath.Join(r.repo(), repository.ChunksDir) {
			return unix.EIO
		}
		return nil
	}
	r.fault.Store(&hook)
	for n := range 3 {
		// Each has a chunk that no other one needs.
		write(t, filepath.Join(r.fix.Root, "turnover.txt"), []byte(strings.Repeat("day "+string(rune('a'+n))+"\n", 2000)))
		if _, err := r.engine().Backup(t.Context(), engine.BackupOptions{NoVault: true}); err == nil {
			t.Fatal("it was published")
		}
		r.clock = r.clock.Add(24 * time.Hour)
	}
	r.fault.Store(nil)
	write(t, filepath.Join(r.fix.Root, "turnover.txt"), []byte("the last day\n"))
	res := r.backup()
	if slices.ContainsFunc(res.Warnings, func(w repository.Warning) bool { return w.Code == "published_file_lost" }) {
		t.Errorf("the mirror did not keep them: %+v", res.Warnings)
	}
	if v := r.verifyAll(); len(v.Backups) != 5 {
		t.Errorf("%d backups, want 5", len(v.Backups))
	}
	list, err := r.engine().List()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range list.Backups {
		if b.State != engine.StateComplete {
			t.Errorf("%s is %s", b.BackupID, b.State)
		}
	}
}

// TestFailureIsRecorded: a run that failed is a failure in the history and in the status.
func TestFailureIsRecorded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.failOn(fsx.OpWrite, "mirror", unix.ENOSPC)
	if _, err := r.engine().Backup(t.Context(), engine.BackupOptions{NoVault: true}); engine.CodeOf(err) != engine.CodeDiskFull {
		t.Fatal(err)
	}
	h, err := r.engine().State().History()
	if err != nil || len(h) != 1 || h[0].Kind != "backup" || h[0].Result != "failed" || h[0].Error == "" {
		t.Errorf("%+v, %v", h, err)
	}
	s, err := r.engine().Status()
	if err != nil || s.LastFailure == nil || s.LastFailure.Code != string(engine.CodeDiskFull) || s.Overall != engine.OverallAttention {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestOverdue: a backup is overdue when it is over 26 hours old, and not before.
func TestOverdue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	made := r.clock
	r.backup()
	for _, c := range []struct {
		age  time.Duration
		want bool
	}{{time.Hour, false}, {engine.Overdue - time.Minute, false}, {engine.Overdue + time.Minute, true}, {40 * time.Hour, true}} {
		r.clock = made.Add(c.age)
		s, err := r.engine().Status()
		if err != nil || s.Overdue != c.want || c.want && s.Overall != engine.OverallAttention {
			t.Errorf("%v old: overdue: %v, %v", c.age, s.Overdue, err)
		}
	}
}

// TestForgedManifest: a manifest that reads well, and is not the one that the MAC proves, proves nothing.
func TestForgedManifest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	res, err := r.sealed(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	remove(t, r.state)
	path := filepath.Join(r.repo(), res.BackupID, repository.ManifestName)
	was := read(t, path)
	forged := bytes.Replace(was, []byte(`"program_version": "0.1.0-test"`), []byte(`"program_version": "6.6.6-test"`), 1)
	if bytes.Equal(forged, was) {
		t.Fatal("the manifest does not name its version")
	}
	write(t, path, forged)
	to, restored, err := r.unsealed(testPassword)
	if err == nil && restored.Plan.Authenticated {
		t.Error("authenticated")
	}
	if _, serr := os.Stat(filepath.Join(to, "claude/tools/production_api_credentials.py")); serr == nil {
		t.Error("secrets came back")
	}
}

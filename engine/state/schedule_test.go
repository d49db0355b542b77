package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"maia-dr/engine/fsx"
	"maia-dr/engine/schedule"
)

func TestScheduleRecord(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	if r := d.LoadSchedule(); r.BackupID != "" || len(r.Runs) > 0 {
		t.Errorf("%+v", r)
	}
	now := time.Date(2026, 5, 5, 3, 0, 0, 0, time.UTC)
	want := schedule.Record{Complete: now, BackupID: "full_x", Runs: []schedule.Run{{At: now, Slot: now, Outcome: schedule.Warned, SleptSeconds: 7}}}
	if err := d.SaveSchedule(&want); err != nil {
		t.Fatal(err)
	}
	got := d.LoadSchedule()
	if got.Version != 1 || !got.Complete.Equal(now) || got.BackupID != "full_x" || len(got.Runs) != 1 || got.Runs[0] != want.Runs[0] {
		t.Errorf("%+v", got)
	}
	if err := os.WriteFile(filepath.Join(d.Path, scheduleName), []byte(`{"backup_id":"x","runs":[`), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := d.LoadSchedule(); r.BackupID != "" {
		t.Errorf("of a damaged file: %+v", r)
	}
}

func TestScheduleLock(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	lock, err := d.LockSchedule()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.LockSchedule(); !errors.Is(err, fsx.ErrLocked) {
		t.Errorf("taken twice: %v", err)
	}
	// A scheduled run holds both.
	run, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(run.Unlock(), lock.Unlock()); err != nil {
		t.Error(err)
	}
}

func TestPausedUntil(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	if !d.PausedUntil().IsZero() {
		t.Error("there is a pause to begin with")
	}
	for content, want := range map[string]time.Time{
		`{"version":1,"paused_until":"2026-05-06T03:00:00Z","muted":{}}`: time.Date(2026, 5, 6, 3, 0, 0, 0, time.UTC),
		`{"version":1}`: {}, `{"paused_until":"tomorrow"}`: {}, `{`: {}, ``: {},
	} {
		if err := os.WriteFile(filepath.Join(d.Path, choicesName), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := d.PausedUntil(); !got.Equal(want) {
			t.Errorf("%s: %v", content, got)
		}
	}
}

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/fsx"
	"maia-dr/engine/schedule"
	"maia-dr/packaging/ci/faults/matrix"
)

// scheduled starts a scheduled run, as launchd does.
func (r *rig) scheduled() (*engine.ScheduledResult, error) {
	return r.engine().Scheduled(r.t.Context(), engine.ScheduledOptions{Backup: engine.BackupOptions{NoVault: true}})
}

// TestScheduled: one backup a day and a full drill a week, however often it is started, and one that the person makes
// counts.
func TestScheduled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.drills = true
	awake, began, ended := 0, 0, 0
	start := func(want schedule.Outcome) *engine.ScheduledResult {
		t.Helper()
		res, err := r.engine().Scheduled(t.Context(), engine.ScheduledOptions{
			Backup:    engine.BackupOptions{NoVault: true},
			KeepAwake: func(context.Context) func() { awake++; return func() { awake-- } },
			Begins: func(context.Context) func(*engine.BackupResult, error) {
				began++
				return func(res *engine.BackupResult, err error) {
					if res != nil && err == nil && awake == 1 {
						ended++
					}
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if res.Run.Outcome != want || awake != 0 {
			t.Errorf("at %v: %s, want %s; held awake %d times", r.clock, res.Run.Outcome, want, awake)
		}
		return res
	}
	// The first has a full drill, since there was none.
	res := start(schedule.Completed)
	if res.Last == nil || res.LastDrill == nil || !res.LastDrill.Passed || res.LastDrill.BackupID != res.Last.BackupID || res.LastDrill.Light {
		t.Fatalf("%+v", res)
	}
	if !res.NextSlot.Equal(r.clock.Add(24*time.Hour)) || !res.NextStart.Equal(r.clock.Add(6*time.Hour)) {
		t.Errorf("next %v, %v", res.NextSlot, res.NextStart)
	}
	r.clock = r.clock.Add(6 * time.Hour)
	if res := start(schedule.WasDone); res.Last != nil || res.LastDrill != nil {
		t.Errorf("%+v", res)
	}
	r.clock = r.clock.Add(20 * time.Hour)
	byHand := r.backup()
	r.clock = r.clock.Add(-23 * time.Hour)
	start(schedule.WasDone)
	if st, _, err := r.engine().State().ReadStatus(); err != nil || st.LastBackup.BackupID != byHand.BackupID {
		t.Errorf("%+v, %v", st.LastBackup, err)
	}
	r.clock = r.clock.Add(24 * time.Hour)
	state := r.engine().State()
	choices := filepath.Join(r.state, "choices.json")
	write(t, choices, fmt.Appendf(nil, `{"paused_until":%q}`, r.clock.Add(time.Hour).Format(time.RFC3339)))
	if res := start(schedule.WasPaused); !res.PausedUntil.Equal(r.clock.Add(time.Hour)) {
		t.Errorf("paused until %v", res.PausedUntil)
	}
	lock, err := state.LockSchedule()
	if err != nil {
		t.Fatal(err)
	}
	start(schedule.WasBusy)
	if err := errors.Join(lock.Unlock(), os.Remove(choices)); err != nil {
		t.Fatal(err)
	}
	if res := start(schedule.Completed); res.LastDrill != nil {
		t.Error("a second full drill in the week")
	}
	if began != 2 || ended != 2 {
		t.Errorf("%d backups were said to begin, %d to be complete", began, ended)
	}
	if runs := state.LoadSchedule().Runs; len(runs) != 5 {
		t.Errorf("%d starts are on record: %+v", len(runs), runs)
	}
}

// TestScheduledFailure: a backup that failed is caught up at the next time, and its error is the run's own.
func TestScheduledFailure(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	fault := func(op fsx.Op, path string) error {
		if op == fsx.OpRename && strings.HasPrefix(path, r.repo()) {
			return syscall.ENOSPC
		}
		return nil
	}
	r.fault.Store(&fault)
	res, err := r.scheduled()
	if engine.CodeOf(err) != engine.CodeDiskFull || res.Run.Outcome != schedule.Failed || res.Run.Error == "" {
		t.Fatalf("%+v, %v", res, err)
	}
	r.fault.Store(nil)
	r.clock = r.clock.Add(6 * time.Hour)
	if res, err = r.scheduled(); err != nil || res.Run.Outcome != schedule.Completed {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestScheduledAtOnce: of starts in the same moment one makes the day's backup; the others leave it to that, or find it
// done.
func TestScheduledAtOnce(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "10")
	r := newRig(t)
	results := make(chan schedule.Outcome)
	const starts = 12
	for range starts {
		faults.Inject()
		go func() {
			res, err := r.scheduled()
			if err != nil {
				t.Error(err)
				results <- schedule.Failed
				return
			}
			results <- res.Run.Outcome
		}()
	}
	count := map[schedule.Outcome]int{}
	for range starts {
		count[<-results]++
	}
	if made := count[schedule.Completed] + count[schedule.Warned]; made != 1 || made+count[schedule.WasBusy]+count[schedule.WasDone] != starts {
		t.Errorf("%v", count)
	}
	if l, err := r.engine().List(); err != nil || len(l.Backups) != 1 {
		t.Errorf("%+v, %v", l, err)
	}
}

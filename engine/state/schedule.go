package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"maia-dr/engine/fsx"
	"maia-dr/engine/schedule"
)

const (
	scheduleName     = "schedule.json"
	scheduleLockName = "schedule.lock"
	pauseName        = "pause.json"
)

// ScheduleLogFile returns the path of the log of scheduled runs. It is one of its own: two processes cannot rotate one.
func (d Dir) ScheduleLogFile() string { return filepath.Join(d.Path, "log", "schedule.log") }

// LockSchedule keeps a second scheduled run out, and changes of the schedule; without waiting, as Lock.
func (d Dir) LockSchedule() (*fsx.Lock, error) {
	return fsx.TryLock(filepath.Join(d.Path, scheduleLockName))
}

// LoadSchedule reads the record of scheduled runs. A damaged one is begun anew: it only repeats what status and history
// hold, at the price of one backup more.
func (d Dir) LoadSchedule() *schedule.Record {
	r := new(schedule.Record)
	b, err := os.ReadFile(filepath.Join(d.Path, scheduleName))
	if err != nil || json.Unmarshal(b, r) != nil {
		return new(schedule.Record)
	}
	return r
}

// SaveSchedule writes the record durably. Only the holder of LockSchedule may call it.
func (d Dir) SaveSchedule(r *schedule.Record) error {
	r.Version = 1
	return d.writeJSON(scheduleName, true, r)
}

type pause struct {
	Until time.Time `json:"until"`
}

// PausedUntil returns when the pause of the schedule ends; zero: there is none. A file that cannot be read is no pause.
func (d Dir) PausedUntil() time.Time {
	var p pause
	b, err := os.ReadFile(filepath.Join(d.Path, pauseName))
	if err != nil || json.Unmarshal(b, &p) != nil {
		return time.Time{}
	}
	return p.Until
}

// Pause has scheduled runs do nothing until then; a zero time ends the pause.
func (d Dir) Pause(until time.Time) error {
	if !until.IsZero() {
		return d.writeJSON(pauseName, true, pause{until.UTC()})
	}
	if err := d.FS.Remove(filepath.Join(d.Path, pauseName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("end the pause: %w", err)
	}
	return nil
}

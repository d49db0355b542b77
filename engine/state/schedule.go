package state

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"maia-dr/engine/fsx"
	"maia-dr/engine/schedule"
)

const (
	scheduleName     = "schedule.json"
	scheduleLockName = "schedule.lock"
	choicesName      = "choices.json"
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

// PausedUntil returns when the pause of the schedule ends that was chosen in the menu; zero: there is none. A file that
// cannot be read is no pause.
func (d Dir) PausedUntil() time.Time {
	var choices struct {
		PausedUntil time.Time `json:"paused_until"`
	}
	b, err := os.ReadFile(filepath.Join(d.Path, choicesName))
	if err != nil || json.Unmarshal(b, &choices) != nil {
		return time.Time{}
	}
	return choices.PausedUntil
}

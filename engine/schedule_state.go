package engine

import (
	"errors"
	"time"

	"maia-dr/engine/fsx"
	"maia-dr/engine/schedule"
)

// ScheduleState is what the engine knows of the schedule: the plan, and what became of it.
type ScheduleState struct {
	At      string   `json:"at"`
	CatchUp []string `json:"catch_up"`
	// InstalledAt is zero where this state directory has no schedule.
	InstalledAt time.Time `json:"installed_at,omitzero"`
	// NextBackup is when the next backup will be made: at the next start where today's is not done. NextStart is when the system
	// starts the program next.
	NextBackup  time.Time `json:"next_backup"`
	NextStart   time.Time `json:"next_start"`
	PausedUntil time.Time `json:"paused_until,omitzero"`
	// LastRun is the last start by the schedule; nil: there was none.
	LastRun *schedule.Run `json:"last_run,omitempty"`
	// Unstarted are the days, by their beginning, on which the system never started the program.
	Unstarted []time.Time `json:"unstarted"`
}

// ScheduleState looks at the record of scheduled runs.
func (e *Engine) ScheduleState() ScheduleState {
	plan, now, record := e.Plan(), e.now(), e.state.LoadSchedule()
	s := ScheduleState{At: plan.At.String(), CatchUp: []string{}, InstalledAt: record.InstalledAt, NextStart: plan.NextStart(now), Unstarted: []time.Time{}}
	for _, c := range plan.CatchUp {
		s.CatchUp = append(s.CatchUp, c.String())
	}
	facts := e.scheduleFacts()
	facts.Complete = append(facts.Complete, record.Complete)
	facts.PausedUntil = time.Time{}
	s.NextBackup = s.NextStart
	if !plan.Decide(now, facts, record.DrillTried).Backup {
		s.NextBackup = plan.NextSlot(now)
	}
	if until := e.state.PausedUntil(); until.After(now) {
		s.PausedUntil = until
	}
	if n := len(record.Runs); n > 0 {
		s.LastRun = &record.Runs[n-1]
	}
	for _, slot := range plan.Unstarted(record, now) {
		s.Unstarted = append(s.Unstarted, slot.Begin)
	}
	return s
}

// ScheduleInstalled notes that the schedule was installed now, or removed. Installed again, it counts from the first
// time.
func (e *Engine) ScheduleInstalled(installed bool) error {
	if err := e.state.Create(); err != nil {
		return explain("note the schedule", e.state.Path, err)
	}
	lock, err := e.state.LockSchedule()
	if errors.Is(err, fsx.ErrLocked) {
		return &Error{Op: "change the schedule", Code: CodeBusy, Err: errors.New("a scheduled run is at work")}
	}
	if err != nil {
		return explain("note the schedule", e.state.Path, err)
	}
	defer lock.Unlock()
	r := e.state.LoadSchedule()
	switch {
	case !installed:
		r.InstalledAt = time.Time{}
	case r.InstalledAt.IsZero():
		r.InstalledAt = e.now().UTC()
	default:
		return nil
	}
	return explain("note the schedule", e.state.Path, e.state.SaveSchedule(r))
}

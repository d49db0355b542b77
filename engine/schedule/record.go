package schedule

import (
	"slices"
	"time"
)

// Record is what scheduled runs leave to one another.
type Record struct {
	Version int `json:"version"`
	// Complete is when the newest complete backup of a scheduled run began, by the clock of then.
	Complete time.Time `json:"complete,omitzero"`
	BackupID string    `json:"backup_id,omitempty"`
	// DrillTried is when a scheduled run last began a full drill.
	DrillTried time.Time `json:"drill_tried,omitzero"`
	// ToldOverdue is the newest complete backup of which it was told that it is too old: once for each.
	ToldOverdue time.Time `json:"told_overdue,omitzero"`
	// InstalledAt is when the schedule was installed; zero: it is not.
	InstalledAt time.Time `json:"installed_at,omitzero"`
	// Runs are the last KeptRuns starts by the schedule, oldest first, those with nothing to do among them.
	Runs []Run `json:"runs,omitempty"`
}

// KeptRuns is about two weeks of starts.
const KeptRuns = 100

// Outcome is what a start came to.
type Outcome string

// The outcomes. Nothing was done in the last three.
const (
	Completed Outcome = "completed"
	Warned    Outcome = "completed_with_warnings"
	Failed    Outcome = "failed"
	Cancelled Outcome = "cancelled"
	Drilled   Outcome = "drilled" // the backup was done already, a drill was not
	WasDone   Outcome = "already_done"
	WasPaused Outcome = "paused"
	WasBusy   Outcome = "busy" // another run was active until the patience was over
)

// Run is one start.
type Run struct {
	At      time.Time `json:"at"`
	Slot    time.Time `json:"slot"` // its beginning
	Outcome Outcome   `json:"outcome"`
	// BackupID is the backup that was made.
	BackupID string `json:"backup_id,omitempty"`
	Error    string `json:"error,omitempty"`
	// Seconds is how long it took while the machine was awake, SleptSeconds how long it slept meanwhile.
	Seconds      float64 `json:"duration_s"`
	SleptSeconds float64 `json:"slept_s,omitempty"`
}

func (r *Record) add(run Run) {
	r.Version = 1
	r.Runs = append(r.Runs, run)
	if n := len(r.Runs); n > KeptRuns {
		r.Runs = slices.Clone(r.Runs[n-KeptRuns:])
	}
}

// LastStart is when the schedule last started the program; zero: never.
func (r *Record) LastStart() time.Time {
	if len(r.Runs) == 0 {
		return time.Time{}
	}
	return r.Runs[len(r.Runs)-1].At
}

// Unstarted returns the slots, oldest first, that ended since the schedule was installed and in which the system never
// started the program: the machine was off or asleep, or the schedule does not run. Not more than the record knows of.
func (p Plan) Unstarted(r *Record, now time.Time) []Slot {
	if r.InstalledAt.IsZero() {
		return nil
	}
	from := r.InstalledAt
	if len(r.Runs) == KeptRuns && r.Runs[0].At.After(from) {
		from = r.Runs[0].At
	}
	var out []Slot
	for s := p.Slot(p.NextSlot(from)); !s.End.After(now); s = p.Slot(s.End) {
		if !slices.ContainsFunc(r.Runs, func(run Run) bool { return s.Contains(run.At) }) {
			out = append(out, s)
		}
	}
	return out
}

package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// patience is how long a scheduled run waits for another run to end, lookAgain how often it looks.
	patience  = 30 * time.Minute
	lookAgain = 15 * time.Second
	// gap is the least difference of the two clocks that is called sleep.
	gap = time.Minute
	// rounds bounds how many slots one start works off: a run that froze ends in the next slot.
	rounds = 3
)

// Runner does what a start by the clock has to do. All its functions are required but Tell and Log.
type Runner struct {
	Plan Plan
	// Now is the machine's clock. Awake is a clock that stands still while the machine sleeps and is never set.
	Now   func() time.Time
	Awake func() time.Duration
	// Sleep waits, or returns the error of ctx.
	Sleep func(ctx context.Context, d time.Duration) error
	// Facts looks at what is known now. Load and Save are the record; only one Runner of a machine may be at work.
	Facts func() (Facts, error)
	Load  func() *Record
	Save  func(*Record) error
	// Backup makes a backup and returns its id and whether something of the user's is missing in it; ErrBusy: another
	// run is active, nothing was done.
	Backup func(ctx context.Context) (id string, warned bool, err error)
	// Drill runs a full drill; ErrBusy as above. What it finds is told by itself: an error says that it could not run.
	Drill func(ctx context.Context) error
	// Tell is called when the newest complete backup is too old and this run could not change that: once for each. It
	// gets the time at which that backup began.
	Tell func(newest time.Time)
	// Log gets a line about what happens.
	Log func(text string)
}

// Result is what a start came to: that of the last slot it worked on.
type Result struct {
	Run      Run
	Decision Decision
	// Backups are the ids of the backups that were made.
	Backups []string
	// Drilled: a full drill ran to its end.
	Drilled bool
}

// Run decides and does it. Its error is that of the backup or of the drill, or of keeping the record; what was left
// alone (done, paused, busy) is no error.
func (r *Runner) Run(ctx context.Context) (*Result, error) {
	out := new(Result)
	for range rounds {
		again, err := r.slot(ctx, out)
		if err != nil || !again {
			return out, err
		}
		r.log("the next day's backup has become due during the run")
	}
	return out, nil
}

// slot works on the slot that is now. again: another one has begun meanwhile, and this one is done.
func (r *Runner) slot(ctx context.Context, out *Result) (again bool, err error) {
	record := r.Load()
	began, awake := r.Now(), r.Awake()
	facts, err := r.facts(record)
	if err != nil {
		return false, err
	}
	d := r.Plan.Decide(began, facts, record.DrillTried)
	if len(out.Backups) > 0 && !d.Backup {
		return false, nil // the slot before was done by this very run
	}
	run := Run{At: began.UTC(), Slot: d.Slot.Begin.UTC()}
	if d.Backup || d.Drill {
		d, err = r.work(ctx, d, record, &run, out)
	}
	switch {
	case run.Outcome != "":
	case err != nil:
		run.Outcome, run.Error = Failed, err.Error()
	case d.Why == Paused:
		run.Outcome = WasPaused
	default:
		run.Outcome = WasDone
	}
	run.Seconds = (r.Awake() - awake).Seconds()
	if slept := r.Now().Round(0).Sub(began.Round(0)) - (r.Awake() - awake); slept >= gap {
		run.SleptSeconds = slept.Seconds()
		r.log(fmt.Sprintf("the machine slept for %s during the run, or its clock was set forward", slept.Round(time.Second)))
	}
	out.Run, out.Decision = run, d
	record.add(run)
	r.overdue(record, run, facts)
	if serr := r.Save(record); serr != nil {
		err = errors.Join(err, fmt.Errorf("keep the schedule's record: %w", serr))
	}
	return err == nil && run.BackupID != "" && r.Plan.Slot(r.Now()).Begin.After(d.Slot.Begin), err
}

// facts are those of the outside, with what the record knows.
func (r *Runner) facts(record *Record) (Facts, error) {
	f, err := r.Facts()
	if err != nil {
		return f, err
	}
	f.Complete = append(slices.Clip(f.Complete), record.Complete)
	return f, nil
}

// work makes the backup and runs the drill. While another run is active it waits, and decides anew when that has ended:
// it may have been today's backup.
func (r *Runner) work(ctx context.Context, d Decision, record *Record, run *Run, out *Result) (Decision, error) {
	for waited := time.Duration(0); ; waited += lookAgain {
		err := r.attempt(ctx, d, record, run, out)
		if !errors.Is(err, ErrBusy) {
			return d, err
		}
		if waited == 0 {
			r.log(fmt.Sprintf("another run is active: waiting for it, at most %s", patience))
		}
		if waited >= patience {
			r.log("another run is still active: left to the next time of the schedule")
			if run.Outcome == "" {
				run.Outcome = WasBusy
			}
			return d, nil
		}
		if err := r.Sleep(ctx, lookAgain); err != nil {
			if run.Outcome == "" {
				run.Outcome = Cancelled
			}
			return d, err
		}
		facts, err := r.facts(record)
		if err != nil {
			return d, err
		}
		// A backup that this run has made is in the record.
		d = r.Plan.Decide(r.Now(), facts, record.DrillTried)
		run.Slot = d.Slot.Begin.UTC()
		if !d.Backup && !d.Drill {
			return d, nil
		}
	}
}

func (r *Runner) attempt(ctx context.Context, d Decision, record *Record, run *Run, out *Result) error {
	if d.Backup {
		began := r.Now()
		id, warned, err := r.Backup(ctx)
		if err != nil {
			if !errors.Is(err, ErrBusy) {
				run.Outcome, run.Error = Failed, err.Error()
				if errors.Is(err, context.Canceled) || ctx.Err() != nil {
					run.Outcome = Cancelled
				}
			}
			return err
		}
		run.Outcome, run.BackupID = Completed, id
		if warned {
			run.Outcome = Warned
		}
		record.Complete, record.BackupID = began.UTC(), id
		out.Backups = append(out.Backups, id)
		// Before the drill: whatever happens to that, this day is done.
		if err := r.Save(record); err != nil {
			return fmt.Errorf("keep the schedule's record: %w", err)
		}
		// There may be something to rehearse only now.
		facts, err := r.facts(record)
		if err != nil {
			return err
		}
		d = r.Plan.Decide(r.Now(), facts, record.DrillTried)
	}
	if !d.Drill {
		return nil
	}
	return r.drill(ctx, record, run, out)
}

func (r *Runner) drill(ctx context.Context, record *Record, run *Run, out *Result) error {
	before := record.DrillTried
	record.DrillTried = r.Now().UTC()
	// Before it begins: one that takes the machine down is not repeated the same day.
	if err := r.Save(record); err != nil {
		return fmt.Errorf("keep the schedule's record: %w", err)
	}
	err := r.Drill(ctx)
	switch {
	case errors.Is(err, ErrBusy):
		record.DrillTried = before
		return err
	case err != nil:
		run.Error = err.Error()
		if run.Outcome == "" {
			run.Outcome = Failed
		}
		return err
	}
	out.Drilled = true
	if run.Outcome == "" {
		run.Outcome = Drilled
	}
	return nil
}

// overdue tells once that the newest complete backup is too old, if this run has not made a new one.
func (r *Runner) overdue(record *Record, run Run, f Facts) {
	var newest time.Time
	now := r.Now()
	for _, t := range f.Complete {
		if t.After(newest) && !t.After(now.Add(early)) {
			newest = t
		}
	}
	if run.BackupID != "" || run.Outcome == WasDone || !Overdue(now, newest) || record.ToldOverdue.Equal(newest) {
		return
	}
	record.ToldOverdue = newest.UTC()
	r.log(fmt.Sprintf("no complete backup since %s", newest.UTC().Format(time.RFC3339)))
	if r.Tell != nil {
		r.Tell(newest)
	}
}

func (r *Runner) log(text string) {
	if r.Log != nil {
		r.Log(text)
	}
}

package engine

import (
	"context"
	"errors"
	"time"

	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
	"maia-dr/engine/schedule"
	"maia-dr/engine/state"
	"maia-dr/engine/vault"
)

// ScheduledOptions say how a run that was started by the clock does its work.
type ScheduledOptions struct {
	Backup BackupOptions
	// Password is what the weekly drill opens the vault with, as for DrillOptions.
	Password func(ctx context.Context, number, wrong int) (vault.Password, error)
	// KeepAwake keeps the machine from falling asleep until release is called; nil: nothing does.
	KeepAwake func(ctx context.Context) (release func())
	// Begins is called before each backup, and what it returns with the outcome of it; nil: nobody is told. A run that finds
	// another one active ends with that as its outcome.
	Begins func(ctx context.Context) func(*BackupResult, error)
	// Tell is called when the newest complete backup is too old and this run could not change that, once for each.
	Tell func(newest time.Time)
}

// ScheduledResult is what it came to.
type ScheduledResult struct {
	schedule.Result
	// Last is the last backup that was made, LastDrill the drill that ran to its end; nil: there was none.
	Last      *BackupResult
	LastDrill *DrillResult
	// NextSlot is when the next backup is due, NextStart when the schedule starts the program next.
	NextSlot, NextStart time.Time
	// PausedUntil is when the pause ends; zero: there is none.
	PausedUntil time.Time
}

// Plan returns when backups are due, by the configuration.
func (e *Engine) Plan() schedule.Plan {
	p := schedule.Plan{At: schedule.Clock{Hour: 3}, Zone: e.env.Zone}
	c := e.opt.Config.Schedule
	// Drill is empty in a configuration that nobody filled in.
	if c.Drill != "" {
		p.At = schedule.Clock{Hour: c.At.Hour(), Minute: c.At.Minute()}
	}
	for _, at := range c.CatchUp {
		p.CatchUp = append(p.CatchUp, schedule.Clock{Hour: at.Hour(), Minute: at.Minute()})
	}
	return p
}

// Scheduled does what is due: the day's backup if there is none yet, then the weekly full drill. Where nothing is due it
// returns at once, with the reason in the result. The error is that of the backup or the drill.
func (e *Engine) Scheduled(ctx context.Context, o ScheduledOptions) (*ScheduledResult, error) {
	if err := e.state.Create(); err != nil {
		return nil, explain("begin the scheduled run", e.state.Path, err)
	}
	out := new(ScheduledResult)
	lock, err := e.state.LockSchedule()
	if errors.Is(err, fsx.ErrLocked) {
		out.Run.Outcome = schedule.WasBusy
		e.note("another scheduled run is active: this one leaves it to that")
		return e.scheduledNext(out), nil
	}
	if err != nil {
		return nil, explain("begin the scheduled run", e.state.Path, err)
	}
	defer lock.Unlock()
	r := e.scheduleRunner(&o, out)
	res, err := r.Run(ctx)
	out.Result = *res
	return e.scheduledNext(out), err
}

func (e *Engine) scheduledNext(r *ScheduledResult) *ScheduledResult {
	plan, now := e.Plan(), e.now()
	r.NextSlot, r.NextStart = plan.NextSlot(now), plan.NextStart(now)
	if until := e.state.PausedUntil(); until.After(now) {
		r.PausedUntil = until
	}
	return r
}

func (e *Engine) scheduleRunner(o *ScheduledOptions, out *ScheduledResult) *schedule.Runner {
	start := e.now()
	keepAwake := o.KeepAwake
	if keepAwake == nil {
		keepAwake = func(context.Context) func() { return func() {} }
	}
	return &schedule.Runner{
		Plan: e.Plan(), Now: e.now,
		// Times of one process differ by its monotonic clock, which stands still in sleep.
		Awake: func() time.Duration { return e.now().Sub(start) },
		Sleep: e.sleep, Load: e.state.LoadSchedule, Save: e.state.SaveSchedule,
		Facts: func() (schedule.Facts, error) { return e.scheduleFacts(), nil },
		Backup: func(ctx context.Context) (string, bool, error) {
			defer keepAwake(ctx)()
			ends := func(*BackupResult, error) {}
			if o.Begins != nil {
				ends = o.Begins(ctx)
			}
			res, err := e.Backup(ctx, o.Backup)
			ends(res, err)
			if err != nil {
				return "", false, scheduledError(err)
			}
			out.Last = res
			return res.BackupID, len(res.Warnings) > 0, nil
		},
		Drill: func(ctx context.Context) error {
			defer keepAwake(ctx)()
			res, err := e.Drill(ctx, DrillOptions{Password: o.Password})
			if err != nil {
				return scheduledError(err)
			}
			out.LastDrill = res
			return nil
		},
		Tell: o.Tell, Log: e.note,
	}
}

// scheduledError marks the error of a run that did nothing since another was active.
func scheduledError(err error) error {
	if CodeOf(err) == CodeBusy {
		return errors.Join(schedule.ErrBusy, err)
	}
	return err
}

// scheduleFacts looks at what is known now.
func (e *Engine) scheduleFacts() schedule.Facts {
	f := schedule.Facts{PausedUntil: e.state.PausedUntil(), DrillDue: e.DrillDue(e.now())}
	if st, _, err := e.state.ReadStatus(); err == nil && st.LastBackup != nil {
		f.Complete = append(f.Complete, began(st.LastBackup))
	}
	return f
}

// began is when a backup began; of one that a former version noted, by its name.
func began(b *state.BackupResult) time.Time {
	if !b.StartedAt.IsZero() {
		return b.StartedAt
	}
	t, err := repository.IDTime(b.BackupID)
	if err != nil {
		return time.Time{}
	}
	return t
}

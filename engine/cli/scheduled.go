package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/schedule"
	"maia-dr/engine/vault"
	"maia-dr/launchd"
)

// keepAwake holds a power assertion for this process on a Mac. Without one the work goes on all the same.
func keepAwake(pid int) func(context.Context) func() {
	if !launchd.Supported {
		return nil
	}
	return func(ctx context.Context) func() {
		release, err := launchd.KeepAwake(ctx, pid)
		if err != nil {
			return func() {}
		}
		return release
	}
}

// backUpScheduled is a run that the system started.
func (a *app) backUpScheduled(cmd *cobra.Command, o engine.BackupOptions, wait time.Duration, noWait bool) error {
	a.scheduled = true
	ctx := cmd.Context()
	e, err := a.engine(a.sink())
	if err != nil {
		return err
	}
	limit, err := waitLimit(cmd, e, wait, noWait)
	if err != nil {
		return err
	}
	// What the system takes from standard output grows for ever otherwise.
	if s, ok := a.scheduler().(interface{ RotateOutput(label string) error }); ok {
		if err := s.RotateOutput(BackupLabel); err != nil {
			a.say("The file for what scheduled runs write was not rotated: %s\n", clean(err.Error()))
		}
	}
	password := a.password
	res, err := e.Scheduled(ctx, engine.ScheduledOptions{
		Backup: o, KeepAwake: a.KeepAwake,
		Begins: func(ctx context.Context) func(*engine.BackupResult, error) { return a.backupBegins(ctx, e) },
		Password: func(ctx context.Context, _, wrong int) (vault.Password, error) {
			if wrong > 0 {
				return vault.Password{}, engine.ErrNoPassword // nobody is there to be asked for another
			}
			return password(ctx)
		},
		Tell: func(newest time.Time) {
			a.tidy()
			fmt.Fprintf(a.Err, "No complete backup since %s.\n", newest.Local().Format("2 January 15:04"))
		},
	})
	// Whatever was done: a drill may have failed, a backup may be overdue, an upload that was waited for may be slow.
	defer a.tellEnd(ctx, e)
	if err != nil {
		if res != nil && !a.flags.json {
			a.tidy()
			a.printScheduled(res, a.waitForLast(ctx, e, res, 0)) // a backup may have been made before what failed
		}
		return a.fail("backup", err)
	}
	w := a.waitForLast(ctx, e, res, limit)
	exit := w.exit(scheduledExit(res))
	return a.done(exit, scheduledSummary(res, w, exit), func() { a.printScheduled(res, w) })
}

// waitForLast waits for the upload of the backup that was made, if one was.
func (a *app) waitForLast(ctx context.Context, e *engine.Engine, r *engine.ScheduledResult, limit time.Duration) *waited {
	w := &waited{state: onedrive.Unknown.String()}
	if r.Last != nil {
		*w = a.waitForSync(ctx, e, r.Last, limit)
	}
	return w
}

// scheduledExit is the exit code of what was done; where nothing had to be done it is 0.
func scheduledExit(r *engine.ScheduledResult) int {
	switch {
	case r.LastDrill != nil && !r.LastDrill.Passed:
		return ExitFailed
	case r.Last != nil && len(r.Last.Warnings) > 0, r.LastDrill != nil && len(r.LastDrill.Warnings) > 0:
		return ExitIncomplete
	}
	return ExitDone
}

func (a *app) printScheduled(r *engine.ScheduledResult, w *waited) {
	if r.Last != nil {
		a.printBackup(r.Last, w)
	}
	if r.LastDrill != nil {
		a.printDrill(r.LastDrill)
	}
	zone := a.Env.Now().Location()
	at := func(t time.Time) string { return t.In(zone).Format("Mon 2 Jan 15:04") }
	switch r.Run.Outcome {
	case schedule.WasDone:
		a.printf("Today's backup is done; the next is due %s.\n", at(r.NextSlot))
	case schedule.WasPaused:
		a.printf("Backups are paused until %s.\n", at(r.PausedUntil))
	case schedule.WasBusy:
		a.printf("Another run is active; tried again %s.\n", at(r.NextStart))
	}
	if s := r.Run.SleptSeconds; s > 0 {
		a.say("The machine slept for %s during the run, or its clock was set forward.\n", took(seconds(s)))
	}
}

// scheduledLine is the last line of JSON output of a scheduled run.
type scheduledLine struct {
	runLine
	Scheduled schedule.Run        `json:"scheduled"`
	NextDue   time.Time           `json:"next_due"`
	NextStart time.Time           `json:"next_start"`
	Drill     *engine.DrillResult `json:"drill,omitempty"`
}

func scheduledSummary(r *engine.ScheduledResult, w *waited, exit int) scheduledLine {
	status, fields := string(r.Run.Outcome), runFields{Sync: syncSummary{State: "unknown"}}
	if r.Last != nil {
		s := backupSummary(r.Last, w, exit)
		status, fields = s.Status, s.runFields
	}
	return scheduledLine{runLine: summary("backup", status, exit, fields), Scheduled: r.Run, NextDue: r.NextSlot, NextStart: r.NextStart, Drill: r.LastDrill}
}

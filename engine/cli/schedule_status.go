package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/schedule"
	"maia-dr/engine/state"
)

func (a *app) scheduleStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "When backups are made by themselves, and whether they are", Args: argsBetween(0, 0),
		Long: "Say what is installed, what runs next, and whether the system keeps to it. Exit code 0: fine, 3: something needs attention.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			r, err := a.scheduleReport(cmd.Context(), e)
			if err != nil {
				return err
			}
			if len(r.Problems) > 0 {
				a.exit = ExitIncomplete
			}
			if a.flags.json {
				return a.writeJSON(r)
			}
			a.printSchedule(r)
			return nil
		},
	}
}

// scheduleReport is what is known of the schedule, with its problems in the order in which to mend them: the JSON of
// schedule status, and a part of doctor.
type scheduleReport struct {
	Version int `json:"version"`
	engine.ScheduleState
	Backup   jobReport       `json:"backup"`
	Menu     jobReport       `json:"menu"`
	Problems []state.Problem `json:"problems"`
}

type jobReport struct {
	Label string `json:"label"`
	// Installed: there is a file that starts this program. Loaded: the system acts on it.
	Installed bool     `json:"installed"`
	Loaded    bool     `json:"loaded"`
	File      string   `json:"file,omitempty"`
	Why       string   `json:"why,omitempty"`
	Program   []string `json:"program,omitempty"`
	At        []string `json:"at,omitempty"`
}

func (a *app) scheduleReport(ctx context.Context, e *engine.Engine) (*scheduleReport, error) {
	r := &scheduleReport{Version: 1, ScheduleState: e.ScheduleState(), Problems: []state.Problem{}}
	var backup schedule.JobState
	for _, job := range []struct {
		out   *jobReport
		label string
	}{{&r.Backup, BackupLabel}, {&r.Menu, MenuLabel}} {
		st, err := a.scheduler().Status(ctx, job.label)
		if err != nil {
			return nil, scheduleError("look at the schedule", err)
		}
		*job.out = jobReport{Label: job.label, Installed: st.Ours, Loaded: st.Loaded, File: st.File, Why: st.Why}
		if st.Ours { // another one may have a password among its arguments
			job.out.Program = st.Program
		}
		for _, c := range st.At {
			job.out.At = append(job.out.At, c.String())
		}
		if job.label == BackupLabel {
			backup = st
		}
	}
	r.judge(backup, a.Executable)
	return r, nil
}

const installHint = "run `maia-dr schedule install`"

// judge finds what keeps backups from being made by themselves.
func (r *scheduleReport) judge(st schedule.JobState, self string) {
	add := func(code, hint, text string, args ...any) {
		r.Problems = append(r.Problems, state.Problem{Code: code, Text: fmt.Sprintf(text, args...), Hint: hint})
	}
	switch {
	case st.File == "":
		add("schedule_missing", installHint, "no backup is made by itself")
		return
	case st.Old:
		add("schedule_old", installHint+": it takes that over, and its password out of the file", "the agent of the plan's first version is installed: %s", st.File)
		return
	case !st.Ours:
		add("schedule_foreign", "look at that file; if you do not need it, move it away and "+installHint, "an agent of the same name starts another program: %s", st.File)
		return
	}
	if _, err := os.Stat(st.Program[0]); err != nil {
		add("schedule_program_gone", installHint+" with the program in its new place", "the schedule starts a program that is not there: %s", st.Program[0])
	} else if self != "" && self != st.Program[0] {
		add("schedule_other_program", installHint+" if this one should make the backups", "the schedule starts another copy of this program, %s", st.Program[0])
	}
	if planned := r.times(); !slices.Equal(sorted(r.Backup.At), planned) {
		add("schedule_differs", installHint, "the system starts it at %s, and the configuration says %s", strings.Join(sorted(r.Backup.At), ", "), strings.Join(planned, ", "))
	}
	if !st.Loaded {
		add("schedule_not_loaded", installHint, "the schedule is installed, but the system does not act on it: %s", st.Why)
	} else if n := len(r.Unstarted); n >= 2 {
		add("schedule_not_running", "on a Mac look at System Settings, General, Login Items: Maia Recovery must be allowed in the background",
			"on %d of the last days the system never started a backup: it was off or asleep, or does not keep to the schedule", n)
	}
}

// times are those of the configuration, in the order of the day, each once.
func (r *scheduleReport) times() []string {
	return slices.Compact(sorted(append([]string{r.At}, r.CatchUp...)))
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

func (a *app) printSchedule(r *scheduleReport) {
	now := a.Env.Now()
	switch {
	case !r.Backup.Installed:
		a.printf("Backups: not by themselves\n")
	case !r.PausedUntil.IsZero():
		a.printf("Backups: paused until %s\n", r.PausedUntil.In(now.Location()).Format("2 Jan 15:04"))
	default:
		a.printf("Backups: daily at %s, next %s\n", r.At, moment(now, r.NextBackup))
	}
	if l := r.LastRun; l != nil {
		a.printf("Last start: %s, %s\n", ago(now, l.At), outcomes[l.Outcome])
	}
	if r.Menu.Installed {
		a.printf("Menu: shown at login\n")
	} else {
		a.printf("Menu: not shown at login\n")
	}
	for _, p := range r.Problems {
		a.printf("  - %s\n    what to do: %s\n", clean(p.Text), p.Hint)
	}
}

// moment writes a time that is to come.
func moment(now, t time.Time) string {
	return t.In(now.Location()).Format("Mon 2 Jan 15:04")
}

// outcomes are what a start of the schedule came to, in words.
var outcomes = map[schedule.Outcome]string{
	schedule.Completed: "a complete backup",
	schedule.Warned:    "a backup, with something missing",
	schedule.Failed:    "failed",
	schedule.Cancelled: "cancelled",
	schedule.Drilled:   "a restore drill; the day's backup was done",
	schedule.WasDone:   "nothing to do",
	schedule.WasPaused: "nothing, since backups were paused",
	schedule.WasBusy:   "nothing, since another run was active",
}

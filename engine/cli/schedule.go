package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/config"
	"maia-dr/engine/fsx"
	"maia-dr/engine/schedule"
	"maia-dr/launchd"
	"maia-dr/launchd/systemd"
)

func (a *app) scheduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "schedule", Short: "Have backups made by themselves, every day", Args: argsBetween(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.scheduleInstall(), a.scheduleRemove(), a.scheduleStatus())
	return cmd
}

// onlyFlag chooses one of the two jobs.
func onlyFlag(cmd *cobra.Command, only *string) {
	cmd.Flags().StringVar(only, "only", "", "only one of the two `PART`s: backup (daily) or menu (at login)")
	completeFlag(cmd, "only", completeWords("backup", "menu"))
}

func checkOnly(cmd *cobra.Command, only string) error {
	if only != "" && only != "backup" && only != "menu" {
		return usageErrorFor(cmd, fmt.Errorf("--only takes backup or menu, not %q", only))
	}
	return nil
}

func (a *app) scheduleInstall() *cobra.Command {
	var at, only string
	cmd := &cobra.Command{
		Use: "install", Short: "Back up daily, and show the menu at login", Args: argsBetween(0, 0),
		Long: `Have the system start a backup every day, and again at the times of schedule.catch_up in case the first was missed
(asleep, off) or failed: there is one complete backup a day, never two. On a Mac these are LaunchAgents, on Linux systemd
units of yours. A LaunchAgent of the plan's first version is taken over: its password goes into the Keychain.`,
		Example: `  maia-dr schedule install
  maia-dr schedule install --at 02:30
  maia-dr schedule install --only menu`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOnly(cmd, only); err != nil {
				return err
			}
			if at != "" {
				if _, err := schedule.ParseClock(at); err != nil {
					return usageErrorFor(cmd, fmt.Errorf("--at: %w", err))
				}
			}
			out, err := a.installSchedule(cmd.Context(), at, only)
			if err != nil {
				return err
			}
			if a.flags.json {
				return a.writeJSON(out)
			}
			a.printInstalled(out)
			return nil
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "when the daily backup begins, local `TIME` (default schedule.at, 03:00)")
	onlyFlag(cmd, &only)
	return cmd
}

// installedJobs is the JSON of schedule install.
type installedJobs struct {
	Version int            `json:"version"`
	At      string         `json:"at"`
	CatchUp []string       `json:"catch_up"`
	Jobs    []installedJob `json:"jobs"`
}

type installedJob struct {
	Label   string   `json:"label"`
	Files   []string `json:"files"`
	Changed bool     `json:"changed"`
	Changes []string `json:"changes,omitempty"`
	Note    string   `json:"note,omitempty"`
}

// installSchedule installs the jobs. An agent of the plan's first version keeps its time of day, unless at says
// another.
func (a *app) installSchedule(ctx context.Context, at, only string) (*installedJobs, error) {
	e, err := a.engine(nil)
	if err != nil {
		return nil, err
	}
	if err := a.noScheduledRun(e); err != nil {
		return nil, err
	}
	if only != "menu" {
		if at, err = a.takeOver(ctx, e, at); err != nil {
			return nil, err
		}
		if at != "" && at != e.Plan().At.String() {
			if err := a.configure("schedule.at", at); err != nil {
				return nil, err
			}
			if e, err = a.engine(nil); err != nil {
				return nil, err
			}
		}
	}
	jobs, err := a.jobs(e, only)
	if err != nil {
		return nil, err
	}
	plan := e.Plan()
	out := &installedJobs{Version: 1, At: plan.At.String(), Jobs: []installedJob{}, CatchUp: []string{}}
	for _, c := range plan.CatchUp {
		out.CatchUp = append(out.CatchUp, c.String())
	}
	for _, j := range jobs {
		if j.Label == BackupLabel {
			// Before it is loaded: it starts at once then.
			if err := e.ScheduleInstalled(true); err != nil {
				return nil, err
			}
		}
		res, err := a.scheduler().Install(ctx, j)
		if err != nil {
			return nil, scheduleError("install the schedule", err)
		}
		out.Jobs = append(out.Jobs, installedJob{Label: j.Label, Files: res.Files, Changed: res.Changed, Changes: res.Changes, Note: res.Note})
	}
	return out, nil
}

// takeOver prepares the agent of the plan's first version for being replaced: its password goes into the Keychain, its
// time of day is kept.
func (a *app) takeOver(ctx context.Context, e *engine.Engine, at string) (string, error) {
	st, err := a.scheduler().Status(ctx, BackupLabel)
	if err != nil {
		return "", scheduleError("look at the schedule", err)
	}
	if !st.Old {
		return at, nil
	}
	a.say("There is an agent of the plan's first version: it is taken over.\n")
	err = a.aside(func() error { return a.importPassword(ctx, e, st.File) })
	// Whatever else it is: the file may have the only copy of the password, and installing takes it out.
	if err != nil && !errors.Is(err, engine.ErrNoOldPassword) {
		return "", err
	}
	if at == "" && len(st.At) > 0 {
		at = st.At[0].String()
	}
	return at, nil
}

// aside runs what tells of itself on standard output, where that is to be one JSON object, with its text on standard
// error.
func (a *app) aside(do func() error) error {
	if !a.flags.json {
		return do()
	}
	out := a.Out
	a.Out = a.Err
	defer func() { a.Out = out }()
	return do()
}

// noScheduledRun makes sure that no change of the schedule ends a run.
func (a *app) noScheduledRun(e *engine.Engine) error {
	lock, err := e.State().LockSchedule()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // no state directory, no run
	case errors.Is(err, fsx.ErrLocked):
		return &engine.Error{Op: "change the schedule", Code: engine.CodeBusy, Err: errors.New("a scheduled run is at work, and the change would end it")}
	case err != nil:
		return &engine.Error{Op: "change the schedule", Code: engine.CodeFailed, Err: err}
	}
	return lock.Unlock()
}

// configure sets one key in the configuration file.
func (a *app) configure(key, value string) error {
	path := a.configPath()
	fail := func(err error) error {
		return &engine.Error{Op: "change the configuration", Path: path, Code: engine.CodeConfig, Err: err}
	}
	// Where it is a link into a collection of such files, that is what is changed.
	target, mode := path, fs.FileMode(0o644)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		target = real
	}
	if fi, err := os.Stat(target); err == nil {
		mode = fi.Mode().Perm()
	}
	b, err := os.ReadFile(target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	b, err = config.Set(b, key, value)
	if err != nil {
		return fail(err)
	}
	var disk *fsx.FS
	if err := disk.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return fail(err)
	}
	err = disk.WriteDurable(target, mode, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(b))
		return err
	})
	if err != nil {
		return fail(err)
	}
	a.say("Set %s to %q in %s.\n", key, clean(value), clean(path))
	return nil
}

// scheduleError gives the errors of launchd and systemd their remedy.
func scheduleError(op string, err error) error {
	if _, ok := errors.AsType[*engine.Error](err); ok {
		return err
	}
	out := &engine.Error{Op: op, Code: engine.CodeFailed, Err: err, Hint: "see what there is with `maia-dr schedule status`, and try again"}
	switch {
	case errors.Is(err, launchd.ErrForeign), errors.Is(err, systemd.ErrForeign), errors.Is(err, launchd.ErrPlist):
		out.Hint = "look at that file; if you do not need it, move it away and try again"
	case errors.Is(err, systemd.ErrNone):
		out.Hint = "`crontab -e`, and a line like: 0 3,9,13,18,22 * * * maia-dr backup --scheduled --quiet"
	case errors.Is(err, launchd.ErrNoDesktop):
		out.Hint = "the file is in place: it counts from your next login on"
	}
	return out
}

func (a *app) printInstalled(out *installedJobs) {
	for _, j := range out.Jobs {
		switch {
		case j.Label == MenuLabel:
			a.printf("The menu is shown at login.\n")
		case len(out.CatchUp) == 0:
			a.printf("A backup is made every day at %s.\n", out.At)
		default:
			a.printf("A backup is made every day at %s; if that was missed or failed, at %s or at login.\n", out.At, strings.Join(out.CatchUp, ", "))
		}
		for _, f := range j.Files {
			a.say("  %s\n", clean(f))
		}
		for _, c := range j.Changes {
			a.say("  %s\n", clean(c))
		}
		if j.Note != "" {
			a.say("  note: %s\n", clean(j.Note))
		}
	}
}

func (a *app) scheduleRemove() *cobra.Command {
	var only string
	cmd := &cobra.Command{
		Use: "remove", Short: "Make no more backups by itself", Args: argsBetween(0, 0),
		Long: "Take the schedule back. Backups and everything else stay. A menu that is shown stays until it is closed.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOnly(cmd, only); err != nil {
				return err
			}
			removed, err := a.removeSchedule(cmd.Context(), only, false)
			if err != nil {
				return err
			}
			if a.flags.json {
				return a.writeJSON(struct {
					Version int      `json:"version"`
					Removed []string `json:"removed"`
				}{1, removed})
			}
			if len(removed) == 0 {
				a.printf("There was no schedule.\n")
			}
			if slices.Contains(removed, BackupLabel) {
				a.printf("No backup is made by itself any more.\n")
			}
			if slices.Contains(removed, MenuLabel) {
				a.printf("The menu is no longer shown at login.\n")
			}
			return nil
		},
	}
	onlyFlag(cmd, &only)
	return cmd
}

// removeSchedule removes the jobs and returns the labels of those there were. closeMenu ends a menu that is shown, too.
func (a *app) removeSchedule(ctx context.Context, only string, closeMenu bool) (removed []string, err error) {
	e, err := a.engine(nil)
	if err != nil {
		return nil, err
	}
	removed = []string{}
	if only != "menu" {
		if err := a.noScheduledRun(e); err != nil {
			return nil, err
		}
	}
	for _, job := range []struct {
		only, label string
		stop        bool
	}{{"backup", BackupLabel, true}, {"menu", MenuLabel, closeMenu}} {
		if only != "" && only != job.only {
			continue
		}
		there, err := a.scheduler().Remove(ctx, job.label, job.stop)
		if err != nil {
			err = scheduleError("remove the schedule", err)
		}
		if there {
			removed = append(removed, job.label)
		}
		noted := job.label == BackupLabel && !e.State().LoadSchedule().InstalledAt.IsZero()
		if noted && (there || err == nil) {
			// Also with an error, and where an earlier removal was cut off: nothing starts a backup any more, and nobody is to be
			// told that one is overdue.
			err = errors.Join(err, e.ScheduleInstalled(false))
		}
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// scheduler is that of the home in use, made once.
func (a *app) scheduler() Scheduler {
	if a.jobsOf == nil {
		a.jobsOf = a.Scheduler(a.home())
	}
	return a.jobsOf
}

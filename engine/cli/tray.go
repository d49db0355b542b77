package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
	"maia-dr/tray"
	"maia-dr/tray/menu"
	"maia-dr/tray/notify"
)

const trayName = "tray"

func (a *app) trayCommand() *cobra.Command {
	var printed bool
	var pause string
	cmd := &cobra.Command{
		Use: trayName, Short: "Show the menu in the menu bar", Args: argsBetween(0, 0),
		Long: `Show the menu in the menu bar, until it is told to quit. It is what maia-dr does without a command.

A second one leaves it to the first. With --print the menu is written as text, which needs no screen.`,
		Example: `  maia-dr tray --print
  maia-dr tray --pause tomorrow`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case printed:
				return a.printMenu(cmd)
			case pause != "":
				return a.pause(pause)
			}
			return a.tray(cmd)
		},
	}
	cmd.Flags().BoolVar(&printed, "print", false, "write the menu as text")
	cmd.Flags().StringVar(&pause, "pause", "", "pause scheduled backups; `WHEN` is hour, tomorrow (until then), or off")
	completeFlag(cmd, "pause", completeWords("hour", "tomorrow", "off"))
	return cmd
}

// tray shows the menu.
func (a *app) tray(cmd *cobra.Command) error {
	if a.flags.json {
		return usageErrorFor(cmd, errors.New("--json needs a command"))
	}
	o, err := a.trayOptions(cmd)
	if err != nil {
		return err
	}
	err = tray.Run(cmd.Context(), o)
	switch {
	case errors.Is(err, tray.ErrAlready):
		a.say("Maia Recovery is in the menu bar already.\n")
		return nil
	case errors.Is(err, notify.ErrNoScreen):
		return &engine.Error{Op: "show the menu", Code: engine.CodeFailed, Err: errors.New("there is no desktop session"),
			Hint: "run it on the desktop; `maia-dr tray --print` writes the menu as text, and `maia-dr --help` lists the commands"}
	}
	return err
}

// trayOptions connects the menu with this program.
func (a *app) trayOptions(cmd *cobra.Command) (tray.Options, error) {
	e, err := a.engine(nil)
	if err != nil {
		return tray.Options{}, err
	}
	program, err := os.Executable()
	if err != nil {
		return tray.Options{}, fmt.Errorf("find this program: %w", err)
	}
	root := cmd.Root()
	has := func(name string) bool {
		c, _, err := root.Find([]string{name})
		return err == nil && c != root
	}
	o := tray.Options{
		StateDir: e.State().Path, Prepare: func() error { return prepareState(e) }, FS: e.State().FS, Now: a.Env.Now, Getenv: a.Env.Getenv, UID: os.Getuid(),
		Engine: &trayEngine{e}, Program: program, Flags: a.childFlags(), Version: a.Version, Keeper: a.keeper(e),
		Log: a.logger(filepath.Join(filepath.Dir(e.State().LogFile()), "maia-dr-menu.log")),
		Can: menu.Capabilities{
			Terminal: tray.HasTerminal(), Report: has("report"), Doctor: has("doctor"), Schedule: has("schedule"), OneDrive: has("onedrive"),
		},
	}
	if o.Can.Schedule {
		o.Scheduler = tray.CommandScheduler{Program: o.Program, Flags: o.Flags}
	}
	return o, nil
}

// prepareState makes the state directory.
func prepareState(e *engine.Engine) error {
	if err := e.State().Create(); err != nil {
		return &engine.Error{Op: "prepare the state directory", Path: e.State().Path, Code: engine.CodeReadOnly, Err: err}
	}
	return nil
}

// childFlags are the flags that make a child work on the same as this process.
func (a *app) childFlags() []string {
	var out []string
	for _, f := range []struct{ name, value string }{
		{"home", a.flags.home}, {"maia-root", a.flags.root}, {"onedrive-path", a.flags.oneDrive},
		{"state-dir", a.flags.stateDir}, {"config", a.flags.config},
	} {
		if f.value == "" {
			continue
		}
		if abs, err := filepath.Abs(f.value); err == nil {
			f.value = abs
		}
		out = append(out, "--"+f.name, f.value)
	}
	return out
}

func (a *app) printMenu(cmd *cobra.Command) error {
	o, err := a.trayOptions(cmd)
	if err != nil {
		return err
	}
	m := tray.Print(cmd.Context(), o)
	if a.flags.json {
		return a.writeJSON(map[string]any{"version": 1, "icon": m.Icon, "tooltip": m.Tooltip, "text": m.String()})
	}
	a.printf("%s", m)
	return nil
}

// pause pauses scheduled backups.
func (a *app) pause(word string) error {
	e, err := a.engine(nil)
	if err != nil {
		return err
	}
	if word == "off" {
		word = ""
	}
	var c tray.Choices
	now := a.Env.Now()
	if err := c.Pause(word, now); err != nil {
		return usageError(err)
	}
	c, err = a.choose(e, func(c *tray.Choices) { _ = c.Pause(word, now) })
	if err != nil {
		return err
	}
	if c.PausedUntil.IsZero() {
		a.printf("Scheduled backups are not paused.\n")
	} else {
		a.printf("Scheduled backups are paused until %s.\n", c.PausedUntil.Local().Format("2 January 15:04"))
	}
	return nil
}

// choose changes what the owner chose.
func (a *app) choose(e *engine.Engine, change func(*tray.Choices)) (tray.Choices, error) {
	if err := prepareState(e); err != nil {
		return tray.Choices{}, err
	}
	return tray.ChangeChoices(e.State().Path, e.State().FS, a.Env.Now(), change)
}

// trayEngine is what the menu sees of the engine.
type trayEngine struct{ e *engine.Engine }

// Look implements tray.Engine. The status takes no context: it keeps to limits of its own.
func (t *trayEngine) Look(context.Context) (tray.Look, error) {
	raw, _, err := t.e.State().ReadStatus()
	if err != nil {
		return tray.Look{}, err
	}
	if raw.Version > menu.StatusVersion {
		return tray.Look{}, menu.ErrNewer
	}
	s, err := t.e.Status()
	if err != nil {
		return tray.Look{}, err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return tray.Look{}, err
	}
	var out tray.Look
	if out.Status, err = menu.Decode(b); err != nil {
		return tray.Look{}, err
	}
	// A repository that cannot be listed has no backups here, and is a problem in the status.
	if l, err := t.e.List(); err == nil && s.Backups > 0 {
		out.Recent = recent(l, filepath.Join(s.OneDrive.Path, repository.DirName))
	}
	return out, nil
}

// recent are the newest complete backups of a list.
func recent(l *engine.ListResult, repo string) (out []menu.Backup) {
	for _, b := range l.Backups {
		if b.State == engine.StateComplete && len(out) < menu.MaxRecent {
			out = append(out, menu.Backup{BackupID: b.BackupID, CreatedAt: b.CreatedAt, Path: filepath.Join(repo, b.BackupID)})
		}
	}
	return out
}

// Glance implements tray.Engine.
func (t *trayEngine) Glance() (string, *menu.Run, error) {
	s, activity, err := t.e.State().ReadStatus()
	if err != nil {
		return "", nil, err
	}
	return string(activity), menuRun(s.Run), nil
}

func menuRun(r *state.Run) *menu.Run {
	if r == nil {
		return nil
	}
	return &menu.Run{Kind: r.Kind, PID: r.PID, StartedAt: r.StartedAt, Phase: string(r.Phase), DoneBytes: r.DoneBytes, TotalBytes: r.TotalBytes, UpdatedAt: r.UpdatedAt}
}

// cleanKey makes sure that what is muted is a key of a problem.
func cleanKey(key string) (string, error) {
	if key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		return "", usageError(fmt.Errorf("%q is no problem's code; `maia-dr status --json` has them", key))
	}
	return key, nil
}

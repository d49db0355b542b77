package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"maia-dr/engine"
	"maia-dr/engine/config"
	"maia-dr/engine/schedule"
	"maia-dr/launchd"
	"maia-dr/launchd/systemd"
)

// Scheduler has the system start programs by itself.
type Scheduler interface {
	// Install describes the job to the system, anew if it is there already.
	Install(ctx context.Context, j schedule.Job) (*schedule.Installed, error)
	// Remove takes it back; stop ends what runs of it. It reports whether there was anything.
	Remove(ctx context.Context, label string, stop bool) (bool, error)
	// Status says what the system knows of it.
	Status(ctx context.Context, label string) (schedule.JobState, error)
}

// Labels of the jobs. The first is the plan's own: an installation of that is taken over in place.
const (
	BackupLabel = "com.maia.disaster-recovery"
	MenuLabel   = "com.maia.recovery-menu"
)

// systemScheduler is that of this machine. With another home than the session's own it only writes files.
func systemScheduler(env engine.Env) func(home string) Scheduler {
	return func(home string) Scheduler {
		elsewhere := home != env.Home
		if launchd.Supported {
			return launchd.Manager{Home: home, UID: os.Getuid(), Run: launchd.Run, Elsewhere: elsewhere}
		}
		folder := env.Getenv("XDG_CONFIG_HOME")
		if elsewhere || !filepath.IsAbs(folder) {
			folder = filepath.Join(home, ".config")
		}
		return systemd.Manager{Config: folder, Run: launchd.Run, Elsewhere: elsewhere}
	}
}

// executable is the path of this program under which it can be found again: the bundle's own where the command is a link
// into it, so that all its processes are one identity to the Keychain; Homebrew's link that stays when the version changes.
func executable() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return cellar.ReplaceAllString(path, "$1/opt/$2/")
}

var cellar = regexp.MustCompile(`^(.*)/Cellar/([^/]+)/[^/]+/`)

// fleeting says why a program's path will not be there tomorrow; empty: it will.
func fleeting(path string) string {
	switch {
	case path == "":
		return "the path of this program is not known"
	case strings.Contains(path, "/AppTranslocation/"):
		return "macOS runs it from a temporary place: move Maia Recovery.app into Applications and open it once"
	case strings.HasPrefix(path, "/Volumes/"):
		return "it lies on a disk image or another volume: move Maia Recovery.app into Applications first"
	case strings.Contains(path, "/go-build"):
		return "`go run` has built it for this once: build it with `make build` or `make app`, and run that"
	}
	return ""
}

// jobs describes what is to be started by itself: the backups, the menu, or both.
func (a *app) jobs(e *engine.Engine, only string) ([]schedule.Job, error) {
	fail := func(err error) ([]schedule.Job, error) {
		return nil, &engine.Error{Op: "install the schedule", Code: engine.CodeFailed, Err: err, Hint: "put the program where it can stay, and run it from there"}
	}
	if why := fleeting(a.Executable); why != "" {
		return fail(errors.New(why))
	}
	pins, err := a.pins(e)
	if err != nil {
		return nil, err
	}
	backup := schedule.Job{Label: BackupLabel, Description: "Maia Recovery: back up into OneDrive", Background: true,
		Program: slices.Concat([]string{a.Executable, "backup", "--scheduled"}, pins), At: e.Plan().Clocks()}
	menu := schedule.Job{Label: MenuLabel, Description: "Maia Recovery: the menu bar",
		Program: slices.Concat([]string{a.Executable, "tray"}, pins)}
	switch only {
	case "backup":
		return []schedule.Job{backup}, nil
	case "menu":
		return []schedule.Job{menu}, nil
	}
	if _, mac := a.scheduler().(launchd.Manager); !mac && a.Env.Getenv("XDG_CURRENT_DESKTOP") == "" {
		return []schedule.Job{backup}, nil // no desktop, no menu
	}
	return []schedule.Job{backup, menu}, nil
}

// pins are the flags without which the program, started with no environment in another folder, would look elsewhere.
func (a *app) pins(e *engine.Engine) (flags []string, err error) {
	add := func(name, path string) error {
		abs, err := filepath.Abs(path)
		flags = append(flags, name, abs)
		return err
	}
	root, err := e.Root()
	if err != nil {
		return nil, err
	}
	if a.flags.home != "" {
		err = add("--home", a.home())
	}
	if a.flags.config != "" {
		err = errors.Join(err, add("--config", a.flags.config))
	}
	bare, berr := a.bareEngine("")
	if err = errors.Join(err, berr); err != nil {
		return nil, err
	}
	if dir := e.State().Path; dir != bare.State().Path {
		// Named by a flag or the environment, XDG_STATE_HOME among it.
		if err := add("--state-dir", dir); err != nil {
			return nil, err
		}
		if bare, err = a.bareEngine(dir); err != nil {
			return nil, err
		}
	}
	if found, err := bare.Root(); err != nil || found != root {
		flags = append(flags, "--maia-root", root)
	}
	folder, err := e.OneDriveFolder()
	if err != nil {
		a.say("The OneDrive folder is not known yet: the scheduled backups fail until it is (%s).\n", clean(err.Error()))
		return flags, nil
	}
	if found, err := bare.OneDriveFolder(); err != nil || found.Path != folder.Path {
		flags = append(flags, "--onedrive-path", folder.Path)
	}
	return flags, nil
}

// bareEngine is an engine as the system will start it: without environment, flags and current folder, but for a state
// directory that is named.
func (a *app) bareEngine(stateDir string) (*engine.Engine, error) {
	env := a.Env
	env.Home, env.Cwd = a.home(), "/"
	env.Getenv = func(string) string { return "" }
	cfg, err := config.Load(a.configPath())
	if err != nil {
		return nil, &engine.Error{Op: "read the configuration", Path: a.configPath(), Code: engine.CodeConfig, Err: err}
	}
	return engine.New(env, engine.Options{Config: cfg, StateDir: stateDir}), nil
}

// configPath is where the configuration lies.
func (a *app) configPath() string {
	if a.flags.config != "" {
		return a.flags.config
	}
	return config.Path(a.home())
}

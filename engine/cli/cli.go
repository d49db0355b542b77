// Package cli is the command line: one file per command, each a thin layer that turns flags into an engine call and
// its result into text or JSON. Standard output carries the answer, standard error everything else, prompts go to
// the terminal. Exit codes have one table.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/term"
	"gopkg.in/natefinch/lumberjack.v2"

	"maia-dr/engine"
	"maia-dr/engine/config"
	"maia-dr/engine/event"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/onedrive/graph"
	"maia-dr/engine/vault"
	"maia-dr/keychain"
	"maia-dr/launchd"
	"maia-dr/tray/notify"
)

// Program is everything the command line gets from outside.
type Program struct {
	Env     engine.Env
	Version string
	// Script is restore_maia.sh.
	Script []byte
	Args   []string
	In     io.Reader
	Out    io.Writer
	Err    io.Writer
	// Terminal reports whether Err is a terminal a person looks at, OutTerminal whether Out is.
	Terminal, OutTerminal bool
	// OpenTTY opens the terminal for a question; an error means that there is nobody to ask.
	OpenTTY func() (io.ReadWriteCloser, error)
	// ReadPassword asks a question on the terminal and returns what is typed, without showing it.
	ReadPassword func(question string) ([]byte, error)
	// Provider, Helper and Evicted are as in engine.Options: what is asked about uploads (nil: the system's), how the program
	// starts itself as a child, and what lies in the cloud only (nil: what the file system says).
	Provider func(folder string) onedrive.Provider
	Helper   onedrive.Helper
	Evicted  func(path string) bool
	// Graph says where Microsoft's services are, for tests; OpenURL shows a page in the browser.
	Graph   graph.Options
	OpenURL func(ctx context.Context, address string) error
	// Screen shows notifications; nil: there is no screen.
	Screen notify.Channel
	// Keychain makes the store of passwords, of a backend as the configuration calls it.
	Keychain func(backend string) keychain.Store
	// Executable is this program's path, as the system is to start it; empty: not known.
	Executable string
	// Scheduler makes what has the system start programs by itself, for the agents of a home folder.
	Scheduler func(home string) Scheduler
	// KeepAwake keeps the machine from falling asleep by itself until release is called; nil: nothing does.
	KeepAwake func(ctx context.Context) (release func())
	// AsksForAccess: the system asks the person before a program may use some folders.
	AsksForAccess bool
}

// NewProgram connects the command line with the process's own streams and terminal.
func NewProgram(env engine.Env, in, out, err *os.File) Program {
	return Program{
		Env: env, In: in, Out: out, Err: err, Terminal: term.IsTerminal(int(err.Fd())), OutTerminal: term.IsTerminal(int(out.Fd())),
		OpenTTY: openTTY, ReadPassword: func(question string) ([]byte, error) { return readPassword(question, env.PID) }, Helper: helper(), OpenURL: openURL, Screen: notify.Screen(env.Getenv, os.Getuid()),
		Keychain:   func(backend string) keychain.Store { return keychain.System(keychain.Options{Backend: backend}) },
		Executable: executable(), Scheduler: systemScheduler(env), KeepAwake: keepAwake(env.PID),
		AsksForAccess: launchd.Supported,
	}
}

// helper is this program as its own child.
func helper() onedrive.Helper {
	self, err := os.Executable()
	if err != nil {
		return onedrive.Helper{}
	}
	return onedrive.Helper{Path: self, Args: []string{filepath.Base(self), onedrive.HelperCommand}}
}

// globals are the flags that every command has.
type globals struct {
	home, root, oneDrive, stateDir, config string
	json, quiet, verbose                   bool
}

// app is one run of the command line.
type app struct {
	Program
	ctx     context.Context // ends with Ctrl-C
	flags   globals
	exit    int // set by a command that is done but has something to say
	cleanup []func()
	// store is the Keychain, once it is needed.
	store           keychain.Store
	keychainBackend string
	// config and log are those of the engine that was made last.
	config config.Config
	log    zerolog.Logger
	// jobsOf is the scheduler, once it is needed; scheduled: the system started this run.
	jobsOf    Scheduler
	scheduled bool
	// password and restorePassword are what the engine is to have passwords from.
	password func(context.Context) (vault.Password, error)
}

// gcPercent is by how much the heap may grow before garbage is collected. The first backup of a database of 3.5 GB, with an index of
// 50 MB, peaks at 130 MB of memory so, and at 180 MB with Go's own 100 %; the time is the same.
const gcPercent = 50

// Run runs the command line and returns the exit code. It sets the garbage collector's aim for the whole process.
func Run(ctx context.Context, p Program) int {
	if set := debug.SetGCPercent(gcPercent); set != 100 {
		debug.SetGCPercent(set) // somebody's own
	}
	a := &app{Program: p, ctx: ctx}
	defer func() {
		for _, f := range a.cleanup {
			f()
		}
	}()
	root := a.root()
	root.SetArgs(p.Args)
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return a.exit
	}
	if _, ok := errors.AsType[*reportedError](err); !ok {
		a.report(err)
	}
	return exitCode(err)
}

// reportedError is an error that the user has been told already.
type reportedError struct{ err error }

func (r *reportedError) Error() string { return r.err.Error() }
func (r *reportedError) Unwrap() error { return r.err }

// report tells the user what failed and what to do next.
func (a *app) report(err error) {
	var known *engine.Error
	if !errors.As(err, &known) {
		known = &engine.Error{Op: err.Error(), Code: engine.CodeFailed}
		if errors.Is(err, context.Canceled) {
			known = &engine.Error{Op: "cancelled", Code: engine.CodeCancelled}
		}
	}
	fmt.Fprintf(a.Err, "maia-dr: %s\n", cleanLines(known.Error()))
	if advice := known.Advice(); advice != "" {
		fmt.Fprintf(a.Err, "  what to do: %s\n", advice)
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "maia-dr",
		Short: "Back up Maia into OneDrive, and bring it back on a fresh Mac",
		Long: `maia-dr backs up a developer's working system ("Maia") into the OneDrive folder, proves that the
backup is whole, and brings everything back on a fresh Mac with one command.

Maia is one folder, the Maia root, with what belongs to it in your home: LaunchAgents, shell files, lists of packages.
Any folder can be the root.

It answers three questions: is my work safe, is it in the cloud, would a restore work? What it does not know, it
does not show as success. Without a command it shows the menu in the menu bar.`,
		Example: `  maia-dr setup                           # from nothing to a proven backup
  maia-dr backup                          # one more, now
  maia-dr status                          # the three answers
  maia-dr list                            # the backups, newest first
  maia-dr restore --to ~/look --dry-run   # what a restore would do
  maia-dr restore --path CLAUDE.md        # one file, beside the original
  maia-dr drill                           # prove that a restore works`,
		SilenceUsage: true, SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError(fmt.Errorf("there is no command %q", args[0]))
			}
			return nil
		},
		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			if cmd.Name() != trayName && cmd.HasParent() {
				// The library of the menu bar binds main to its thread, which makes every hand-over to it slow.
				runtime.UnlockOSThread()
			}
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return a.tray(cmd) },
	}
	f := root.PersistentFlags()
	f.StringVar(&a.flags.home, "home", "", "the user's home `DIR`: agents, shell files, OneDrive and state are found under it")
	f.StringVar(&a.flags.root, "maia-root", "", "the `DIR` to protect (or MAIA_ROOT)")
	f.StringVar(&a.flags.oneDrive, "onedrive-path", "", "the OneDrive `DIR` (or MAIA_ONEDRIVE_PATH)")
	f.StringVar(&a.flags.stateDir, "state-dir", "", "the `DIR` for this machine's state (or MAIA_DR_STATE_DIR)")
	f.StringVar(&a.flags.config, "config", "", "the configuration `FILE` (default ~/.config/maia-dr/config.toml)")
	f.BoolVar(&a.flags.json, "json", false, "write JSON")
	f.BoolVar(&a.flags.quiet, "quiet", false, "say only what is needed")
	f.BoolVar(&a.flags.verbose, "verbose", false, "say more")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageErrorFor(cmd, err)
	})
	root.AddCommand(a.backupCommand(), a.listCommand(), a.showCommand(), a.findCommand(), a.diffCommand(), a.exportCommand(), a.verifyCommand(), a.restoreCommand(), a.drillCommand(),
		a.pruneCommand(), a.statusCommand(), a.reportCommand(), a.doctorCommand(), a.scheduleCommand(), a.passwordCommand(), a.oneDriveCommand(), a.trayCommand(), a.notifyCommand(),
		a.setupCommand(), a.uninstallCommand(), a.probeCommand(), a.helperCommand(), a.demoCommand(), a.completionCommand(), a.versionCommand())
	root.SetHelpCommand(a.helpCommand())
	root.InitDefaultHelpCmd()
	for _, t := range topics() {
		root.AddCommand(t.command())
	}
	completePlainly(root)
	foldHelp(root)
	return root
}

func usageError(err error) error {
	return &engine.Error{Op: "read the command line", Code: engine.CodeUsage, Err: err}
}

func usageErrorFor(cmd *cobra.Command, err error) error {
	return &engine.Error{Op: "read the command line", Code: engine.CodeUsage, Err: err,
		Hint: fmt.Sprintf("see `%s --help`", cmd.CommandPath())}
}

// argsBetween is cobra's argument check with our error; high below 0: any number.
func argsBetween(low, high int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < low {
			return usageErrorFor(cmd, fmt.Errorf("an argument is missing: %s", cmd.UseLine()))
		}
		if high >= 0 && len(args) > high {
			return usageErrorFor(cmd, fmt.Errorf("%q is one argument too many", args[high]))
		}
		return nil
	}
}

// engine builds the engine from the flags. sink may be nil.
func (a *app) engine(sink event.Sink) (*engine.Engine, error) {
	env := a.Env
	env.Home = a.home()
	if a.flags.home != "" {
		// The state directory is then found under that home, whatever the session's own is.
		getenv := env.Getenv
		env.Getenv = func(name string) string {
			if name == "XDG_STATE_HOME" {
				return ""
			}
			return getenv(name)
		}
	}
	path := a.configPath()
	if a.flags.config != "" {
		if _, err := os.Stat(path); err != nil {
			return nil, &engine.Error{Op: "read the configuration", Path: path, Code: engine.CodeConfig, Err: err}
		}
	}
	cfg, err := config.Load(path)
	if err != nil {
		return nil, &engine.Error{Op: "read the configuration", Path: path, Code: engine.CodeConfig, Err: err}
	}
	opt := engine.Options{
		MaiaRoot: a.flags.root, OneDrivePath: a.flags.oneDrive, StateDir: a.flags.stateDir, Config: cfg,
		Version: a.Version, Script: a.Script, Sink: sink, Log: zerolog.Nop(), Password: a.password, KeychainItem: a.keychainItem,
		Provider: a.Provider, Helper: a.Helper, Evicted: a.Evicted,
	}
	// With another --home the session is still that of the user's own: its agents are left alone.
	if launchd.Supported && env.Home == a.Env.Home {
		opt.LoadAgent = func(ctx context.Context, label, path string) error {
			return launchd.Load(ctx, launchd.Run, os.Getuid(), path, label)
		}
	}
	if cfg.Secrets.KeychainBackend == config.BackendSecurity {
		a.keychainBackend = keychain.BackendSecurity
	}
	e := engine.New(env, opt)
	logFile := e.State().LogFile()
	if a.scheduled {
		logFile = e.State().ScheduleLogFile()
	}
	opt.Log = a.logger(logFile)
	a.config, a.log = cfg, opt.Log
	return engine.New(env, opt), nil
}

// home returns the home folder that everything personal is found under.
func (a *app) home() string {
	if a.flags.home == "" {
		return a.Env.Home
	}
	if home, err := filepath.Abs(a.flags.home); err == nil {
		return home
	}
	return a.flags.home
}

// logger writes the log of this machine's runs: 5 files of 2 MB, then the oldest goes.
func (a *app) logger(path string) zerolog.Logger {
	out := &lumberjack.Logger{Filename: path, MaxSize: 2, MaxBackups: 4}
	a.cleanup = append(a.cleanup, func() { _ = out.Close() })
	level := zerolog.InfoLevel
	if a.flags.verbose {
		level = zerolog.DebugLevel
	}
	now := a.Env.Now
	hook := zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) {
		e.Str("time", now().UTC().Format(time.RFC3339))
	})
	return zerolog.New(existingDirOnly{path: filepath.Dir(path), w: out}).Level(level).Hook(hook)
}

// existingDirOnly drops what is written before the state directory exists: a command that only reads makes none.
type existingDirOnly struct {
	path string
	w    io.Writer
}

func (d existingDirOnly) Write(p []byte) (int, error) {
	if _, err := os.Stat(d.path); err != nil {
		return len(p), nil //nolint:nilerr // a command that only reads makes no folder
	}
	return d.w.Write(p)
}

func (a *app) printf(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }

// say writes to standard error unless --quiet or --json.
func (a *app) say(format string, args ...any) {
	if !a.flags.quiet && !a.flags.json {
		fmt.Fprintf(a.Err, format, args...)
	}
}

// Package systemd has the service manager of a Linux user start a job: a service and a timer below
// ~/.config/systemd/user. A job without times of day is what a desktop starts at login: an entry below
// ~/.config/autostart. Of systemctl only exit codes count.
package systemd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"maia-dr/engine/fsx"
	"maia-dr/engine/schedule"
)

var (
	// ErrNone says that there is no systemd on this machine.
	ErrNone = errors.New("there is no systemd here: have cron start `maia-dr backup --scheduled` some times a day, it makes one backup a day")
	// ErrForeign says that a unit of the same name starts another program.
	ErrForeign = errors.New("a unit of this name starts another program")
	// ErrRefused says that systemctl failed.
	ErrRefused = errors.New("systemd refused it; `systemctl --user status` may say why")
)

// unreachable is why nothing is loaded where there is a systemd, but none for this session.
const unreachable = "systemd's user manager cannot be reached from here: it begins with your next login on a machine that runs one"

// Runner runs a tool to its end and returns its exit code. An error says that it could not be run, and matches
// fs.ErrNotExist if it is not there.
type Runner func(ctx context.Context, name string, args ...string) (exit int, err error)

// Manager installs the jobs of one user.
type Manager struct {
	// Config is the user's configuration folder, ~/.config as a rule.
	Config string
	Run    Runner
	FS     *fsx.FS
	// Elsewhere: Config is not that of the session's user, so only files are written.
	Elsewhere bool
}

const systemctl = "systemctl"

func (m Manager) units() string { return filepath.Join(m.Config, "systemd", "user") }

func (m Manager) path(label, suffix string) string {
	if suffix == ".desktop" {
		return filepath.Join(m.Config, "autostart", label+suffix)
	}
	return filepath.Join(m.units(), label+suffix)
}

// wants is the link that has the timer started with the session, where systemctl cannot make it.
func (m Manager) wants(label string) string {
	return filepath.Join(m.units(), "timers.target.wants", label+".timer")
}

// file is one that describes a job.
type file struct {
	path    string
	content []byte
}

func (m Manager) files(j schedule.Job) ([]file, error) {
	if len(j.At) == 0 {
		b, err := Autostart(j)
		return []file{{m.path(j.Label, ".desktop"), b}}, err
	}
	service, err := Service(j)
	if err != nil {
		return nil, err
	}
	timer, err := Timer(j)
	return []file{{m.path(j.Label, ".service"), service}, {m.path(j.Label, ".timer"), timer}}, err
}

// Install writes the job's files and has systemd act on them. A unit that starts another program is left alone:
// ErrForeign.
func (m Manager) Install(ctx context.Context, j schedule.Job) (*schedule.Installed, error) {
	fail := func(err error) (*schedule.Installed, error) { return nil, fmt.Errorf("install %s: %w", j.Label, err) }
	files, err := m.files(j)
	if err != nil {
		return nil, err
	}
	timed := len(j.At) > 0
	reachable := false
	if timed && !m.Elsewhere {
		if reachable, err = m.reachable(ctx); err != nil {
			return fail(err)
		}
	}
	st, err := m.Status(ctx, j.Label)
	if err != nil {
		return nil, err
	}
	if st.File != "" && !st.Ours {
		return fail(fmt.Errorf("%s: %w", st.File, ErrForeign))
	}
	out := new(schedule.Installed)
	for _, f := range files {
		out.Files = append(out.Files, f.path)
		if was, err := os.ReadFile(f.path); err == nil && bytes.Equal(was, f.content) {
			continue
		}
		out.Changed = true
		if err := m.write(f); err != nil {
			return fail(err)
		}
	}
	switch {
	case !timed:
		return out, nil
	case reachable:
		return out, m.load(ctx, j.Label, out.Changed)
	case m.Elsewhere:
		out.Note = "it is not loaded: that home is not the home of this session"
	default:
		out.Note = unreachable
	}
	return out, m.link(j.Label)
}

func (m Manager) write(f file) error {
	if err := m.FS.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
		return err
	}
	return m.FS.WriteDurable(f.path, 0o644, func(w io.Writer) error {
		_, err := w.Write(f.content)
		return err
	})
}

// link does what systemctl enable does.
func (m Manager) link(label string) error {
	path := m.wants(label)
	if err := m.FS.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	err := m.FS.Symlink(m.path(label, ".timer"), path)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// load has the timer run from now on. It leaves a service that is at work alone.
func (m Manager) load(ctx context.Context, label string, changed bool) error {
	calls := [][]string{{"enable", label + ".timer"}, {"start", label + ".timer"}}
	if changed {
		calls = [][]string{{"daemon-reload"}, {"enable", label + ".timer"}, {"restart", label + ".timer"}}
	}
	for _, args := range calls {
		if err := m.call(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

func (m Manager) call(ctx context.Context, args ...string) error {
	exit, err := m.Run(ctx, systemctl, append([]string{"--user"}, args...)...)
	if err == nil && exit != 0 {
		err = fmt.Errorf("%w (systemctl --user %s: %d)", ErrRefused, args[0], exit)
	}
	return err
}

// reachable reports whether there is a user manager to talk to.
func (m Manager) reachable(ctx context.Context) (bool, error) {
	exit, err := m.Run(ctx, systemctl, "--user", "show-environment")
	if errors.Is(err, fs.ErrNotExist) {
		return false, ErrNone
	}
	return err == nil && exit == 0, err
}

// Remove stops the timer and removes the job's files. With stop a service that is at work is ended, too. It reports
// whether there was anything. A unit that starts another program is left alone: ErrForeign.
func (m Manager) Remove(ctx context.Context, label string, stop bool) (removed bool, err error) {
	st, err := m.Status(ctx, label)
	if err != nil {
		return false, err
	}
	if st.File == "" {
		return false, nil
	}
	if !st.Ours {
		return false, fmt.Errorf("remove %s: %s: %w", label, st.File, ErrForeign)
	}
	timed := filepath.Ext(st.File) == ".service"
	reachable := false
	if timed && !m.Elsewhere {
		// Where there is no systemd nothing has to be stopped.
		if reachable, err = m.reachable(ctx); err != nil && !errors.Is(err, ErrNone) {
			return false, err
		}
	}
	var problem error
	if reachable {
		problem = m.call(ctx, "disable", "--now", label+".timer")
		if stop {
			problem = errors.Join(problem, m.call(ctx, "stop", label+".service"))
		}
	}
	paths := []string{m.wants(label), m.path(label, ".timer"), m.path(label, ".service"), m.path(label, ".desktop")}
	for _, path := range paths {
		if err := m.FS.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("remove %s: %w", label, errors.Join(err, problem))
		}
	}
	if reachable {
		problem = errors.Join(problem, m.call(ctx, "daemon-reload"))
	}
	return true, problem
}

// Status says what is known of a job.
func (m Manager) Status(ctx context.Context, label string) (schedule.JobState, error) {
	var st schedule.JobState
	for _, suffix := range []string{".service", ".desktop"} {
		b, err := os.ReadFile(m.path(label, suffix))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return st, fmt.Errorf("look at %s: %w", label, err)
		}
		st.File, st.Program = m.path(label, suffix), program(b)
		st.Ours = len(st.Program) > 0 && filepath.Base(st.Program[0]) == "maia-dr"
		if suffix == ".desktop" {
			st.Loaded = !m.Elsewhere // a desktop looks when it starts
			return st, nil
		}
		return m.timerStatus(ctx, label, st)
	}
	return st, nil
}

func (m Manager) timerStatus(ctx context.Context, label string, st schedule.JobState) (schedule.JobState, error) {
	b, err := os.ReadFile(m.path(label, ".timer"))
	if err != nil {
		st.Why = "its timer cannot be read: " + err.Error()
		return st, nil //nolint:nilerr // it is the answer
	}
	st.At = times(b)
	if m.Elsewhere {
		st.Why = "that home is not the home of this session"
		return st, nil
	}
	reachable, err := m.reachable(ctx)
	switch {
	case errors.Is(err, ErrNone):
		st.Why = ErrNone.Error()
	case err != nil:
		st.Why = err.Error()
	case !reachable:
		st.Why = unreachable
	default:
		exit, err := m.Run(ctx, systemctl, "--user", "is-active", label+".timer")
		if st.Loaded = err == nil && exit == 0; !st.Loaded {
			st.Why = "its timer does not run: `systemctl --user status " + label + ".timer`"
		}
	}
	return st, nil
}

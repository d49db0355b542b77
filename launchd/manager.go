package launchd

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"maia-dr/engine/fsx"
	"maia-dr/engine/schedule"
)

// Manager installs agents of one user.
type Manager struct {
	// Home is the user's home folder.
	Home string
	UID  int
	Run  Runner
	FS   *fsx.FS
	// Elsewhere: Home is not that of the session's user, so only files are written, and launchd is left alone.
	Elsewhere bool
}

// ErrForeign says that an agent of the same name starts another program.
var ErrForeign = errors.New("an agent of this name starts another program")

// Bundle is the application that the agents belong to.
const Bundle = "com.maia.recovery"

// exitTimeOut is how long a backup may take to end properly when the Mac shuts down.
const exitTimeOut = 120

// AgentOf describes a job to launchd. What it writes goes to a file below the logs of the home folder.
func (m Manager) AgentOf(j schedule.Job) Agent {
	a := Agent{Label: j.Label, Program: j.Program, At: j.At, RunAtLoad: true, Background: j.Background, Bundle: Bundle, Out: m.OutFile(j.Label)}
	if j.Background {
		a.ExitTimeOut = exitTimeOut
	}
	return a
}

// LogDir is the folder of what agents write before they have a log of their own.
func (m Manager) LogDir() string {
	return filepath.Join(m.Home, "Library", "Logs", "Maia Recovery")
}

// OutFile is where what an agent writes goes.
func (m Manager) OutFile(label string) string { return filepath.Join(m.LogDir(), label+".log") }

// maxOut is how large the file of an agent's output may grow.
const maxOut = 1 << 20

// RotateOutput moves a file of an agent's output that has grown large out of the way, over the one before. launchd
// begins a new one at the agent's next start.
func (m Manager) RotateOutput(label string) error {
	path := m.OutFile(label)
	if fi, err := os.Stat(path); err != nil || fi.Size() <= maxOut {
		return nil //nolint:nilerr // there is none, or it may stay
	}
	return m.FS.Rename(path, path+".old")
}

// File is where an agent of the user lies.
func (m Manager) File(label string) string {
	return filepath.Join(m.Home, "Library", "LaunchAgents", label+".plist")
}

// Install writes the job's agent and has launchd run it from now on. Of a file that is there already the keys that are
// not ours stay. Where nothing changes and the agent is loaded, launchd is left alone: loading it anew would end its run.
// So it is with one that is not in the background, in any case: it is what the person looks at. The agent of another
// program than this one or the old one is left alone: ErrForeign.
func (m Manager) Install(ctx context.Context, j schedule.Job) (*schedule.Installed, error) {
	path := m.File(j.Label)
	existing, err := readPlist(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("install agent %s: %w", j.Label, err)
	}
	if a, rerr := Read(existing); existing != nil && (rerr != nil || !ours(a.Program) && !old(a.Program)) {
		return nil, fmt.Errorf("install agent %s: %s: %w", j.Label, path, cmp.Or(rerr, ErrForeign))
	}
	b, changes, err := m.AgentOf(j).Over(existing)
	if err != nil {
		return nil, err
	}
	out := &schedule.Installed{Files: []string{path}, Changed: !bytes.Equal(b, existing), Changes: changes}
	if out.Changed {
		err = m.write(path, b)
	} else {
		err = m.FS.MkdirAll(m.LogDir(), 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("install agent %s: %w", j.Label, err)
	}
	if m.Elsewhere {
		out.Note = "it is not loaded: that home is not the home of this session"
		return out, nil
	}
	if !out.Changed || !j.Background {
		if exit, err := m.Run(ctx, launchctl, "print", m.service(j.Label)); err == nil && exit == 0 {
			if out.Changed {
				out.Note = "it runs already; the change counts from the next login on"
			}
			return out, nil
		}
	}
	return out, Load(ctx, m.Run, m.UID, path, j.Label)
}

// write puts the file in place, with the mode that launchd asks for.
func (m Manager) write(path string, b []byte) error {
	for dir, mode := range map[string]fs.FileMode{filepath.Dir(path): 0o755, m.LogDir(): 0o700} {
		if err := m.FS.MkdirAll(dir, mode); err != nil {
			return err
		}
	}
	return m.FS.WriteDurable(path, 0o644, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

func (m Manager) service(label string) string { return "gui/" + strconv.Itoa(m.UID) + "/" + label }

// Remove removes the agent's file and, with stop, has launchd forget it now, which ends it if it runs; without, launchd
// does so at the next login. It reports whether there was anything, also with an error of launchd's: the file is gone then.
// Without a desktop session there is nothing to end, and an agent without a file is not started any more: that is no error.
// An agent that starts another program is left alone: ErrForeign.
func (m Manager) Remove(ctx context.Context, label string, stop bool) (removed bool, err error) {
	st, err := m.Status(ctx, label)
	if err != nil {
		return false, err
	}
	if st.File != "" && !st.Ours {
		return false, fmt.Errorf("remove agent %s: %s: %w", label, st.File, ErrForeign)
	}
	var unload error
	if stop && !m.Elsewhere {
		unload = Unload(ctx, m.Run, m.UID, label)
		if errors.Is(unload, ErrNoDesktop) {
			unload = nil
		}
	}
	if st.File != "" {
		if err := m.FS.Remove(st.File); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("remove agent %s: %w", label, errors.Join(err, unload))
		}
	}
	return st.File != "" || st.Loaded, unload
}

// Status says what is known of an agent. Whether it is loaded is launchctl's exit code; without a desktop session it is
// not known.
func (m Manager) Status(ctx context.Context, label string) (schedule.JobState, error) {
	var st schedule.JobState
	path := m.File(label)
	b, err := readPlist(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return st, fmt.Errorf("look at agent %s: %w", label, err)
	}
	if err == nil {
		st.File = path
		if a, err := Read(b); err != nil {
			st.Why = err.Error()
		} else {
			st.Program, st.At = a.Program, a.At
			st.Ours, st.Old = ours(a.Program), old(a.Program)
		}
	}
	if m.Elsewhere {
		st.Why = "that home is not the home of this session"
		return st, nil
	}
	exit, err := m.Run(ctx, launchctl, "print", m.service(label))
	switch {
	case err != nil:
		st.Why = err.Error()
	case exit == 0:
		st.Loaded = true
	case exit == exitNoSession:
		st.Why = ErrNoDesktop.Error()
	case st.File != "" && st.Why == "":
		st.Why = "launchd has not loaded it"
	}
	return st, nil
}

// ours reports whether a program is this one, wherever it lies.
func ours(program []string) bool {
	return len(program) > 0 && filepath.Base(program[0]) == "maia-dr"
}

// old reports whether a program is the one that this one replaces: the plan's.
func old(program []string) bool {
	return slices.ContainsFunc(program, func(arg string) bool { return filepath.Base(arg) == "disaster_recovery_system.py" })
}

// readPlist reads an agent's file, bounded.
func readPlist(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPlist+1))
	if err == nil && len(b) > maxPlist {
		err = fmt.Errorf("%s is larger than 1 MB", path)
	}
	return b, err
}

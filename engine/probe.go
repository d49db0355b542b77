package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine/state"
)

// Probe looks into every folder that a backup reads or writes, and keeps what it found. Run by the program that will
// make the backups, started as that will be: macOS grants access to each program apart, and asks the person the first
// time. It blocks until the question is answered.
func (e *Engine) Probe() (*state.Probe, error) {
	p := &state.Probe{At: e.now().UTC(), PID: e.env.PID}
	try := func(what, path string, err error) {
		if err == nil {
			_, err = os.ReadDir(path)
		}
		r := state.ProbeResult{What: what, Path: path, State: accessState(err)}
		if err != nil {
			r.Error = err.Error()
		}
		p.Results = append(p.Results, r)
	}
	root, err := e.findRoot()
	try("maia_root", root, err)
	folder, err := e.findOneDrive()
	try("onedrive_folder", folder.Path, err)
	try("home", e.env.Home, nil)
	agents := filepath.Join(e.env.Home, "Library", "LaunchAgents")
	if _, err := os.Lstat(agents); !errors.Is(err, fs.ErrNotExist) {
		try("launch_agents", agents, nil)
	}
	p.Finished = e.now().UTC()
	if err := e.state.Create(); err != nil {
		return nil, explain("keep what was found", e.state.Path, err)
	}
	return p, explain("keep what was found", e.state.Path, e.state.SaveProbe(p))
}

// accessState says what an error of looking into a folder means. EPERM is macOS's privacy protection, EACCES a file mode.
func accessState(err error) state.Access {
	switch {
	case err == nil:
		return state.AccessGranted
	case errors.Is(err, unix.EPERM) && runtime.GOOS == "darwin":
		return state.AccessPrivacy
	case errors.Is(err, fs.ErrPermission):
		return state.AccessDenied
	}
	return state.AccessUnknown
}

// ProbedSince returns what a probe found that began after a moment; nil: there was none yet.
func (e *Engine) ProbedSince(t time.Time) *state.Probe {
	if p := e.state.LoadProbe(); p != nil && p.At.After(t) {
		return p
	}
	return nil
}

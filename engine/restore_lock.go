package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine/component"
)

// lockName is the lock of a target: a link that leads nowhere. Its text names the process that restores there, as
// "number:beginning", for a number alone is given out again. The link and its text come into being at one moment, and
// only once; restore_maia.sh can make and read it, too. Whoever finds that of a dead process takes it over.
const lockName = ".maia-restore.lock"

// lockTarget keeps every other restore, by this program or by the script, away from the target.
func (r *restore) lockTarget() (unlock func() error, err error) {
	fsys := r.e.fs
	path := filepath.Join(r.opt.To, lockName)
	began := r.e.processStart(r.ctx, r.e.env.PID)
	if began == "" {
		began = "-"
	}
	me := strconv.Itoa(r.e.env.PID) + ":" + began
	for range 5 {
		if err = fsys.Symlink(me, path); err == nil {
			return func() error { return fsys.Remove(path) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		held, err := os.Readlink(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s is in the way: it is no lock of a restore: %w", path, err)
		}
		// One of our own is left where it could not be removed: the run lock lets a process restore once at a time.
		if held != me && r.e.isRunning(r.ctx, held) {
			pid, _, _ := strings.Cut(held, ":")
			return nil, &Error{Op: "restore", Path: r.opt.To, Code: CodeBusy, Err: fmt.Errorf("another restore to it is running (process %s)", pid),
				Hint: "wait until it is done"}
		}
		if err := r.takeAway(path, held); err != nil {
			return nil, err
		}
	}
	return nil, err
}

// takeAway removes a dead process's lock. It is renamed first, which succeeds for one of several that try.
func (r *restore) takeAway(path, held string) error {
	aside := path + "." + strconv.Itoa(r.e.env.PID)
	if err := r.e.fs.Rename(path, aside); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if now, err := os.Readlink(aside); err == nil && now != held {
		// Somebody else was faster, and this is already the new one.
		if err := r.e.fs.Symlink(now, path); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return r.e.fs.Remove(aside)
}

// isRunning reports whether the process that a lock names is alive. What cannot be told counts as alive.
func (e *Engine) isRunning(ctx context.Context, lock string) bool {
	number, began, _ := strings.Cut(lock, ":")
	pid, err := strconv.Atoi(number)
	if err != nil || pid <= 0 {
		return false
	}
	now := e.processStart(ctx, pid)
	return now != "" && (now == began || now == "-" || began == "-")
}

// processStart returns when a process began, in the words in which the script finds it out on this machine: a field of
// /proc/PID/stat, else what ps says. "" means that there is no such process, "-" that it cannot be told.
func (e *Engine) processStart(ctx context.Context, pid int) string {
	if _, err := os.Stat("/proc/self"); err == nil {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
			return ""
		case err != nil:
			return "-"
		}
		// Behind the name of its program, which stands in parentheses and may hold anything.
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if len(f) < 20 || f[0] == "Z" {
			return ""
		}
		return f[19]
	}
	run := e.opt.Run
	if run == nil {
		run = component.NewRunner(e.env.Home, e.env.Getenv)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := run(ctx, "env", "TZ=UTC0", "ps", "-p", strconv.Itoa(pid), "-o", "stat=", "-o", "lstart=")
	f := strings.Fields(string(out))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, exec.ErrNotFound), ctx.Err() != nil:
		return "-"
	case len(f) < 2 || strings.HasPrefix(f[0], "Z"):
		return ""
	}
	return strings.Join(f[1:], "_")
}

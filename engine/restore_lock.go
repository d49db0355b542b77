package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine/component"
)

// lockName is the lock of a target: a link that leads nowhere. Its text names the process that restores there, as
// "number:beginning", for a number alone is given out again. The link and its text come into being at one moment, and
// only once; restore_maia.sh can make and read it, too. That of a dead process may be removed by whoever made a link
// lockName.TEXT first, if TEXT still is the lock then; and if that one died, by whoever made lockName.THAT-ONE.
const lockName = ".maia-restore.lock"

var holder = regexp.MustCompile(`^[0-9A-Za-z_-]+:[0-9A-Za-z:_-]*[0-9A-Za-z_-]$`)

// lockTarget keeps every other restore, by this program or by the script, away from the target.
func (r *restore) lockTarget(dir string) (unlock func() error, err error) {
	fsys := r.e.fs
	path := filepath.Join(dir, lockName)
	me := strconv.Itoa(r.e.env.PID) + ":" + cmp.Or(r.e.processStart(r.ctx, r.e.env.PID), "-")
	for range 20 {
		err = fsys.Symlink(me, path)
		if err == nil {
			if err := r.removeClaims(dir); err != nil {
				return nil, errors.Join(err, fsys.Remove(path))
			}
			return func() error { return fsys.Remove(path) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if err := r.takeOver(path, me); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, err
}

// takeOver removes the lock of a dead process. fs.ErrNotExist says that something changed meanwhile.
func (r *restore) takeOver(path, me string) error {
	held, err := r.deadHolder(path, me)
	if err != nil {
		return err
	}
	claim := path + "." + held
	for {
		err := r.e.fs.Symlink(me, claim)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		next, err := r.deadHolder(claim, me)
		if err != nil {
			return err
		}
		if next == me {
			// We made it once and could not remove it.
			break
		}
		claim = path + "." + next
	}
	if now, err := os.Readlink(path); err == nil && now == held {
		if err := r.e.fs.Remove(path); err != nil {
			return err
		}
	}
	return r.e.fs.Remove(claim)
}

// deadHolder returns what a lock or a claim says; CodeBusy if that process is alive.
func (r *restore) deadHolder(path, me string) (string, error) {
	held, err := os.Readlink(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err != nil || !holder.MatchString(held) {
		return "", &Error{Op: "restore", Path: path, Code: CodeFailed, Err: errors.New("it is in the way: it is no lock of a restore"), Hint: "move it away and run the command again"}
	}
	// One of our own is left where it could not be removed: the run lock lets a process restore once at a time.
	if held != me && r.e.isRunning(r.ctx, held) {
		pid, _, _ := strings.Cut(held, ":")
		return "", &Error{Op: "restore", Path: filepath.Dir(path), Code: CodeBusy, Err: fmt.Errorf("another restore to it is running (process %s)", pid),
			Hint: "wait until it is done"}
	}
	return held, nil
}

// removeClaims removes claims on former locks: they mean nothing once there is a new one.
func (r *restore) removeClaims(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), lockName+".") || entry.Type() != fs.ModeSymlink {
			continue
		}
		if err := r.e.fs.Remove(filepath.Join(dir, entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
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

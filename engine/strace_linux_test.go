package engine_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/cli"
	"maia-dr/packaging/ci/faults/matrix"
	"maia-dr/resources"
)

// mutating are the system calls by which a disk changes, each killed or failed by itself: strace counts calls of each kind, and
// for each thread.
var mutating = []string{"write", "pwrite64", "fsync", "renameat", "unlinkat", "mkdirat", "openat", "ftruncate", "fchmod", "fchmodat", "utimensat", "symlinkat", "ioctl", "flock"}

// traced is a world in which the real program runs, on the real clock.
type traced struct {
	*world
	program, configFile string
}

func newTraced(t *testing.T) *traced {
	t.Helper()
	program, err := realProgram()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, killSeed)
	w.hardware, w.clock = engine.SystemEnv().HardwareID(), time.Now()
	config := filepath.Join(w.base, "config.toml")
	write(t, config, []byte("[retention]\ndaily = 2\nweekly = 0\nmonthly = 0\n[capture]\nlarge_database_mb = 1\n"))
	return &traced{w, program, config}
}

// command is a command line of the program, under strace with such an injection; "" is without.
func (w *traced) commandLine(inject string, args ...string) *exec.Cmd {
	all := append([]string{w.program}, args...)
	all = append(all, "--home", w.fix.Home, "--maia-root", w.fix.Root, "--onedrive-path", w.fix.OneDrive, "--state-dir", w.state, "--config", w.configFile)
	return w.strace(inject, all...)
}

func (w *traced) strace(inject string, all ...string) *exec.Cmd {
	if inject != "" {
		kind, _, _ := strings.Cut(inject, ":")
		all = append([]string{"strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e", "trace=" + kind, "-e", "inject=" + inject}, all...)
	}
	cmd := exec.Command(all[0], all[1:]...)
	cmd.Env = append(os.Environ(), "HOME="+w.fix.Home, "GOMAXPROCS=1", "DBUS_SESSION_BUS_ADDRESS=unix:path="+filepath.Join(w.base, "no-bus"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// ended runs a command and reports how it ended.
func (w *traced) ended(cmd *exec.Cmd) (killed bool, code int, said string) {
	w.t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return status.Signaled(), cmd.ProcessState.ExitCode(), out.String()
}

// each tries an injection at the nth call of each kind, up to most: with -full at every n until the program ends untouched three
// times in a row; else at few.
func (w *traced) each(kinds []string, few, most int, try func(kind string, n int) (hit bool)) {
	if !matrix.Full() {
		for range few {
			kind := kinds[w.rnd.IntN(len(kinds))]
			if try(kind, 1+w.rnd.IntN(12)); w.t.Failed() {
				return
			}
		}
		return
	}
	for _, kind := range kinds {
		for n, missed := 1, 0; missed < 3 && n <= most; n++ {
			if missed++; try(kind, n) {
				missed = 0
			}
			if w.t.Failed() {
				return
			}
		}
	}
}

// TestStraceBackup kills the real program at system calls of a backup and of a prune, and makes them fail.
func TestStraceBackup(t *testing.T) {
	t.Parallel()
	killed, pruned, failed := matrix.Of(t, "1"), matrix.Of(t, "2"), matrix.Of(t, "5")
	w := newTraced(t)
	for range 2 {
		w.normal()
		w.edit()
	}
	if _, code, said := w.ended(w.commandLine("", "backup", "--no-vault", "--no-wait")); code != cli.ExitDone && code != cli.ExitIncomplete {
		t.Fatalf("undisturbed: exit %d: %s", code, said)
	}
	w.learn(w.shelf())
	struck := func(inject string, c *matrix.Counter, args ...string) (hit bool) {
		w.edit()
		w.editDatabase()
		c.Inject()
		var said string
		var code int
		_ = w.watched(func() error { // what came of it is the program's word
			hit, code, said = w.ended(w.commandLine(inject, args...))
			return nil
		})
		done := w.said("seed %d: %s %s: exit %d: %s", killSeed, inject, args, code, said)
		if code != cli.ExitDone && code != cli.ExitIncomplete {
			hit = true
		}
		w.clock = time.Now()
		w.normal()
		done()
		return hit
	}
	w.each(mutating, 3, 1000, func(kind string, n int) bool {
		return struck(fmt.Sprintf("%s:signal=KILL:when=%d", kind, n), killed, "backup", "--no-vault", "--no-wait")
	})
	w.each([]string{"unlinkat", "renameat", "fsync", "write"}, 1, 1000, func(kind string, n int) bool {
		return struck(fmt.Sprintf("%s:signal=KILL:when=%d", kind, n), pruned, "prune")
	})
	for i, errno := range []string{"EIO", "ENOSPC", "EINTR"} {
		// Of write the Go runtime makes its own; an error there ends the program, which is a kill.
		w.each([]string{"pwrite64", "fsync", "renameat", "unlinkat", "mkdirat", "write"}, i%2, 1000, func(kind string, n int) bool {
			return struck(fmt.Sprintf("%s:error=%s:when=%d", kind, errno, n), failed, "backup", "--no-vault", "--no-wait")
		})
	}
}

// TestStraceRestore kills the real program, and the script with whatever it has begun, at system calls of a restore; run
// again it ends as if nothing had been.
func TestStraceRestore(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "2", "24")
	w := newTraced(t)
	id := w.normal().BackupID
	script := filepath.Join(w.base, "restore_maia.sh")
	write(t, script, resources.RestoreScript)
	to := filepath.Join(w.base, "to", "maia")
	byScript := func(inject string) *exec.Cmd {
		return w.strace(inject, "bash", script, "--repository", w.repo(), "--backup", id, "--to", to, "--yes")
	}
	byProgram := func(inject string) *exec.Cmd { return w.commandLine(inject, "restore", id, "--to", to, "--yes") }
	for _, c := range []struct {
		name      string
		restore   func(string) *exec.Cmd
		kinds     []string
		few, most int
	}{
		{"program", byProgram, []string{"write", "pwrite64", "renameat", "unlinkat", "mkdirat", "fsync", "utimensat", "fchmodat", "openat", "symlinkat"}, 2, 1000},
		// Of the script each process is counted by itself, and there are hundreds: the rest of them are killed by a test of resources.
		{"script", byScript, []string{"write", "renameat2", "unlinkat", "mkdir", "utimensat", "execve"}, 0, 8},
	} {
		name, restore := c.name, c.restore
		w.each(c.kinds, c.few, c.most, func(kind string, n int) bool {
			remove(t, filepath.Dir(to))
			mkdirAll(t, to)
			write(t, filepath.Join(to, "CLAUDE.md"), []byte("mine"))
			before := contents(t, filepath.Dir(to))
			faults.Inject()
			inject := fmt.Sprintf("%s:signal=KILL:when=%d", kind, n)
			hit, code, said := w.ended(restore(inject))
			done := w.said("%s %s: exit %d: %s", name, inject, code, said)
			w.nothingLost(before, filepath.Dir(to))
			if _, code, said := w.ended(restore("")); code != cli.ExitDone && code != cli.ExitIncomplete {
				t.Errorf("the restore after it: exit %d: %s", code, said)
			}
			got := snapshotTree(t, to)
			for path, is := range w.trees[id] {
				if path != "." && got[path] != is {
					t.Errorf("%q is %q, was %q", path, got[path], is)
				}
			}
			w.nothingLost(before, filepath.Dir(to))
			done()
			return hit || code != cli.ExitDone && code != cli.ExitIncomplete
		})
	}
}

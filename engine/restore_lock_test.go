package engine_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/fsx"
	"maia-dr/packaging/ci/faults/matrix"
)

const lockName = ".maia-restore.lock"

// script is a run of the repository's script into to.
func (r *rig) script(to string, env ...string) *exec.Cmd {
	cmd := exec.Command("bash", filepath.Join(r.repo(), "restore_maia.sh"), "--to", to, "--yes", "--only", "maia_data_small")
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.base, "TMPDIR=" + r.base}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

func (r *rig) restoreSmall(to string) (*engine.RestoreResult, error) {
	return r.engine().Restore(r.t.Context(), engine.RestoreOptions{Backup: "latest", To: to, Only: []string{"maia_data_small"}})
}

// TestScriptIsBusy: while the script restores into a target, a restore by the program says so; once the script is dead,
// it takes over.
func TestScriptIsBusy(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "10")
	r := newRig(t)
	r.backup()
	to := filepath.Join(r.base, "target")
	perl, err := exec.LookPath("perl")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(r.base, "bin")
	mkdir(t, bin)
	write(t, filepath.Join(bin, "perl"), []byte("#!/bin/sh\nif [ $# -gt 3 ]; then sleep 60; fi\nexec "+perl+" \"$@\"\n"))
	if err := os.Chmod(filepath.Join(bin, "perl"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := r.script(to, "PATH="+bin+":"+os.Getenv("PATH"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(to, lockName)
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Readlink(lock); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the script takes no lock")
		}
	}
	_, err = r.restoreSmall(to)
	var known *engine.Error
	if !errors.As(err, &known) || known.Code != engine.CodeBusy || !strings.Contains(err.Error(), fmt.Sprintf("process %d", cmd.Process.Pid)) {
		t.Errorf("beside a script that runs: %v", err)
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if _, err := os.Readlink(lock); err != nil {
		t.Fatal("the killed script left no lock to be taken over")
	}
	if res, err := r.restoreSmall(to); err != nil || !res.Done || res.Restored == 0 {
		t.Errorf("after a script that was killed: %+v %v", res, err)
	}
	if left, err := filepath.Glob(filepath.Join(to, ".maia-restore*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
}

// TestProgramIsBusy: while the program restores into a target, the script says so and touches nothing; afterwards it
// finds everything in place.
func TestProgramIsBusy(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "10")
	r := newRig(t)
	r.backup()
	to := filepath.Join(r.base, "target")
	var once sync.Once
	var out []byte
	var code int
	hook := func(op fsx.Op, path string) error {
		if op == fsx.OpRename && strings.HasPrefix(path, to+"/") {
			once.Do(func() {
				cmd := r.script(to)
				out, _ = cmd.CombinedOutput() // the exit code is the answer
				code = cmd.ProcessState.ExitCode()
			})
		}
		return nil
	}
	r.fault.Store(&hook)
	res, err := r.restoreSmall(to)
	if err != nil || !res.Done || len(res.Failed) > 0 {
		t.Fatalf("%+v %v", res, err)
	}
	if code != 11 || !strings.Contains(string(out), fmt.Sprintf("another restore to %s is running (process %d)", to, os.Getpid())) {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, err := r.script(to).CombinedOutput(); err != nil || !strings.Contains(string(out), "There is nothing to do.") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestLockOfTarget: what the lock of a target says, and what becomes of it.
func TestLockOfTarget(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.backup()
	for text, code := range map[string]engine.Code{
		"999999999:1": "", "0:1": "", "-1:1": "", "nonsense": engine.CodeFailed, "../x:1": engine.CodeFailed, fmt.Sprintf("%d:1", os.Getpid()): "", fmt.Sprintf("%d:-", os.Getpid()): engine.CodeBusy,
	} {
		to := filepath.Join(t.TempDir(), "target")
		mkdir(t, to)
		if err := os.Symlink(text, filepath.Join(to, lockName)); err != nil {
			t.Fatal(err)
		}
		// That of one that was killed while it took over.
		if err := os.Symlink("999999998:1", filepath.Join(to, lockName+".999999999:1")); err != nil {
			t.Fatal(err)
		}
		_, err := r.restoreSmall(to)
		if got := engine.CodeOf(err); err != nil && got != code || err == nil && code != "" {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := os.Readlink(filepath.Join(to, lockName)); (err == nil) != (code != "") {
			t.Errorf("%s: the lock afterwards: %v", text, err)
		}
		if left, err := filepath.Glob(filepath.Join(to, lockName+".*")); err != nil || (len(left) > 0) != (code != "") {
			t.Errorf("%s: claims afterwards: %v %v", text, left, err)
		}
	}
	to := filepath.Join(t.TempDir(), "target")
	mkdir(t, to)
	write(t, filepath.Join(to, lockName), nil)
	if _, err := r.restoreSmall(to); err == nil || !strings.Contains(err.Error(), "it is no lock of a restore") {
		t.Errorf("a file of that name: %v", err)
	}
}

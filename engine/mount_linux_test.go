//go:build faults

package engine_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine"
	"maia-dr/engine/fsx"
	"maia-dr/packaging/ci/faults/matrix"
)

// These tests mount file systems, in a namespace of their own where nobody else sees them. A machine may forbid that to
// its users: they belong to make faults, not to make test.

const inside = "ENGINE_TEST_MOUNTS"

var counted = regexp.MustCompile(`faults row=\S+ injected=(\d+)`)

// mounting runs the calling test once more where it may mount, and reports whether this is there.
func mounting(t *testing.T, faults *matrix.Counter) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", fmt.Sprint("-full=", matrix.Full()))
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Errorf("%v: %s", err, out.String())
	}
	if m := counted.FindSubmatch(out.Bytes()); m != nil {
		n, _ := strconv.Atoi(string(m[1])) // digits
		for range n {
			faults.Inject()
		}
	}
	return false
}

func mountTmpfs(t *testing.T, dir string, size int) (unmount func()) {
	t.Helper()
	mkdirAll(t, dir)
	if err := unix.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", size)); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRealFullDisk: OneDrive's disk, and that of the state directory, are full at any size. The run says so; with more space
// the next one succeeds.
func TestRealFullDisk(t *testing.T) {
	faults := matrix.Of(t, "4")
	if !mounting(t, faults) {
		return
	}
	const step, enough = 24 << 10, 64 << 20
	for _, which := range []string{"OneDrive", "state"} {
		failed := 0
		for size := step; ; size += step {
			faults.Inject()
			w := newWorld(t, killSeed)
			dir := w.fix.OneDrive
			if which == "state" {
				dir = w.state
			}
			unmount := mountTmpfs(t, dir, size)
			err := w.watched(func() error { return backUp(t, w.engine()) })
			done := w.said("%d bytes for %s: %v", size, which, err)
			if code := engine.CodeOf(err); err != nil && code != engine.CodeDiskFull {
				t.Errorf("the disk is full, and the user is told %s: %v", code, err)
			}
			if err := unix.Mount("none", dir, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%d,mode=700", enough)); err != nil {
				t.Fatal(err)
			}
			w.clock = w.clock.Add(time.Hour)
			w.normal()
			unmount()
			if done(); t.Failed() {
				return
			}
			if err == nil {
				break
			}
			failed++
		}
		t.Logf("%s: full %d times", which, failed)
		if failed < 5 {
			t.Errorf("%s was full %d times only", which, failed)
		}
	}
}

// TestRealMounts: the folder of OneDrive is read-only, or vanishes in the middle of a run and leaves an empty one in its
// place. Nothing is made there, and when the folder is back everything is as it was.
func TestRealMounts(t *testing.T) {
	faults := matrix.Of(t, "9")
	if !mounting(t, faults) {
		return
	}
	w := newWorld(t, killSeed)
	w.normal()
	bind := func(from, to string, flags uintptr) {
		t.Helper()
		if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		if flags != 0 {
			if err := unix.Mount("none", to, "", unix.MS_BIND|unix.MS_REMOUNT|flags, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	release := func(dir string) {
		t.Helper()
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{w.fix.OneDrive, w.state} {
		faults.Inject()
		w.edit()
		bind(dir, dir, unix.MS_RDONLY)
		before := w.shelf()
		err := backUp(t, w.engine())
		if engine.CodeOf(err) != engine.CodeReadOnly {
			t.Errorf("%s is read-only: %v", dir, err)
		}
		release(dir)
		w.learn(w.shelf())
		w.deletesNothing(before)
		w.clock = w.clock.Add(time.Hour)
		w.normal()
	}
	// How many calls there are.
	calls := 0
	count := func(fsx.Op, string) error { calls++; return nil }
	w.fault.Store(&count)
	if err := backUp(t, w.engine()); err != nil {
		t.Fatal(err)
	}
	w.fault.Store(nil)
	w.clock = w.clock.Add(time.Hour)
	w.learn(w.shelf())
	empty := filepath.Join(w.base, "empty")
	for n := 1; n <= calls; n++ {
		faults.Inject()
		w.edit()
		mkdir(t, empty)
		at := 0
		vanish := func(fsx.Op, string) error {
			if at++; at == n {
				bind(empty, w.fix.OneDrive, 0)
			}
			return nil
		}
		before, whole := w.scene(), w.wholeOnes(w.shelf())
		w.fault.Store(&vanish)
		err := backUp(t, w.engine())
		w.fault.Store(nil)
		if at < n { // it had ended
			remove(t, empty)
			break
		}
		done := w.said("OneDrive vanished before call %d: %v", n, err)
		if err := backUp(t, w.engine()); err == nil {
			t.Error("a backup was made into a look-alike")
		}
		for _, e := range entries(t, w.fix.OneDrive) {
			t.Errorf("%s was made in the look-alike", e.Name())
		}
		release(w.fix.OneDrive)
		remove(t, empty)
		for path, st := range w.source() {
			if before.source[path] != st {
				t.Errorf("the source: %s", path)
			}
		}
		w.learn(w.shelf())
		now := w.wholeOnes(w.shelf())
		for id := range whole {
			if now[id] == nil && w.newerThan(w.shelf(), id) < 2 {
				t.Errorf("%s is gone", id)
			}
		}
		w.clock = w.clock.Add(time.Hour)
		w.normal()
		if done(); t.Failed() {
			return
		}
	}
}

package resources

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"maia-dr/packaging/ci/faults/matrix"
)

// TestLock: two restores never write into one target, and the lock of a process that is dead, or whose number another
// one has now, holds nobody up.
func TestLock(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "10")
	b := smallRepository(t, nil)
	script := filepath.Join(b.dir, "restore_maia.sh")
	to := newTarget(t)
	lock := filepath.Join(to, ".maia-restore.lock")
	slow := newMachine(t, "tar", "perl")
	slow.wrap("perl", `if [ $# -gt 3 ]; then while [ ! -e `+slow.home+`/go ]; do sleep 0.05; done; fi; exec REAL "$@"`)
	first := slow.command(script, "--to", to, "--yes")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(-first.Process.Pid, syscall.SIGKILL) }()
	var held string
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if held, _ = os.Readlink(lock); held != "" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it takes no lock")
		}
	}
	number, began, _ := strings.Cut(held, ":")
	if number != fmt.Sprint(first.Process.Pid) || began == "" || began == "-" {
		t.Fatalf("the lock says %q, the process is %d", held, first.Process.Pid)
	}
	second := newMachine(t, "bsdtar", "perl")
	busy := fmt.Sprintf("another restore to %s is running (process %s)", to, number)
	second.run(script, "--to", to, "--yes").want(t, 11, busy)
	if now, err := os.Readlink(lock); err != nil || now != held {
		t.Fatalf("the lock is %q, was %q: %v", now, held, err)
	}
	write(t, slow.home+"/go", nil)
	if err := first.Wait(); err != nil {
		t.Fatal(err)
	}
	checkTree(t, to, b.items)

	// This process is alive; it is not the one that began at another time.
	for text, code := range map[string]int{
		fmt.Sprintf("%d:%s", os.Getpid(), "12"): 0, fmt.Sprintf("%d:-", os.Getpid()): 11, "0:1": 0, "x:1": 0, "999999999:-": 0, "999999999:Thu_Nov_26_11:10:46_2026": 0,
		"$(id):1": 1, "../x:1": 1, "nonsense": 1,
	} {
		if err := os.Remove(filepath.Join(to, "CLAUDE.md")); err != nil {
			t.Fatal(err)
		}
		mustLink(t, text, lock)
		r := second.run(script, "--to", to, "--yes")
		r.want(t, code)
		if code != 0 {
			if err := os.Remove(lock); err != nil {
				t.Fatal(err)
			}
			second.run(script, "--to", to, "--yes").want(t, 0)
		}
		checkTree(t, to, b.items)
	}
}

// TestLockRace: of many that start at once on what a killed one left, each restores or says that another one does.
func TestLockRace(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "10")
	b := smallRepository(t, nil)
	script := filepath.Join(b.dir, "restore_maia.sh")
	to := newTarget(t)
	mustMkdir(t, to)
	mustLink(t, "999999999:1", filepath.Join(to, ".maia-restore.lock"))
	type end struct {
		code int
		text string
	}
	ends := make(chan end)
	// Those of one that was killed while it took over from a dead one.
	mustLink(t, "999999998:1", filepath.Join(to, ".maia-restore.lock.999999999:1"))
	for range 6 {
		faults.Inject()
		m := newMachine(t, "tar", "perl")
		go func() {
			cmd := m.command(script, "--to", to, "--yes")
			out, _ := cmd.CombinedOutput() // the exit code is the answer
			ends <- end{cmd.ProcessState.ExitCode(), string(out)}
		}()
	}
	done := 0
	for range 6 {
		e := <-ends
		switch {
		case e.code == 0:
			done++
		case e.code != 11:
			t.Errorf("exit code %d\n%s", e.code, e.text)
		}
	}
	if done == 0 {
		t.Error("none restored")
	}
	checkTree(t, to, b.items)
}

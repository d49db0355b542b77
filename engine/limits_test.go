package engine_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine"
	"maia-dr/engine/cli"
	"maia-dr/engine/fsx"
	"maia-dr/engine/state"
	"maia-dr/packaging/ci/faults/matrix"
)

// TestSyncFailsOnce: when a file cannot be synced once, what was to be written is written anew: its pages may be gone, and
// a second sync that succeeds would say nothing.
func TestSyncFailsOnce(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "6")
	w := newWorld(t, killSeed)
	w.normal()
	count := &injector{}
	if err := w.inject(count, func() error { return backUp(t, w.engine()) }); err != nil {
		t.Fatal(err)
	}
	w.learn(w.shelf())
	for n := range count.counts[fsx.OpSync] {
		if !matrix.Full() && w.rnd.IntN(6) > 0 {
			continue
		}
		faults.Inject()
		w.edit()
		w.clock = w.clock.Add(time.Hour)
		x := &injector{op: fsx.OpSync, n: n + 1, err: unix.EIO}
		var mu sync.Mutex
		bad := ""
		fault := func(op fsx.Op, path string) error {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case bad != "" && path == bad && op == fsx.OpSync:
				t.Errorf("%s, whose sync failed, is synced again", path)
			case bad != "" && path == bad && (op == fsx.OpCreate || op == fsx.OpClone):
				bad = "" // another file under the same name
			}
			err := x.fault(op, path)
			if err != nil {
				bad = path
			}
			return err
		}
		_ = w.watched(func() error { // whatever came of it
			w.fault.Store(&fault)
			defer w.fault.Store(nil)
			return backUp(t, w.engine())
		})
		done := w.said("seed %d: %s", killSeed, x)
		w.normal()
		done()
	}
}

// TestLimits: the program backs up and restores with 32 descriptors, and its memory does not grow with a database.
func TestLimits(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "8")
	program, err := realProgram()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, killSeed)
	w.hardware, w.clock = engine.SystemEnv().HardwareID(), time.Now()
	const row = 100_000
	rows, limit := 150, "ulimit -n 32"
	if matrix.Full() {
		rows, limit = 3500, limit+" && "+memoryLimit
	}
	for range rows / 50 {
		w.sql("large.db", fmt.Sprintf("WITH RECURSIVE s(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM s WHERE v < 50) INSERT INTO a (body) SELECT randomblob(%d) FROM s", row))
	}
	to := filepath.Join(w.base, "to")
	for _, args := range [][]string{{"backup", "--no-vault", "--no-wait"}, {"verify"}, {"drill"}, {"restore", "latest", "--to", to, "--yes"}} {
		faults.Inject()
		all := append([]string{"-c", limit + ` && exec "$0" "$@"`, program}, args...)
		all = append(all, "--home", w.fix.Home, "--maia-root", w.fix.Root, "--onedrive-path", w.fix.OneDrive, "--state-dir", w.state)
		cmd := exec.Command("sh", all...)
		cmd.Env = append(os.Environ(), "HOME="+w.fix.Home)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		most, err := runMeasured(cmd)
		if code := cmd.ProcessState.ExitCode(); code != cli.ExitDone && code != cli.ExitIncomplete {
			t.Fatalf("%s under %q: %v: %s", args[0], limit, err, out.String())
		}
		t.Logf("%s of %d MB: %d MB of memory at most", args[0], rows*row>>20, most>>20)
		if most > 150<<20 {
			t.Errorf("%s: %d MB of memory", args[0], most>>20)
		}
	}
	w.learn(w.shelf())
	got := snapshotTree(t, to)
	for path, is := range w.trees[newestFirst(w.wholeOnes(w.shelf()))[0]] {
		if path != "." && got[path] != is {
			t.Errorf("%q is %q, was %q", path, got[path], is)
		}
	}
}

// TestSuspended: a run that is stopped in the middle, as a machine that sleeps stops it, holds its lock and goes on.
func TestSuspended(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "11")
	w := newWorld(t, killSeed)
	w.normal()
	times := 2
	if matrix.Full() {
		times = 40
	}
	stopped := 0
	for range times {
		faults.Inject()
		w.edit()
		w.editDatabase()
		before := w.scene()
		c := start(t, orders{Mac: w.mac(), Verb: "backup", Clock: true})
		time.Sleep(time.Duration(w.rnd.IntN(120)) * time.Millisecond)
		if err := c.cmd.Process.Signal(unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		if st, err := w.engine().Status(); err == nil && st.Activity == state.Running {
			stopped++
			if err := backUp(t, w.engine()); engine.CodeOf(err) != engine.CodeBusy {
				t.Errorf("beside a suspended run: %v", err)
			}
		}
		if err := c.cmd.Process.Signal(unix.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if a, lived, said := c.wait(t); !lived || a.Code != "" {
			t.Errorf("after it was suspended: %+v %s", a, said)
		}
		w.learn(w.shelf())
		w.survivedSuspension(before)
		w.clock = w.clock.Add(time.Hour)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d of %d times it was stopped while it ran", stopped, times)
	w.normal()
}

func (w *world) survivedSuspension(before scene) {
	w.t.Helper()
	for path, st := range w.source() {
		if before.source[path] != st {
			w.t.Errorf("%s: %+v, before %+v", path, st, before.source[path])
		}
	}
	w.unlocked()
	shelf := w.shelf()
	for id := range w.manifests(shelf) {
		if lacks := w.lacking(shelf, id); lacks != "" {
			w.t.Errorf("%s lacks %s", id, lacks)
		}
	}
	for path := range shelf {
		if strings.HasSuffix(path, ".tmp") {
			w.t.Errorf("%s was left over", path)
		}
	}
}

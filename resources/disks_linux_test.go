package resources

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"maia-dr/packaging/ci/faults/matrix"
)

// twoDisks are folders on two file systems: one in memory, one not.
func twoDisks(t testing.TB) (memory, disk string) {
	t.Helper()
	device := func(path string) uint64 {
		t.Helper()
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		return st.Dev
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	const shm = "/dev/shm"
	for _, other := range []string{os.TempDir(), "/var/tmp", here} {
		if device(other) == device(shm) {
			continue
		}
		var dirs []string
		for _, base := range []string{shm, other} {
			dir, err := os.MkdirTemp(base, "maia-disks-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := os.RemoveAll(dir); err != nil {
					t.Error(err)
				}
			})
			dirs = append(dirs, dir)
		}
		return dirs[0], dirs[1]
	}
	t.Fatal("there is only one file system here")
	return "", ""
}

// TestTwoDisks: what is in the way in the home goes to another disk, beside the target, and nothing is lost, also when the script is
// killed while it moves.
func TestTwoDisks(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "7")
	b := everything(t, small(t))
	script := filepath.Join(b.dir, "restore_maia.sh")
	apart := func(t *testing.T) *usedHome {
		t.Helper()
		memory, disk := twoDisks(t)
		m := newMachine(t, "bsdtar", "perl")
		m.home = memory
		return m.used(filepath.Join(disk, "maia"))
	}
	check := func(h *usedHome) {
		h.t.Helper()
		h.nothingLost()
		for _, path := range []string{".zshrc", ".netrc", "Library/LaunchAgents/com.maia.one.plist"} {
			found := glob(h.t, filepath.Join(h.to+".before-restore-*", "home", path))
			if len(found) != 1 {
				h.t.Errorf("%s, which was in the way, lies in %q", path, found)
				continue
			}
			if got, err := os.ReadFile(found[0]); err != nil || string(got) != inTheWay[path] {
				h.t.Errorf("%s: %q, %v", found[0], got, err)
			}
		}
		h.checkEverything(b, h.to, "stranger")
	}
	whole := apart(t)
	counter := whole.countCalls("launchctl")
	whole.run(script, whole.args()...).want(t, 0, "2 agents are loaded.", "What was in the way lies in ")
	check(whole)
	calls := readLines(t, counter)
	agents := slices.Index(calls, "launchctl")
	var moves []int
	for n := agents - 1; n > 0 && len(moves) < 2; n-- {
		if calls[n] == "mv" {
			moves = append(moves, n+1)
		}
	}
	if len(moves) < 2 {
		t.Fatalf("%d moves before agents are loaded: %q", len(moves), calls)
	}
	for i, n := range moves {
		kind := []string{"KILL", "KILL_AFTER"}[i%2]
		t.Run(fmt.Sprintf("%s=%d", kind, n), func(t *testing.T) {
			faults.Inject()
			t.Parallel()
			h := apart(t)
			h.countCalls("launchctl")
			cmd := h.command(script, h.args()...)
			cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d", kind, n))
			out, err := cmd.CombinedOutput()
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
				t.Fatalf("not killed: %v\n%s", err, out)
			}
			h.nothingLost()
			h.run(script, h.args()...).want(t, 0, "2 agents are loaded.")
			check(h)
		})
	}
}

package sqlitesnap

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A writer that never rests, in another process: every snapshot is good, nothing lies beside the source that is not the
// writer's, and the writer neither fails nor waits long.
func TestUnderLoad(t *testing.T) {
	for _, tc := range []struct {
		name    string
		pragmas []string
		reopen  bool
		pause   time.Duration
		ways    string // one of them must have been taken
	}{
		{"WAL", []string{"journal_mode = WAL"}, false, 0, WayWAL},
		{"WAL with small checkpoints", []string{"journal_mode = WAL", "wal_autocheckpoint = 5", "synchronous = OFF"}, false, 0, WayWAL},
		{"WAL reopened", []string{"journal_mode = WAL", "synchronous = OFF"}, true, 0, WayWAL},
		{"WAL reopened now and then", []string{"journal_mode = WAL", "synchronous = OFF"}, true, 15 * time.Millisecond, WayWAL + WayPlain},
		{"DELETE", []string{"journal_mode = DELETE"}, false, 0, WayCopy},
		{"DELETE reopened", []string{"journal_mode = DELETE", "synchronous = OFF"}, true, time.Millisecond, WayCopy},
		{"TRUNCATE", []string{"journal_mode = TRUNCATE", "synchronous = OFF"}, false, 0, WayCopy},
		{"PERSIST", []string{"journal_mode = PERSIST", "synchronous = OFF"}, false, 0, WayCopy},
		{"MEMORY", []string{"journal_mode = MEMORY", "synchronous = OFF"}, false, 0, WayCopy},
		{"OFF", []string{"journal_mode = OFF", "synchronous = OFF"}, false, time.Millisecond, WayCopy},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "a.db")
			makeBank(t, path, tc.pragmas...)
			// One: two that never rest lock each other out for seconds, snapshots or not.
			w := start(t, orders{Path: path, Transfers: true, Reopen: tc.reopen, Pause: tc.pause, Pragmas: tc.pragmas})
			ways := map[string]int{}
			good, expected, changed := 0, 0, 0
			// Longer on a machine that has other things to do.
			for began := time.Now(); time.Since(began) < 1200*time.Millisecond || good < 5 && time.Since(began) < 20*time.Second; {
				// A lock that is not had in time is no fault of a busy machine.
				c, err := capture(t, path, Options{LockedTimeout: 2 * time.Minute})
				if errors.Is(err, ErrChanged) {
					changed++
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if c.checkBank(t); c.facts.CheckResult != "ok" {
					t.Errorf("facts %+v", c.facts)
				}
				ways[c.facts.Way]++
				good++
				if strings.Contains(tc.ways, c.facts.Way) {
					expected++
				}
			}
			acc := w.stop()
			// Among them is what a writer is told that waits for a lock for five seconds.
			for _, f := range acc.Failures {
				t.Errorf("the writer: %s", f)
			}
			t.Logf("%v, given up %d, beside %d transactions, the slowest of %v", ways, changed, acc.Transactions, acc.Worst)
			if good < 5 || expected == 0 || acc.Transactions < 5 || changed > good/5 {
				t.Errorf("%v snapshots, given up %d, beside %d transactions", ways, changed, acc.Transactions)
			}
			onlyWriters(t, dir, tc.pragmas[0])
		})
	}
}

// onlyWriters says what lies beside the source that its writers would not have left there.
func onlyWriters(t *testing.T, dir, mode string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		switch suffix := strings.TrimPrefix(e.Name(), "a.db"); {
		case suffix == "":
		case suffix == "-journal" && (strings.HasSuffix(mode, "TRUNCATE") || strings.HasSuffix(mode, "PERSIST")):
		case strings.HasSuffix(mode, "WAL") && (suffix == "-wal" || suffix == "-shm"):
			// Left by a writer that closed while it was not the last reader.
		default:
			t.Errorf("%s lies beside the source", e.Name())
		}
	}
}

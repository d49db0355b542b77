package engine_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/config"
	"maia-dr/engine/repository"
	"maia-dr/packaging/ci/faults/matrix"
)

// killSeed decides where the sample of kills lies. It changes daily, so that many runs see many moments; a failure
// tells it.
var killSeed = uint64(time.Now().Unix() / 86400)

var variable = regexp.MustCompile(`[0-9a-f]{64}|full_[0-9_]+|[0-9]{4,}|\d+`)

// class is what kind of call it was: the same for all chunks, all backups, all temporary names.
func (r *rig) class(call string) string {
	call = strings.ReplaceAll(call, r.base, "")
	return variable.ReplaceAllString(call, "#")
}

// moments picks calls of a recorded run at which to strike: one of each class first, then any, up to n; with -full
// every call.
func (r *rig) moments(calls []string, n int, rnd *rand.Rand) []int64 {
	if matrix.Full() {
		n = len(calls)
	}
	classes := map[string][]int64{}
	for i, c := range calls {
		classes[r.class(c)] = append(classes[r.class(c)], int64(i+1))
	}
	names := slices.Sorted(maps.Keys(classes))
	rnd.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var out []int64
	for len(out) < n {
		for _, name := range names {
			left := classes[name]
			if len(left) == 0 || len(out) == n {
				continue
			}
			i := rnd.IntN(len(left))
			out = append(out, left[i])
			classes[name] = slices.Delete(left, i, i+1)
		}
	}
	return out
}

var keepTwo = config.Retention{Daily: 2, Weekly: -1, Monthly: -1}

// killer is a rig on which runs are killed, one after another.
type killer struct {
	*rig
	rnd *rand.Rand
	day int
}

func newKiller(t *testing.T, lane uint64) *killer {
	k := &killer{rig: newRig(t), rnd: rand.New(rand.NewPCG(killSeed, lane))}
	// The files' times are in the past then: the stat cache is believed.
	k.clock = time.Now().Add(24 * time.Hour)
	return k
}

func (k *killer) change() {
	k.t.Helper()
	k.day++
	k.rig.day(k.day)
}

// calls runs a child undisturbed and returns what it called.
func (k *killer) calls(o orders) []string {
	k.t.Helper()
	a, lived, last := run(k.t, o)
	if !lived || a.Code != "" {
		k.t.Fatalf("an undisturbed %s: %+v %s", o.Verb, a, last)
	}
	k.clock = k.clock.Add(time.Hour)
	return a.Calls
}

// kill runs a child that dies at its nth call, and then check.
func (k *killer) kill(o orders, n int64, of int, check func()) {
	k.t.Helper()
	o.Mac, o.KillAt = k.mac(), n
	_, _, last := run(k.t, o)
	done := k.said("seed %d, %s killed at call %d of %d: %s", killSeed, o.Verb, n, of, last)
	check()
	done()
	if k.t.Failed() {
		k.t.FailNow()
	}
}

// TestKilledBackup kills a backup at moments spread over all of it: capture, commit, publishing, retention, trimming.
func TestKilledBackup(t *testing.T) {
	faults := matrix.Of(t, "1")
	for lane := range uint64(2) {
		t.Run(fmt.Sprint("lane ", lane), func(t *testing.T) {
			t.Parallel()
			k := newKiller(t, lane)
			k.config.Retention = keepTwo
			for range 2 {
				k.backup()
				k.change()
			}
			calls := k.calls(orders{Mac: k.mac(), Verb: "backup"})
			for i, n := range k.moments(calls, 14, k.rnd) {
				k.change()
				faults.Inject()
				before := k.scene()
				k.kill(orders{Verb: "backup"}, n, len(calls), func() {
					k.survived(before)
					if i%8 == 7 {
						k.verifyAll()
					}
					k.clock = k.clock.Add(time.Hour)
					res := k.recovered(i%3 == 0)
					if i%8 == 3 {
						restored, _ := k.restore("latest")
						k.sameAsSource(restored, res.Manifest)
					}
				})
			}
		})
	}
}

// TestKilledFirstBackup: the repository is begun by whoever lives long enough.
func TestKilledFirstBackup(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "1")
	k := newKiller(t, 10)
	k.config.Retention = keepTwo
	calls := k.calls(orders{Mac: k.mac(), Verb: "backup"})
	for i, n := range k.moments(calls, 6, k.rnd) {
		faults.Inject()
		remove(t, k.repo())
		remove(t, k.state)
		before := k.scene()
		k.kill(orders{Verb: "backup"}, n, len(calls), func() {
			k.survived(before)
			k.clock = k.clock.Add(time.Hour)
			k.recovered(i%4 == 0)
		})
	}
}

// bookmark keeps repository, state and clock, and returns the function that goes back there.
func (r *rig) bookmark() (back func()) {
	r.t.Helper()
	clock := r.clock
	kept := map[string]string{r.repo(): filepath.Join(r.base, "kept-repository"), r.state: filepath.Join(r.base, "kept-state")}
	for dir, copied := range kept {
		copyTree(r.t, dir, copied)
	}
	return func() {
		r.t.Helper()
		r.clock = clock
		for dir, copied := range kept {
			remove(r.t, dir)
			copyTree(r.t, copied, dir)
		}
	}
}

// TestKilledPrune kills a prune that has several backups to remove.
func TestKilledPrune(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "2")
	k := newKiller(t, 20)
	for range 5 {
		k.backup()
		k.change()
	}
	back := k.bookmark()
	k.config.Retention = keepTwo
	calls := k.calls(orders{Mac: k.mac(), Verb: "prune"})
	for i, n := range k.moments(calls, 8, k.rnd) {
		faults.Inject()
		back()
		before := k.scene()
		k.kill(orders{Verb: "prune"}, n, len(calls), func() {
			k.survived(before)
			if i%3 == 0 {
				k.verifyAll()
			}
			if i%2 == 0 {
				if _, err := k.engine().Prune(t.Context(), engine.PruneOptions{}); err != nil {
					t.Errorf("prune after a killed one: %v", err)
				}
				k.tidy()
				if kept := k.whole(k.shelf()); len(kept) != 2 {
					t.Errorf("%d backups are left, want 2", len(kept))
				}
			}
			k.clock = k.clock.Add(time.Hour)
			k.recovered(i%6 == 0)
		})
	}
}

// TestKilledVerify kills a verification that mends two chunks.
func TestKilledVerify(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "2")
	k := newKiller(t, 30)
	k.config.Retention = keepTwo
	k.backup()
	k.change()
	m := k.backup().Manifest
	spoil := func() {
		for _, c := range m.Chunks[:2] {
			flip(t, filepath.Join(k.repo(), repository.ChunksDir, repository.ChunkName(c.SHA256)), 200)
		}
	}
	spoil()
	calls := k.calls(orders{Mac: k.mac(), Verb: "verify"})
	for _, n := range k.moments(calls, 4, k.rnd) {
		faults.Inject()
		spoil()
		before := k.scene()
		k.kill(orders{Verb: "verify"}, n, len(calls), func() {
			for path := range before.shelf {
				if _, err := os.Lstat(filepath.Join(k.repo(), path)); err != nil {
					t.Errorf("%s was removed: %v", path, err)
				}
			}
			k.unlocked()
			k.verifyAll() // mends the rest
			k.survived(scene{source: before.source})
		})
	}
	k.recovered(true)
}

// TestKilledExport kills an export, which then goes on where it was: the repository is as it was, what a killed one left is listed
// as no backup until it is one, and the same command makes of it what it had made undisturbed.
func TestKilledExport(t *testing.T) {
	faults := matrix.Of(t, "2")
	for _, archives := range []bool{false, true} {
		t.Run(fmt.Sprint("archives ", archives), func(t *testing.T) {
			t.Parallel()
			k := newKiller(t, 50)
			k.removeLikelySecrets()
			id := k.backup().BackupID
			o := orders{Mac: k.mac(), Verb: "export", Backup: id, To: filepath.Join(k.base, "stick"), Archives: archives}
			calls := k.calls(o)
			want := contents(t, o.To)
			if len(want) < 5 {
				t.Fatalf("an export of %d files", len(want))
			}
			for _, n := range k.moments(calls, 6, k.rnd) {
				faults.Inject()
				remove(t, o.To)
				before := k.scene()
				k.kill(o, n, len(calls), func() {
					k.survived(before)
					k.unlocked()
					manifest := filepath.Join(o.To, id, repository.ManifestName)
					if _, err := os.Lstat(manifest); err == nil && !maps.Equal(contents(t, o.To), want) {
						t.Error("an export that is not whole has its manifest")
					}
					if _, err := k.engine().Export(t.Context(), engine.ExportOptions{Backup: id, Dir: o.To, Archives: archives}); err != nil {
						t.Errorf("it does not go on: %v", err)
					}
					if got := contents(t, o.To); !maps.Equal(got, want) {
						t.Errorf("after it went on, there are %d files, undisturbed %d: %v", len(got), len(want), slices.Sorted(maps.Keys(got)))
					}
				})
			}
		})
	}
}

// TestKilledAdopt kills a machine that takes the repository over. Whether it says so again or not, it ends as the
// writer of all that is there.
func TestKilledAdopt(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "1", "31a")
	k := newKiller(t, 35)
	for range 2 {
		k.backup()
		k.change()
	}
	back := k.bookmark()
	k.hardware, k.state = "machine-2", filepath.Join(k.base, "state-2")
	k.config.Retention = keepTwo
	calls := k.calls(orders{Mac: k.mac(), Verb: "backup", Adopt: true})
	for i, n := range k.moments(calls, 6, k.rnd) {
		faults.Inject()
		back()
		remove(t, k.state)
		before := k.scene()
		k.kill(orders{Verb: "backup", Adopt: true}, n, len(calls), func() {
			k.survived(before)
			k.clock = k.clock.Add(time.Hour)
			_, err := k.engine().Backup(t.Context(), engine.BackupOptions{NoVault: true})
			if engine.CodeOf(err) == engine.CodeForeignWriter && err != nil {
				_, err = k.engine().Backup(t.Context(), engine.BackupOptions{NoVault: true, Adopt: true})
			}
			if err != nil {
				t.Fatalf("after a killed adoption: %v", err)
			}
			if before := k.whole(before.shelf); len(k.whole(k.shelf())) <= len(before) {
				t.Error("retention reaches at once what was adopted")
			}
			k.clock = k.clock.AddDate(0, 0, 8)
			res := k.backup()
			kept := k.whole(k.shelf())
			if ids := newestFirst(kept); len(ids) != 2 || ids[0] != res.BackupID {
				t.Errorf("retention does not reach what was adopted: %v are left", ids)
			}
			k.tidyMirror(kept)
			if i%3 == 0 {
				k.verifyAll()
			}
		})
	}
}

// TestKilledAnyTime kills by the clock: between calls, in SQLite, in the middle of whatever it is.
func TestKilledAnyTime(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "1")
	k := newKiller(t, 45)
	k.config.Retention = keepTwo
	k.backup()
	began := time.Now()
	k.calls(orders{Mac: k.mac(), Verb: "backup"})
	took := time.Since(began)
	kills := 5
	if matrix.Full() {
		kills = 200
	}
	for i := range kills {
		faults.Inject()
		k.change()
		before := k.scene()
		c := start(t, orders{Mac: k.mac(), Verb: "backup"})
		after := time.Duration(k.rnd.Int64N(int64(took)))
		time.Sleep(after)
		if err := c.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, _, last := c.wait(t)
		done := k.said("seed %d, killed after %v of %v: %s", killSeed, after, took, last)
		k.survived(before)
		k.clock = k.clock.Add(time.Hour)
		k.recovered(i%3 == 0)
		if done(); t.Failed() {
			return
		}
	}
}

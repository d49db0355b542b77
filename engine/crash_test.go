package engine_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/config"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
	"maia-dr/packaging/ci/faults/matrix"
)

// crash is a moment at which the power was cut, and what was left.
type crash struct {
	at   string
	form form
	left image
}

// crashes runs a verb once and cuts the power before each of its calls, in every form, and once more when it is over; without
// -full before some of them, in two forms.
func (w *world) crashes(d *disk, run func(*engine.Engine) error) (during, after []crash) {
	w.t.Helper()
	var mu sync.Mutex
	n, recording := 0, true
	cut := func(at string, forms ...form) (out []crash) {
		for _, f := range forms {
			out = append(out, crash{at, f, d.cut(f, w.rnd)})
		}
		return out
	}
	every, first, some := 1, 0, forms
	if !matrix.Full() {
		every, some = 60, []form{formMixed, forms[w.rnd.IntN(len(forms)-1)]}
		first = w.rnd.IntN(every)
	}
	fsys := &fsx.FS{Synced: d.synced, Fault: func(op fsx.Op, path string) error {
		mu.Lock()
		defer mu.Unlock()
		if n++; recording && n%every == first {
			during = append(during, cut(fmt.Sprintf("before call %d, %s %s", n, op, path), some...)...)
		}
		return nil
	}}
	if err := run(w.mac().engine(w.now(), fsys, nil)); err != nil {
		w.t.Fatal(err)
	}
	recording = false
	return during, cut("when it was over", forms...)
}

// TestPowerCut: whatever of the un-synced writes of a run is lost, earlier backups are whole, none is listed in part, the
// next run succeeds; and a run that said it was done had synced everything.
func TestPowerCut(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(w *world)
		run     func(t *testing.T, e *engine.Engine) error
		ids     int // backups that must be whole when it is over
	}{
		"first backup": {func(*world) {}, backUp, 1},
		"backup": {func(w *world) {
			for range 2 {
				w.normal()
				w.clock = w.clock.Add(24 * time.Hour)
				w.writeFile()
				w.editDatabase()
			}
		}, backUp, 2},
		"prune": {func(w *world) {
			w.config.Retention = config.Defaults().Retention
			for range 4 {
				w.normal()
				w.clock = w.clock.Add(24 * time.Hour)
				w.editDatabase()
				write(w.t, filepath.Join(w.fix.Root, "turnover.bin"), w.body())
			}
			w.config.Retention = keepTwo
		}, func(t *testing.T, e *engine.Engine) error {
			_, err := e.Prune(t.Context(), engine.PruneOptions{})
			return err
		}, 2},
		"verify that mends": {func(w *world) {
			m := w.normal().Manifest
			for _, c := range m.Chunks {
				flip(w.t, filepath.Join(w.repo(), repository.ChunksDir, repository.ChunkName(c.SHA256)), 30)
			}
		}, func(t *testing.T, e *engine.Engine) error {
			res, err := e.Verify(t.Context(), engine.VerifyOptions{All: true})
			if err == nil && len(res.Repaired) == 0 {
				t.Errorf("nothing was mended: %+v", res)
			}
			return err
		}, 1},
		"adoption": {func(w *world) {
			w.normal()
			w.hardware, w.state = "machine-2", filepath.Join(w.base, "state-2")
			mkdir(w.t, w.state)
		}, func(t *testing.T, e *engine.Engine) error {
			_, err := e.Backup(t.Context(), engine.BackupOptions{NoVault: true, Adopt: true})
			return err
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults := matrix.Of(t, "3")
			w := newWorld(t, killSeed)
			mkdirAll(t, w.state)
			c.prepare(w)
			before := w.wholeOnes(w.shelf())
			d := newDisk(t, w.state, w.fix.OneDrive)
			during, after := w.crashes(d, func(e *engine.Engine) error { return c.run(t, e) })
			w.learn(w.shelf())
			for i, x := range append(during, after...) {
				faults.Inject()
				d.boot(x.left)
				done := w.said("seed %d: power cut %s: %s", killSeed, x.at, x.form)
				w.booted(before, i >= len(during), len(before) == 0 && i < len(during), c.ids)
				if done(); t.Failed() {
					return
				}
			}
			t.Logf("%d power cuts", len(during)+len(after))
		})
	}
}

func backUp(t *testing.T, e *engine.Engine) error {
	_, err := e.Backup(t.Context(), engine.BackupOptions{NoVault: true})
	return err
}

// booted checks what is there after a power cut, and that the machine goes on.
func (w *world) booted(before map[string]*repository.Manifest, over, spoiled bool, ids int) {
	w.t.Helper()
	shelf := w.shelf()
	whole := w.wholeOnes(shelf)
	trees := maps.Clone(w.trees)
	maps.DeleteFunc(w.trees, func(id string, _ map[string]string) bool { // what was made since
		return w.manifests(shelf)[id] == nil && !slices.Contains(w.committed(), id)
	})
	defer func() { w.trees = trees }()
	for id := range w.manifests(shelf) {
		if whole[id] == nil && !spoiled {
			w.t.Errorf("%s has a manifest and lacks %s", id, w.lacking(shelf, id))
		}
	}
	for id := range before {
		if whole[id] == nil && w.newerThan(shelf, id) < 2 {
			w.t.Errorf("%s is gone", id)
		}
	}
	if over && len(whole) < ids {
		w.t.Errorf("the run was over, and %d of %d backups are there", len(whole), ids)
	}
	w.nothingPartial(shelf)
	w.unlocked()
	if w.t.Failed() {
		return
	}
	clock := w.clock
	res := w.normal()
	w.clock = clock
	w.restoreOne(res.BackupID)
	if _, err := os.Stat(filepath.Join(w.state, "identity.json")); err != nil {
		w.t.Error(err)
	}
}

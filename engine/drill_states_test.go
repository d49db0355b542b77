package engine_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine"
	"maia-dr/engine/event"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
	"maia-dr/engine/retention"
	"maia-dr/engine/state"
	"maia-dr/packaging/ci/faults/matrix"
)

// rehearse runs a drill with changed options of the engine. The backups have no vault.
func (r *rig) rehearse(ctx context.Context, o engine.DrillOptions, change func(*engine.Options)) (*engine.DrillResult, error) {
	r.t.Helper()
	return r.mac().engineWith(func(opt *engine.Options) {
		opt.FS = r.fsys
		if change != nil {
			change(opt)
		}
	}, r.now()).Drill(ctx, o)
}

// emptyScratch fails the test if anything lies in the scratch.
func (r *rig) emptyScratch() {
	r.t.Helper()
	for _, e := range entries(r.t, filepath.Join(r.state, "scratch")) {
		r.t.Errorf("%s was left in the scratch", e.Name())
	}
}

// TestCancelledDrill: whenever it is cancelled, nothing is left of a drill, and nothing has been proven or disproven.
func TestCancelledDrill(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.backup()
	before := r.scene()
	kinds := []struct {
		o      engine.DrillOptions
		phases []event.Phase
	}{
		{engine.DrillOptions{}, []event.Phase{event.Verify, event.Plan, event.Read, event.Place, event.Check, event.Compare}},
		{engine.DrillOptions{Script: true}, []event.Phase{event.Read, event.Compare}},
	}
	for _, kind := range kinds {
		for _, p := range kind.phases {
			done := r.said("%+v, cancelled in %s", kind.o, p)
			ctx, cancel := context.WithCancel(t.Context())
			reached := false
			_, err := r.rehearse(ctx, kind.o, func(opt *engine.Options) {
				opt.Sink = func(e event.Event) {
					if e.Kind == event.PhaseStarted && e.Phase == p {
						reached = true
						cancel()
					}
				}
			})
			cancel()
			if !reached || engine.CodeOf(err) != engine.CodeCancelled {
				t.Errorf("reached: %v; %v", reached, err)
			}
			r.emptyScratch()
			r.survived(before)
			if s, err := r.engine().Status(); err != nil || s.Restore.DrillsRun != 0 || s.Activity != state.Idle || slices.ContainsFunc(s.Problems, isNoFinding) {
				t.Errorf("%+v, %v", s, err)
			}
			done()
		}
	}
	if h, err := r.engine().State().History(); err != nil || h[len(h)-1].Kind != "drill" || h[len(h)-1].Result != "cancelled" {
		t.Errorf("%+v, %v", h, err)
	}
}

// TestCancelledScript: a cancelled drill ends its script with all that the script began, before it removes the scratch.
func TestCancelledScript(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	fifo := filepath.Join(r.base, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	// Its child has the fifo open for as long as it lives.
	script := fmt.Appendf(nil, "exec 9> '%s'\nmkdir -p \"$HOME/made\"\n(while :; do sleep 1000; done) &\necho begun >&9\nwait\n", fifo)
	slow := func(opt *engine.Options) { opt.Script = script }
	if _, err := r.mac().engineWith(slow, r.now()).Backup(t.Context(), engine.BackupOptions{NoVault: true}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		file, err := os.Open(fifo)
		if err == nil {
			defer file.Close()
			_, err = io.ReadFull(file, make([]byte, len("begun\n")))
		}
		cancel()
		if err == nil {
			_, err = io.Copy(io.Discard, file) // until nobody has it open
		}
		ended <- err
	}()
	if _, err := r.rehearse(ctx, engine.DrillOptions{Script: true}, slow); engine.CodeOf(err) != engine.CodeCancelled {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	r.emptyScratch()
}

// TestKilledDrill: what a killed drill leaves in the scratch is removed by the next run, whatever that is; the drill
// after it passes.
func TestKilledDrill(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "2")
	k := newKiller(t, 50)
	k.backup()
	calls := k.calls(orders{Mac: k.mac(), Verb: "drill"})
	shelf := k.scene()
	left := 0
	for i, n := range k.moments(calls, 6, k.rnd) {
		faults.Inject()
		k.kill(orders{Verb: "drill"}, n, len(calls), func() {
			k.survived(shelf)
			left += len(entries(t, filepath.Join(k.state, "scratch")))
			k.clock = k.clock.Add(time.Minute)
			if i%2 == 0 {
				k.verifyAll()
				k.emptyScratch()
			}
			if res, err := k.rehearse(t.Context(), engine.DrillOptions{}, nil); err != nil || !res.Passed {
				t.Errorf("the drill after the killed one: %+v, %v", res, err)
			}
			k.emptyScratch()
			k.unlocked()
		})
	}
	if left == 0 {
		t.Error("no kill left anything behind: none of them was in the midst of it")
	}
}

// TestFailedLightDrill: what the drill after a backup finds comes too late for the manifest. It is a warning of the
// backup and a problem of the status until a drill passes.
func TestFailedLightDrill(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.drills = true
	// OneDrive loses the newest backup's agents between publishing and the drill.
	r.sink = func(e event.Event) {
		if e.Kind == event.PhaseStarted && e.Phase == event.Retention {
			matches, err := filepath.Glob(filepath.Join(r.repo(), "full_*", repository.LaunchAgentsName))
			if err != nil || len(matches) == 0 {
				t.Errorf("%v, %v", matches, err)
			}
			for _, m := range matches {
				if err := os.Truncate(m, 10); err != nil {
					t.Error(err)
				}
			}
		}
	}
	res := r.backup()
	r.sink = nil
	n := slices.IndexFunc(res.Warnings, func(w repository.Warning) bool { return w.Code == "drill_failed" })
	if n < 0 || !strings.Contains(res.Warnings[n].Text, repository.LaunchAgentsName) || res.Status != repository.StatusCompletedWithWarnings {
		t.Fatalf("%s, %+v", res.Status, res.Warnings)
	}
	s, err := r.engine().Status()
	if err != nil || s.Overall != engine.OverallAttention || s.Restore.Proven || s.Restore.Why != engine.UnprovenFailed ||
		!slices.ContainsFunc(s.Problems, func(p state.Problem) bool { return p.Code == "drill_failed" && p.Hint != "" }) {
		t.Errorf("%+v, %v", s, err)
	}
	h, err := r.engine().State().History()
	if err != nil || h[0].Result != repository.StatusCompletedWithWarnings || h[0].Drill == nil || h[0].Drill.Passed {
		t.Errorf("%+v, %v", h, err)
	}
	r.verifyAll() // mends it
	if res := r.backup(); len(res.Warnings) > 0 {
		t.Errorf("%+v", res.Warnings)
	}
	if s, err := r.engine().Status(); err != nil || slices.ContainsFunc(s.Problems, isNoFinding) || s.Restore.Why != engine.UnprovenLightOnly {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestLightDrillNotDone: a drill that cannot be done costs no backup, and is not taken for one that passed.
func TestLightDrillNotDone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.drills = true
	full := func(op fsx.Op, path string) error {
		if op == fsx.OpMkdir && strings.HasSuffix(path, "scratch/drill") {
			return fs.ErrPermission
		}
		return nil
	}
	r.fault.Store(&full)
	res := r.backup()
	if !slices.ContainsFunc(res.Warnings, func(w repository.Warning) bool { return w.Code == "drill_not_done" && w.Hint != "" }) ||
		res.Status != repository.StatusCompletedWithWarnings {
		t.Errorf("%s, %+v", res.Status, res.Warnings)
	}
	if s, err := r.engine().Status(); err != nil || s.Restore.DrillsRun != 0 || s.Restore.Why != engine.UnprovenNever {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := r.engine().Status(); err != nil || !slices.ContainsFunc(s.Problems, func(p state.Problem) bool { return p.Code == "drill_not_done" }) {
		t.Errorf("%+v, %v", s, err)
	}
	r.emptyScratch()
}

// TestDrilledBackupStays: the newest backup that passed a full drill is kept, beyond all other rules.
func TestDrilledBackupStays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config.Retention = keepTwo
	first := r.backup().BackupID
	if res, err := r.rehearse(t.Context(), engine.DrillOptions{}, nil); err != nil || !res.Passed {
		t.Fatalf("%+v, %v", res, err)
	}
	if res, err := r.rehearse(t.Context(), engine.DrillOptions{Light: true}, nil); err != nil || !res.Passed {
		t.Fatalf("%+v, %v", res, err)
	}
	var gone []string
	var last string
	for range 4 {
		res := r.backup()
		gone, last = append(gone, res.Pruned...), res.BackupID
	}
	if slices.Contains(gone, first) || len(gone) != 2 {
		t.Errorf("%q are gone; %s was drilled", gone, first)
	}
	res, err := r.engine().Prune(t.Context(), engine.PruneOptions{DryRun: true})
	if err != nil || !slices.ContainsFunc(res.Decisions, func(d retention.Decision) bool {
		return d.ID == first && d.Keep && strings.Contains(strings.Join(d.Reasons, " "), "drill")
	}) {
		t.Errorf("%+v, %v", res, err)
	}
	// A newer one that passed takes its place.
	if res, err := r.rehearse(t.Context(), engine.DrillOptions{Backup: last}, nil); err != nil || !res.Passed {
		t.Fatalf("%+v, %v", res, err)
	}
	if res := r.backup(); !slices.Contains(res.Pruned, first) {
		t.Errorf("%q are gone, and %s is kept still", res.Pruned, first)
	}
}

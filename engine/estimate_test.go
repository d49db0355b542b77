package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/component"
	"maia-dr/engine/event"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// TestEstimate: the estimate is the sum of what was measured; what was not is said to be unknown, and never taken for nothing.
func TestEstimate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := filepath.Join(dir, "maia")
	newEngine := func(name string) *engine.Engine {
		return engine.New(engine.Env{Now: time.Now, Getenv: func(string) string { return "" }}, engine.Options{StateDir: filepath.Join(dir, name), FS: &fsx.FS{}})
	}
	when := time.Date(2025, 10, 13, 3, 0, 0, 0, time.UTC)
	full := func(downloaded int64) *state.Drill {
		return &state.Drill{BackupID: "full_20251013_030000", At: when, Passed: true, RestoreSeconds: 112, DownloadedBytes: downloaded,
			Phases: map[event.Phase]float64{event.Read: 40, event.Place: 72}}
	}
	script := full(80e6)
	script.Script = true
	with := func(pip, brew int) *repository.Manifest {
		m := &repository.Manifest{MaiaRoot: repository.Name(root), Files: []repository.FileRef{{SizeBytes: 1e6}}, Chunks: []repository.ChunkRef{{SizeBytes: 99e6}, {SizeBytes: 100e6}},
			Components: map[string]*repository.Component{component.Dependencies: {}}}
		m.Stats.PipPackages, m.Stats.BrewPackages = pip, brew
		return m
	}
	check := func(name string, got engine.Estimate, total float64, complete bool, parts ...string) {
		t.Helper()
		if got.Seconds != total || got.Complete != complete || len(got.Parts) != 3 {
			t.Errorf("%s: %+v, want %v s", name, got, total)
		}
		for i, want := range parts {
			if p := got.Parts[i]; (p.Seconds == nil) != strings.HasPrefix(want, "?") || !strings.Contains(p.From, strings.TrimPrefix(want, "?")) {
				t.Errorf("%s: %s is %+v, want %q", name, p.Name, p, want)
			}
		}
	}
	e := newEngine("state")
	check("nothing is known", e.EstimateOf(&state.Drills{}, nil), 0, false, "?there is no backup", "?no full drill", "?no backup lists any")
	check("a local drill", e.EstimateOf(&state.Drills{Proof: full(0)}, with(3, 2)), 112, false, "?200 MB; no download has been measured", "the full drill of full_20251013_030000", "?5 packages; how long they take to install has not been measured")
	// 80 MB in 40 s: 200 MB take 100 s, and those 40 s are not counted twice.
	check("a drill that downloaded", e.EstimateOf(&state.Drills{Proof: full(80e6)}, with(0, 0)), 172, true, "200 MB at the 2.0 MB/s of the drill of 2025-10-13", "without its download", "there are none")
	check("by the script", e.EstimateOf(&state.Drills{Proof: script}, with(0, 0)), 112, false, "?no download", "the full drill with the script", "there are none")

	// One that downloaded is remembered after one that did not.
	before := newEngine("before")
	for _, d := range []*state.Drill{full(40e6), full(0), script} {
		if err := os.MkdirAll(filepath.Join(dir, "before"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := before.State().AppendHistory(state.HistoryEntry{Time: when, Kind: "drill", Result: "completed", Drill: d}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, engine.BesideDir), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, engine.BesideDir, "packages.time"), []byte("3 30\nnonsense\n1 -5\n1 10\n"))
	check("all is known", before.EstimateOf(&state.Drills{Proof: full(0)}, with(3, 2)), 200+112+50, true, "200 MB at the 1.0 MB/s", "the full drill", "5 packages at the 10.0 s each that 4 took")
}

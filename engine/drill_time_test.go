package engine_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/config"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// TestEvicted: what OneDrive has evicted comes from the mirror and is counted as that; it is downloaded only when that is
// allowed, and then the download is measured.
func TestEvicted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.backup()
	r.day(1)
	made := r.backup()
	chunk := made.Manifest.Chunks[0]
	gone := map[string]bool{filepath.Join(r.repo(), repository.ChunksDir, repository.ChunkName(chunk.SHA256)): true}
	evicted := func(opt *engine.Options) {
		opt.Helper = helper(t)
		opt.Evicted = func(path string) bool { return gone[path] }
	}
	stored := int64(0)
	for _, f := range made.Manifest.Files {
		stored += f.SizeBytes
	}
	for _, c := range made.Manifest.Chunks {
		stored += c.SizeBytes
	}

	res, err := r.rehearse(t.Context(), engine.DrillOptions{}, evicted)
	if err != nil || !res.Passed || res.MirrorBytes != chunk.SizeBytes || res.OneDriveBytes != stored-chunk.SizeBytes || res.DownloadedBytes != 0 {
		t.Fatalf("%+v, %v; the chunk has %d of %d bytes", res, err, chunk.SizeBytes, stored)
	}
	if want := int((stored - chunk.SizeBytes) * 100 / stored); res.ReadFromOneDrive != want || want <= 0 || want >= 100 {
		t.Errorf("%d %% read from OneDrive, want %d", res.ReadFromOneDrive, want)
	}
	if part := partOf(t, res.Estimate, "download"); part.Seconds != nil || res.Estimate.Complete {
		t.Errorf("nothing was downloaded, and the estimate knows how long that takes: %+v", res.Estimate)
	}
	// The script reads every chunk in OneDrive, and would download it.
	if _, err := r.rehearse(t.Context(), engine.DrillOptions{Script: true}, evicted); engine.CodeOf(err) != engine.CodeFailed || !strings.Contains(hint(err), "--download") {
		t.Errorf("%v", err)
	}

	tick := r.ticking(time.Second)
	res, err = r.mac().engineWith(evicted, tick).Drill(t.Context(), engine.DrillOptions{Download: true})
	if err != nil || !res.Passed || res.MirrorBytes != 0 || res.OneDriveBytes != stored || res.DownloadedBytes != chunk.SizeBytes || res.ReadFromOneDrive != 100 {
		t.Errorf("%+v, %v", res, err)
	}
	part := partOf(t, res.Estimate, "download")
	if read := res.Phases["read"]; part.Seconds == nil || read < 1 || *part.Seconds != float64(stored)/(float64(chunk.SizeBytes)/read) {
		t.Errorf("%+v; %v", part, res.Phases)
	}
	r.clock = tick()

	// The whole folder: the backup's files come from the mirror, too.
	gone = map[string]bool{filepath.Join(r.repo(), made.BackupID, repository.FilesName): true}
	res, err = r.rehearse(t.Context(), engine.DrillOptions{Light: true}, evicted)
	if err != nil || !res.Passed || res.MirrorBytes == 0 || res.MirrorBytes >= stored || res.OneDriveBytes == 0 {
		t.Errorf("%+v, %v", res, err)
	}
	// Another machine has no mirror.
	r.state, r.hardware = filepath.Join(r.base, "state-of-another"), "machine-2"
	if _, err = r.rehearse(t.Context(), engine.DrillOptions{}, evicted); engine.CodeOf(err) != engine.CodeFailed || !strings.Contains(hint(err), "--download") {
		t.Errorf("%v", err)
	}
	gone = map[string]bool{filepath.Join(r.repo(), repository.ChunksDir, repository.ChunkName(chunk.SHA256)): true}
	if _, err = r.rehearse(t.Context(), engine.DrillOptions{}, evicted); engine.CodeOf(err) != engine.CodeFailed || !strings.Contains(err.Error(), "evicted 1 of its chunks") {
		t.Errorf("%v", err)
	}
	if res, err = r.rehearse(t.Context(), engine.DrillOptions{Download: true}, evicted); err != nil || !res.Passed || res.DownloadedBytes != chunk.SizeBytes {
		t.Errorf("%+v, %v", res, err)
	}
}

// ticking is a clock that goes on with each look at it.
func (r *rig) ticking(step time.Duration) func() time.Time {
	now := r.clock
	var mu sync.Mutex
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(step)
		return now
	}
}

func hint(err error) string {
	if known, ok := errors.AsType[*engine.Error](err); ok {
		return known.Advice()
	}
	return ""
}

func partOf(t *testing.T, e engine.Estimate, name string) engine.EstimatePart {
	t.Helper()
	n := slices.IndexFunc(e.Parts, func(p engine.EstimatePart) bool { return p.Name == name })
	if n < 0 || e.Parts[n].From == "" {
		t.Fatalf("no %s, or not where it comes from: %+v", name, e)
	}
	return e.Parts[n]
}

// TestDrillGivesTheEstimate: it is the sum of the parts that are known, and complete only when all are.
func TestDrillGivesTheEstimate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	estimate := func() engine.Estimate {
		t.Helper()
		s, err := r.engine().Status()
		if err != nil {
			t.Fatal(err)
		}
		sum, all := 0.0, true
		for _, p := range s.Restore.Estimate.Parts {
			all = all && p.Seconds != nil
			if p.Seconds != nil {
				sum += *p.Seconds
			}
		}
		if e := s.Restore.Estimate; e.Seconds != sum || e.Complete != all || len(e.Parts) != 3 {
			t.Errorf("%+v: the parts are %v s, all known: %v", e, sum, all)
		}
		return s.Restore.Estimate
	}
	for _, p := range estimate().Parts {
		if p.Seconds != nil {
			t.Errorf("there is no backup, and %s is known: %+v", p.Name, p)
		}
	}
	r.backup()
	if p := partOf(t, estimate(), "restore"); p.Seconds != nil {
		t.Errorf("no drill has passed: %+v", p)
	}
	tick := r.ticking(time.Second)
	res, err := r.mac().engineWith(func(*engine.Options) {}, tick).Drill(t.Context(), engine.DrillOptions{})
	r.clock = tick()
	if err != nil || !res.Passed || res.RestoreSeconds < 4 || res.RestoreSeconds >= res.Seconds {
		t.Fatalf("%+v, %v", res, err)
	}
	e := estimate()
	if p := partOf(t, e, "restore"); p.Seconds == nil || *p.Seconds != res.RestoreSeconds || !strings.Contains(p.From, res.BackupID) {
		t.Errorf("%+v, measured were %v s", p, res.RestoreSeconds)
	}
	if p := partOf(t, e, "packages"); p.Seconds == nil || *p.Seconds != 0 {
		t.Errorf("there are none to install: %+v", p)
	}
	if p := partOf(t, e, "download"); p.Seconds != nil || e.Complete {
		t.Errorf("no download has been measured: %+v", p)
	}
	if m := r.backup().Manifest.RestorationMetadata; m.EstimatedTimeMinutes != res.RestoreSeconds/60 || m.MeasuredAt == nil || !m.MeasuredAt.Equal(res.At) {
		t.Errorf("%+v", m)
	}
}

// TestSlowDrill: past 30 minutes, or half as long again as the median of the last five like it.
func TestSlowDrill(t *testing.T) {
	t.Parallel()
	like := func(seconds ...float64) (out []state.HistoryEntry) {
		for _, s := range seconds {
			out = append(out, state.HistoryEntry{Drill: &state.Drill{Passed: true, RestoreSeconds: s}})
		}
		return out
	}
	changed := func(change func(*state.Drill)) []state.HistoryEntry {
		out := like(10, 10, 10, 10, 10)
		for _, h := range out {
			change(h.Drill)
		}
		return out
	}
	for name, c := range map[string]struct {
		seconds float64
		history []state.HistoryEntry
		want    string
	}{
		"the first":                         {100, nil, ""},
		"thirty minutes":                    {1800, nil, ""},
		"more than thirty minutes":          {1801, nil, "30 are what it may take"},
		"more, and always so":               {2000, like(2000, 2000, 2000), "30 are what it may take"},
		"too few to compare with":           {100, like(10, 10), ""},
		"as ever":                           {10, like(10, 10, 10), ""},
		"half as long again":                {30, like(20, 20, 20), ""},
		"more than that":                    {31, like(20, 20, 20), "31 s, and 20 s in the median of the last 3"},
		"more than that, and yet no matter": {7, like(2, 2, 2), ""},
		"one was slow before":               {31, like(20, 900, 20, 20), "in the median of the last 4"},
		"only the last five":                {31, like(100, 100, 100, 100, 20, 20, 20, 20, 20), "in the median of the last 5"},
		"the last five were slow, too":      {31, like(1, 1, 1, 1, 1, 30, 30, 30, 30, 30), ""},
		"others failed":                     {100, changed(func(d *state.Drill) { d.Passed = false }), ""},
		"others were light":                 {100, changed(func(d *state.Drill) { d.Light = true }), ""},
		"others were the script's":          {100, changed(func(d *state.Drill) { d.Script = true }), ""},
		"others downloaded":                 {100, changed(func(d *state.Drill) { d.DownloadedBytes = 1 }), ""},
		"runs that are no drills":           {100, append(like(10, 10), state.HistoryEntry{Kind: "backup"}), ""},
	} {
		got := engine.Slow(&state.Drill{Passed: true, RestoreSeconds: c.seconds}, c.history)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}

	// A drill whose clock runs fast.
	r := newRig(t)
	r.backup()
	tick := r.ticking(10 * time.Minute)
	res, err := r.mac().engineWith(func(*engine.Options) {}, tick).Drill(t.Context(), engine.DrillOptions{})
	r.clock = tick()
	if err != nil || !res.Passed || res.Slow == "" || !slices.ContainsFunc(res.Warnings, func(w repository.Warning) bool { return w.Code == "drill_slow" && w.Hint != "" }) {
		t.Fatalf("%+v, %v", res, err)
	}
	// It proves the restore all the same.
	s, err := r.engine().Status()
	if err != nil || !s.Restore.Proven || s.Overall != engine.OverallAttention || !slices.ContainsFunc(s.Problems, func(p state.Problem) bool { return p.Code == "drill_slow" }) {
		t.Errorf("%+v, %v", s, err)
	}
	if h, err := r.engine().State().History(); err != nil || h[len(h)-1].Result != repository.StatusCompletedWithWarnings {
		t.Errorf("%+v, %v", h, err)
	}
}

// TestDrillDue: weekly, on the configured day of the machine's zone or at the first chance after it.
func TestDrillDue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	zone := time.FixedZone("east", 9*3600)
	due := func(drill string, at time.Time) bool {
		t.Helper()
		return r.mac().engineIn(zone, func(opt *engine.Options) { opt.Config.Schedule.Drill = drill }, r.now()).DrillDue(at)
	}
	if due("sunday", r.clock) {
		t.Error("there is nothing to rehearse")
	}
	r.backup()
	if due(config.DrillOff, r.clock) || !due("sunday", r.clock) {
		t.Error("never rehearsed: due unless that is off")
	}
	// Monday, 20 October 2025, noon there.
	r.clock = time.Date(2025, 10, 20, 12, 0, 0, 0, zone)
	if res, err := r.rehearse(t.Context(), engine.DrillOptions{Light: true}, nil); err != nil || !res.Passed {
		t.Fatalf("%+v, %v", res, err)
	}
	if !due("sunday", r.clock) {
		t.Error("a light drill is no full one")
	}
	if res, err := r.rehearse(t.Context(), engine.DrillOptions{}, nil); err != nil || !res.Passed {
		t.Fatalf("%+v, %v", res, err)
	}
	midnight := time.Date(2025, 10, 26, 0, 0, 0, 0, zone) // the Sunday after, still Saturday in UTC
	for _, c := range []struct {
		name, day string
		at        time.Time
		want      bool
	}{
		{"at once again", "sunday", r.clock, false},
		{"just before Sunday", "sunday", midnight.Add(-time.Second), false},
		{"Sunday", "sunday", midnight, true},
		{"missed on Sunday", "sunday", midnight.Add(3 * 24 * time.Hour), true},
		{"missed for weeks", "sunday", midnight.Add(30 * 24 * time.Hour), true},
		{"the same day", "monday", r.clock.Add(11 * time.Hour), false},
		{"tomorrow", "tuesday", r.clock.Add(13 * time.Hour), true},
		{"off", config.DrillOff, midnight.Add(30 * 24 * time.Hour), false},
	} {
		if got := due(c.day, c.at); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	// One that failed is not repeated before the next is due: its backup is no better an hour later.
	r.clock = midnight.Add(time.Hour)
	matches, err := filepath.Glob(filepath.Join(r.repo(), "full_*", repository.FilesName))
	if err != nil || len(matches) != 1 {
		t.Fatalf("%q, %v", matches, err)
	}
	truncate(t, matches[0], 1)
	if res, err := r.rehearse(t.Context(), engine.DrillOptions{}, nil); err != nil || res.Passed {
		t.Fatalf("%+v, %v", res, err)
	}
	if due("sunday", midnight.Add(2*time.Hour)) || !due("sunday", midnight.AddDate(0, 0, 7)) {
		t.Error("after one that failed")
	}
}

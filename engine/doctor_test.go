package engine_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/fsx"
	"maia-dr/engine/state"
)

// look runs Doctor and holds it to what must be true of every diagnosis: the order, a text and, where something is
// wrong, a remedy for each, the worst as the whole, and nothing left out that the status shows.
func (r *rig) look(e *engine.Engine, fix bool) *engine.Diagnosis {
	r.t.Helper()
	status, serr := e.Status()
	d := e.Doctor(r.t.Context(), fix)
	names := engine.CheckNames()
	last, worst := -1, engine.CheckOK
	for _, c := range d.Checks {
		at := slices.Index(names, c.Name)
		if at < last || c.Text == "" || (c.Remedy == "" && (c.State == engine.CheckAttention || c.State == engine.CheckFailed)) {
			r.t.Errorf("%+v, after check %d", c, last)
		}
		last = at
		if c.State == engine.CheckFailed || c.State == engine.CheckAttention && worst == engine.CheckOK {
			worst = c.State
		}
	}
	if d.Overall != worst {
		r.t.Errorf("overall %s, the worst is %s", d.Overall, worst)
	}
	if serr == nil {
		for _, p := range status.Problems {
			if !slices.ContainsFunc(d.Checks, func(c engine.Check) bool { return strings.HasPrefix(c.Text, p.Text) }) {
				r.t.Errorf("status shows %q, doctor does not", p.Text)
			}
		}
	}
	return d
}

// found returns the checks of a name.
func found(d *engine.Diagnosis, name string) (out []engine.Check) {
	for _, c := range d.Checks {
		if c.Name == name {
			out = append(out, c)
		}
	}
	return out
}

// wants requires that the first check of a name is in a state and speaks of something.
func (r *rig) wants(d *engine.Diagnosis, name string, s engine.CheckState, text string) {
	r.t.Helper()
	checks := found(d, name)
	if !slices.ContainsFunc(checks, func(c engine.Check) bool { return c.State == s && strings.Contains(c.Text, text) }) {
		r.t.Errorf("%s is not %s with %q: %+v", name, s, text, checks)
	}
}

// From nothing to a proven restore: what is missing is told, and what is there is fine.
func TestDoctor(t *testing.T) {
	r := newRig(t)
	d := r.look(r.engine(), false)
	r.wants(d, engine.CheckRoot, engine.CheckOK, r.fix.Root)
	r.wants(d, engine.CheckOneDrive, engine.CheckOK, r.fix.OneDrive)
	r.wants(d, engine.CheckLastBackup, engine.CheckAttention, "no backup yet")
	r.wants(d, engine.CheckRepository, engine.CheckUnknown, "")

	r.backup()
	d = r.look(r.engine(), false)
	r.wants(d, engine.CheckRepository, engine.CheckOK, "backups: 1")
	r.wants(d, engine.CheckIndex, engine.CheckOK, "")
	r.wants(d, engine.CheckUpload, engine.CheckUnknown, "")
	r.wants(d, engine.CheckDrill, engine.CheckAttention, "no drill yet")
	if _, err := r.engine().Drill(t.Context(), engine.DrillOptions{}); err != nil {
		t.Fatal(err)
	}
	d = r.look(r.engine(), false)
	r.wants(d, engine.CheckDrill, engine.CheckOK, "proven")
}

// Each thing that can be wrong is found where it belongs.
func TestDoctorFinds(t *testing.T) {
	r := newRig(t)
	r.backup()
	newest := r.clock
	for _, tc := range []struct {
		what   string
		harm   func()
		mac    func(*mac)
		check  string
		state  engine.CheckState
		text   string
		repair func()
	}{
		{what: "no root", mac: func(m *mac) { m.Root = filepath.Join(r.base, "nowhere") }, check: engine.CheckRoot, state: engine.CheckFailed, text: "nowhere"},
		{what: "no OneDrive", mac: func(m *mac) { m.OneDrive = filepath.Join(r.base, "nowhere") }, check: engine.CheckOneDrive, state: engine.CheckFailed, text: "nowhere"},
		{what: "another machine", mac: func(m *mac) { m.Hardware = "machine-2" }, check: engine.CheckRepository, state: engine.CheckFailed, text: "not by this installation"},
		{what: "the clock stands", mac: func(m *mac) { m.Clock = newest.Add(-30 * 24 * time.Hour) }, check: engine.CheckClock, state: engine.CheckAttention, text: "newest backup is of"},
		{what: "overdue", mac: func(m *mac) { m.Clock = newest.Add(48 * time.Hour) }, check: engine.CheckLastBackup, state: engine.CheckAttention, text: "days old"},
		{
			what: "a stranger in the repository", check: engine.CheckRepository, state: engine.CheckAttention, text: "does not belong",
			harm:   func() { must(t, os.WriteFile(filepath.Join(r.repo(), "repository-Mac.json"), nil, 0o600)) },
			repair: func() { must(t, os.Remove(filepath.Join(r.repo(), "repository-Mac.json"))) },
		},
		{
			what: "no index", check: engine.CheckIndex, state: engine.CheckAttention, text: "block index",
			harm:   func() { must(t, os.Rename(filepath.Join(r.state, "block.index"), filepath.Join(r.base, "index"))) },
			repair: func() { must(t, os.Rename(filepath.Join(r.base, "index"), filepath.Join(r.state, "block.index"))) },
		},
		{
			what: "the schedule may not look", check: engine.CheckAccess, state: engine.CheckFailed, text: "may not look into /the folder",
			harm: func() {
				must(t, state.Dir{Path: r.state, FS: new(fsx.FS)}.SaveProbe(&state.Probe{Results: []state.ProbeResult{{Path: "/the folder", State: state.AccessPrivacy}}}))
			},
			repair: func() { must(t, os.Remove(filepath.Join(r.state, "probe.json"))) },
		},
		{
			what: "a damaged status", check: engine.CheckStateDir, state: engine.CheckFailed, text: "status",
			harm: func() { must(t, os.WriteFile(filepath.Join(r.state, "status.json"), []byte("{"), 0o600)) },
		},
	} {
		t.Run(tc.what, func(t *testing.T) {
			r := &rig{t: t, fix: r.fix, base: r.base, clock: newest, hardware: r.hardware, state: r.state, config: r.config}
			if tc.harm != nil {
				tc.harm()
			}
			m := r.mac()
			if tc.mac != nil {
				tc.mac(&m)
			}
			clock := m.Clock
			d := r.look(m.engine(func() time.Time { return clock }, new(fsx.FS), nil), false)
			r.wants(d, tc.check, tc.state, tc.text)
			if tc.repair != nil {
				tc.repair()
			}
		})
	}
}

// What is mended is what only this program has made, and it is said.
func TestDoctorFix(t *testing.T) {
	r := newRig(t)
	r.backup()
	if _, err := r.engine().RecoverySheet(); err != nil {
		t.Fatal(err)
	}
	must(t, os.Chmod(r.state, 0o755))
	with := func(change func(*engine.Options)) *engine.Engine { return r.mac().engineWith(change, r.now()) }
	updated := with(func(o *engine.Options) { o.Script = append(slices.Clone(o.Script), "# newer\n"...) })
	// The sheet is only asked for where there is a vault.
	st := updated.State().LoadStatus()
	st.LastBackup.Vault = true
	must(t, updated.State().WriteStatus(st))

	d := r.look(updated, false)
	r.wants(d, engine.CheckStateDir, engine.CheckAttention, "others may look")
	r.wants(d, engine.CheckSheet, engine.CheckAttention, "older restore script")

	d = r.look(updated, true)
	for _, name := range []string{engine.CheckStateDir, engine.CheckSheet} {
		if c := found(d, name); len(c) != 1 || !c[0].Fixed || c[0].State != engine.CheckOK {
			t.Errorf("%s: %+v", name, c)
		}
	}
	d = r.look(updated, false)
	r.wants(d, engine.CheckStateDir, engine.CheckOK, "")
	r.wants(d, engine.CheckSheet, engine.CheckOK, "still true")
}

// The forecast counts what days store, and not the first backup, which stores everything.
func TestDoctorFootprint(t *testing.T) {
	r := newRig(t)
	r.backup()
	e := r.engine()
	add := func(days int, stored int64) {
		must(t, e.State().AppendHistory(state.HistoryEntry{Time: r.clock.Add(-time.Duration(days) * 24 * time.Hour), Kind: "backup", BackupID: "full_x", StoredBytes: stored}))
	}
	for day := range 8 {
		add(day+1, 3_000_000)
	}
	d := r.look(e, false)
	r.wants(d, engine.CheckFootprint, engine.CheckOK, "at 3.0 MB a day it is used up on")
	for day := range 8 {
		add(day+1, 400_000_000)
	}
	d = r.look(e, false)
	r.wants(d, engine.CheckFootprint, engine.CheckAttention, "at the earliest")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

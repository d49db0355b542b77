package engine_test

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/fixture"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
	"maia-dr/engine/vault"
)

// drill runs a drill with the password.
func (r *rig) drill(o engine.DrillOptions) (*engine.DrillResult, error) {
	r.t.Helper()
	o.Password = func(_ context.Context, _, wrong int) (vault.Password, error) {
		if wrong > 0 {
			return vault.Password{}, engine.ErrNoPassword
		}
		return password(r.t, testPassword), nil
	}
	return r.engine().Drill(r.t.Context(), o)
}

// TestDrill: a whole backup passes every kind of drill, which leaves nothing behind and changes nothing.
func TestDrill(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.drills = true
	p := password(t, testPassword)
	made, err := r.sealedWith(p)
	if err != nil {
		t.Fatal(err)
	}
	// The light drill opens the vault with the keys that it was sealed with.
	if s, err := r.engine().Status(); err != nil || s.Restore.LastLight == nil || s.Restore.LastLight.Vault != state.VaultOpened || p.Derivations() != 2 {
		t.Errorf("%+v, %v; %d keys were derived, want 2", s.Restore, err, p.Derivations())
	}
	repo, mirror := snapshotTree(t, r.repo()), snapshotTree(t, r.mirror())
	for _, o := range []engine.DrillOptions{{Light: true}, {}, {Script: true}} {
		res, err := r.drill(o)
		if err != nil {
			t.Fatalf("%+v: %v", o, err)
		}
		for _, p := range res.Problems {
			t.Errorf("%+v: %s", o, p)
		}
		if res.BackupID != made.BackupID || res.Vault != state.VaultOpened || res.ReadFromOneDrive != 100 || res.Files == 0 || !res.Passed {
			t.Errorf("%+v: %+v", o, res)
		}
		if left := entries(t, filepath.Join(r.state, "scratch")); len(left) > 0 {
			t.Errorf("%s was left in the scratch", left[0].Name())
		}
	}
	sameSnapshots(t, repo, snapshotTree(t, r.repo()))
	sameSnapshots(t, mirror, snapshotTree(t, r.mirror()))
	s, err := r.engine().Status()
	if err != nil || !s.Restore.Proven || s.Restore.DrillsRun != 4 || s.Restore.DrillsPassed != 4 {
		t.Errorf("%+v, %v", s.Restore, err)
	}
	if next := r.backup(); next.Manifest.RestorationMetadata.MeasuredAt == nil {
		t.Error("the next manifest does not say what the drill measured")
	}
	r.clock = r.clock.Add(engine.ProvenFor)
	if s, err = r.engine().Status(); err != nil || s.Restore.Proven || s.Restore.Why != engine.UnprovenOld {
		t.Errorf("after eight days: %+v, %v", s.Restore, err)
	}
}

// TestDrillFindsDamage: what the mirror could replace is still a problem, for a new machine has no mirror.
func TestDrillFindsDamage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.drills = true
	made, err := r.sealed(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	chunk := filepath.Join(r.repo(), repository.ChunksDir, repository.ChunkName(made.Manifest.Chunks[0].SHA256))
	b := read(t, chunk)
	b[len(b)/2] ^= 1
	write(t, chunk, b)
	res, err := r.drill(engine.DrillOptions{})
	if err != nil || res.Passed || len(res.Problems) == 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	s, err := r.engine().Status()
	if err != nil || s.Restore.Proven || s.Restore.Why != engine.UnprovenFailed || s.Overall != engine.OverallAttention {
		t.Errorf("%+v, %v", s, err)
	}
}

func sameSnapshots(t *testing.T, before, after map[string]string) {
	t.Helper()
	for path, was := range before {
		if after[path] != was {
			t.Errorf("%s: %q, before %q", path, after[path], was)
		}
	}
	for path := range after {
		if _, ok := before[path]; !ok {
			t.Errorf("%s is new", path)
		}
	}
}

// TestDrillOfOddities: whatever a Maia holds, a backup of it that is whole passes every drill.
func TestDrillOfOddities(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.drills = true
	t.Cleanup(func() {
		if err := fixture.MakeRemovable(r.base); err != nil {
			t.Error(err)
		}
	})
	if _, err := fixture.HostileNames(filepath.Join(r.fix.Root, "hostile")); err != nil {
		t.Fatal(err)
	}
	// Databases that no snapshot can be taken of, one of them large, and one that is broken; an empty one.
	data := filepath.Join(r.fix.Root, "claude", "data")
	for name, size := range map[string]int{"sealed.db": 40_000, "sealed-large.db": 2_000_000, "empty.db": 0} {
		if body := bytes.Repeat([]byte("no pages "), size/9); size > 0 {
			write(t, filepath.Join(data, name), append([]byte("SQLite format 3\x00"), body...))
		} else {
			write(t, filepath.Join(data, name), nil)
		}
	}
	broken := filepath.Join(data, "broken.db")
	makeDatabase(t, broken)
	b := read(t, broken)
	copy(b[len(b)-4096:], bytes.Repeat([]byte{0xaa}, 4096))
	write(t, broken, b)
	// What looks like a property list, and is none.
	write(t, filepath.Join(r.fix.Root, "cut.plist"), []byte("<?xml version=\"1.0\"?><plist><dict><key>a"))
	made, err := r.sealed(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range made.Warnings {
		if strings.HasPrefix(w.Code, "drill_") || w.Code == "coverage_unbalanced" {
			t.Errorf("%+v", w)
		}
	}
	for _, o := range []engine.DrillOptions{{}, {Script: true}, {Light: true}} {
		res, err := r.drill(o)
		if err != nil {
			t.Fatalf("%+v: %v", o, err)
		}
		for _, p := range res.Problems {
			t.Errorf("%+v: %s", o, p)
		}
		r.emptyScratch()
	}
	// Without the password, and without a vault: the script says that something is missing, and that is known.
	for _, script := range []bool{false, true} {
		res, err := r.rehearse(t.Context(), engine.DrillOptions{Script: script}, nil)
		if err != nil || !res.Passed || res.Vault != state.VaultClosed || !slices.ContainsFunc(res.Warnings, func(w repository.Warning) bool { return w.Code == "vault_not_opened" }) {
			t.Errorf("by the script: %v; %+v, %v", script, res, err)
		}
	}
	r.drills = false
	r.backup()
	for _, script := range []bool{false, true} {
		if res, err := r.rehearse(t.Context(), engine.DrillOptions{Script: script}, nil); err != nil || !res.Passed || res.Vault != state.VaultNone {
			t.Errorf("by the script: %v; %+v, %v", script, res, err)
		}
	}
}

package engine_test

import (
	"context"
	"path/filepath"
	"testing"

	"maia-dr/engine"
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

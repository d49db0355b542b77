package engine_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/event"
	"maia-dr/engine/repository"
	"maia-dr/packaging/ci/faults/matrix"
)

// alter changes one hexadecimal digit of a chunk's hash in a manifest: it can still be read, and names a chunk that
// does not exist in the place of one that does.
func alter(t *testing.T, path string, m *repository.Manifest) {
	t.Helper()
	sum := m.Chunks[0].SHA256.String()
	other := "0" + sum[1:]
	if other == sum {
		other = "1" + sum[1:]
	}
	b := bytes.Replace(read(t, path), []byte(sum), []byte(other), 1)
	if bytes.Equal(b, read(t, path)) {
		t.Fatal("nothing was altered")
	}
	write(t, path, b)
}

// TestAlteredCatalogue: what the mirror says is only believed where it agrees with the restore index; the twin in
// OneDrive takes its place, and no chunk that a kept backup needs is deleted.
func TestAlteredCatalogue(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "17")
	r, made := newPrunable(t)
	for _, m := range made[2:] {
		alter(t, filepath.Join(r.mirror(), m.BackupID, repository.ManifestName), m)
	}
	res, err := r.prune()
	if err != nil || len(res.Removed) != 2 {
		t.Errorf("%+v, %v", res, err)
	}
	r.verifyAll()
	r.tidyMirror(r.whole(r.shelf()))
}

// TestUnreadableManifest: a backup of which no whole manifest is left anywhere stops no run. It is told, nothing it may
// need is deleted, and forgetting it is the way out.
func TestUnreadableManifest(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "17", "31")
	for name, spoil := range map[string]func(t *testing.T, path string, m *repository.Manifest){
		"altered":  alter,
		"cut off":  func(t *testing.T, path string, _ *repository.Manifest) { truncate(t, path, 1000) },
		"not JSON": func(t *testing.T, path string, _ *repository.Manifest) { write(t, path, []byte("gone")) },
		"index empty": func(t *testing.T, path string, _ *repository.Manifest) {
			truncate(t, filepath.Join(filepath.Dir(path), repository.RestoreIndexName), 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			faults.Inject()
			t.Parallel()
			r, made := newPrunable(t)
			lost := made[1]
			spoil(t, filepath.Join(r.mirror(), lost.BackupID, repository.ManifestName), lost)
			spoil(t, filepath.Join(r.repo(), lost.BackupID, repository.ManifestName), lost)
			before := r.shelf()
			pruned, err := r.prune()
			if err != nil || !slices.Equal(pruned.Removed, []string{made[0].BackupID}) || !strings.Contains(pruned.ChunksKept, lost.BackupID) {
				t.Fatalf("%+v, %v", pruned, err)
			}
			after := r.shelf()
			for path := range before {
				if _, ok := after[path]; !ok && !strings.HasPrefix(path, made[0].BackupID) {
					t.Errorf("%s was deleted", path)
				}
			}
			res := r.backup()
			if !slices.ContainsFunc(res.Warnings, func(w repository.Warning) bool {
				return w.Code == "manifest_unreadable" && string(w.Path) == lost.BackupID
			}) {
				t.Errorf("no warning: %+v", res.Warnings)
			}
			if v, err := r.engine().Verify(t.Context(), engine.VerifyOptions{All: true}); err != nil || v.OK() {
				t.Errorf("verify: %+v, %v", v, err)
			}
			if f, err := r.engine().Prune(t.Context(), engine.PruneOptions{Forget: lost.BackupID}); err != nil || f.Forgotten != lost.BackupID {
				t.Errorf("forget: %+v, %v", f, err)
			}
			remove(t, filepath.Join(r.repo(), lost.BackupID)) // the user's own hand
			r.backup()
			r.verifyAll()
			r.tidyMirror(r.whole(r.shelf()))
		})
	}
}

// TestDescriptorDamaged: a repository whose own files are damaged or gone is read by its backups, on this machine and on any other;
// verification writes anew what this machine knows of them, and the next backup is made.
func TestDescriptorDamaged(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "15", "16")
	r := newRig(t)
	r.config.Retention = keepTwo
	r.backup()
	r.day(1)
	r.backup()
	for _, name := range []string{repository.RepositoryName, repository.WriterName(1)} {
		path := filepath.Join(r.repo(), name)
		whole := read(t, path)
		for how, spoil := range map[string]func(){
			"longer": func() { write(t, path, append(slices.Clone(whole), 0)) }, "empty": func() { write(t, path, nil) }, "gone": func() { remove(t, path) },
		} {
			faults.Inject()
			spoil()
			here := r.state
			for _, state := range []string{here, filepath.Join(r.base, "state-of-another")} {
				r.state = state
				if l, err := r.engine().List(); err != nil || len(l.Backups) < 2 || l.Backups[1].State != engine.StateComplete {
					t.Errorf("%s %s: list: %+v, %v", name, how, l, err)
				}
				r.restore("latest")
			}
			// Here nothing knows what stood in it.
			other, err := r.engine().Verify(t.Context(), engine.VerifyOptions{All: true, HashesOnly: true})
			if named := err == nil && len(other.Top) == 1 && strings.Contains(other.Top[0], name) && other.Damaged(); named != (how != "gone") {
				t.Errorf("%s %s: elsewhere: %+v, %v", name, how, other, err)
			}
			r.state = here
			v := r.verifyAll()
			if how == "gone" { // what vanished may come back
				write(t, path, whole)
			} else if mended := bytes.Equal(read(t, path), whole); !mended || len(v.Repaired) != 1 || len(v.Top) > 0 {
				t.Errorf("%s %s: mended %v, repaired %q", name, how, mended, v.Repaired)
			}
			r.backup()
		}
	}
}

// A manifest that is another one when its backup's turn comes is no longer the one whose chunks were read.
func TestVerifyManifestChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.backup()
	r.day(1)
	second := r.backup()
	var once sync.Once
	r.sink = func(e event.Event) {
		if e.Kind == event.PhaseStarted && e.Phase == event.Verify {
			once.Do(func() {
				at := filepath.Join(r.repo(), first.BackupID, repository.ManifestName)
				write(t, at, append(read(t, at), '\n'))
			})
		}
	}
	res, err := r.engine().Verify(t.Context(), engine.VerifyOptions{All: true})
	if err != nil || len(res.Backups) != 2 || !res.Damaged() {
		t.Fatalf("%+v, %v", res, err)
	}
	for _, b := range res.Backups {
		changed := b.BackupID == first.BackupID && len(b.Problems) == 1 && strings.Contains(b.Problems[0], "changed while it was verified")
		if whole := b.BackupID == second.BackupID && b.OK; !changed && !whole {
			t.Errorf("%+v", b)
		}
	}
}

// TestVerifyMendsFolder: each file of a backup's folder that is flipped in OneDrive, or in the mirror, is replaced by
// its twin.
func TestVerifyMendsFolder(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "15")
	r := newRig(t)
	m := r.backup().Manifest
	whole := r.shelf()
	for _, dir := range []string{r.repo(), r.mirror()} {
		for _, e := range entries(t, filepath.Join(dir, m.BackupID)) {
			faults.Inject()
			path := filepath.Join(dir, m.BackupID, e.Name())
			was := read(t, path)
			if len(was) == 0 {
				continue // a machine without packages
			}
			flip(t, path, len(was)/2)
			v := r.verifyAll()
			if !slices.Equal(v.Repaired, []string{path}) {
				t.Errorf("%s: repaired %v", path, v.Repaired)
			}
			if !bytes.Equal(read(t, path), was) {
				t.Errorf("%s is not what it was", path)
			}
		}
	}
	// In one copy the file list, in the other the index, and the same of another backup.
	r.day(1)
	other := r.backup().Manifest
	var spoilt []string
	for _, id := range []string{other.BackupID, m.BackupID} {
		for dir, name := range map[string]string{r.mirror(): repository.FilesName, r.repo(): repository.RestoreIndexName} {
			path := filepath.Join(dir, id, name)
			flip(t, path, len(read(t, path))/2)
			spoilt = append(spoilt, path)
		}
	}
	slices.Sort(spoilt)
	if v := r.verifyAll(); !slices.Equal(slices.Sorted(slices.Values(v.Repaired)), spoilt) {
		t.Errorf("repaired %q instead of %q", v.Repaired, spoilt)
	}
	now := r.shelf()
	for path, sum := range whole {
		if now[path] != sum {
			t.Errorf("%s changed", path)
		}
	}
}

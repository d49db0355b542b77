package engine_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
	"maia-dr/packaging/ci/faults/matrix"
)

// newPrunable returns a rig with four backups, of which two are to go. Each has a chunk of its own.
func newPrunable(t *testing.T) (*rig, []*repository.Manifest) {
	t.Helper()
	r := newRig(t)
	var made []*repository.Manifest
	for n := range 4 {
		// All of it is new every time: nobody needs the chunk when its backup is gone.
		write(t, filepath.Join(r.fix.Root, "turnover.txt"), []byte(strings.Repeat(fmt.Sprintln("day", n), 2000)))
		made = append(made, r.backup().Manifest)
	}
	r.config.Retention = keepTwo
	return r, made
}

func (r *rig) prune() (*engine.PruneResult, error) {
	return r.engine().Prune(r.t.Context(), engine.PruneOptions{})
}

// only returns the chunks that one of the backups alone refers to.
func only(of *repository.Manifest, others ...*repository.Manifest) []string {
	var out []string
	for _, c := range of.Chunks {
		if !slices.ContainsFunc(others, func(m *repository.Manifest) bool { return slices.Contains(m.Chunks, c) }) {
			out = append(out, repository.ChunkName(c.SHA256))
		}
	}
	return out
}

// deletesNothing checks that OneDrive is what it was.
func (r *rig) deletesNothing(before map[string]repository.Hash) {
	r.t.Helper()
	if after := r.shelf(); !maps.Equal(before, after) {
		for path := range before {
			if _, ok := after[path]; !ok {
				r.t.Errorf("%s was deleted", path)
			}
		}
	}
}

// TestPruneRefuses: when catalogue and OneDrive do not agree, nothing is deleted, and the user is told why.
func TestPruneRefuses(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "31")
	base, made := newPrunable(t)
	back := base.bookmark()
	for name, c := range map[string]struct {
		spoil func(r *rig)
		code  engine.Code // empty: prunes nothing and says so in its decisions
	}{
		"a manifest is gone": {func(r *rig) { remove(t, filepath.Join(r.repo(), made[0].BackupID, repository.ManifestName)) }, engine.CodeIncomplete},
		"a kept backup's manifest is gone": {func(r *rig) {
			remove(t, filepath.Join(r.repo(), made[3].BackupID, repository.ManifestName))
		}, engine.CodeIncomplete},
		"a backup is gone": {func(r *rig) { remove(t, filepath.Join(r.repo(), made[2].BackupID)) }, engine.CodeIncomplete},
		"all backups are gone": {func(r *rig) {
			for _, m := range made {
				remove(t, filepath.Join(r.repo(), m.BackupID))
			}
		}, engine.CodeIncomplete},
		"a manifest is renamed as a conflict copy": {func(r *rig) {
			dir := filepath.Join(r.repo(), made[1].BackupID)
			if err := os.Rename(filepath.Join(dir, repository.ManifestName), filepath.Join(dir, "backup_manifest-MacBook.json")); err != nil {
				t.Fatal(err)
			}
		}, engine.CodeIncomplete},
		"the repository is gone": {func(r *rig) { remove(t, r.repo()) }, engine.CodeRepositoryGone},
		"the repository is empty": {func(r *rig) {
			remove(t, r.repo())
			mkdir(t, r.repo())
		}, engine.CodeRepositoryGone},
		"OneDrive is gone": {func(r *rig) { remove(t, r.fix.OneDrive) }, engine.CodeNoOneDrive},
		"no chunk has arrived": {func(r *rig) {
			remove(t, filepath.Join(r.repo(), repository.ChunksDir))
			mkdir(t, filepath.Join(r.repo(), repository.ChunksDir))
		}, ""},
		"another machine took over": {func(r *rig) {
			repo := repository.Repo{Dir: r.repo()}
			w, err := repo.Writer()
			if err != nil {
				t.Fatal(err)
			}
			w.Number, w.StateID = 2, strings.Repeat("5", 32)
			if err := repo.WriteJSON(repository.WriterName(2), w); err != nil {
				t.Fatal(err)
			}
		}, engine.CodeForeignWriter},
	} {
		faults.Inject()
		mkdirAll(t, base.fix.OneDrive)
		back()
		c.spoil(base)
		before := base.shelf()
		res, err := base.prune()
		done := base.said("%s: %+v, %v", name, res, err)
		if c.code != "" && engine.CodeOf(err) != c.code || c.code == "" && (err != nil || len(res.Removed) > 0) {
			t.Errorf("got %+v, %v, want %s", res, err, c.code)
		}
		base.deletesNothing(before)
		done()
	}
}

func mkdirAll(t testing.TB, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestAdoptedInPart: a machine that takes over while OneDrive has not brought everything yet deletes nothing of what comes
// later, nor what that needs.
func TestAdoptedInPart(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "31a")
	r, made := newPrunable(t)
	back := r.bookmark()
	tried := 0
	for name, late := range map[string][]string{
		"a manifest":  {made[0].BackupID + "/" + repository.ManifestName},
		"a folder":    {made[1].BackupID},
		"two folders": {made[0].BackupID, made[3].BackupID},
		"a chunk":     {repository.ChunksDir + "/" + only(made[2], made[0], made[1], made[3])[0]},
		"all chunks":  {repository.ChunksDir},
		"the index":   {made[3].BackupID + "/" + repository.RestoreIndexName},
		"nearly all":  {made[0].BackupID, made[1].BackupID, made[2].BackupID, repository.ChunksDir},
	} {
		if tried++; tried > 2 && !matrix.Full() { // the order is by lot
			break
		}
		faults.Inject()
		back()
		r.hardware, r.state = "machine-2", filepath.Join(r.base, "state-2")
		remove(t, r.state)
		before := r.shelf()
		away := filepath.Join(r.base, "not-yet")
		for i, path := range late {
			mkdirAll(t, away)
			if err := os.Rename(filepath.Join(r.repo(), path), filepath.Join(away, fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		here := r.shelf()
		if _, err := r.engine().Backup(t.Context(), engine.BackupOptions{NoVault: true, Adopt: true}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r.clock = r.clock.AddDate(0, 0, 1)
		r.backup()
		for i, path := range late {
			to := filepath.Join(r.repo(), path)
			if fi, err := os.Lstat(to); err == nil && fi.IsDir() { // what came meanwhile is there already
				for _, e := range entries(t, filepath.Join(away, fmt.Sprint(i))) {
					if err := os.Rename(filepath.Join(away, fmt.Sprint(i), e.Name()), filepath.Join(to, e.Name())); err != nil {
						t.Fatal(err)
					}
				}
				continue
			}
			if err := os.Rename(filepath.Join(away, fmt.Sprint(i)), to); err != nil {
				t.Fatal(err)
			}
		}
		remove(t, away)
		// Of what was there retention may have taken whole backups, and the chunks of nobody else.
		kept := r.whole(r.shelf())
		for path := range before {
			_, was := here[path]
			if _, err := os.Lstat(filepath.Join(r.repo(), path)); err != nil && (!was || !r.mayGo(path, kept)) {
				t.Errorf("%s came late: %s is gone", name, path)
			}
		}
		for _, days := range []int{1, 8} {
			r.clock = r.clock.AddDate(0, 0, days)
			r.backup()
			r.verifyAll()
		}
		r.hardware, r.state = "machine-1", filepath.Join(r.base, "state")
	}
}

// TestForget is the way out when a backup was lost in OneDrive for good.
func TestForget(t *testing.T) {
	t.Parallel()
	r, made := newPrunable(t)
	lost := made[0]
	remove(t, filepath.Join(r.repo(), lost.BackupID, repository.ManifestName))
	before := r.shelf()
	for range 2 {
		res, err := r.engine().Prune(t.Context(), engine.PruneOptions{Forget: lost.BackupID, DryRun: true})
		if err != nil || res.Forgotten != lost.BackupID {
			t.Errorf("%+v, %v", res, err)
		}
	}
	r.deletesNothing(before)
	res, err := r.engine().Prune(t.Context(), engine.PruneOptions{Forget: lost.BackupID})
	if err != nil || res.Forgotten != lost.BackupID || !slices.Equal(res.Removed, []string{made[1].BackupID}) {
		t.Errorf("%+v, %v", res, err)
	}
	// What is left of it is foreign: kept.
	if res.ChunksKept == "" {
		t.Errorf("nobody knows what %s needs, and chunks were deleted", lost.BackupID)
	}
	for path := range before {
		if strings.HasPrefix(path, lost.BackupID) || strings.HasPrefix(path, repository.ChunksDir) {
			if _, err := os.Lstat(filepath.Join(r.repo(), path)); err != nil {
				t.Errorf("%v", err)
			}
		}
	}
	if _, err := r.engine().Prune(t.Context(), engine.PruneOptions{Forget: lost.BackupID}); engine.CodeOf(err) != engine.CodeUnknownBackup {
		t.Errorf("forgotten twice: %v", err)
	}
	r.backup()
	r.verifyAll()
}

// TestForeignBackups: what this machine neither made nor adopted stays, and so does every chunk it needs.
func TestForeignBackups(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "31")
	r, made := newPrunable(t)
	back := r.bookmark()
	const foreign = "full_20240101_000000"
	dir := filepath.Join(r.repo(), foreign)
	manifest := filepath.Join(dir, repository.ManifestName)
	old := filepath.Join(r.repo(), made[1].BackupID)
	needed := only(made[1], made[2:]...)
	if len(needed) == 0 {
		t.Fatal("the backup has no chunk of its own")
	}
	for name, c := range map[string]struct {
		make   func()
		chunks bool // those of the foreign backup alone stay, not all
	}{
		"readable": {func() {
			copyTree(t, old, dir)
			write(t, manifest, bytes.ReplaceAll(read(t, manifest), []byte(made[1].BackupID), []byte(foreign)))
		}, true},
		"garbage":        {func() { copyTree(t, old, dir); write(t, manifest, []byte("{")) }, false},
		"newer format":   {func() { copyTree(t, old, dir); write(t, manifest, []byte(`{"format": 9}`)) }, false},
		"another's name": {func() { copyTree(t, old, dir) }, false},
		"no manifest":    {func() { copyTree(t, old, dir); remove(t, manifest) }, false},
		"an empty one":   {func() { mkdir(t, dir) }, false},
	} {
		faults.Inject()
		back()
		c.make()
		before := r.shelf()
		res, err := r.prune()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !slices.Contains(res.Foreign, foreign) || !slices.Equal(sorted(res.Removed), []string{made[0].BackupID, made[1].BackupID}) {
			t.Errorf("%s: foreign %v, removed %v", name, res.Foreign, res.Removed)
		}
		if (res.ChunksKept == "") != c.chunks {
			t.Errorf("%s: chunks kept: %q", name, res.ChunksKept)
		}
		after := r.shelf()
		for path := range before {
			_, there := after[path]
			id, file := filepath.Split(path)
			switch filepath.Clean(id) {
			case foreign:
				if !there {
					t.Errorf("%s: %s was deleted", name, path)
				}
			case repository.ChunksDir:
				if !there && (!c.chunks || slices.Contains(needed, file)) {
					t.Errorf("%s: %s was deleted", name, path)
				}
			}
		}
		r.backup()
		if _, err := os.Lstat(dir); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

// TestConflictCopies: names that OneDrive or a person made are reported and stay, also in a folder whose backup goes.
func TestConflictCopies(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "31")
	r, made := newPrunable(t)
	strangers := []string{
		made[0].BackupID + "/backup_manifest-MacBook Pro.json", made[0].BackupID + "/notes.txt", "full_20251020_030000 (1)",
		repository.ChunksDir + "/" + strings.TrimSuffix(only(made[1], made[2:]...)[0], ".gz") + "-MacBook.gz", repository.ChunksDir + "/new.gz",
		"restore_maia-MacBook.sh", "holiday.jpg",
	}
	for _, s := range strangers {
		faults.Inject()
		write(t, filepath.Join(r.repo(), s), []byte("somebody's"))
	}
	res, err := r.prune()
	if err != nil || len(res.Removed) != 2 {
		t.Fatalf("%+v, %v", res, err)
	}
	list, err := r.engine().List()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range strangers {
		if got := read(t, filepath.Join(r.repo(), s)); string(got) != "somebody's" {
			t.Errorf("%s is %q", s, got)
		}
		if !slices.Contains(list.Foreign, s) && !slices.Contains(list.Partial, filepath.Dir(s)) {
			t.Errorf("%s is not reported: foreign %q, partial %q", s, list.Foreign, list.Partial)
		}
	}
	if _, err := os.Lstat(filepath.Join(r.repo(), made[0].BackupID, repository.ManifestName)); err == nil {
		t.Error("the pruned backup's manifest is still there")
	}
	// Before a backup, which would bring back from the mirror what was deleted too much.
	if v := r.verifyAll(); len(v.Repaired) > 0 {
		t.Errorf("repaired %q", v.Repaired)
	}
	r.backup()
	r.verifyAll()
}

// TestJournal: what an interrupted prune wrote down is carried out, but for what a backup needs by now; a damaged
// journal means nothing.
func TestJournal(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "31")
	r, made := newPrunable(t)
	r.config.Retention = newRig(t).config.Retention // nothing is to go
	journal := filepath.Join(r.state, "prune.journal")
	for _, garbage := range []string{"", "{", `{"backups":["`, "null", `[1]`} {
		faults.Inject()
		before := r.shelf()
		write(t, journal, []byte(garbage))
		if _, err := r.prune(); err != nil {
			t.Errorf("journal %q: %v", garbage, err)
		}
		r.deletesNothing(before)
		if _, err := os.Lstat(journal); err == nil {
			t.Errorf("journal %q is still there", garbage)
		}
	}
	// It names a chunk that kept backups share, and one of the backup's own.
	intend := func(gone *repository.Manifest) {
		t.Helper()
		j := state.PruneJournal{RepositoryID: gone.RepositoryID, Writer: gone.Writer, Backups: []string{gone.BackupID}, Files: map[string][]string{gone.BackupID: {repository.ManifestName}}}
		for _, f := range gone.Files {
			j.Files[gone.BackupID] = append(j.Files[gone.BackupID], f.Path)
		}
		j.Files[gone.BackupID] = append(j.Files[gone.BackupID], repository.RestoreIndexName)
		for _, c := range gone.Chunks {
			j.Chunks = append(j.Chunks, c.SHA256)
		}
		if err := r.engine().State().SavePruneJournal(&j); err != nil {
			t.Fatal(err)
		}
	}
	gone := made[1]
	intend(gone)
	// By a prune: a backup would bring back from the mirror what was deleted too much.
	if _, err := r.prune(); err != nil {
		t.Fatal(err)
	}
	if len(only(gone, made[0], made[2], made[3])) == 0 {
		t.Error("the backup had no chunk of its own")
	}
	for _, name := range only(gone, made[0], made[2], made[3]) {
		if _, err := os.Lstat(filepath.Join(r.repo(), repository.ChunksDir, name)); err == nil {
			t.Errorf("chunk %s, which nobody needs, is still there", name)
		}
	}
	if v := r.verifyAll(); len(v.Backups) != 3 || len(v.Repaired) > 0 {
		t.Errorf("%d backups are left, want 3; repaired %q", len(v.Backups), v.Repaired)
	}
	// The newest one: the next is made on the one before it.
	intend(r.backup().Manifest)
	r.backup()
	if v := r.verifyAll(); len(v.Backups) != 4 {
		t.Errorf("%d backups are left, want 4", len(v.Backups))
	}
}

package engine_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/component"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// scene is what must not suffer from a run that fails or dies: what lies in OneDrive, and the source.
type scene struct {
	shelf  map[string]repository.Hash
	source map[string]component.Stat
}

func (r *rig) scene() scene { return scene{shelf: r.shelf(), source: r.source()} }

// shelf maps every file in the OneDrive repository to its hash.
func (r *rig) shelf() map[string]repository.Hash {
	r.t.Helper()
	out := map[string]repository.Hash{}
	err := filepath.WalkDir(r.repo(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(r.repo(), path)
		out[rel], _, err = repository.HashFile(path)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	return out
}

// source maps everything under the home but the repository to its stat: unchanged times of change mean unchanged
// bytes.
func (r *rig) source() map[string]component.Stat {
	r.t.Helper()
	out := map[string]component.Stat{}
	err := filepath.WalkDir(r.fix.Home, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == r.fix.OneDrive {
			return filepath.SkipDir
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		out[path] = component.StatOf(fi)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// survived checks what must hold however the run ended: earlier files in OneDrive are what they were but for what
// retention asks, no partial backup is listed, everything listed is whole, the lock is free, the source untouched.
func (r *rig) survived(before scene) {
	r.t.Helper()
	if now := r.source(); len(now) != len(before.source) {
		r.t.Errorf("the source had %d entries, now %d", len(before.source), len(now))
	} else {
		for path, st := range before.source {
			if now[path] != st {
				r.t.Errorf("%s: %+v, before %+v", path, now[path], st)
			}
		}
	}
	after := r.shelf()
	kept := r.whole(after)
	for path, sum := range before.shelf {
		now, there := after[path]
		if there && now != sum {
			r.t.Errorf("%s in OneDrive was replaced", path)
		}
		if !there && !r.mayGo(path, kept) {
			r.t.Errorf("%s was removed from OneDrive", path)
		}
	}
	r.unlocked()
	st, err := r.engine().Status()
	if err != nil {
		r.t.Errorf("status: %v", err)
	} else if st.Activity == state.Running {
		r.t.Error("the status says that a run is active")
	}
	if len(kept) == 0 {
		return
	}
	list, err := r.engine().List()
	if err != nil {
		r.t.Fatalf("list: %v", err)
	}
	for _, b := range list.Backups {
		if b.State != engine.StateComplete && b.State != engine.StateLocalOnly {
			r.t.Errorf("%s is listed as %s: %s %s", b.BackupID, b.State, b.Error, strings.Join(b.Lacks, " "))
		}
		if _, ok := kept[b.BackupID]; !ok && b.State == engine.StateComplete {
			r.t.Errorf("%s is listed as complete and is not", b.BackupID)
		}
	}
}

func (r *rig) unlocked() {
	r.t.Helper()
	if _, err := os.Stat(r.state); err != nil {
		return
	}
	lock, err := r.engine().State().Lock()
	if err != nil {
		r.t.Errorf("lock: %v", err)
		return
	}
	if err := lock.Unlock(); err != nil {
		r.t.Error(err)
	}
}

// whole reads the repository in OneDrive with nothing of the engine's verbs: every backup that has a manifest has all
// its files and chunks, to the bit. It returns their manifests.
func (r *rig) whole(shelf map[string]repository.Hash) map[string]*repository.Manifest {
	r.t.Helper()
	out := map[string]*repository.Manifest{}
	for path := range shelf {
		id, name := filepath.Split(path)
		if name != repository.ManifestName {
			continue
		}
		id = filepath.Clean(id)
		m, _, err := repository.Repo{Dir: r.repo()}.ReadManifest(id)
		if err != nil {
			r.t.Errorf("%s: %v", path, err)
			continue
		}
		for _, f := range m.Files {
			if shelf[id+"/"+f.Path] != f.SHA256 {
				r.t.Errorf("%s/%s is not what the manifest says", id, f.Path)
			}
		}
		if _, ok := shelf[id+"/"+repository.RestoreIndexName]; !ok {
			r.t.Errorf("%s has no restore index", id)
		}
		for _, c := range m.Chunks {
			if shelf[repository.ChunksDir+"/"+repository.ChunkName(c.SHA256)] != c.SHA256 {
				r.t.Errorf("%s: chunk %s is missing or damaged", id, c.SHA256)
			}
		}
		out[id] = m
	}
	return out
}

// mayGo reports whether retention could have asked for a file's removal: it is of a backup older than the newest two,
// or a chunk that no backup with a manifest needs.
func (r *rig) mayGo(path string, kept map[string]*repository.Manifest) bool {
	dir, name := filepath.Split(path)
	dir = filepath.Clean(dir)
	if dir == repository.ChunksDir {
		for _, m := range kept {
			for _, c := range m.Chunks {
				if repository.ChunkName(c.SHA256) == name {
					return false
				}
			}
		}
		return true
	}
	newer := 0
	for id := range kept {
		if id > dir {
			newer++
		}
	}
	return repository.IsID(dir) && newer >= 2
}

// tidy checks that nothing is left over after a run that succeeded.
func (r *rig) tidy() {
	r.t.Helper()
	shelf := r.shelf()
	kept := r.whole(shelf)
	needed := map[string]bool{}
	for id, m := range kept {
		for _, c := range m.Chunks {
			needed[repository.ChunksDir+"/"+repository.ChunkName(c.SHA256)] = true
		}
		for _, f := range m.Files {
			needed[id+"/"+f.Path] = true
		}
		for _, name := range []string{repository.ManifestName, repository.RestoreIndexName} {
			needed[id+"/"+name] = true
		}
	}
	for _, name := range []string{repository.RepositoryName, repository.ReadmeName, repository.ScriptName, repository.WriterName(1)} {
		needed[name] = true
	}
	for path := range shelf {
		if !needed[path] {
			r.t.Errorf("%s lies in OneDrive and belongs to no backup", path)
		}
	}
	for _, dir := range []string{"scratch", "staging"} {
		for _, e := range entries(r.t, filepath.Join(r.state, dir)) {
			r.t.Errorf("%s/%s was left in the state directory", dir, e.Name())
		}
	}
	r.tidyMirror(kept)
	if _, err := os.Stat(filepath.Join(r.state, "prune.journal")); err == nil {
		r.t.Error("the prune journal is still there")
	}
	st, err := r.engine().Status()
	if err != nil || st.Activity != state.Idle || slices.ContainsFunc(st.Problems, isNoFinding) {
		r.t.Errorf("after a good run the status is %+v, %v", st, err)
	}
}

// tidyMirror: the catalogue's folders, the chunks of the newest two, nothing else.
func (r *rig) tidyMirror(kept map[string]*repository.Manifest) {
	r.t.Helper()
	ids := newestFirst(kept)
	needed := map[string]bool{}
	for i, id := range ids {
		for _, c := range kept[id].Chunks {
			if i < 2 {
				needed[repository.ChunkName(c.SHA256)] = true
			}
		}
	}
	for _, e := range entries(r.t, filepath.Join(r.mirror(), repository.ChunksDir)) {
		if !needed[e.Name()] {
			r.t.Errorf("chunk %s in the mirror is needed by neither of the last two backups", e.Name())
		}
		delete(needed, e.Name())
	}
	for name := range needed {
		r.t.Errorf("the mirror lacks chunk %s of the last two backups", name)
	}
	for _, e := range entries(r.t, r.mirror()) {
		if e.IsDir() && e.Name() != repository.ChunksDir && kept[e.Name()] == nil {
			r.t.Errorf("the mirror holds %s, which is no backup in OneDrive", e.Name())
		}
	}
	for _, dir := range []string{r.state, r.mirror()} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".tmp") {
				r.t.Errorf("%s was left over", path)
			}
			return err
		})
		if err != nil {
			r.t.Error(err)
		}
	}
}

func newestFirst(kept map[string]*repository.Manifest) []string {
	var ids []string
	for id := range kept {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(b, a) })
	return ids
}

func entries(t testing.TB, dir string) []fs.DirEntry {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// committed returns the backups that have a manifest in the mirror.
func (r *rig) committed() []string {
	r.t.Helper()
	matches, err := filepath.Glob(filepath.Join(r.mirror(), "full_*", repository.ManifestName))
	if err != nil {
		r.t.Fatal(err)
	}
	var ids []string
	for _, m := range matches {
		ids = append(ids, filepath.Base(filepath.Dir(m)))
	}
	return ids
}

// recovered runs a backup that nothing disturbs and checks that it completed what the run before it left undone. With
// verify, all backups are verified too: it takes as long as the rest, and whole has looked at every byte.
func (r *rig) recovered(verify bool) *engine.BackupResult {
	r.t.Helper()
	before := r.committed()
	res := r.backup()
	r.tidy()
	kept := r.whole(r.shelf())
	ids := newestFirst(kept)
	for _, id := range append(before, res.BackupID) {
		if kept[id] == nil && (len(ids) < 2 || id >= ids[1]) {
			r.t.Errorf("%s is committed in the mirror and still not in OneDrive", id)
		}
	}
	if !verify {
		return res
	}
	if v := r.verifyAll(); len(v.Backups) != len(kept) || len(v.Repaired) > 0 {
		r.t.Errorf("%d backups verified, %d are there; repaired %q", len(v.Backups), len(kept), v.Repaired)
	}
	return res
}

// said adds what was done to every failure that follows.
func (r *rig) said(format string, args ...any) func() {
	failed := r.t.Failed()
	return func() {
		if r.t.Failed() && !failed {
			r.t.Log("this was: " + fmt.Sprintf(format, args...))
		}
	}
}

// isNoFinding tells problems from what the sample has of them at all times: secrets planted in code.
func isNoFinding(p state.Problem) bool { return p.Code != "likely_secret" }

package engine_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"maia-dr/engine"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// watched lets a run do something, and checks the invariants after it, however it ended.
func (w *world) watched(do func() error) error {
	w.t.Helper()
	before := w.scene()
	whole := w.wholeOnes(before.shelf)
	err := do()
	after := w.shelf()
	w.learn(after)
	// I7
	now := w.source()
	for path, st := range before.source {
		if now[path] != st {
			w.t.Errorf("the source: %s: %+v, before %+v", path, now[path], st)
		}
	}
	if len(now) != len(before.source) {
		w.t.Errorf("the source had %d entries, now %d", len(before.source), len(now))
	}
	// I1
	wholeNow := w.wholeOnes(after)
	for id := range whole {
		if wholeNow[id] != nil {
			continue
		}
		if _, there := after[id+"/"+repository.ManifestName]; there {
			w.t.Errorf("%s was whole, and is not now: %s", id, w.lacking(after, id))
		} else if newer := w.newerThan(after, id); newer < 2 {
			w.t.Errorf("%s was whole and is gone; %d are newer", id, newer)
		}
	}
	// I2
	w.nothingPartial(after)
	// I4, I5
	w.unlocked()
	if st, serr := w.engine().Status(); serr != nil {
		w.t.Errorf("status: %v", serr)
	} else if st.Activity == state.Running {
		w.t.Error("the status says that a run is active")
	}
	return err
}

// learn remembers the source for backups that are new: it was still while they were made.
func (w *world) learn(shelf map[string]repository.Hash) {
	var ids []string
	for path := range shelf {
		if id, name := filepath.Split(path); name == repository.ManifestName {
			ids = append(ids, filepath.Clean(id))
		}
	}
	var tree map[string]string
	for _, id := range append(ids, w.committed()...) {
		if w.trees[id] != nil || !repository.IsID(id) {
			continue
		}
		if tree == nil {
			tree = snapshotTree(w.t, w.fix.Root)
		}
		w.trees[id] = tree
		for _, dir := range []string{w.repo(), w.mirror()} {
			if m, _, err := (repository.Repo{Dir: dir}).CheckedManifest(id); err == nil {
				w.first[id] = m
			}
		}
	}
}

// manifests decodes every manifest in OneDrive that can be, with the test's own eyes.
func (w *world) manifests(shelf map[string]repository.Hash) map[string]*repository.Manifest {
	out := map[string]*repository.Manifest{}
	for path := range shelf {
		id, name := filepath.Split(path)
		if id = filepath.Clean(id); name != repository.ManifestName || !repository.IsID(id) {
			continue
		}
		if m, _, err := (repository.Repo{Dir: w.repo()}).ReadManifest(id); err == nil && m.BackupID == id {
			out[id] = m
		}
	}
	return out
}

// wholeOnes are the backups in OneDrive of which every bit is what the writer wrote. A manifest that was spoiled and
// still decodes has an index that does not agree.
func (w *world) wholeOnes(shelf map[string]repository.Hash) map[string]*repository.Manifest {
	out := w.manifests(shelf)
	for id, m := range out {
		if w.lackingOf(shelf, m) != "" {
			delete(out, id)
		}
		r := repository.Repo{Dir: w.repo()}
		if _, _, err := r.CheckedManifest(id); err != nil {
			delete(out, id)
		}
		index, err := os.ReadFile(r.Path(id, repository.RestoreIndexName))
		if err == nil {
			_, err = repository.DecodeRestoreIndex(index)
		}
		if err != nil {
			delete(out, id)
		}
	}
	return out
}

func (w *world) lacking(shelf map[string]repository.Hash, id string) string {
	m := w.manifests(shelf)[id]
	if m == nil {
		return "its manifest"
	}
	return w.lackingOf(shelf, m)
}

// lackingOf names the first file of a backup that is not there with its content.
func (w *world) lackingOf(shelf map[string]repository.Hash, m *repository.Manifest) string {
	for _, f := range m.Files {
		if shelf[m.BackupID+"/"+f.Path] != f.SHA256 {
			return f.Path
		}
	}
	if _, ok := shelf[m.BackupID+"/"+repository.RestoreIndexName]; !ok {
		return repository.RestoreIndexName
	}
	for _, c := range m.Chunks {
		if name := repository.ChunksDir + "/" + repository.ChunkName(c.SHA256); shelf[name] != c.SHA256 {
			return name
		}
	}
	return ""
}

// complete are the backups in OneDrive that have everything with its size, by what their manifests said at first: which bits of
// one have changed since, nobody sees who does not read it.
func (w *world) complete(shelf map[string]repository.Hash) map[string]*repository.Manifest {
	out := map[string]*repository.Manifest{}
	for id, m := range w.first {
		if _, ok := shelf[id+"/"+repository.ManifestName]; ok {
			out[id] = m
		}
	}
	size := func(path string) int64 {
		fi, err := os.Lstat(filepath.Join(w.repo(), path))
		if err != nil {
			return -1
		}
		return fi.Size()
	}
	for id, m := range out {
		ok := true
		for _, f := range m.Files {
			ok = ok && size(id+"/"+f.Path) == f.SizeBytes
		}
		for _, c := range m.Chunks {
			ok = ok && size(repository.ChunksDir+"/"+repository.ChunkName(c.SHA256)) == c.SizeBytes
		}
		if !ok {
			delete(out, id)
		}
	}
	return out
}

func (w *world) newerThan(shelf map[string]repository.Hash, id string) int {
	n := 0
	for path := range shelf {
		if dir, name := filepath.Split(path); name == repository.ManifestName && filepath.Clean(dir) > id {
			n++
		}
	}
	return n
}

// nothingPartial: what is listed as complete has everything, with its size.
func (w *world) nothingPartial(shelf map[string]repository.Hash) {
	w.t.Helper()
	list, err := w.engine().List()
	if err != nil {
		return // told, and no list
	}
	complete := w.complete(shelf)
	for _, b := range list.Backups {
		if b.State == engine.StateComplete && complete[b.BackupID] == nil {
			w.t.Errorf("%s is listed as complete and is not", b.BackupID)
		}
	}
}

// afterGood: a run that nothing disturbed leaves nothing behind, and its backup is the source.
func (w *world) afterGood(res *engine.BackupResult) {
	w.t.Helper()
	for id := range w.trees {
		if id > res.BackupID {
			w.t.Errorf("%s is older than %s", res.BackupID, id)
		}
	}
	shelf := w.shelf()
	if w.complete(shelf)[res.BackupID] == nil {
		w.t.Errorf("%s is done, and lacks %s", res.BackupID, w.lacking(shelf, res.BackupID))
	}
	for _, dir := range []string{"scratch", "staging"} {
		for _, e := range entries(w.t, filepath.Join(w.state, dir)) {
			w.t.Errorf("%s/%s was left in the state directory", dir, e.Name())
		}
	}
	for _, dir := range []string{w.state, w.repo()} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".tmp") {
				w.t.Errorf("%s was left over", path)
			}
			return err
		})
		if err != nil {
			w.t.Error(err)
		}
	}
	if exists(filepath.Join(w.state, "prune.journal")) {
		w.t.Error("the prune journal is still there")
	}
	if w.rnd.IntN(3) == 0 {
		w.restoreOne(res.BackupID)
	}
}

func (w *world) restoreOne(id string) string {
	_, whole := w.wholeOnes(w.shelf())[id]
	return w.restoreFrom(w.engine(), id, whole)
}

// restoreFrom restores a backup and compares it with the model: what comes back is what was, or it is named. A backup
// that is whole comes back whole.
func (w *world) restoreFrom(e *engine.Engine, id string, whole bool) string {
	t := w.t
	t.Helper()
	to := filepath.Join(w.base, "restored")
	defer remove(t, to)
	res, err := e.Restore(t.Context(), engine.RestoreOptions{Backup: id, To: to})
	if err != nil {
		if whole {
			t.Errorf("restore %s, which is whole: %v", id, err)
		}
		if engine.CodeOf(err) == "" {
			t.Errorf("restore %s: %v has no code", id, err)
		}
		return err.Error()
	}
	named := map[string]bool{}
	for _, f := range append(res.Failed, res.Doubtful...) {
		path, _, _ := strings.Cut(f, ": ")
		named[path] = true
	}
	if whole && len(named) > 0 {
		t.Errorf("restore %s, which is whole: failed %q, doubtful %q", id, res.Failed, res.Doubtful)
	}
	want, got := w.trees[id], snapshotTree(t, to)
	for path, is := range want {
		if path != "." && got[path] != is && !named[path] && !w.sidecar(path, want) {
			t.Errorf("restore %s: %q is %q, was %q, and is not named", id, path, got[path], is)
		}
	}
	for path := range got {
		if path != "." && want[path] == "" && path != engine.BesideDir && !strings.HasPrefix(path, engine.BesideDir+"/") {
			t.Errorf("restore %s: %q was not there", id, path)
		}
	}
	return fmt.Sprintf("restored %d, named %d", res.Restored, len(named))
}

// sidecar tells what lies beside a database and is part of its snapshot.
func (w *world) sidecar(path string, tree map[string]string) bool {
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		if base, ok := strings.CutSuffix(path, suffix); ok && tree[base] != "" {
			return true
		}
	}
	return false
}

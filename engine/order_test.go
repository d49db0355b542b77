package engine_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

// looseNames are names that a power cut could take back or bring back: made, renamed or removed in a folder that has not been
// synced since. By folder.
type looseNames map[string][]string

// see takes up a call that is about to be made.
func (l looseNames) see(op fsx.Op, path string) {
	switch op {
	case fsx.OpRename, fsx.OpRemove, fsx.OpMkdir:
		dir := filepath.Dir(path)
		l[dir] = append(l[dir], filepath.Base(path))
		if op == fsx.OpRemove {
			delete(l, path) // with a folder go the names in it
		}
	case fsx.OpSyncDir:
		delete(l, path)
	}
}

// below returns the loose names in and below a folder.
func (l looseNames) below(dir string) (out []string) {
	for d, names := range l {
		if d == dir || strings.HasPrefix(d, dir+"/") {
			for _, name := range names {
				out = append(out, filepath.Join(d, name))
			}
		}
	}
	return out
}

// backups returns the loose manifests and folders of backups in a repository.
func (l looseNames) backups(repo string) []string {
	return slices.DeleteFunc(l.below(repo), func(path string) bool {
		return filepath.Dir(path) != repo && filepath.Base(path) != repository.ManifestName
	})
}

// TestOrderOnDisk: at no moment of a backup and of the prune behind it could a power cut leave a manifest without what it names.
// Everything lies there, under a name that is durable, before the manifest does; and no chunk goes before the manifests that named
// it are gone for good, nor a manifest before the intention is written down.
func TestOrderOnDisk(t *testing.T) {
	t.Parallel()
	r, made := newPrunable(t)
	stranger := filepath.Join(r.repo(), made[0].BackupID, "notes.txt")
	write(t, stranger, []byte("somebody's"))
	write(t, filepath.Join(r.fix.Root, "turnover.txt"), []byte(strings.Repeat("the day of all days\n", 2000)))
	var mu sync.Mutex
	loose := looseNames{}
	manifests, chunks := 0, 0
	hook := func(op fsx.Op, path string) error {
		mu.Lock()
		defer mu.Unlock()
		repo, dir := filepath.Dir(filepath.Dir(path)), filepath.Dir(path)
		isManifest, inChunks := filepath.Base(path) == repository.ManifestName, filepath.Base(dir) == repository.ChunksDir
		switch {
		case op == fsx.OpRename && isManifest:
			manifests++
			for _, of := range []string{dir, filepath.Join(repo, repository.ChunksDir)} {
				if l := loose.below(of); len(l) > 0 {
					t.Errorf("%s is named, and these are not durable: %q", path, l)
				}
			}
			for _, name := range []string{repository.RestoreIndexName, repository.FilesName, repository.ScriptName} {
				if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
					t.Errorf("%s is named before %s", path, name)
				}
			}
			if l := loose.below(r.repo()); repo == r.repo() && len(l) > 0 {
				t.Errorf("in OneDrive, these are not durable: %q", l)
			}
		case op == fsx.OpRemove && isManifest && repo == r.repo():
			if _, err := os.Lstat(filepath.Join(r.state, "prune.journal")); err != nil || len(loose[r.state]) > 0 {
				t.Errorf("%s goes, and the intention is not written down: %v, %q", path, err, loose[r.state])
			}
		case op == fsx.OpRemove && repo == r.repo() && repository.IsID(filepath.Base(dir)) && slices.Contains(loose[dir], repository.ManifestName):
			t.Errorf("%s goes, and its manifest could come back", path)
		case op == fsx.OpRemove && inChunks && repo == r.repo():
			chunks++
			if l := loose.backups(r.repo()); len(l) > 0 {
				t.Errorf("%s goes, and these could come back: %q", path, l)
			}
		}
		loose.see(op, path)
		return nil
	}
	r.fault.Store(&hook)
	res := r.backup()
	r.fault.Store(nil)
	if manifests != 2 || chunks == 0 || len(res.Pruned) != 3 {
		t.Errorf("%d manifests were written, want those of the mirror and of OneDrive; %d chunks and %v were removed", manifests, chunks, res.Pruned)
	}
	if l := loose.backups(r.repo()); len(l) > 0 {
		t.Errorf("at the end, these are not durable: %q", l)
	}
	if string(read(t, stranger)) != "somebody's" {
		t.Error("a stranger's file is gone")
	}
	r.verifyAll()
}

// meddled makes a backup, and does something at the first call of a kind for the new backup's folder in the mirror: when that
// is made, everything is captured, and nothing is committed; when it is synced first, its files lie there.
func (r *rig) meddled(at fsx.Op, do func(dir string)) (*engine.BackupResult, error) {
	r.t.Helper()
	var once sync.Once
	hook := func(op fsx.Op, path string) error {
		if op == at && filepath.Dir(path) == r.mirror() && repository.IsID(filepath.Base(path)) {
			once.Do(func() { do(path) })
		}
		return nil
	}
	done := false
	meddle := do
	do = func(dir string) { done = true; meddle(dir) }
	r.fault.Store(&hook)
	defer r.fault.Store(nil)
	res, err := r.engine().Backup(r.t.Context(), engine.BackupOptions{NoVault: true})
	if !done {
		r.t.Fatal("there was nothing to meddle with")
	}
	return res, err
}

// notCommitted fails unless a backup failed, and neither the mirror nor OneDrive has it.
func (r *rig) notCommitted(id string, err error) {
	r.t.Helper()
	if err == nil {
		r.t.Error("it was not noticed")
	}
	for _, repo := range []string{r.mirror(), r.repo()} {
		if _, serr := os.Lstat(filepath.Join(repo, id, repository.ManifestName)); serr == nil {
			r.t.Errorf("%s is committed in %s", id, repo)
		}
	}
}

// TestReadBack: what does not lie in the mirror as it was written is no backup.
func TestReadBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, name := range []string{repository.FilesName, repository.RestoreIndexName, repository.ShellConfigsName} {
		id := ""
		_, err := r.meddled(fsx.OpSyncDir, func(dir string) {
			id = filepath.Base(dir)
			path := filepath.Join(dir, name)
			flip(t, path, len(read(t, path))/2)
		})
		r.notCommitted(id, err)
	}
	r.backup()
	r.verifyAll()
}

// TestNewChunkReadBack: a new chunk that lies in the mirror other than it was written, be it in a bit of its header that says nothing,
// is no part of a backup.
func TestNewChunkReadBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.backup()
	r.day(1)
	chunks := filepath.Join(r.mirror(), repository.ChunksDir)
	before := fineTree(t, chunks)
	var once sync.Once
	hook := func(op fsx.Op, path string) error {
		if op == fsx.OpSyncDir && path == chunks {
			once.Do(func() {
				for name := range fineTree(t, chunks) {
					if before[name] == "" {
						flip(t, filepath.Join(chunks, name), 4) // the time at which it was made: gzip does not look at that
					}
				}
			})
		}
		return nil
	}
	r.fault.Store(&hook)
	res, err := r.engine().Backup(t.Context(), engine.BackupOptions{NoVault: true})
	r.fault.Store(nil)
	if !errors.Is(err, repository.ErrDamaged) || res != nil {
		t.Errorf("it was not noticed: %v, %v", res, err)
	}
	r.backup()
	r.verifyAll()
}

// TestOldChunkInPart: of a chunk of earlier days a backup reads what it needs, and leaves the rest to verify; all of it, where a value
// that nobody looked for before could stand in it.
func TestOldChunkInPart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	long := filepath.Join(r.fix.Root, "claude/context/long.md")
	var text []byte
	for n := range 20_000 {
		text = fmt.Appendf(text, "line %d of many\n", n)
	}
	write(t, long, text)
	first := r.backup().Manifest
	write(t, long, append(text, "one more"...))
	spoil := func() {
		for _, c := range first.Chunks {
			flip(t, filepath.Join(r.mirror(), repository.ChunksDir, repository.ChunkName(c.SHA256)), 4) // see TestNewChunkReadBack
		}
	}
	spoil()
	second := r.backup()
	if !slices.ContainsFunc(second.Manifest.Chunks, func(c repository.ChunkRef) bool { return c == first.Chunks[0] }) {
		t.Fatal("it needs nothing of the first one")
	}
	if res := r.verifyAll(); len(res.Repaired) != len(first.Chunks) {
		t.Errorf("repaired: %v", res.Repaired)
	}
	spoil()
	secret := filepath.Join(r.fix.Root, string(first.Coverage.Secrets[0].Path))
	write(t, secret, append(read(t, secret), "# another\n"...))
	if res, err := r.engine().Backup(t.Context(), engine.BackupOptions{NoVault: true}); !errors.Is(err, repository.ErrDamaged) {
		t.Errorf("secrets were looked for in chunks that are not what they were: %v, %v", res, err)
	}
	r.verifyAll()
	r.backup()
}

// TestChunkGone: a chunk of earlier days that vanishes from the mirror during a backup is noticed before that is one.
func TestChunkGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.backup().Manifest
	r.day(1)
	id := ""
	_, err := r.meddled(fsx.OpMkdir, func(dir string) {
		id = filepath.Base(dir)
		remove(t, filepath.Join(r.mirror(), repository.ChunksDir, repository.ChunkName(first.Chunks[0].SHA256)))
	})
	r.notCommitted(id, err)
	r.backup()
	r.verifyAll()
}

// TestRepositoryReplaced: what takes the repository's place during a backup gets nothing of it.
func TestRepositoryReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.backup()
	r.day(1)
	away := r.repo() + "-away"
	_, err := r.meddled(fsx.OpMkdir, func(string) {
		if err := os.Rename(r.repo(), away); err != nil {
			t.Error(err)
		}
		d := repository.Descriptor{Format: repository.Format, RepositoryID: strings.Repeat("7", 32), Encryption: "none"}
		if err := (repository.Repo{Dir: r.repo()}).Init(d); err != nil {
			t.Error(err)
		}
	})
	if engine.CodeOf(err) != engine.CodeRepositoryGone {
		t.Errorf("got %v, want %s", err, engine.CodeRepositoryGone)
	}
	for name := range r.shelf() {
		if name != repository.RepositoryName {
			t.Errorf("%s was put into somebody else's repository", name)
		}
	}
	remove(t, r.repo())
	if err := os.Rename(away, r.repo()); err != nil {
		t.Fatal(err)
	}
	r.backup()
	r.verifyAll()
}

// TestPruneListsAgain: the prune behind a backup goes by what lies in OneDrive then, not by what lay there when the backup began.
func TestPruneListsAgain(t *testing.T) {
	t.Parallel()
	r, made := newPrunable(t)
	lost := filepath.Join(r.repo(), made[3].BackupID, repository.ManifestName)
	var before map[string]repository.Hash
	res, err := r.meddled(fsx.OpMkdir, func(string) {
		remove(t, lost)
		before = r.shelf()
	})
	if err != nil || len(res.Pruned) > 0 {
		t.Errorf("pruned %v, %v", res, err)
	}
	if res != nil && !slices.ContainsFunc(res.Warnings, func(w repository.Warning) bool { return w.Code == "prune_refused" }) {
		t.Errorf("nobody was told: %+v", res.Warnings)
	}
	r.deletesNothing(before)
}

// TestVerifyFindsForged: chunks that are whole, and files in them that are not what the list says.
func TestVerifyFindsForged(t *testing.T) {
	t.Parallel()
	f, begin := newForge(t)
	begin()
	other := repository.SumHash([]byte("another"))
	f.find("CLAUDE.md").SHA256 = &other
	f.save()
	res, err := f.engine().Verify(t.Context(), engine.VerifyOptions{All: true})
	if err != nil || res.OK() || len(res.BadChunks) > 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	const want = "CLAUDE.md: its bytes are not what they were"
	if !slices.ContainsFunc(res.Backups[0].Problems, func(p string) bool { return strings.HasPrefix(p, want) }) {
		t.Errorf("none of the problems is %q: %q", want, res.Backups[0].Problems)
	}
}

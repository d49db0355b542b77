package engine_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/repository"
	"maia-dr/packaging/ci/faults/matrix"
	"maia-dr/resources"
)

// twoChunks is a rig with two backups, of which the second needs two chunks and more; the machine is then taken away.
func twoChunks(t *testing.T) (r *rig, first, second *repository.Manifest, begin func()) {
	t.Helper()
	r = newRig(t)
	first = r.backup().Manifest
	r.day(1)
	second = r.backup().Manifest
	if len(second.Chunks) < 2 {
		t.Fatal("the second backup is in one chunk")
	}
	back := r.bookmark()
	r.state = filepath.Join(r.base, "state-of-another")
	return r, first, second, func() {
		t.Helper()
		back()
		remove(t, r.state)
	}
}

func (r *rig) chunkPath(m *repository.Manifest, n int) string {
	return filepath.Join(r.repo(), repository.ChunksDir, repository.ChunkName(m.Chunks[n].SHA256))
}

// TestChunkLost: with a chunk missing, cut off, longer, or another's, a restore brings back the rest, names what it
// could not, and the script does the same.
func TestChunkLost(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "16", "31a")
	r, first, second, begin := twoChunks(t)
	newest := len(second.Chunks) - 1
	for name, spoil := range map[string]func(path string){
		"missing":  func(path string) { remove(t, path) },
		"cut off":  func(path string) { truncate(t, path, 5000) },
		"longer":   func(path string) { write(t, path, append(read(t, path), 0)) },
		"flipped":  func(path string) { flip(t, path, 3000) },
		"empty":    func(path string) { write(t, path, nil) },
		"swapped":  func(path string) { write(t, path, read(t, r.chunkPath(second, 1-min(newest, 1)))) },
		"a folder": func(path string) { remove(t, path); mkdir(t, path) },
	} {
		faults.Inject()
		begin()
		spoil(r.chunkPath(second, newest))
		to := filepath.Join(r.base, "to")
		res, err := r.engine().Restore(t.Context(), engine.RestoreOptions{Backup: second.BackupID, To: to})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r.theRest(t, name, res, second, newest, to)
		// What names it: list, latest, verify.
		list, err := r.engine().List()
		visible := name != "flipped" // the others by their size
		if err != nil || visible != (list.Backups[0].State == engine.StateIncomplete) || list.Backups[1].BackupID != first.BackupID || list.Backups[1].State != engine.StateComplete {
			t.Errorf("%s: list: %+v, %v", name, list, err)
		}
		if visible {
			plan, err := r.engine().Restore(t.Context(), engine.RestoreOptions{Backup: "latest", To: to + "-latest", DryRun: true})
			if err != nil || plan.Plan.BackupID != first.BackupID || len(plan.Plan.Newer) != 1 {
				t.Errorf("%s: latest: %+v, %v", name, plan, err)
			}
		}
		v, err := r.engine().Verify(t.Context(), engine.VerifyOptions{All: true})
		if err != nil || v.OK() || len(v.BadChunks) != 1 || !strings.Contains(v.BadChunks[0], second.Chunks[newest].SHA256.String()) {
			t.Errorf("%s: verify: %+v, %v", name, v, err)
		}
		if name == "missing" {
			r.scriptAgrees(second, to)
		}
		remove(t, to)
	}
}

// theRest checks that a restore brought back exactly the files that have no byte in chunk n.
func (r *rig) theRest(t *testing.T, name string, res *engine.RestoreResult, m *repository.Manifest, n int, to string) {
	t.Helper()
	failed := map[string]bool{}
	for _, f := range res.Failed {
		path, why, ok := strings.Cut(f, ": ")
		if !ok || !strings.Contains(why, m.Chunks[n].SHA256.String()) {
			t.Errorf("%s: %q does not say which chunk is bad", name, f)
		}
		failed[path] = true
	}
	got := snapshotTree(t, to)
	restored := 0
	for path, want := range snapshotTree(t, r.fix.Root) {
		switch {
		case path == "." || r.excluded(path) || slices.ContainsFunc(m.Coverage.Secrets, func(s repository.SecretRef) bool { return string(s.Path) == path }):
		case failed[path]:
			if got[path] != "" {
				t.Errorf("%s: %s failed and is there", name, path)
			}
		case got[path] != want:
			t.Errorf("%s: %s is %q, want %q", name, path, got[path], want)
		default:
			restored++
		}
	}
	if len(failed) == 0 || restored < 100 || res.Restored < 100 {
		t.Errorf("%s: %d failed, %d restored: %+v", name, len(failed), restored, res)
	}
}

// scriptAgrees runs the script on the same damaged backup: nothing that Go did not restore too, nearly as much (what
// tar unpacks needs its header too), and the exit code for something missing.
func (r *rig) scriptAgrees(m *repository.Manifest, byGo string) {
	r.t.Helper()
	script, to := filepath.Join(r.base, "restore_maia.sh"), filepath.Join(r.base, "by-script")
	write(r.t, script, resources.RestoreScript)
	cmd := exec.Command("bash", script, "--repository", r.repo(), "--backup", m.BackupID, "--to", to, "--yes")
	cmd.Env = append(os.Environ(), "HOME="+r.t.TempDir())
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 3 {
		r.t.Errorf("restore_maia.sh: %v\n%s", err, out)
	}
	want, got := fineTree(r.t, byGo), fineTree(r.t, to)
	for path, is := range got {
		if want[path] != is {
			r.t.Errorf("the script restored %s as %q, Go as %q", path, is, want[path])
		}
	}
	if len(got)*100 < len(want)*95 {
		r.t.Errorf("the script restored %d files and folders, Go %d", len(got), len(want))
	}
}

// TestEveryFileFlipped flips a bit in every file of the repository, one at a time: verification names it, and a
// restore gives back nothing that is not what it was. With -full a bit of every sixteenth part of a file.
func TestEveryFileFlipped(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "15")
	r, first, second, begin := twoChunks(t)
	begin()
	want := snapshotTree(t, r.fix.Root)
	for path := range r.shelf() {
		if strings.HasPrefix(path, first.BackupID) && !matrix.Full() {
			continue // the second one stands for both
		}
		at := filepath.Join(r.repo(), path)
		whole := read(t, at)
		places := []int{len(whole) / 2}
		for i := range 17 {
			if matrix.Full() {
				places = append(places, i*(len(whole)-1)/16)
			}
		}
		for bit, place := range places {
			faults.Inject()
			spoiled := slices.Clone(whole)
			spoiled[place] ^= 1 << (bit % 8)
			write(t, at, spoiled)
			r.flipFound(path, second.BackupID, want)
		}
		write(t, at, whole)
	}
	if v := r.verifyAll(); len(v.Backups) != 2 {
		t.Errorf("%d backups", len(v.Backups))
	}
}

// flipFound checks that a bit was flipped in a file of the repository: it is named, and nothing is restored but what was.
func (r *rig) flipFound(path, backup string, want map[string]string) {
	t := r.t
	t.Helper()
	dir, name := filepath.Split(path)
	v, err := r.engine().Verify(t.Context(), engine.VerifyOptions{All: true})
	// What is in no backup: read anew by every run, or replaced by the next one.
	top := dir == "" && (name == repository.ReadmeName || name == repository.ScriptName || name == repository.RepositoryName || name == repository.WriterName(1))
	if err == nil && v.OK() && !top {
		t.Errorf("%s was changed, and all is said to be well", path)
	}
	// The restore index has the manifest's hash: it is named where the two disagree.
	named := err == nil && (strings.Contains(fmt.Sprint(v), name) || name == repository.ManifestName && strings.Contains(fmt.Sprint(v), repository.RestoreIndexName))
	if err == nil && !v.OK() && !named {
		t.Errorf("%s was changed and is not named: %+v", path, v)
	}
	to := filepath.Join(r.base, "to")
	if _, err := r.engine().Restore(t.Context(), engine.RestoreOptions{Backup: backup, To: to}); err == nil {
		for path, is := range snapshotTree(t, to) {
			if was, ok := want[path]; ok && path != "." && is != was {
				t.Errorf("%s: restored %q, was %q", path, is, was)
			}
		}
	}
	remove(t, to)
}

// TestBombs: what decompresses to more than it should ends where the manifest says, in memory and in time. Not
// parallel: it measures the memory of the whole process.
func TestBombs(t *testing.T) {
	faults := matrix.Of(t, "23")
	f, back := newForge(t)
	zeros := make([]byte, 64<<20)
	long := gz(t, zeros)
	bomb := slices.Concat(long, long, long, long, long, long, long, long) // 512 MB in 500 kB
	for name, c := range map[string]struct {
		spoil func()
		ok    bool // the restore goes on, and names what it could not have
	}{
		"chunk": {func() { f.chunk(0, bomb); f.save() }, true},
		"chunk of its own length and more": {func() {
			f.chunk(0, slices.Concat(read(t, f.chunkPath(f.m, 0)), bomb))
			f.save()
		}, true},
		"shell files": {func() { f.put(repository.ShellConfigsName, tarBomb(t, long)); f.save() }, true},
		"file list": {func() {
			f.put(repository.FilesName, bomb)
			f.saveManifest()
		}, false},
		"file list of empty lines": {func() {
			for i := range zeros {
				zeros[i] = '\n'
			}
			lines := gz(t, zeros)
			f.put(repository.FilesName, slices.Concat(lines, lines, lines, lines, lines, lines, lines, lines))
			f.saveManifest()
		}, false},
	} {
		faults.Inject()
		back()
		c.spoil()
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		to := filepath.Join(f.base, "to")
		res, err := f.engine().Restore(t.Context(), engine.RestoreOptions{Backup: f.m.BackupID, To: to})
		runtime.ReadMemStats(&after)
		if c.ok != (err == nil) || err == nil && len(res.Failed) == 0 && name != "chunk of its own length and more" {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 100<<20 {
			t.Errorf("%s: %d MB were allocated in %v", name, allocated>>20, time.Since(began))
		}
		remove(t, to)
	}
}

// tarBomb is a tar.gz of eight files that nobody asked for, each as long as zeros, a gzip member of 64 MB.
func tarBomb(t testing.TB, zeros []byte) []byte {
	t.Helper()
	var out []byte
	for i := range 8 {
		var header bytes.Buffer
		if err := tar.NewWriter(&header).WriteHeader(&tar.Header{Name: fmt.Sprint("bomb-", i), Size: 64 << 20, Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		out = slices.Concat(out, gz(t, header.Bytes()), zeros)
	}
	return out
}

package engine_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"maia-dr/engine"
	"maia-dr/engine/component"
	"maia-dr/engine/repository"
	"maia-dr/packaging/ci/faults/matrix"
)

// forge is a backup that somebody edited by hand in OneDrive, with hashes that are right again.
type forge struct {
	*rig
	m     *repository.Manifest
	files []repository.File
}

// newForge makes a backup and takes the machine away: only OneDrive is left.
func newForge(t *testing.T) (f *forge, back func()) {
	t.Helper()
	f = &forge{rig: newRig(t)}
	id := f.backup().BackupID
	begin := f.bookmark()
	f.state = filepath.Join(f.base, "state-of-another")
	return f, func() {
		t.Helper()
		begin()
		remove(t, f.state)
		repo := repository.Repo{Dir: f.repo()}
		var err error
		if f.m, _, err = repo.ReadManifest(id); err != nil {
			t.Fatal(err)
		}
		if f.files, err = repo.ReadFiles(f.m); err != nil {
			t.Fatal(err)
		}
	}
}

// file adds an entry whose content is that of a file the backup has.
func (f *forge) file(path string) *repository.File {
	f.t.Helper()
	for i := range f.files {
		if f.files[i].Path == "CLAUDE.md" {
			evil := f.files[i]
			evil.Path = repository.Name(path)
			f.files = append(f.files, evil)
			return &f.files[len(f.files)-1]
		}
	}
	f.t.Fatal("the backup has no CLAUDE.md")
	return nil
}

func (f *forge) link(path, to string) {
	f.files = append(f.files, repository.File{
		Component: component.Code, Path: repository.Name(path), Type: repository.TypeSymlink, Mode: 0o777, Link: repository.Name(to),
	})
}

// find returns the entry of a path.
func (f *forge) find(path string) *repository.File {
	f.t.Helper()
	for i := range f.files {
		if string(f.files[i].Path) == path {
			return &f.files[i]
		}
	}
	f.t.Fatalf("the backup has no %s", path)
	return nil
}

// put replaces a file of the backup's folder and what the manifest says of it.
func (f *forge) put(name string, body []byte) {
	f.t.Helper()
	write(f.t, filepath.Join(f.repo(), f.m.BackupID, name), body)
	for i := range f.m.Files {
		if f.m.Files[i].Path == name {
			f.m.Files[i].SizeBytes, f.m.Files[i].SHA256 = int64(len(body)), repository.SumHash(body)
			return
		}
	}
	f.t.Fatalf("the manifest names no %s", name)
}

// chunk replaces the content of chunk n by a gzip file; the manifest names it as it now is.
func (f *forge) chunk(n int, gz []byte) {
	f.t.Helper()
	sum := repository.SumHash(gz)
	write(f.t, filepath.Join(f.repo(), repository.ChunksDir, repository.ChunkName(sum)), gz)
	f.m.Chunks[n].SHA256, f.m.Chunks[n].SizeBytes = sum, int64(len(gz))
}

// save writes file list and manifest.
func (f *forge) save() {
	f.t.Helper()
	list, err := repository.EncodeFiles(f.files, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	f.put(repository.FilesName, list)
	f.saveManifest()
}

// saveManifest writes the manifest and leaves the file list as it is.
func (f *forge) saveManifest() {
	f.t.Helper()
	raw, err := f.m.Encode()
	if err != nil {
		f.t.Fatal(err)
	}
	write(f.t, filepath.Join(f.repo(), f.m.BackupID, repository.ManifestName), raw)
}

// gz compresses.
func gz(t testing.TB, raw []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zw, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if _, err := zw.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// edited changes the manifest as text.
func (f *forge) edited(old, new string) {
	f.t.Helper()
	path := filepath.Join(f.repo(), f.m.BackupID, repository.ManifestName)
	b := read(f.t, path)
	if !bytes.Contains(b, []byte(old)) {
		f.t.Fatalf("the manifest does not say %s", old)
	}
	write(f.t, path, bytes.Replace(b, []byte(old), []byte(new), 1))
}

// TestForgedBackups: whatever a manifest or a file list says, nothing is written outside the target, and nothing that
// lies there is lost; what cannot be trusted is refused before anything is written.
func TestForgedBackups(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "17", "21")
	f, back := newForge(t)
	outside := filepath.Join(f.base, "outside")
	mkdir(t, outside)
	refused := map[string]func(){
		"parent":            func() { f.file("../evil"); f.save() },
		"parents":           func() { f.file("claude/../../evil"); f.save() },
		"absolute":          func() { f.file(outside + "/evil"); f.save() },
		"not clean":         func() { f.file("claude//evil"); f.save() },
		"dot":               func() { f.file("."); f.save() },
		"NUL":               func() { f.file("a\x00b"); f.save() },
		"link then child":   func() { f.link("a", outside); f.file("a/evil"); f.save() },
		"child then link":   func() { f.file("b/evil"); f.link("b", outside); f.save() },
		"deep below a link": func() { f.link("c", outside); f.file("c/d/e/evil"); f.save() },
		"below a file":      func() { f.file("CLAUDE.md/evil"); f.save() },
		"twice":             func() { f.file("CLAUDE.md"); f.save() },
		"twice in two components": func() {
			f.file("twice")
			f.file("twice").Component = component.DataSmall
			f.save()
		},
		"a component upwards":     func() { f.file("evil").Component = "../up"; f.save() },
		"a personal file upwards": func() { e := f.file("../../../evil"); e.Component = component.ShellConfigs; f.save() },
		"a mode from elsewhere":   func() { f.file("evil").Mode = 0o1000644; f.save() },
		"offset outside":          func() { f.file("evil").Offset = 1 << 40; f.save() },
		"size outside":            func() { f.find("CLAUDE.md").SizeBytes = 1 << 30; f.save() },
		"enormous":                func() { f.find("CLAUDE.md").SizeBytes = math.MaxInt64; f.save() },
		"two that add up to less than nothing": func() {
			f.find("CLAUDE.md").SizeBytes, f.find("README.md").SizeBytes = math.MaxInt64, math.MaxInt64
			f.save()
		},
		"a stream that is not there": func() { f.file("evil").Component = component.DataLarge; f.save() },
		"extent outside its chunk": func() {
			x := f.m.Components[component.Code].Extents
			x[0].Offset = f.m.Chunks[x[0].Chunk].RawBytes
			f.save()
		},
		"extent of no chunk": func() { f.m.Components[component.Code].Extents[0].Chunk = 99; f.save() },
		"extents too short": func() {
			c := f.m.Components[component.Code]
			c.Extents = c.Extents[:len(c.Extents)-1]
			f.save()
		},
		"chunk too large": func() { f.m.Chunks[0].RawBytes = 1 << 40; f.save() },
		"file upwards":    func() { f.save(); f.edited(`"path": "restore_maia.sh"`, `"path": "../../evil"`) },
		"small files larger than memory": func() {
			for _, name := range []string{"a", "b", "c"} {
				e := f.file(name)
				e.Component, e.SizeBytes = component.ShellConfigs, 300<<20
			}
			f.save()
		},
		"database upwards": func() { f.m.Components[component.DataLarge].Databases[0].Path = "../evil"; f.save() },
		"another's name":   func() { f.edited(f.m.BackupID, "full_20240101_000000") },
		"a key twice":      func() { f.edited(`"format"`, `"format": 1, "format"`) },
		"cut off":          func() { f.edited("}\n}", "") },
		"nested": func() {
			f.edited(`"system_metadata": {`, `"system_metadata": {"x": `+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`, `)
		},
		"list of another hash": func() {
			f.save()
			write(t, filepath.Join(f.repo(), f.m.BackupID, repository.FilesName), gz(t, []byte("{}\n")))
		},
	}
	for name, spoil := range refused {
		faults.Inject()
		back()
		spoil()
		to := filepath.Join(f.base, "to")
		_, err := f.engine().Restore(t.Context(), engine.RestoreOptions{Backup: f.m.BackupID, To: to})
		done := f.said("%s: %v", name, err)
		if err == nil {
			t.Error("it was restored")
		}
		if code := engine.CodeOf(err); code == engine.CodeFailed && err != nil {
			t.Errorf("the error is told as %s", code)
		}
		f.contained(outside)
		if left, err := os.ReadDir(to); err == nil && len(left) > 0 {
			t.Errorf("%s was written before the backup was refused", left[0].Name())
		}
		remove(t, to)
		done()
	}
}

// contained checks that nothing was written outside the target.
func (f *forge) contained(outside string) {
	f.t.Helper()
	if left := entries(f.t, outside); len(left) > 0 {
		f.t.Errorf("%s was written outside the target", left[0].Name())
	}
	for _, dir := range []string{f.base, filepath.Dir(f.base), f.fix.Home} {
		if _, err := os.Lstat(filepath.Join(dir, "evil")); err == nil {
			f.t.Errorf("%s/evil was written outside the target", dir)
		}
	}
}

// TestLinksOutside: a link to outside is restored as a link, and nothing goes through it, also where components share
// a folder.
func TestLinksOutside(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "21")
	f, back := newForge(t)
	back()
	outside := filepath.Join(f.base, "outside")
	mkdir(t, outside)
	f.link("out", outside)
	f.link(engine.BesideDir, outside)
	f.find("CLAUDE.md").Mode = 0o6777
	f.save()
	to := filepath.Join(f.base, "to")
	for range 2 {
		faults.Inject()
		res, err := f.engine().Restore(t.Context(), engine.RestoreOptions{Backup: f.m.BackupID, To: to})
		if err != nil || len(res.Failed) > 0 {
			t.Fatalf("%+v, %v", res, err)
		}
		f.contained(outside)
		if got, err := os.Readlink(filepath.Join(to, "out")); err != nil || got != outside {
			t.Errorf("the link leads to %s, %v", got, err)
		}
		if fi, err := os.Lstat(filepath.Join(to, "CLAUDE.md")); err != nil || fi.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 {
			t.Errorf("%v, %v", fi.Mode(), err)
		}
		f.clock = f.clock.Add(time.Minute)
	}
}

package repository

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"maia-dr/engine/fsx"
	"maia-dr/packaging/ci/faults/matrix"
)

func TestNewID(t *testing.T) {
	at := time.Date(2025, 10, 13, 5, 0, 0, 999, time.FixedZone("", 2*3600))
	for _, tc := range []struct {
		present string
		want    string
		behind  bool
	}{
		{"", "full_20251013_030000", false},
		{"full_20251013_025959 full_20240101_000000", "full_20251013_030000", false},
		{"full_20251013_030000", "full_20251013_030001", false},
		{"full_20251013_030001 full_20251013_030000", "full_20251013_030002", false},
		{"full_20251013_030100", "full_20251013_030101", false},
		{"full_20251013_030101", "full_20251013_030102", true},
		{"full_20251231_235959", "full_20260101_000000", true},
		{"full_20280228_235959", "full_20280229_000000", true},
		{"full_20259999_000000 full_zzz full_20251013_030000x chunks", "full_20251013_030000", false},
	} {
		id, behind := NewID(at, strings.Fields(tc.present))
		if id != tc.want || behind != tc.behind || !IsID(id) {
			t.Errorf("with %s: %s %v, want %s %v", tc.present, id, behind, tc.want, tc.behind)
		}
	}
	// However the clock jumps, every id is greater than all before it.
	rng := rand.New(rand.NewPCG(1, 1))
	var ids []string
	for range 150 {
		id, _ := NewID(at.Add(time.Duration(rng.Int64N(int64(100*time.Hour)))), ids)
		if len(ids) > 0 && id <= slices.Max(ids) || !IsID(id) {
			t.Fatalf("%s after %s", id, slices.Max(ids))
		}
		ids = append(ids, id)
		rng.Shuffle(len(ids), func(i, k int) { ids[i], ids[k] = ids[k], ids[i] })
	}
}

func TestIDs(t *testing.T) {
	for _, id := range []string{
		"", "full_", "full_20251013", "full_20251013_030000 ", "full_20251013_030000\n", "full_20251013-030000", "Full_20251013_030000", "full_20250229_000000",
		"full_20251301_000000", "full_20251013_240000", "full_20251013_236000", "full_20251013_030060", "full_２0251013_030000", "../full_20251013_030000",
	} {
		if IsID(id) {
			t.Errorf("%q is an id", id)
		}
	}
	at, err := IDTime("full_20240229_235959")
	if err != nil || !at.Equal(time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC)) {
		t.Error(at, err)
	}
}

func TestHash(t *testing.T) {
	h := SumHash([]byte("x"))
	if back, err := ParseHash(h.String()); err != nil || back != h {
		t.Error(back, err)
	}
	s := h.String()
	for _, bad := range []string{"", s[1:], s + "0", strings.ToUpper(s), "g" + s[1:], " " + s[1:], strings.Repeat("é", 32)} {
		if _, err := ParseHash(bad); err == nil {
			t.Errorf("%q is a hash", bad)
		}
	}
}

func TestInit(t *testing.T) {
	dir := t.TempDir() + "/MaiaBackups"
	r := Repo{Dir: dir}
	d := Descriptor{Format: 1, RepositoryID: testRepositoryID, Encryption: "none", CreatedAt: time.Unix(0, 0).UTC()}
	if _, err := r.Descriptor(); !errors.Is(err, ErrNotRepository) {
		t.Error(err)
	}
	if err := (Repo{Dir: dir + "/vanished/MaiaBackups"}).Init(d); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a repository in a folder that is gone: %v", err)
	}
	if err := r.Init(d); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Descriptor(); err != nil || *got != d {
		t.Error(got, err)
	}
	d.RepositoryID = "f" + testRepositoryID[1:]
	if err := r.Init(d); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Init for the second time: %v", err)
	}
	if got, err := r.Descriptor(); err != nil || got.RepositoryID != testRepositoryID {
		t.Error(got, err)
	}
	if fi, err := os.Stat(r.Path(RepositoryName)); err != nil || fi.Mode().Perm() != 0o600 {
		t.Error(fi.Mode(), err)
	}
}

func TestDescriptorRefuses(t *testing.T) {
	for body, want := range map[string]error{
		`{"format":2,"repository_id":"` + testRepositoryID + `","encryption":"none"}`: ErrNewerFormat,
		`{"format":0,"repository_id":"` + testRepositoryID + `","encryption":"none"}`: ErrDamaged,
		`{"format":1,"repository_id":"","encryption":"none"}`:                         ErrDamaged,
		`{"format":1,"repository_id":"` + testRepositoryID + `","encryption":"aes"}`:  ErrDamaged,
		`{"format":1,"repository_id":"` + testRepositoryID + `"}`:                     ErrDamaged,
		`{`: ErrDamaged,
		``:  ErrDamaged,
		`{"format":1,"repository_id":"` + testRepositoryID + `"` + strings.Repeat(" ", 1<<20) + "}": ErrDamaged,
	} {
		r := Repo{Dir: t.TempDir()}
		put(t, r.Path(RepositoryName), []byte(body))
		if d, err := r.Descriptor(); !errors.Is(err, want) || d != nil {
			t.Errorf("%.80s: %v", body, err)
		}
	}
	r := Repo{Dir: t.TempDir()}
	if err := os.Mkdir(r.Path(RepositoryName), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Descriptor(); err == nil || errors.Is(err, ErrNotRepository) {
		t.Errorf("repository.json is a folder: %v", err)
	}
}

func TestWriter(t *testing.T) {
	r := Repo{Dir: t.TempDir()}
	if w, err := r.Writer(); w != nil || err != nil {
		t.Error(w, err)
	}
	for _, n := range []int{2, 10, 9} {
		if err := r.WriteJSON(WriterName(n), Writer{Format: 1, Number: n, StateID: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
	}
	put(t, r.Path("writer-0011-Mac.json"), nil)
	put(t, r.Path("writer-11.json"), nil)
	if w, err := r.Writer(); err != nil || w.Number != 10 || w.StateID != "10" {
		t.Error(w, err)
	}
	for body, want := range map[string]error{`{"format":1,"writer":3}`: ErrDamaged, `{"format":2,"writer":11}`: ErrNewerFormat, ``: ErrDamaged} {
		put(t, r.Path(WriterName(11)), []byte(body))
		if w, err := r.Writer(); !errors.Is(err, want) || w != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
	if _, err := (Repo{Dir: r.Path("none")}).Writer(); err == nil {
		t.Error("a folder that is gone has no writer, and no error")
	}
}

// What is not of the format is named and not taken for anything of it.
func TestListing(t *testing.T) {
	x := newExample(t)
	dir := t.TempDir()
	r := x.write(t, dir)
	for _, name := range []string{
		"writer-0001.json", "README.txt", "restore_maia.sh", ".DS_Store", "desktop.ini", // known
		"repository-MacBook.json", "writer-0001 2.json", "full_20251013_030000(1)", "notes.txt", ".repository.json.1.tmp",
		"chunks/.DS_Store", "chunks/desktop.ini", "chunks/chunk.12345.tmp", "chunks/" + strings.Repeat("0", 63) + ".gz",
		"chunks/" + strings.Repeat("A", 64) + ".gz", "chunks/" + strings.Repeat("a", 64) + "-MacBook.gz", "chunks/" + strings.Repeat("a", 64) + ".gz.tmp",
		exampleID + "/.DS_Store", exampleID + "/files.jsonl 2.gz", exampleID + "/.hidden", exampleID + "/backup_manifest.json.tmp",
		exampleID + "/desktop.ini", exampleID + "/restore.index(1).gz",
	} {
		put(t, r.Path(name), []byte("x"))
	}
	for _, name := range []string{"full_20251314_030000", "full_20251014_030000", "other", exampleID + "/folder", "chunks/" + strings.Repeat("b", 64) + ".gz"} {
		if err := os.Mkdir(r.Path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", r.Path(exampleID, "link.txt")); err != nil {
		t.Fatal(err)
	}
	l, err := r.List()
	if err != nil {
		t.Fatal(err)
	}
	foreign := []string{
		".repository.json.1.tmp", "chunks/" + strings.Repeat("0", 63) + ".gz", "chunks/" + strings.Repeat("A", 64) + ".gz",
		"chunks/" + strings.Repeat("a", 64) + "-MacBook.gz", "chunks/" + strings.Repeat("a", 64) + ".gz.tmp", "chunks/" + strings.Repeat("b", 64) + ".gz",
		"chunks/chunk.12345.tmp", exampleID + "(1)", exampleID + "/.hidden", exampleID + "/backup_manifest.json.tmp", exampleID + "/files.jsonl 2.gz",
		exampleID + "/folder", exampleID + "/restore.index(1).gz", "full_20251314_030000", "notes.txt", "other", "repository-MacBook.json", "writer-0001 2.json",
	}
	slices.Sort(foreign)
	if !slices.Equal(l.Foreign, foreign) {
		t.Errorf("foreign:\n%s\nwant\n%s", strings.Join(l.Foreign, "\n"), strings.Join(foreign, "\n"))
	}
	if ids := l.IDs(); !slices.Equal(ids, []string{exampleID, "full_20251014_030000"}) {
		t.Error(ids)
	}
	want := map[string]int64{"link.txt": -1, ManifestName: int64(len(x.raw)), FilesName: int64(len(x.small[FilesName])), SystemMetadataName: 23}
	fi, err := os.Stat(r.Path(exampleID, RestoreIndexName))
	if err != nil {
		t.Fatal(err)
	}
	want[RestoreIndexName] = fi.Size()
	if !reflect.DeepEqual(l.Backups[exampleID], want) {
		t.Errorf("%v, want %v", l.Backups[exampleID], want)
	}
	c := x.manifest.Chunks[0]
	if !reflect.DeepEqual(l.Chunks, map[Hash]int64{c.SHA256: c.SizeBytes}) || len(l.Top) != 4 {
		t.Error(l.Chunks, l.Top)
	}
	if lacks := x.manifest.Lacks(l); lacks != nil {
		t.Error(lacks)
	}
}

// A folder that cannot be listed is never an empty listing: prune would believe it.
func TestListingFails(t *testing.T) {
	matrix.Count(t, 1, "31")
	x := newExample(t)
	if l, err := (Repo{Dir: t.TempDir() + "/none"}).List(); !errors.Is(err, fs.ErrNotExist) || l != nil {
		t.Error(l, err)
	}
	r := x.write(t, t.TempDir())
	if l, err := (Repo{Dir: r.Path(RepositoryName)}).List(); err == nil || l != nil {
		t.Error(l, err)
	}
}

func TestLacks(t *testing.T) {
	x := newExample(t)
	m := x.manifest
	chunk := ChunkName(m.Chunks[0].SHA256)
	for _, name := range []string{ManifestName, RestoreIndexName, FilesName, SystemMetadataName, "chunk", "folder"} {
		for _, how := range []string{"missing", "truncated"} {
			r := x.write(t, t.TempDir())
			path, want := r.Path(exampleID, name), []string{exampleID + "/" + name}
			switch name {
			case "chunk":
				path, want = r.Path(ChunksDir, chunk), []string{"chunks/" + chunk}
			case "folder":
				path, want = r.Path(exampleID), []string{
					exampleID + "/" + ManifestName, exampleID + "/" + RestoreIndexName, exampleID + "/" + FilesName, exampleID + "/" + SystemMetadataName,
				}
			}
			if how == "missing" {
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
			} else if name != "folder" {
				put(t, path, nil)
			}
			l, err := r.List()
			if err != nil {
				t.Fatal(err)
			}
			if how == "truncated" && (name == "folder" || name == ManifestName || name == RestoreIndexName) {
				continue // no size of these is recorded
			}
			if lacks := m.Lacks(l); !slices.Equal(lacks, want) {
				t.Errorf("%s %s: lacks %v", name, how, lacks)
			}
		}
	}
}

func TestReadManifestAndFiles(t *testing.T) {
	x := newExample(t)
	r := x.write(t, t.TempDir())
	m, raw, err := r.ReadManifest(exampleID)
	if err != nil || string(raw) != string(x.raw) {
		t.Fatal(err)
	}
	if files, err := r.ReadFiles(m); err != nil || !reflect.DeepEqual(files, x.files) {
		t.Error(files, err)
	}
	if _, err := r.ReadFile(m, ManifestName); !errors.Is(err, ErrMissing) {
		t.Errorf("a file the manifest does not name: %v", err)
	}
	other := "full_20251014_030000"
	if _, _, err := r.ReadManifest(other); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
	// A backup's folder under another name is not that backup: an old one replayed.
	if err := os.Rename(r.Path(exampleID), r.Path(other)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.ReadManifest(other); !errors.Is(err, ErrDamaged) {
		t.Errorf("a manifest in another's folder: %v", err)
	}
	if err := os.Rename(r.Path(other), r.Path(exampleID)); err != nil {
		t.Fatal(err)
	}
	for i := range m.Files {
		name := m.Files[i].Path
		whole := x.small[name]
		for pos := range whole {
			whole[pos] ^= 0x10
			put(t, r.Path(exampleID, name), whole)
			whole[pos] ^= 0x10
			if _, err := r.ReadFile(m, name); !errors.Is(err, ErrDamaged) {
				t.Fatalf("%s, byte %d: %v", name, pos, err)
			}
		}
		for _, b := range [][]byte{nil, whole[1:], append(slices.Clone(whole), 0)} {
			put(t, r.Path(exampleID, name), b)
			if _, err := r.ReadFile(m, name); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s of %d bytes: %v", name, len(b), err)
			}
		}
	}
}

// A small file that cannot be written leaves the old one and no temporary file.
func TestWriteFileFaults(t *testing.T) {
	f := &faultAt{err: syscall.ENOSPC}
	for f.n = 1; ; f.n++ {
		f.calls = 0
		r := Repo{Dir: t.TempDir(), FS: &fsx.FS{Fault: f.fault}}
		put(t, r.Path("README.txt"), []byte("old"))
		err := r.WriteFile("README.txt", []byte("new"))
		got := tree(t, r.Dir)
		if len(got) != 1 || got["README.txt"] != "old" && got["README.txt"] != "new" {
			t.Errorf("call %d: %q", f.n, got)
		}
		if f.calls < f.n {
			if err != nil || got["README.txt"] != "new" {
				t.Error(err, got)
			}
			return
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("call %d: %v", f.n, err)
		}
	}
}

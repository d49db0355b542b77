package fsx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/packaging/ci/faults/matrix"
)

func put(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func list(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// failing makes the nth call of the seam fail and records all.
type failing struct {
	n   int
	ops []Op
}

func (f *failing) fs() *FS {
	f.ops = nil
	return &FS{Fault: func(op Op, _ string) error {
		f.ops = append(f.ops, op)
		if len(f.ops) == f.n {
			return syscall.ENOSPC
		}
		return nil
	}}
}

// At every call that can fail: the old content or the new, never a part, and no temporary file.
func TestReplaceFaults(t *testing.T) {
	faults := matrix.Of(t, "4")
	twoWrites := func(w io.Writer) error {
		for _, s := range []string{"new ", "content"} {
			if _, err := io.WriteString(w, s); err != nil {
				return err
			}
		}
		return nil
	}
	for name, tc := range map[string]struct {
		write func(f *FS, path string) error
		ops   []Op
	}{
		"durable": {func(f *FS, path string) error { return f.WriteDurable(path, 0o640, twoWrites) },
			[]Op{OpCreate, OpWrite, OpWrite, OpSync, OpRename, OpSyncDir}},
		"atomic": {func(f *FS, path string) error { return f.WriteAtomic(path, 0o640, []byte("new content")) },
			[]Op{OpCreate, OpWrite, OpRename}},
	} {
		for _, old := range []string{"", "old"} {
			for n := 0; n <= len(tc.ops); n++ {
				faults.Inject()
				dir := t.TempDir()
				path := filepath.Join(dir, "file")
				if old != "" {
					put(t, path, old)
				}
				f := &failing{n: n}
				err := tc.write(f.fs(), path)
				names := list(t, dir)
				if n == 0 {
					fi, serr := os.Stat(path)
					if err != nil || serr != nil || fi.Mode().Perm() != 0o640 || read(t, path) != "new content" {
						t.Errorf("%s: %v %v", name, err, serr)
					}
					if !slices.Equal(f.ops, tc.ops) {
						t.Errorf("%s makes the calls %v, want %v", name, f.ops, tc.ops)
					}
				} else if !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("%s, call %d: %v", name, n, err)
				} else if tc.ops[n-1] != OpSyncDir && old == "" && len(names) > 0 {
					t.Errorf("%s, call %d leaves %v", name, n, names)
				} else if tc.ops[n-1] != OpSyncDir && old != "" && read(t, path) != old {
					t.Errorf("%s, call %d: the file holds %q", name, n, read(t, path))
				}
				if len(names) > 1 || len(names) == 1 && names[0] != "file" {
					t.Errorf("%s, call %d leaves %v", name, n, names)
				}
			}
		}
	}
}

func TestReplaceWriterFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	put(t, path, "old")
	why := errors.New("why")
	err := (*FS)(nil).WriteDurable(path, 0o600, func(w io.Writer) error {
		if _, err := io.WriteString(w, "part"); err != nil {
			return err
		}
		return why
	})
	if !errors.Is(err, why) || read(t, path) != "old" || len(list(t, dir)) != 1 {
		t.Error(err, read(t, path), list(t, dir))
	}
	if err := (*FS)(nil).WriteDurable(filepath.Join(dir, "none", "file"), 0o600, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// A reader sees the old content or the new one, while a writer replaces it.
func TestWriteAtomicNeverTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "status")
	contents := [2][]byte{bytes.Repeat([]byte("a"), 20_000), bytes.Repeat([]byte("b"), 10_000)}
	var f *FS
	if err := f.WriteAtomic(path, 0o600, contents[0]); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		for i := range 200 {
			if err := f.WriteAtomic(path, 0o600, contents[i%2]); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
			if got := read(t, path); got != string(contents[0]) && got != string(contents[1]) {
				t.Fatalf("%d bytes, neither the old nor the new", len(got))
			}
		}
	}
}

// Each method asks the seam first and, told to fail, changes nothing.
func TestEveryMethodPassesTheSeam(t *testing.T) {
	dir := t.TempDir()
	file, sub := filepath.Join(dir, "file"), filepath.Join(dir, "sub")
	put(t, file, "content")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	before := list(t, dir)
	f := &failing{n: 1}
	two := func(_ any, err error) error { return err }
	for want, call := range map[Op]func(f *FS) error{
		OpMkdir:    func(f *FS) error { return errors.Join(f.MkdirAll(sub+"/a/b", 0o700)) },
		OpRename:   func(f *FS) error { return f.Rename(file, file+"2") },
		OpRemove:   func(f *FS) error { return f.Remove(file) },
		OpSyncDir:  func(f *FS) error { return f.SyncDir(dir) },
		OpSymlink:  func(f *FS) error { return f.Symlink("x", file+"3") },
		OpMetadata: func(f *FS) error { return f.Chmod(file, 0) },
		OpCreate:   func(f *FS) error { return two(f.Create(file+"4", 0o600)) },
		OpSync:     func(f *FS) error { return f.Sync(file) },
	} {
		if err := call(f.fs()); !errors.Is(err, syscall.ENOSPC) || len(f.ops) != 1 || f.ops[0] != want {
			t.Errorf("%s: %v, calls %v", want, err, f.ops)
		}
	}
	for i, call := range []func(f *FS) error{
		func(f *FS) error { return f.Mkdir(sub+"/a", 0o700) }, func(f *FS) error { return two(f.MkdirTemp(dir, "x")) },
		func(f *FS) error { return f.RemoveAll(sub) }, func(f *FS) error { return f.Chtimes(file, time.Unix(0, 0)) },
		func(f *FS) error { return two(f.Append(file, 0o600)) }, func(f *FS) error { return two(f.CreateTemp(dir, "x")) },
		func(f *FS) error { return syncVolumeOf(f, dir) },
	} {
		if err := call(f.fs()); !errors.Is(err, syscall.ENOSPC) || len(f.ops) != 1 {
			t.Errorf("call %d: %v, calls %v", i, err, f.ops)
		}
	}
	if after := list(t, dir); !slices.Equal(after, before) || read(t, file) != "content" {
		t.Errorf("the folder holds %v, held %v", after, before)
	}
	f.fs().Discard(file)
	if len(f.ops) != 0 || len(list(t, dir)) != 1 {
		t.Errorf("Discard passes the seam, or does nothing: %v", f.ops)
	}
	(*FS)(nil).Discard(file)
}

// An open file's writes pass the seam, by whatever function they come.
func TestFilePassesTheSeam(t *testing.T) {
	for i, write := range []func(f *File) error{
		func(f *File) error { _, err := f.Write([]byte("x")); return err },
		func(f *File) error { _, err := f.WriteAt([]byte("x"), 5); return err },
		func(f *File) error { _, err := io.Copy(f, strings.NewReader("x")); return err },
		func(f *File) error { _, err := io.Copy(f, bytes.NewReader([]byte("x"))); return err },
		func(f *File) error {
			in, err := os.Open(os.Args[0])
			if err != nil {
				return err
			}
			defer in.Close()
			_, err = io.Copy(f, in)
			return err
		},
		func(f *File) error { _, err := f.ReadFrom(strings.NewReader("x")); return err },
		func(f *File) error { return f.Sync() },
	} {
		seam := &failing{n: 2}
		f, err := seam.fs().Create(filepath.Join(t.TempDir(), "file"), 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := write(f); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("way %d: %v", i, err)
		}
		if fi, err := f.Stat(); err != nil || fi.Size() != 0 {
			t.Errorf("way %d wrote %d bytes: %v", i, fi.Size(), err)
		}
		f.Close()
	}
}

func TestCreateAndAppend(t *testing.T) {
	var f *FS
	path := filepath.Join(t.TempDir(), "file")
	for range 2 {
		a, err := f.Append(path, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Write([]byte("line\n")); err != nil {
			t.Fatal(err)
		}
		a.Close()
	}
	if read(t, path) != "line\nline\n" {
		t.Errorf("%q", read(t, path))
	}
	if _, err := f.Create(path, 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create over a file: %v", err)
	}
}

func TestCopy(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	content := strings.Repeat("content", 100_000)
	put(t, src, content)
	noClone := &FS{Fault: func(op Op, _ string) error {
		if op == OpClone {
			return unix.ENOTSUP
		}
		return nil
	}}
	for i, f := range []*FS{nil, noClone} {
		dst := filepath.Join(dir, fmt.Sprint(i))
		cloned, err := f.Copy(src, dst, 0o640)
		if err != nil || cloned && f == noClone {
			t.Fatal(cloned, err)
		}
		fi, err := os.Stat(dst)
		if err != nil || fi.Mode().Perm() != 0o640 || read(t, dst) != content {
			t.Errorf("copy %d: %v %v", i, fi, err)
		}
		// Changing the copy does not change the source.
		put(t, dst, "other")
		if read(t, src) != content {
			t.Fatal("the source changed")
		}
		if _, err := f.Copy(src, dst, 0o600); !errors.Is(err, fs.ErrExist) || read(t, dst) != "other" {
			t.Errorf("copy %d over a file: %v", i, err)
		}
		if _, err := f.Copy(filepath.Join(dir, "none"), dst+"x", 0o600); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("copy %d of nothing: %v", i, err)
		}
		if _, err := os.Lstat(dst + "x"); err == nil {
			t.Error("a copy of nothing lies there")
		}
	}
	for n := 2; n <= 3; n++ { // the clone at call 1 fails as well, then one more
		seam := &failing{n: n}
		f := seam.fs()
		inner := f.Fault
		f.Fault = func(op Op, path string) error { return errors.Join(inner(op, path), noClone.Fault(op, path)) }
		dst := filepath.Join(dir, fmt.Sprint("failed", n))
		if _, err := f.Copy(src, dst, 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("call %d: %v", n, err)
		}
		if _, err := os.Lstat(dst); err == nil {
			t.Errorf("call %d leaves a part of a copy", n)
		}
	}
}

func TestRemoveTemps(t *testing.T) {
	var f *FS
	dir := t.TempDir()
	for _, name := range []string{"a.tmp", ".status.json.1.tmp", "keep", "tmp", "keep.tmp.gz"} {
		put(t, filepath.Join(dir, name), "x")
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	if file, err := f.CreateTemp(dir, "chunk."); err != nil || !strings.HasSuffix(file.Name(), TempSuffix) {
		t.Fatal(err)
	} else {
		file.Close()
	}
	if err := f.RemoveTemps(dir); err != nil {
		t.Fatal(err)
	}
	if got := list(t, dir); !slices.Equal(got, []string{"folder.tmp", "keep", "keep.tmp.gz", "tmp"}) {
		t.Error(got)
	}
	if err := f.RemoveTemps(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
	put(t, filepath.Join(dir, "a.tmp"), "x")
	if err := (&failing{n: 1}).fs().RemoveTemps(dir); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if err := f.RemoveTemps(filepath.Join(dir, "keep")); err == nil {
		t.Error("a file has no temporary files, and no error")
	}
}

func TestChtimes(t *testing.T) {
	var f *FS
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	put(t, file, "x")
	if err := f.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Time{time.Unix(1, 999_999_000), time.Unix(4_102_444_800, 0), time.Unix(-86400, 0)} {
		if err := f.Chtimes(file, at); err != nil {
			t.Fatal(err)
		}
		if err := f.Chtimes(link, at.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Lstat(file)
		if err != nil || !fi.ModTime().Equal(at) {
			t.Errorf("%v %v, want %v", fi.ModTime(), err, at)
		}
		fi, err = os.Lstat(link)
		if err != nil || !fi.ModTime().Equal(at.Add(time.Hour)) {
			t.Errorf("the link: %v %v", fi.ModTime(), err)
		}
	}
	if err := f.Chtimes(filepath.Join(dir, "none"), time.Unix(0, 0)); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestFreeBytes(t *testing.T) {
	if n, err := FreeBytes(t.TempDir()); err != nil || n <= 0 {
		t.Error(n, err)
	}
	if _, err := FreeBytes(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func syncVolumeOf(f *FS, dir string) error {
	v, err := f.OpenVolume(dir)
	if err != nil {
		return err
	}
	return errors.Join(v.Sync(), v.Close())
}

// TestVolume syncs the volume of a folder; one that is not there is an error.
func TestVolume(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syncVolumeOf(nil, dir); err != nil {
		t.Error(err)
	}
	if err := syncVolumeOf(nil, filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

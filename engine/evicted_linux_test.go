package engine_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"maia-dr/engine"
	"maia-dr/packaging/ci/faults/matrix"
)

// readers watches the files of a folder and its subfolders, and returns a function that says which were opened since.
func readers(t *testing.T, dir string) func() []string {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	dirs := map[int32]string{}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		wd, err := unix.InotifyAddWatch(fd, path, unix.IN_OPEN)
		dirs[int32(wd)] = path
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() []string {
		var out []string
		buf := make([]byte, 1<<20)
		for {
			n, err := unix.Read(fd, buf)
			if n <= 0 || err != nil {
				return out
			}
			for off := 0; off < n; {
				ev := (*unix.InotifyEvent)(unsafe.Pointer(&buf[off]))
				name := string(bytes.TrimRight(buf[off+unix.SizeofInotifyEvent:off+unix.SizeofInotifyEvent+int(ev.Len)], "\x00"))
				if ev.Mask&unix.IN_ISDIR == 0 && name != "" {
					out = append(out, filepath.Join(dirs[ev.Wd], name))
				}
				off += unix.SizeofInotifyEvent + int(ev.Len)
			}
		}
	}
}

// A daily backup with its light drill, list, status and prune open no evicted file in OneDrive: each could be a download
// that hangs.
func TestDailyRunsReadNothingInOneDrive(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "28")
	r := newRig(t)
	r.drills = true
	r.backup()
	opened := readers(t, r.repo())
	if _, err := os.ReadFile(filepath.Join(r.repo(), "repository.json")); err != nil || len(opened()) != 1 {
		t.Fatalf("the watch sees nothing: %v", err)
	}
	evicted := func() *engine.Engine {
		return r.mac().engineWith(func(o *engine.Options) {
			o.FS, o.Evicted = r.fsys, func(path string) bool { return strings.HasPrefix(path, r.repo()+"/") }
		}, r.now())
	}
	for name, run := range map[string]func() error{
		"backup": func() error {
			r.day(1)
			res, err := evicted().Backup(t.Context(), engine.BackupOptions{NoVault: true})
			if err == nil && len(res.Warnings) > 0 {
				t.Errorf("backup: %+v", res.Warnings)
			}
			return err
		},
		"list":   func() error { _, err := evicted().List(); return err },
		"status": func() error { _, err := evicted().Status(); return err },
		"sync":   func() error { _, err := evicted().Sync(t.Context()); return err },
		"prune":  func() error { _, err := evicted().Prune(t.Context(), engine.PruneOptions{}); return err },
		"verify": func() error {
			res, err := evicted().Verify(t.Context(), engine.VerifyOptions{All: true})
			if err == nil && !res.OK() {
				t.Errorf("verify: %+v", res)
			}
			return err
		},
	} {
		faults.Inject()
		if err := run(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, path := range opened() {
			t.Errorf("%s opened %s", name, path)
		}
	}
}

package repository

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// nobody is who root becomes: for root, file modes do not count.
const nobody = 65534

// A folder of the repository that cannot be read is an error, never an empty listing: prune would take what is in it for gone.
func TestListingUnreadable(t *testing.T) {
	x := newExample(t)
	top := t.TempDir()
	r := x.write(t, top)
	if os.Getuid() == 0 {
		giveAway(t, filepath.Dir(top))
	}
	chunks, folder := r.Path(ChunksDir), r.Path(exampleID)
	for _, shut := range []string{"", chunks, folder} {
		if shut != "" {
			if err := os.Chmod(shut, 0); err != nil {
				t.Fatal(err)
			}
		}
		asNobody(t, func() {
			l, err := r.List()
			if shut == "" && (err != nil || len(l.Chunks) == 0) {
				t.Errorf("%+v, %v", l, err)
			} else if shut != "" && (!errors.Is(err, fs.ErrPermission) || l != nil) {
				t.Errorf("%s: %+v, %v", shut, l, err)
			}
		})
		if shut != "" {
			if err := os.Chmod(shut, 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func giveAway(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// asNobody calls f on a thread of its own, which ends with its goroutine.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Getuid() == 0 {
			runtime.LockOSThread()
			if err := unix.Setfsuid(nobody); err != nil {
				t.Errorf("setfsuid: %v", err)
				return
			}
		}
		f()
	}()
	<-done
}

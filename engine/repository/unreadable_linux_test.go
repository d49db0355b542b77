package repository

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// A folder of the repository that cannot be read is an error, never an empty listing: prune would take what is in it for gone.
func TestListingUnreadable(t *testing.T) {
	x := newExample(t)
	r := x.write(t, t.TempDir())
	for _, dir := range []string{r.Path(ChunksDir), r.Path(exampleID)} {
		if err := os.Chmod(dir, 0); err != nil {
			t.Fatal(err)
		}
		asNobody(t, func() {
			if l, err := r.List(); !errors.Is(err, fs.ErrPermission) || l != nil {
				t.Errorf("%s: %+v, %v", dir, l, err)
			}
		})
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// asNobody calls f as somebody for whom file modes count: root is nobody for the file system on the one thread that f runs on,
// which ends with its goroutine.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Getuid() == 0 {
			runtime.LockOSThread()
			if err := unix.Setfsuid(65534); err != nil {
				t.Errorf("setfsuid: %v", err)
				return
			}
		}
		f()
	}()
	<-done
}

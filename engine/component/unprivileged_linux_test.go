package component

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// unprivileged calls f as somebody for whom file modes count. Root is nobody for the file system as long as f runs, on
// the one thread that f runs on. The files below root are given to him.
func unprivileged(t *testing.T, root string, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		f()
		return
	}
	const nobody = 65534
	must(t, chownAll(root, nobody))
	done := make(chan struct{})
	go func() {
		// Not unlocked: a thread that was somebody else ends with its goroutine.
		runtime.LockOSThread()
		defer close(done)
		if err := unix.Setfsuid(nobody); err != nil {
			t.Errorf("setfsuid: %v", err)
			return
		}
		f()
	}()
	<-done
}

func chownAll(root string, uid int) error {
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, uid)
	})
}

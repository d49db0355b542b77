package fsx

import (
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// clone makes dst share src's blocks (APFS); elsewhere it fails and leaves nothing behind.
func clone(src, dst string, perm fs.FileMode) error {
	if err := unix.Clonefile(src, dst, unix.CLONE_NOFOLLOW); err != nil {
		return err
	}
	return os.Chmod(dst, perm)
}

func lutimes(path string, mtime time.Time) error {
	ts := unix.NsecToTimespec(mtime.UnixNano())
	err := unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return &fs.PathError{Op: "set time of", Path: path, Err: err}
	}
	return nil
}

// FreeBytes returns the space that this user may still fill on the file system that holds path.
func FreeBytes(path string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

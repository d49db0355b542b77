package fsx

import (
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

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
	blockSize := int64(st.Bsize) //nolint:unconvert // its type differs between systems
	return int64(st.Bavail) * blockSize, nil
}

// ignoreUnsyncable drops the errors of file systems on which a directory cannot be synced at all.
func ignoreUnsyncable(err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}

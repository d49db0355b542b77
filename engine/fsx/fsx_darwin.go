package fsx

import (
	"io/fs"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// clone makes dst share src's blocks (APFS); elsewhere it fails and leaves nothing behind.
func clone(src, dst string, perm fs.FileMode) error {
	if err := unix.Clonefile(src, dst, unix.CLONE_NOFOLLOW); err != nil {
		return err
	}
	return os.Chmod(dst, perm)
}

// Dataless reports whether a file's content lies in the cloud only: reading it would download it (SF_DATALESS).
func Dataless(path string) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil && st.Flags&0x40000000 != 0
}

// syncVolume waits for the volume of an open folder, and for the drive's own cache: sync(2) only begins to write. It asks as
// sync_volume_np does (xnu, libsyscall/wrappers), which tells only whether the drive's own flush failed. A volume that has no such sync, of a
// network for one, is told to begin.
func syncVolume(dir *os.File) error {
	flags := uint32(syncFull | syncWait)
	_, _, errno := unix.Syscall6(unix.SYS_FFSCTL, dir.Fd(), syncVolumeRequest, uintptr(unsafe.Pointer(&flags)), 0, 0, 0)
	runtime.KeepAlive(dir)
	switch {
	case errno == 0:
		return nil
	case errno == unix.ENOTSUP, errno == unix.ENOTTY, errno == unix.EINVAL:
		return unix.Sync()
	}
	return errno
}

// From <sys/fsctl.h>: FSIOC_SYNC_VOLUME is _IOW('A', 1, uint32_t), of FSCTL_SYNC_FULLSYNC and FSCTL_SYNC_WAIT.
const (
	syncVolumeRequest = 1<<31 | 4<<16 | 'A'<<8 | 1
	syncFull          = 1 << 0
	syncWait          = 1 << 1
)

package fsx

import (
	"io/fs"
	"os"

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

// syncVolume waits for every volume: there is no call for one.
func syncVolume(*os.File) error { return unix.Sync() }

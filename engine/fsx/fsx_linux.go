package fsx

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// clone makes dst share src's blocks (Btrfs, XFS); elsewhere it fails and leaves nothing behind.
func clone(src, dst string, perm fs.FileMode) error {
	in, err := OpenRegular(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
	if err != nil {
		return err
	}
	err = unix.IoctlFileClone(int(out.Fd()), int(in.Fd()))
	err = errors.Join(err, out.Close())
	if err != nil {
		os.Remove(dst)
	}
	return err
}

// Dataless reports whether a file's content lies in the cloud only: reading it would download it. Here none is.
func Dataless(string) bool { return false }

// syncVolume waits for the volume of an open folder, and for no other one; an error is of what was written since it was opened.
func syncVolume(dir *os.File) error { return ignoreUnsyncable(unix.Syncfs(int(dir.Fd()))) }

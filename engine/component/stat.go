package component

import (
	"errors"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// Kind is what an entry is.
type Kind uint8

// The kinds. A Database is a regular file that begins with SQLite's header.
const (
	File Kind = iota
	Dir
	Symlink
	Database
)

func (k Kind) String() string {
	switch k {
	case Dir:
		return "directory"
	case Symlink:
		return "symlink"
	case Database:
		return "database"
	}
	return "file"
}

// Stat is what says that a file is the one it was: equal stats mean equal content, as far as a file system can tell.
// Times are nanoseconds since 1970, sizes bytes.
type Stat struct {
	Size, MTimeNS, CTimeNS int64
	Inode, Dev             uint64
}

// FileID tells one file from another, whatever its name.
type FileID struct{ Dev, Inode uint64 }

// ID returns whose stat it is.
func (s Stat) ID() FileID { return FileID{s.Dev, s.Inode} }

// StatOf returns the stat of what os.Stat or os.Lstat found.
func StatOf(fi fs.FileInfo) Stat {
	s := Stat{Size: fi.Size(), MTimeNS: fi.ModTime().UnixNano()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		s.CTimeNS, s.Inode, s.Dev = ctime(st), st.Ino, uint64(st.Dev) //nolint:unconvert // of another type on macOS
	}
	return s
}

// modeOf returns the permission bits as in a tar, 07777.
func modeOf(fi fs.FileInfo) uint32 {
	m := uint32(fi.Mode().Perm())
	for _, b := range []struct {
		mode fs.FileMode
		bit  uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if fi.Mode()&b.mode != 0 {
			m |= b.bit
		}
	}
	return m
}

// Reason says in words for a person why something could not be read. Privacy protection and a file's mode are two
// different things to mend, so they are told apart.
func Reason(err error) string {
	switch {
	case errors.Is(err, unix.EPERM):
		return "privacy protection refused to let it be read (operation not permitted)"
	case errors.Is(err, unix.EACCES):
		return "its mode does not let you read it (permission denied)"
	case errors.Is(err, unix.ENAMETOOLONG):
		return "its path is too long to be opened"
	case errors.Is(err, unix.ELOOP):
		return "its links lead in a circle"
	case errors.Is(err, fs.ErrNotExist):
		return "it is not there"
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return "it could not be read (" + errno.Error() + ")"
	}
	return "it could not be read"
}

package component

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// system is what an inventory asks of the file system. Tests put in what a real one cannot be made to answer.
type system struct {
	lstat    func(path string) (fs.FileInfo, error)
	list     func(path string, follow bool) (names []string, err error)
	head     func(path string, id FileID) ([]byte, error)
	dataless func(fs.FileInfo) bool
}

func realSystem() system {
	return system{lstat: os.Lstat, list: listFolder, head: readHead, dataless: dataless}
}

// listFolder returns the names in a folder, sorted. Names may come with an error: the folder could not be read to its end.
func listFolder(path string, follow bool) ([]string, error) {
	flags := unix.O_DIRECTORY | unix.O_NONBLOCK
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	f, err := os.OpenFile(path, os.O_RDONLY|flags, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// sqliteHeader begins every SQLite database that is not encrypted.
const sqliteHeader = "SQLite format 3\x00"

// headSize is how much of a file is looked at.
const headSize = 16

// errOther says that a path leads to another file than before.
var errOther = errors.New("another file is there now")

// readHead returns the first bytes of a regular file, if it still is the one with the id.
func readHead(path string, id FileID) ([]byte, error) {
	f, err := openRegular(path, id)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, headSize)
	n, err := io.ReadFull(f, b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return b[:n], nil
}

// openRegular opens a file without following a link or waiting for the other end of a FIFO.
func openRegular(path string, id FileID) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) {
		// A link, or a FIFO or socket, where there was a file.
		return nil, errOther
	}
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && (!fi.Mode().IsRegular() || StatOf(fi).ID() != id) {
		err = errOther
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// errLarge says that a file is larger than what is looked at.
var errLarge = errors.New("too large to be looked through")

// readSmall returns the content of a regular file of at most limit bytes.
func readSmall(path string, id FileID, limit int64) ([]byte, error) {
	f, err := openRegular(path, id)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, errLarge
	}
	return b, err
}

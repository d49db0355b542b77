package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// entry is what tells that a file of a repository changed.
type entry struct {
	size, mtime int64
	inode       uint64
}

// listing is the files of a repository by their paths.
type listing map[string]entry

// list lists all files below dir; one that does not exist has none.
func list(dir string) (listing, error) {
	l := listing{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if path == dir && os.IsNotExist(err) {
				return nil
			}
			return err
		}
		if !d.Type().IsRegular() {
			return nil
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		e := entry{size: fi.Size(), mtime: fi.ModTime().UnixNano()}
		if st, ok := fi.Sys().(*syscall.Stat_t); ok {
			e.inode = st.Ino
		}
		l[path] = e
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	return l, nil
}

func (l listing) bytes() (n int64) {
	for _, e := range l {
		n += e.size
	}
	return n
}

// since counts what has to be uploaded after an earlier listing: files that are new or changed, as wholes.
func (l listing) since(before listing) (files int, bytes int64) {
	for path, e := range l {
		if before[path] != e {
			files++
			bytes += e.size
		}
	}
	return files, bytes
}

// renew makes an empty folder in the place of whatever is there.
func renew(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear away: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	return nil
}

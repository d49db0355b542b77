// Package fsx writes files so that they survive a crash: a durable write goes to a temporary name, is synced,
// renamed, and its folder synced; an atomic write only renames. Every change to a disk that the program makes
// goes through an FS, whose Fault function is the one seam at which tests make a disk fail; Synced tells them what a power
// cut would leave.
package fsx

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Op names a kind of file system call for the fault seam.
type Op string

// The calls that can be made to fail.
const (
	OpCreate   Op = "create"
	OpWrite    Op = "write"
	OpSync     Op = "sync"
	OpRename   Op = "rename"
	OpRemove   Op = "remove"
	OpMkdir    Op = "mkdir"
	OpSyncDir  Op = "syncdir"
	OpClone    Op = "clone"
	OpSymlink  Op = "symlink"
	OpMetadata Op = "metadata"
)

// TempSuffix ends the name of every temporary file written here. OneDrive does not upload names that end so.
const TempSuffix = ".tmp"

// FS makes changes on a file system. The zero value and a nil FS are the real thing.
// Safe for concurrent use if Fault and Synced are.
type FS struct {
	// Fault, if set, is asked before each call; an error it returns is returned instead of making the call.
	Fault func(op Op, path string) error
	// Synced, if set, is told of each file (OpSync) and folder (OpSyncDir) that was made durable, right after: tests play a
	// power cut with it.
	Synced func(op Op, path string)
}

func (f *FS) synced(op Op, path string, err error) error {
	if err == nil && f != nil && f.Synced != nil {
		f.Synced(op, path)
	}
	return err
}

func (f *FS) fault(op Op, path string) error {
	if f == nil || f.Fault == nil {
		return nil
	}
	if err := f.Fault(op, path); err != nil {
		return &fs.PathError{Op: string(op), Path: path, Err: err}
	}
	return nil
}

// MkdirAll creates a directory and its missing parents.
func (f *FS) MkdirAll(path string, perm fs.FileMode) error {
	if err := f.fault(OpMkdir, path); err != nil {
		return err
	}
	return os.MkdirAll(path, perm)
}

// Mkdir creates one directory; its parent must exist.
func (f *FS) Mkdir(path string, perm fs.FileMode) error {
	if err := f.fault(OpMkdir, path); err != nil {
		return err
	}
	return os.Mkdir(path, perm)
}

// MkdirTemp creates a fresh directory below dir, with mode 0700.
func (f *FS) MkdirTemp(dir, pattern string) (string, error) {
	if err := f.fault(OpMkdir, dir); err != nil {
		return "", err
	}
	return os.MkdirTemp(dir, pattern)
}

// Rename moves a file within one file system.
func (f *FS) Rename(old, new string) error {
	if err := f.fault(OpRename, new); err != nil {
		return err
	}
	return os.Rename(old, new)
}

// Remove removes one file or empty directory.
func (f *FS) Remove(path string) error {
	if err := f.fault(OpRemove, path); err != nil {
		return err
	}
	return os.Remove(path)
}

// RemoveAll removes path and all below it; a missing path is no error.
func (f *FS) RemoveAll(path string) error {
	if err := f.fault(OpRemove, path); err != nil {
		return err
	}
	return os.RemoveAll(path)
}

// Discard removes a temporary file as well as it can. What stays behind is removed by the next run, so its error
// would help nobody; it goes round the fault seam, or no test could tell a leak from an injected fault.
func (f *FS) Discard(path string) { os.Remove(path) }

// SyncDir makes the names in a directory durable.
func (f *FS) SyncDir(dir string) error {
	if err := f.fault(OpSyncDir, dir); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return f.synced(OpSyncDir, dir, ignoreUnsyncable(d.Sync()))
}

// Symlink creates a symbolic link.
func (f *FS) Symlink(target, path string) error {
	if err := f.fault(OpSymlink, path); err != nil {
		return err
	}
	return os.Symlink(target, path)
}

// Chmod sets the permission bits of a file that is not a symbolic link.
func (f *FS) Chmod(path string, mode fs.FileMode) error {
	if err := f.fault(OpMetadata, path); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// Chtimes sets the modification time of a file, following no symbolic link.
func (f *FS) Chtimes(path string, mtime time.Time) error {
	if err := f.fault(OpMetadata, path); err != nil {
		return err
	}
	return lutimes(path, mtime)
}

// Create opens a new file for writing; one that exists is an error.
func (f *FS) Create(path string, perm fs.FileMode) (*File, error) {
	return f.open(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, perm)
}

// Append opens a file for appending and creates it if it is missing.
func (f *FS) Append(path string, perm fs.FileMode) (*File, error) {
	return f.open(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, perm)
}

// CreateTemp opens a new file in dir whose name begins with prefix and ends with TempSuffix, with mode 0600.
func (f *FS) CreateTemp(dir, prefix string) (*File, error) {
	if err := f.fault(OpCreate, filepath.Join(dir, prefix)); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(dir, prefix+"*"+TempSuffix)
	if err != nil {
		return nil, err
	}
	return &File{File: file, fs: f}, nil
}

// Nameless opens a new file on dir's volume that has no name: it is gone when it is closed or the process dies.
func (f *FS) Nameless(dir string) (*File, error) {
	file, err := f.CreateTemp(dir, "nameless.")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func (f *FS) open(path string, flag int, perm fs.FileMode) (*File, error) {
	if err := f.fault(OpCreate, path); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, flag, perm)
	if err != nil {
		return nil, err
	}
	return &File{File: file, fs: f}, nil
}

// WriteDurable replaces path with what write produces: a temporary file beside it, synced, renamed, folder synced.
// When it returns nil the content survives a power cut; when it fails the old content stands.
func (f *FS) WriteDurable(path string, perm fs.FileMode, write func(io.Writer) error) error {
	return f.replace(filepath.Dir(path), path, perm, durable, write)
}

// WriteDurableVia is WriteDurable with the temporary file in another folder, so that a crash leaves nothing beside
// path. If that folder is on another volume, the temporary file is beside path after all.
func (f *FS) WriteDurableVia(temp, path string, perm fs.FileMode, write func(io.Writer) error) error {
	if err := f.WriteSynced(temp, path, perm, write); err != nil {
		return err
	}
	return f.SyncDir(filepath.Dir(path))
}

// WriteSynced is WriteDurableVia for one of several files of a folder, which the caller syncs once behind the last: before
// that a crash may leave the old content.
func (f *FS) WriteSynced(temp, path string, perm fs.FileMode, write func(io.Writer) error) error {
	err := f.replace(temp, path, perm, synced, write)
	if errors.Is(err, syscall.EXDEV) {
		return f.replace(filepath.Dir(path), path, perm, synced, write)
	}
	return err
}

// WriteAtomic replaces path with data without syncing: a reader sees the old or the new content, never a part.
func (f *FS) WriteAtomic(path string, perm fs.FileMode, data []byte) error {
	return f.replace(filepath.Dir(path), path, perm, renamed, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// How much of a write survives a crash.
type survival int

const (
	renamed survival = iota // the old or the new content, or an empty file
	synced                  // the old or the new content
	durable                 // the new content
)

func (f *FS) replace(temp, path string, perm fs.FileMode, survives survival, write func(io.Writer) error) (err error) {
	file, err := f.CreateTemp(temp, "."+filepath.Base(path)+".")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			file.Close()
			f.Discard(file.Name())
		}
	}()
	if err = write(file); err != nil {
		return err
	}
	if err = file.Chmod(perm); err != nil {
		return err
	}
	if survives >= synced {
		// A failed sync may have dropped the dirty pages: the object is written anew by whoever tries again,
		// never synced a second time.
		if err = file.Sync(); err != nil {
			return err
		}
	}
	if err = file.Close(); err != nil {
		return err
	}
	if err = f.Rename(file.Name(), path); err != nil {
		return err
	}
	if survives == durable {
		return f.SyncDir(filepath.Dir(path))
	}
	return nil
}

// Copy clones src to the new file dst where the file system can, else copies its bytes. Not synced, mode perm.
// It reports whether the file was cloned.
func (f *FS) Copy(src, dst string, perm fs.FileMode) (cloned bool, err error) {
	if err := f.fault(OpClone, dst); err == nil && clone(src, dst, perm) == nil {
		return true, nil
	}
	in, err := OpenRegular(src)
	if err != nil {
		return false, err
	}
	defer in.Close()
	out, err := f.Create(dst, perm)
	if err != nil {
		return false, err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		f.Discard(dst)
		return false, fmt.Errorf("copy %s: %w", src, err)
	}
	return false, out.Close()
}

// Sync makes a file's content durable; it is opened for this.
func (f *FS) Sync(path string) error {
	if err := f.fault(OpSync, path); err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return f.synced(OpSync, path, file.Sync())
}

// RemoveTemps removes the leftovers of killed writes directly in dir: names that end with TempSuffix.
// Only for folders in which every file is the program's own.
func (f *FS) RemoveTemps(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), TempSuffix) || e.IsDir() {
			continue
		}
		if err := f.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// File is an open file whose writes pass the fault seam. WriteAt is safe for concurrent use.
type File struct {
	*os.File
	fs *FS
}

// Write appends p.
func (f *File) Write(p []byte) (int, error) {
	if err := f.fs.fault(OpWrite, f.Name()); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

// WriteString keeps io.WriteString on Write.
func (f *File) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

// WriteAt writes p at offset off.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.fault(OpWrite, f.Name()); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

// ReadFrom keeps io.Copy on Write, so that every write passes the seam.
func (f *File) ReadFrom(r io.Reader) (int64, error) {
	return CopyBuffered(f, r)
}

var buffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// CopyBuffered is io.Copy by way of a buffer that all callers share in turn: one for each of thousands of small files would be
// most of a run's memory. It asks dst and src for no shorter way.
func CopyBuffered(dst io.Writer, src io.Reader) (int64, error) {
	buf, _ := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, buf[:])
}

// Sync makes the content durable. On macOS this is F_FULLFSYNC.
func (f *File) Sync() error {
	if err := f.fs.fault(OpSync, f.Name()); err != nil {
		return err
	}
	return f.fs.synced(OpSync, f.Name(), f.File.Sync())
}

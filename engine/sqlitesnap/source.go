package sqlitesnap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Where SQLite locks a database file; part of its file format. See https://www.sqlite.org/lockingv3.html.
const (
	pendingByte  = 0x40000000
	reservedByte = pendingByte + 1
	sharedFirst  = pendingByte + 2
	sharedSize   = 510
)

// source is a database file through the one descriptor that this process has of it, besides that of SQLite.
type source struct {
	path     string
	file     *os.File
	lockless bool // the file system has no locks
	release  func()
}

type fileID struct{ dev, inode uint64 }

// open sources of this process. Package state, because what it guards is: POSIX locks belong to the process.
var claims = struct {
	sync.Mutex
	held map[fileID]chan struct{}
}{held: map[fileID]chan struct{}{}}

// claim waits until no other source of this process is the same file.
func claim(ctx context.Context, id fileID) (release func(), err error) {
	for {
		claims.Lock()
		other, taken := claims.held[id]
		if !taken {
			mine := make(chan struct{})
			claims.held[id] = mine
			claims.Unlock()
			return func() {
				claims.Lock()
				delete(claims.held, id)
				claims.Unlock()
				close(mine)
			}, nil
		}
		claims.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: by another snapshot", ErrLocked)
		}
	}
}

// resolve returns the absolute path without symbolic links in its folders: SQLite puts sidecars beside the file itself.
// The last element is not followed.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// openSource opens the database file at a resolved path. The claim is on the file that the path names now, and is
// made before the descriptor exists, since closing one too many would drop another's locks.
func openSource(ctx context.Context, path string) (*source, error) {
	st, err := stampOf(path)
	if err != nil {
		return nil, err
	}
	if !st.exists() {
		return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
	}
	release, err := claim(ctx, st.fileID)
	if err != nil {
		return nil, err
	}
	s := &source{path: path, release: release}
	if s.file, err = openRegular(path); err != nil {
		release()
		return nil, err
	}
	return s, nil
}

func (s *source) close() error {
	err := s.file.Close()
	s.release()
	return err
}

// lock takes SQLite's SHARED lock, as any reader does, and waits for it until ctx is done.
func (s *source) lock(ctx context.Context) error {
	for {
		err := s.tryLock()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.ENOLCK), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL):
			s.lockless = true
			return nil
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES):
			return fmt.Errorf("lock: %w", err)
		}
		// Soon again: between two commits of a busy writer the lock is free for a millisecond or two.
		if sleep(ctx, time.Millisecond) != nil {
			return ErrLocked
		}
	}
}

// tryLock follows the protocol: PENDING keeps new readers out while a writer waits for the old ones to leave.
func (s *source) tryLock() error {
	if err := s.fcntl(unix.F_RDLCK, pendingByte, 1); err != nil {
		return err
	}
	err := s.fcntl(unix.F_RDLCK, sharedFirst, sharedSize)
	if e := s.fcntl(unix.F_UNLCK, pendingByte, 1); err == nil {
		err = e
	}
	return err
}

// unlock lets writers go on. It may be called from another goroutine while the file is being copied.
func (s *source) unlock() error { return s.fcntl(unix.F_UNLCK, pendingByte, 2+sharedSize) }

func (s *source) fcntl(kind int16, start, length int64) error {
	lk := unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: start, Len: length}
	for {
		err := unix.FcntlFlock(s.file.Fd(), unix.F_SETLK, &lk)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// reserved reports whether some process is in a write transaction.
func (s *source) reserved() (bool, error) {
	lk := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: reservedByte, Len: 1}
	if err := unix.FcntlFlock(s.file.Fd(), unix.F_GETLK, &lk); err != nil {
		return false, fmt.Errorf("test lock: %w", err)
	}
	return lk.Type != unix.F_UNLCK, nil
}

// stamp is what changes when a file does. The zero value says that there is no file of the name.
type stamp struct {
	fileID
	size         int64
	mtime, ctime int64 // nanoseconds
}

func (s stamp) exists() bool { return s != stamp{} }

// latest is the moment of the last change, on the clock of the file system.
func (s stamp) latest() int64 { return max(s.mtime, s.ctime) }

func stampOf(path string) (stamp, error) {
	var st unix.Stat_t
	err := retryEINTR(func() error { return unix.Lstat(path, &st) })
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return stamp{}, nil
	}
	if err != nil {
		return stamp{}, &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	return newStamp(&st), nil
}

func (s *source) stamp() (stamp, error) {
	var st unix.Stat_t
	if err := retryEINTR(func() error { return unix.Fstat(int(s.file.Fd()), &st) }); err != nil {
		return stamp{}, &os.PathError{Op: "fstat", Path: s.path, Err: err}
	}
	return newStamp(&st), nil
}

func newStamp(st *unix.Stat_t) stamp {
	return stamp{
		fileID: fileID{uint64(st.Dev), st.Ino}, size: st.Size, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(), //nolint:unconvert // of another type on macOS
	}
}

func retryEINTR(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// sleep waits and returns the cause if ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package fsx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked says that another process holds the lock.
var ErrLocked = errors.New("locked by another process")

// Lock is an exclusive advisory lock on a file. The operating system drops it when its holder dies.
type Lock struct{ file *os.File }

// TryLock takes the lock on the file at path, which is created with mode 0600 if it is missing and never removed.
// It does not wait: ErrLocked says that somebody else holds it.
func TryLock(path string) (*Lock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	err = flock(file, unix.LOCK_EX|unix.LOCK_NB)
	// Locked holds the lock for microseconds while it looks: that is no other run.
	for try := 0; try < 5 && errors.Is(err, unix.EWOULDBLOCK); try++ {
		time.Sleep(5 * time.Millisecond)
		err = flock(file, unix.LOCK_EX|unix.LOCK_NB)
	}
	if err == nil {
		return &Lock{file: file}, nil
	}
	file.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, ErrLocked
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// WaitLock is TryLock for a lock that is held for moments only: it waits until it is free or ctx is over.
func WaitLock(ctx context.Context, path string) (*Lock, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		l, err := TryLock(path)
		if !errors.Is(err, ErrLocked) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ErrLocked, ctx.Err())
		case <-tick.C:
		}
	}
}

// Locked reports whether some process holds the lock on path. A missing file is not locked.
func Locked(path string) (bool, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	// A shared lock, so that readers looking at the same moment do not see each other.
	err = flock(file, unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	if err == nil {
		err = flock(file, unix.LOCK_UN) // for the reason given at Unlock
	}
	return false, err
}

// Unlock releases the lock. Closing the file would not be enough: a program that is being started holds a copy of it
// until it runs.
func (l *Lock) Unlock() error { return errors.Join(flock(l.file, unix.LOCK_UN), l.file.Close()) }

func flock(file *os.File, how int) error {
	for {
		err := unix.Flock(int(file.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

package sqlitesnap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// copyProgram copies a file whose lock this process holds. It is the system's own and not this program run again:
// the package cannot know what the program does with its arguments, a second copy of an app has an icon and grants of
// its own on macOS, and cp clones or copies in the kernel where it can.
const copyProgram = "/bin/cp"

// takeCopy clones or copies the file under the read lock, and uses the copy. Writers can go on until they commit; then
// they wait for the copy to be complete, at most for the CopyLimit.
func (s *Snapshot) takeCopy(limit context.Context, seen look) error {
	s.way = WayCopy
	if s.src.lockless {
		return fmt.Errorf("%w: the file system has no locks", ErrLocked)
	}
	if err := s.makeScratch(); err != nil {
		return err
	}
	copied := filepath.Join(s.scratch, "copy")
	short, cancel := context.WithTimeout(limit, s.o.CopyLimit)
	defer cancel()
	// The lock ends with the limit, even if the copying does not because a disk hangs.
	released := make(chan struct{})
	stop := context.AfterFunc(short, func() {
		defer close(released)
		_ = s.src.unlock()
	})
	err := s.src.copyTo(short, copied)
	if (&bracket{src: s.src, seen: seen, mainOnly: true}).moved() && err == nil {
		// Somebody writes without asking for locks, or the file was touched.
		err = &againError{err: ErrChanged}
	}
	if !stop() {
		<-released
		// Writers get as long as they were kept waiting.
		return &againError{err: fmt.Errorf("%w: copying it took longer than %v", ErrLocked, s.o.CopyLimit), after: s.o.CopyLimit}
	}
	if err != nil {
		return err
	}
	// Everything else is done on the copy.
	err = s.src.close()
	s.src = nil
	if err != nil {
		return err
	}
	if s.file, err = os.Open(copied); err != nil {
		return err
	}
	fi, err := s.file.Stat()
	if err != nil {
		return err
	}
	if s.size = fi.Size(); s.size != seen.main.size {
		return &againError{err: ErrChanged}
	}
	return s.openAtRest(limit, copied)
}

// takeRecovered copies the file and what a crash left beside it, while nobody touches them, and lets SQLite recover the
// copy. No lock is held meanwhile: whoever opens the database recovers it in place, and then this was in vain.
func (s *Snapshot) takeRecovered(ctx context.Context, seen look) error {
	s.way = WayRecovered
	if !s.src.lockless {
		if err := s.src.unlock(); err != nil {
			return fmt.Errorf("unlock: %w", err)
		}
	}
	if err := s.settle(ctx, seen); err != nil {
		return err
	}
	if err := s.makeScratch(); err != nil {
		return err
	}
	still := bracket{src: s.src, seen: seen}
	copied := filepath.Join(s.scratch, "copy")
	err := s.copyCrashed(ctx, seen, copied)
	if still.moved() {
		return &againError{err: ErrChanged}
	}
	if err != nil {
		return err
	}
	err = s.src.close()
	s.src = nil
	if err != nil {
		return err
	}
	return s.openTransaction(ctx, copied, "mode=rw")
}

func (s *Snapshot) copyCrashed(ctx context.Context, seen look, to string) error {
	if err := cloneOrCopy(ctx, s.src.file, to); err != nil {
		return err
	}
	for suffix, st := range map[string]stamp{"-wal": seen.wal, "-journal": seen.journal} {
		if !st.exists() {
			continue
		}
		file, err := openRegular(s.path + suffix)
		if err != nil {
			return err
		}
		err = errors.Join(cloneOrCopy(ctx, file, to+suffix), file.Close())
		if err != nil {
			return err
		}
	}
	return nil
}

// makeScratch makes a folder that only this snapshot uses.
func (s *Snapshot) makeScratch() (err error) {
	if s.o.Scratch == "" {
		return errors.New("make scratch folder: none is configured")
	}
	s.scratch, err = os.MkdirTemp(s.o.Scratch, "snapshot-")
	return err
}

// copyTo copies the locked file: cloned through the descriptor that has the lock, else by a child process. Should the
// child fail, the file is read here, which gives the error a name, or works.
func (s *source) copyTo(ctx context.Context, to string) error {
	if clone(s.file, to) == nil {
		return nil
	}
	err := s.copyByChild(ctx, to)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return copyFile(ctx, s.file, to)
}

func (s *source) copyByChild(ctx context.Context, to string) error {
	cmd := exec.CommandContext(ctx, copyProgram, s.path, to)
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Dir = filepath.Dir(to)
	cmd.WaitDelay = 100 * time.Millisecond
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s: %w: %s", copyProgram, err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

func cloneOrCopy(ctx context.Context, from *os.File, to string) error {
	if clone(from, to) == nil {
		return nil
	}
	return copyFile(ctx, from, to)
}

// copyFile copies the bytes of a file from its start.
func copyFile(ctx context.Context, from *os.File, to string) error {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	buf := make([]byte, readBuffer)
	for off := int64(0); ; {
		n, err := from.ReadAt(buf, off)
		if n > 0 {
			if _, err := out.Write(buf[:n]); err != nil {
				return errors.Join(err, out.Close())
			}
			off += int64(n)
		}
		if errors.Is(err, io.EOF) {
			return out.Close()
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return errors.Join(err, out.Close())
		}
	}
}

// readFile calls fn with the first size bytes of a file, and returns how many there were.
func readFile(ctx context.Context, file *os.File, size int64, fn func([]byte) error) (n int64, err error) {
	buf := make([]byte, min(readBuffer, size))
	for n < size {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		p := buf[:min(int64(len(buf)), size-n)]
		got, err := file.ReadAt(p, n)
		if got < len(p) {
			if errors.Is(err, io.EOF) {
				err = nil // fewer bytes than expected: the caller counts
			}
			return n + int64(got), err
		}
		if err := fn(p); err != nil {
			return n, &callbackError{err}
		}
		n += int64(got)
	}
	return n, nil
}

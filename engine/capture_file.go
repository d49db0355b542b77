package engine

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
	"maia-dr/engine/stream"
)

// plainFile reads a regular file. One that changes meanwhile is read again, and in the end kept with a warning.
func (c *capture) plainFile(en *component.Entry, padded bool) (*content, error) {
	for try := 1; ; try++ {
		k, err := c.readOnce(en, padded)
		switch {
		case err == nil:
			return k, nil
		case errors.Is(err, errUnstable) && try < attempts:
			continue
		case errors.Is(err, errUnstable):
			c.warn("changed_while_read", en.Path, "the file kept changing while it was read; its copy may be torn", "back up again when the program that writes it is quiet")
			return k, nil
		case errors.Is(err, fs.ErrNotExist):
			return nil, c.gone(en, "it vanished during the backup")
		case errors.Is(err, unix.ELOOP), errors.Is(err, errNotRegular):
			return nil, c.gone(en, "it stopped being a plain file during the backup")
		case errors.Is(err, unix.EPERM):
			return nil, c.gone(en, "macOS privacy protection refused to read it")
		case errors.Is(err, unix.EACCES):
			return nil, c.gone(en, "its mode does not let you read it")
		case isReadError(err):
			return nil, c.gone(en, fmt.Sprintf("it could not be read: %v", errors.Unwrap(err)))
		default:
			return nil, err
		}
	}
}

var errNotRegular = errors.New("not a regular file")

// isReadError tells failures of the source from failures of the destination: only reads of en.Source make one.
func isReadError(err error) bool {
	var re *readError
	return errors.As(err, &re)
}

type readError struct{ err error }

func (r *readError) Error() string { return r.err.Error() }
func (r *readError) Unwrap() error { return r.err }

// readOnce reads a file once. With errUnstable comes what was read.
func (c *capture) readOnce(en *component.Entry, padded bool) (*content, error) {
	// O_NONBLOCK: what is a FIFO by now must not hold the backup up.
	file, err := os.OpenFile(en.Source, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &readError{err}
	}
	defer file.Close()
	began := c.e.now()
	before, err := file.Stat()
	if err != nil {
		return nil, &readError{err}
	}
	if !before.Mode().IsRegular() {
		return nil, errNotRegular
	}
	k, err := c.readAll(file, before.Size(), padded)
	if err != nil {
		return nil, err
	}
	after, err := os.Lstat(en.Source)
	if err != nil {
		return nil, &readError{err}
	}
	st := component.StatOf(before)
	if component.StatOf(after) != st || k.size != before.Size() {
		return k, errUnstable
	}
	if en.Kind != component.Database {
		// A database that could only be kept as a plain file is tried, and warned about, again.
		k.commit = c.remember(en, padded, began, st, component.Stat{}, k)
	}
	return k, nil
}

// readAll reads to the end of file, or to limit: a file that grows meanwhile would never end.
func (c *capture) readAll(file *os.File, limit int64, padded bool) (*content, error) {
	sum := sha256.New()
	in := io.LimitReader(file, limit)
	if limit <= smallFile && padded {
		// One buffer serves all: a file is stored before the next is read.
		if c.small == nil {
			c.small = make([]byte, smallFile+stream.TarBlock)
		}
		b := c.small[:limit]
		n, err := io.ReadFull(in, b)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, &readError{err}
		}
		sum.Write(b[:n])
		return &content{size: int64(n), sha256: repository.Hash(sum.Sum(nil)), small: b[:n]}, nil
	}
	k := new(content)
	var err error
	k.extents, k.size, err = c.cutReader(in, sum, padded)
	sum.Sum(k.sha256[:0])
	return k, err
}

// cutReader stores what in yields, cut by content; sum receives the bytes.
func (c *capture) cutReader(in io.Reader, sum hash.Hash, padded bool) (x repository.Extents, size int64, err error) {
	if c.buf == nil {
		c.buf = make([]byte, stream.BufferSize)
	}
	size, err = stream.Pieces(&source{in: in, sum: sum}, c.buf, stream.Cut, padded, func(block []byte) error {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		e, err := c.block(block)
		x = x.Add(e)
		return err
	})
	return x, size, err
}

// source reads a file of the user's: its bytes are hashed, its errors told from those of the destination.
type source struct {
	in  io.Reader
	sum hash.Hash
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	s.sum.Write(p[:n])
	if err != nil && !errors.Is(err, io.EOF) {
		err = &readError{err}
	}
	return n, err
}

package onedrive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// DownloadStall is how long nothing may come of a download before it is given up.
const DownloadStall = 2 * time.Minute

// ReadError says why a file that lies in the cloud only could not be read.
type ReadError struct {
	Path string
	// Why says it for people, Hint what to do.
	Why, Hint string
	Err       error
}

func (e *ReadError) Error() string { return fmt.Sprintf("download %s: %s", e.Path, e.Why) }
func (e *ReadError) Unwrap() error { return e.Err }

// readError tells the ways apart in which a download fails.
func readError(path string, err error) *ReadError {
	e := &ReadError{Path: path, Err: err}
	online := "look at OneDrive's cloud in the menu bar: it has to be online, signed in and not paused; then run the command again"
	set := func(why, hint string) *ReadError {
		e.Why, e.Hint = why, hint
		return e
	}
	switch {
	case errors.Is(err, errStalled):
		return set("nothing came for too long (offline, paused or signed out)", online)
	case errors.Is(err, ErrNoHelper):
		return set("its content is in the cloud only, and there is no helper that could download it", "run it with the installed maia-dr")
	case errors.Is(err, syscall.EDEADLK):
		return set("macOS does not let this process download", "open Terminal and run the command there; jobs of launchd may not download")
	case errors.Is(err, syscall.EPERM):
		return set("macOS privacy protection refused it", "allow access in System Settings, Privacy & Security, Files and Folders")
	case errors.Is(err, syscall.EACCES):
		return set("its mode does not allow reading it", "make it readable for you")
	case errors.Is(err, syscall.ENOENT):
		return set("it vanished", "wait until OneDrive has synced, and run the command again")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return set("there is no space for it on this Mac", "free some space, and run the command again")
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, syscall.ENETDOWN), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return set("OneDrive cannot reach its service", online)
	}
	return set(err.Error(), online)
}

// Download reads files to their end in a child that may download them, and can be killed: a read that waits for the network
// cannot be cancelled. progress is told the bytes as they come. The first file that cannot be had ends it with a
// *ReadError; other errors are those of ctx.
func (h Helper) Download(ctx context.Context, paths []string, stall time.Duration, progress func(n int64)) error {
	now, had := 0, int64(0)
	err := h.run(ctx, request{Job: jobDownload, Paths: paths}, stall, func(r reply) error {
		if r.Path != now || r.Bytes < had && r.Error == "" {
			return errors.New("helper: replies out of order")
		}
		if r.Error != "" {
			return readError(paths[r.Path], errorOf(r))
		}
		progress(r.Bytes - had)
		had = r.Bytes
		if r.Done {
			now, had = now+1, 0
		}
		return nil
	})
	var read *ReadError
	switch {
	case errors.As(err, &read):
		return read
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil && now == len(paths):
		return nil
	case err == nil:
		err = errors.New("the helper ended too early")
	}
	return readError(paths[min(now, len(paths)-1)], err)
}

// Hashed is a file that was hashed.
type Hashed struct {
	SHA256 [32]byte
	Bytes  int64
	// Evicted: its content is in the cloud only, and was not downloaded.
	Evicted bool
	// Err says why it was not read, or not to its end; nothing is known of its content then.
	Err error
}

// Hash hashes files in a child that downloads nothing: one whose content leaves this machine meanwhile is Evicted.
// When nothing comes for DownloadStall, the files that are left have an Err.
func (h Helper) Hash(ctx context.Context, paths []string) ([]Hashed, error) {
	out := make([]Hashed, len(paths))
	for i := range out {
		out[i].Err = errors.New("it was not read")
	}
	err := h.run(ctx, request{Job: jobHash, Paths: paths}, DownloadStall, func(r reply) error {
		o := &out[r.Path]
		switch {
		case !r.Done:
		case r.Error != "":
			o.Err = errorOf(r)
			o.Evicted = errors.Is(o.Err, syscall.EDEADLK)
		default:
			sum, err := hex.DecodeString(r.SHA256)
			if err != nil || len(sum) != len(o.SHA256) {
				return errors.New("helper: no hash")
			}
			copy(o.SHA256[:], sum)
			o.Bytes, o.Err = r.Bytes, nil
		}
		return nil
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil && !errors.Is(err, errStalled) {
		return nil, err
	}
	return out, nil
}

// errorOf makes an error of a reply again that errors.Is knows.
func errorOf(r reply) error {
	if r.Errno != 0 {
		return syscall.Errno(r.Errno)
	}
	return errors.New(r.Error)
}

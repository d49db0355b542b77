package engine

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"maia-dr/engine/event"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
)

// errEvicted says that a file's content is in the cloud only, and that it was not asked for.
var errEvicted = errors.New("its content is in the cloud only (OneDrive has evicted it)")

// fetcher brings the content of evicted files here before they are read. Safe for concurrent use.
type fetcher struct {
	e *Engine
	// forbid: what is evicted is not read.
	forbid bool

	mu    sync.Mutex // one download at a time: they share the connection, and the progress
	files int
}

// ready returns when a file can be read without waiting for OneDrive: at once if it is here, else after its download in a
// child. errEvicted: nobody asked for a download.
func (f *fetcher) ready(ctx context.Context, path string) error {
	if f == nil || !f.e.evicted(path) {
		return nil
	}
	if f.forbid {
		return errEvicted
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.e.evicted(path) {
		return nil
	}
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	if f.files == 0 {
		f.e.note("OneDrive has evicted files that are needed: they are downloaded, nothing else is")
	}
	f.files++
	// Not the run's own phase: that goes on beside it.
	f.e.emit(event.Event{Kind: event.PhaseStarted, Phase: event.Download, Total: fi.Size()})
	var done int64
	err = f.e.opt.Helper.Download(ctx, []string{path}, f.stall(), func(n int64) {
		done += n
		f.e.emit(event.Event{Kind: event.Progress, Phase: event.Download, Done: done, Total: fi.Size()})
	})
	if read, ok := errors.AsType[*onedrive.ReadError](err); ok {
		return &Error{Op: "download from OneDrive", Path: path, Code: CodeDownload, Err: errors.New(read.Why), Hint: read.Hint}
	}
	return err
}

func (f *fetcher) stall() time.Duration {
	if f.e.opt.DownloadStall > 0 {
		return f.e.opt.DownloadStall
	}
	return onedrive.DownloadStall
}

// attach has a copy of the repository wait for files that are evicted.
func (f *fetcher) attach(r *repository.Repo) {
	r.Ready = func(path string) error { return f.ready(context.Background(), path) }
}

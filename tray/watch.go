package tray

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// watched are the files of the state directory whose change may change the menu. What a look itself writes is not among
// them.
var watched = map[string]bool{"status.json": true, choicesName: true, "identity.json": true, "schedule.json": true}

// watch sends to the channel it returns when a watched file was replaced; several changes may come as one. It ends with
// ctx and closes done then.
func watch(ctx context.Context, dir string) (changed <-chan struct{}, done <-chan struct{}, err error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, nil, err
	}
	// The folder, not the files: they are replaced by renaming.
	if err := w.Add(dir); err != nil {
		return nil, nil, errors.Join(err, w.Close())
	}
	out, end := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(end)
		defer func() { _ = w.Close() }()
		for {
			select {
			case <-ctx.Done():
				return
			case ev, ok := <-w.Events:
				if !ok {
					return
				}
				if !watched[filepath.Base(ev.Name)] || ev.Op == fsnotify.Chmod {
					continue
				}
			case _, ok := <-w.Errors:
				if !ok {
					return
				}
				// Events were lost: look.
			}
			select {
			case out <- struct{}{}:
			default:
			}
		}
	}()
	return out, end, nil
}

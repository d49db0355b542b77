package engine_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// Looks at once, from many processes and during a backup, spoil neither the ledger nor each other: nothing that the backup
// brought in is lost from it, and its files stay the backup's.
func TestLooksAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.backup()
	r.day(1)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := r.mac().engine(r.now(), r.fsys, nil).Sync(t.Context()); err != nil {
					t.Errorf("look: %v", err)
					return
				}
			}
		})
	}
	res, err := r.mac().engine(r.now(), r.fsys, nil).Backup(t.Context(), engine.BackupOptions{NoVault: true})
	close(done)
	wg.Wait()
	if err != nil || len(res.Warnings) > 0 {
		t.Fatalf("%+v %v", res, err)
	}
	s := newScripted(r)
	l := s.ledger()
	own := 0
	for name := range res.Manifest.Stored(&repository.Listing{}) {
		tr := l.Files[name]
		if tr == nil {
			t.Errorf("%s is not watched", name)
		} else if tr.Backup == res.BackupID {
			own++
		}
	}
	if own < len(res.Manifest.Files)+res.NewChunks {
		t.Errorf("%d files are known to be the backup's own, %d and more are", own, len(res.Manifest.Files)+res.NewChunks)
	}
}

// Who ends the waiting has a complete backup all the same.
func TestWaitIsEnded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := newScripted(r)
	res := s.backup()
	ctx, cancel := context.WithCancel(t.Context())
	s.tick = cancel
	st, err := s.engine().WaitForSync(ctx, res.BackupID, 5*60*1e9)
	if err != nil || st.Backup(res.BackupID).Verdict != onedrive.Progressing {
		t.Errorf("%+v %v", st, err)
	}
	if st, err := s.engine().WaitForSync(ctx, res.BackupID, 5*60*1e9); err != nil || st != nil {
		t.Errorf("ended before it began: %+v %v", st, err)
	}
	if _, err := s.engine().Sync(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a look that is cancelled: %v", err)
	}
	h, err := (state.Dir{Path: r.state}).History()
	if err != nil || len(h) != 1 || h[0].Result != repository.StatusCompleted {
		t.Errorf("%+v %v", h, err)
	}
}

package engine

import (
	"context"
	"errors"
	"fmt"

	"maia-dr/engine/event"
	"maia-dr/engine/repository"
	"maia-dr/engine/sqlitesnap"
)

// databaseCheck is SQLite's check of a restored database, on its way until done is closed.
type databaseCheck struct {
	done   chan struct{}
	cancel context.CancelFunc
	facts  sqlitesnap.Facts
	err    error
	// syncErr says why the file is not durable.
	syncErr error
}

// depth is how thoroughly a database is checked. Rows are counted where somebody compares them.
//
// Whether indexes agree with their tables takes long in a large database: a quarter of a whole restore. It is looked at when a
// database is new and in each full drill; of bytes that passed a check of the whole file when they were captured, a restore
// asks only whether they are sound here as well.
func (r *restore) depth(p *placement) sqlitesnap.Depth {
	switch {
	case r.rehearsal != nil && r.rehearsal.light():
		return sqlitesnap.Quick
	case r.rehearsal != nil:
		return sqlitesnap.Full
	case p.file.Type == repository.TypeLarge && r.soundAtCapture(p.file):
		return sqlitesnap.Quick
	}
	return sqlitesnap.Integrity
}

// beginCheck begins to check a large database, and to write it out to the disk, while other files are verified and put in
// place: the sync at the end would have to wait for most of its bytes.
func (r *restore) beginCheck(p *placement, path string) {
	ctx, cancel := context.WithCancel(r.ctx)
	c := &databaseCheck{done: make(chan struct{}), cancel: cancel}
	p.check = c
	go func() {
		defer close(c.done)
		written := make(chan error, 1)
		go func() { written <- r.e.fs.Sync(path) }()
		c.facts, c.err = sqlitesnap.CheckFile(ctx, path, r.depth(p))
		c.syncErr = <-written
	}()
}

// end gives a check up.
func (c *databaseCheck) end() {
	c.cancel()
	<-c.done
}

// endChecks ends what a restore that failed has begun.
func (r *restore) endChecks() {
	for _, p := range r.places {
		if p.check != nil {
			p.check.end()
		}
	}
}

// checked returns what the check of a database that is in its place found.
func (r *restore) checked(p *placement) (sqlitesnap.Facts, error) {
	if p.check == nil {
		return sqlitesnap.CheckFile(r.ctx, p.dest, r.depth(p))
	}
	<-p.check.done
	return p.check.facts, p.check.err
}

// checkDatabases runs SQLite's own check on every database that was restored.
func (r *restore) checkDatabases() error {
	var dbs []*placement
	for _, p := range r.places {
		if (p.file.Type == repository.TypeDatabase || p.file.Type == repository.TypeLarge) && !p.equal && p.staged != "" {
			dbs = append(dbs, p)
		}
	}
	known := r.brokenAtCapture()
	r.e.phase(event.Check, int64(len(dbs)))
	for i, p := range dbs {
		facts, err := r.checked(p)
		if errors.Is(err, context.Canceled) {
			return err
		}
		if r.rehearsal != nil {
			r.rehearsal.database(p, &facts, err)
		}
		r.e.progress(event.Check, int64(i+1), int64(len(dbs)))
		r.res.Databases++
		switch {
		case known[string(p.file.Path)]:
			r.res.Doubtful = append(r.res.Doubtful, p.rel+": it failed its check when it was backed up already, and is restored as it was")
		case err != nil:
			r.res.Doubtful = append(r.res.Doubtful, fmt.Sprintf("%s: it cannot be checked: %v", p.rel, err))
		case facts.CheckResult != "ok":
			r.res.Doubtful = append(r.res.Doubtful, p.rel+": "+facts.CheckResult)
		}
	}
	return nil
}

// soundAtCapture reports whether a check that left out no table found nothing in a database when it was captured.
func (r *restore) soundAtCapture(f *repository.File) bool {
	for _, c := range r.m.Components {
		for _, db := range c.Databases {
			if db.Path == f.Path && db.SHA256 == *f.SHA256 && db.Facts.CheckResult == "ok" {
				return db.Facts.Check == "quick_check" || db.Facts.Check == "integrity_check"
			}
		}
	}
	return false
}

// brokenAtCapture returns the databases that were damaged when they were captured, or not captured as databases.
func (r *restore) brokenAtCapture() map[string]bool {
	out := map[string]bool{}
	for _, c := range r.m.Components {
		for _, db := range c.Databases {
			if db.Facts.CheckResult != "ok" {
				out[string(db.Path)] = true
			}
		}
	}
	return out
}

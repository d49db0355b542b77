package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine/event"
	"maia-dr/engine/repository"
)

// run writes, verifies and moves into place.
func (r *restore) run() (err error) {
	for _, a := range r.areas() {
		if a == r.home && !slices.ContainsFunc(r.places, func(p *placement) bool { return p.area == a }) {
			continue
		}
		done, err := r.open(a)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
	}
	defer r.endChecks()
	if err := r.fetch(); err != nil {
		return err
	}
	r.e.phase(event.Place, r.plan.Bytes)
	if err := r.putAll(); err != nil {
		return err
	}
	if err := r.finishDirs(); err != nil {
		return err
	}
	synced := make(chan error, 1)
	go func() { synced <- r.sync() }()
	if err := errors.Join(r.checkDatabases(), <-synced); err != nil {
		return err
	}
	return r.activate()
}

// sync makes what was restored, and what was moved aside for it, durable.
func (r *restore) sync() error {
	if r.rehearsal != nil && r.rehearsal.light() {
		return nil
	}
	for _, a := range r.areas() {
		if a.volume == nil {
			continue
		}
		if err := a.volume.Sync(); err != nil {
			return err
		}
	}
	if r.res.MovedAside == "" {
		return nil
	}
	// It may be on another volume.
	v, err := r.e.fs.OpenVolume(r.res.MovedAside)
	if err != nil {
		return err
	}
	return errors.Join(v.Sync(), v.Close())
}

// putAll moves everything into place: folders first, so that none is missing, then files and links, and databases that
// are still being checked last.
func (r *restore) putAll() error {
	var done int64
	turn := func(p *placement) int {
		switch {
		case p.file.Type == repository.TypeDir:
			return 0
		case p.check == nil:
			return 1
		}
		return 2
	}
	for now := range 3 {
		for _, p := range r.places {
			if turn(p) != now {
				continue
			}
			if err := r.ctx.Err(); err != nil {
				return err
			}
			if err := r.put(p); err != nil {
				return fmt.Errorf("%s: %w", p.shown(), err)
			}
			done += p.file.SizeBytes
			r.e.progress(event.Place, done, r.plan.Bytes)
		}
	}
	return nil
}

func (r *restore) put(p *placement) error {
	f := p.file
	if p.equal {
		// The plan was made before the question and the lock.
		equal, _, err := r.compareOne(p)
		switch {
		case err != nil:
			return err
		case !equal && f.Type != repository.TypeDir && f.HasContent():
			r.res.Failed = append(r.res.Failed, p.shown()+": it was changed while the restore ran; run it again")
			return nil
		case equal && f.HasContent():
			r.res.Equal++
		}
		if equal {
			return nil
		}
	}
	if f.HasContent() && p.staged == "" && p.body == nil {
		r.res.Failed = append(r.res.Failed, p.shown()+": "+p.reason)
		return nil
	}
	if err := r.makeParents(p.area, p.rel); err != nil {
		return err
	}
	if f.Type == repository.TypeDir {
		return r.makeDir(p.area, p.rel)
	}
	staged, err := r.staged(p)
	if err != nil {
		return err
	}
	if err := r.clear(p.area, p.rel); err != nil {
		return err
	}
	if f.Type == repository.TypeDatabase || f.Type == repository.TypeLarge {
		// A stale journal of another state would be played into the restored database when it is opened.
		for _, suffix := range []string{"-wal", "-shm", "-journal"} {
			if err := r.clear(p.area, p.rel+suffix); err != nil {
				return err
			}
		}
	}
	if p.check != nil {
		<-p.check.done // it knows the file by its name
		if p.check.syncErr != nil {
			return p.check.syncErr
		}
	}
	if err := r.e.fs.Rename(staged, p.dest); err != nil {
		return err
	}
	if f.HasContent() {
		r.res.Restored++
		r.res.Bytes += f.SizeBytes
	}
	return nil
}

// staged returns the path of the finished file in the staging folder, with mode and time.
func (r *restore) staged(p *placement) (string, error) {
	f := p.file
	fsys := r.e.fs
	path := p.staged
	if path == "" {
		path = filepath.Join(p.area.stage, "small")
		if f.Type == repository.TypeSymlink {
			if err := fsys.Symlink(string(f.Link), path); err != nil {
				return "", err
			}
			return path, fsys.Chtimes(path, time.Unix(0, f.ModTimeNS))
		}
		out, err := fsys.Create(path, 0o600)
		if err != nil {
			return "", err
		}
		_, err = out.Write(p.body)
		if err = errors.Join(err, out.Close()); err != nil {
			return "", err
		}
	}
	if err := fsys.Chmod(path, fileMode(f.Mode)); err != nil {
		return "", err
	}
	return path, fsys.Chtimes(path, time.Unix(0, f.ModTimeNS))
}

// fileMode turns tar's permission bits into Go's. Setuid and setgid are not given back: a backup that somebody else
// wrote must not make programs that run as another user.
func fileMode(bits uint32) fs.FileMode {
	mode := fs.FileMode(bits & 0o777)
	if bits&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}

// finishDirs sets the folders' modes and times, the deepest first: everything in them is in place by now.
func (r *restore) finishDirs() error {
	var dirs []*placement
	for _, p := range r.places {
		if p.file.Type == repository.TypeDir {
			dirs = append(dirs, p)
		}
	}
	slices.SortFunc(dirs, func(a, b *placement) int { return strings.Count(b.rel, "/") - strings.Count(a.rel, "/") })
	for _, p := range dirs {
		if real, err := p.area.realParents(p.rel); err != nil || !real {
			continue
		}
		if fi, err := os.Lstat(p.dest); err != nil || !fi.IsDir() {
			continue
		}
		if err := r.e.fs.Chmod(p.dest, fileMode(p.file.Mode)); err != nil {
			return err
		}
		if err := r.e.fs.Chtimes(p.dest, time.Unix(0, p.file.ModTimeNS)); err != nil {
			return err
		}
	}
	return nil
}

func isNotDir(err error) bool { return errors.Is(err, unix.ENOTDIR) }

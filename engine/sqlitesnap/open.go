package sqlitesnap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// look is the source and its sidecars as they were at one moment.
type look struct{ main, wal, shm, journal stamp }

func (l look) all() []stamp { return []stamp{l.main, l.wal, l.shm, l.journal} }

func (s *source) look() (look, error) {
	var l look
	var err error
	if l.main, err = s.stamp(); err != nil {
		return look{}, err
	}
	for suffix, to := range map[string]*stamp{"-wal": &l.wal, "-shm": &l.shm, "-journal": &l.journal} {
		if *to, err = stampOf(s.path + suffix); err != nil {
			return look{}, err
		}
	}
	named, err := stampOf(s.path)
	if err != nil {
		return look{}, err
	}
	if named.fileID != l.main.fileID {
		return look{}, &againError{err: fmt.Errorf("%w: another file took its place", ErrChanged)}
	}
	return l, nil
}

// hot reports whether the rollback journal was left by a crash, so that the file holds half a transaction. The rules
// are SQLite's, for someone who holds the read lock: it is not empty, and nobody is in a write transaction.
func (s *source) hot(l look) (bool, error) {
	if l.journal.size == 0 || s.lockless {
		return false, nil
	}
	journal, err := openRegular(s.path + "-journal")
	if errors.Is(err, os.ErrNotExist) {
		return false, &againError{err: ErrChanged}
	}
	if err != nil {
		return false, err
	}
	defer journal.Close()
	b := make([]byte, 1)
	if _, err := journal.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if b[0] == 0 {
		return false, nil
	}
	if reserved, err := s.reserved(); reserved || err != nil {
		return false, err
	}
	// A transaction that ended just now left the lock free too, but not the journal as it was.
	if now, err := s.look(); err != nil {
		return false, err
	} else if now.journal != l.journal {
		return false, &againError{err: ErrChanged}
	}
	return true, nil
}

// sidecarsReadable returns the reason why -wal or -shm cannot be opened, which SQLite keeps to itself. It must not be
// called while SQLite has the -shm open.
func (s *source) sidecarsReadable() error {
	for _, suffix := range []string{"-wal", "-shm"} {
		file, err := openRegular(s.path + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		file.Close()
	}
	return nil
}

// bracket says that files must stay as they were seen.
type bracket struct {
	src      *source
	seen     look
	mainOnly bool
}

func (b *bracket) moved() bool {
	now, err := b.src.look()
	if b.mainOnly {
		return err != nil || now.main != b.seen.main
	}
	return err != nil || now != b.seen
}

// againError says that looking once more may help.
type againError struct {
	err    error
	after  time.Duration // at least
	change func(*hints)
}

func (a *againError) Error() string { return a.err.Error() }
func (a *againError) Unwrap() error { return a.err }

// hints are what earlier tries found out.
type hints struct {
	moving    bool // it is being written although nothing lies beside it
	sharedShm bool // the -shm has to be opened as a writer does
}

func open(ctx context.Context, path string, o Options) (*Snapshot, error) {
	path, err := resolve(path)
	if err != nil {
		return nil, err
	}
	limit, cancel := context.WithTimeout(ctx, o.LockedTimeout)
	defer cancel()
	h := hints{moving: o.Attempt > 0}
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		s := &Snapshot{path: path, o: o}
		err := s.take(ctx, limit, h)
		if err == nil {
			return s, nil
		}
		_ = s.Close()
		var again *againError
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !errors.As(err, &again) && limit.Err() != nil && !errors.Is(err, ErrLocked):
			return nil, fmt.Errorf("%w: %w", ErrLocked, err)
		case !errors.As(err, &again):
			return nil, err
		}
		if again.change != nil {
			again.change(&h)
		}
		if sleep(limit, max(pause, again.after)) != nil {
			return nil, again.err
		}
	}
}

// take chooses the way. limit ends when locks are not waited for any longer; what holds nobody up has ctx.
func (s *Snapshot) take(ctx, limit context.Context, h hints) (err error) {
	if s.src, err = openSource(limit, s.path); err != nil {
		return err
	}
	if err = s.src.lock(limit); err != nil {
		return err
	}
	seen, err := s.src.look()
	if err != nil {
		return err
	}
	wal, err := walMode(s.src.file)
	if err != nil {
		return err
	}
	hot, err := s.src.hot(seen)
	switch {
	case err != nil:
		return err
	case hot, seen.wal.exists() && !seen.shm.exists():
		return s.takeRecovered(ctx, seen)
	case seen.wal.exists():
		return s.takeWAL(limit, h)
	case seen.journal.exists(), h.moving && !wal:
		return s.takeCopy(limit, seen)
	default:
		return s.takePlain(ctx, seen, h.moving)
	}
}

// takePlain uses the file as it is. Without hold no lock is kept; with it, writers of a WAL database are not delayed but
// what they write stays in their -wal, unless it grows so large that they write it back.
func (s *Snapshot) takePlain(ctx context.Context, seen look, hold bool) error {
	s.way = WayPlain
	hold = hold && !s.src.lockless
	if !hold && !s.src.lockless {
		if err := s.src.unlock(); err != nil {
			return fmt.Errorf("unlock: %w", err)
		}
	}
	if err := s.settle(ctx, seen); err != nil {
		return err
	}
	s.bracket = &bracket{src: s.src, seen: seen, mainOnly: hold}
	if s.moved() {
		return &againError{err: ErrChanged, change: func(h *hints) { h.moving = true }}
	}
	s.file, s.size = s.src.file, seen.main.size
	err := s.openAtRest(ctx, s.path)
	if err != nil && s.moved() {
		return &againError{err: ErrChanged, change: func(h *hints) { h.moving = true }}
	}
	return err
}

// openAtRest reads the header of s.file, which lies at path, and opens a connection for the check.
func (s *Snapshot) openAtRest(ctx context.Context, path string) (err error) {
	if s.head, err = readHeader(s.file); err != nil {
		return err
	}
	s.db, err = openImmutable(ctx, path)
	return err
}

// takeWAL holds a read transaction. The -shm is opened read-only first: then it too stays as it is, also where no
// program has the database open and SQLite would rebuild it. In rare states only a writer can give a reader its place
// in the -shm; there it is opened as every other program opens it.
func (s *Snapshot) takeWAL(limit context.Context, h hints) error {
	s.way = WayWAL
	params := "mode=ro&readonly_shm=1"
	if h.sharedShm {
		params = "mode=ro"
	}
	err := s.openTransaction(limit, s.path, params)
	switch resultCode(err) & 0xff {
	case codeReadonly:
		return &againError{err: fmt.Errorf("%w: %w", ErrLocked, err), change: func(h *hints) { h.sharedShm = true }}
	case codeCantOpen:
		if e := s.src.sidecarsReadable(); e != nil {
			return e
		}
		return &againError{err: fmt.Errorf("%w: %w", ErrLocked, err)}
	case codeBusy, codeProtocol:
		return &againError{err: fmt.Errorf("%w: %w", ErrLocked, err)}
	case codeError, codeCorrupt:
		// SQLite takes noise for damage.
		if _, e := readHeader(s.src.file); errors.Is(e, ErrNotDatabase) {
			return e
		}
	}
	return err
}

// openTransaction begins the transaction that holds the state.
func (s *Snapshot) openTransaction(ctx context.Context, path, params string) (err error) {
	if s.db, err = openDatabase(ctx, path, params, s.o.BusyTimeout); err != nil {
		return err
	}
	if s.head, s.size, err = s.db.begin(ctx); err != nil {
		return err
	}
	return nil
}

// settle waits until the clock of the file system has passed the last change: from then on, every further change gives
// a file another time. Files with whole seconds are taken to lie where times are no finer than two.
func (s *Snapshot) settle(ctx context.Context, seen look) error {
	var latest int64
	coarse := true
	for _, st := range seen.all() {
		latest = max(latest, st.latest())
		coarse = coarse && st.mtime%int64(time.Second) == 0 && st.ctime%int64(time.Second) == 0
	}
	// A time in the future needs no waiting beyond one tick of the slowest clock: the next change will undo it.
	patience := 30 * time.Millisecond
	if coarse {
		latest += int64(2 * time.Second)
		patience = 2 * time.Second
	}
	const tick = 3 * time.Millisecond
	for ; patience > 0; patience -= tick {
		if now, ok := s.clock(); ok && now > latest {
			return nil
		}
		if err := sleep(ctx, tick); err != nil {
			return err
		}
	}
	return nil
}

// clock asks the file system what time it is, by the time that it gives a new file.
func (s *Snapshot) clock() (ns int64, ok bool) {
	if s.o.Scratch == "" {
		return 0, false
	}
	file, err := os.CreateTemp(s.o.Scratch, "clock-*.tmp")
	if err != nil {
		return 0, false
	}
	defer os.Remove(file.Name())
	defer file.Close()
	fi, err := file.Stat()
	if err != nil {
		return 0, false
	}
	return fi.ModTime().UnixNano(), true
}
